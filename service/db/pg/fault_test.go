package pg_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/db/dbtest"
	"github.com/mintreu/mintreu/service/db/pg"
)

// exec runs statements that may not fail.
func exec(t *testing.T, d db.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := d.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// terminate ends every other connection to the database, as a restart of the server or a proxy does.
func terminate(t *testing.T, url string) {
	t.Helper()
	other, err := pg.Open(t.Context(), pg.Config{URL: url, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	exec(t, other, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
}

// Connections that died while they lay idle are replaced without any caller noticing.
func TestIdleConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	url := dbtest.PostgresDatabase(t, "")
	d := open(t, pg.Config{URL: url, MaxConns: 8})
	exec(t, d, `CREATE TABLE t (a bigint)`)
	for range 3 {
		var wg sync.WaitGroup
		for range 8 { // fill the pool
			wg.Go(func() {
				if _, err := d.Exec(t.Context(), `SELECT pg_sleep(0.02)`); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		terminate(t, url)
		err := d.InTx(t.Context(), func(ctx context.Context) error {
			_, err := d.Exec(ctx, `INSERT INTO t VALUES (1)`)
			return err
		})
		if err != nil {
			t.Errorf("the first transaction afterwards: %v", err)
		}
		terminate(t, url)
		var n int
		if err := d.QueryRow(t.Context(), `SELECT count(*) FROM t`).Scan(&n); err != nil || n == 0 {
			t.Errorf("the first query afterwards: %v", err)
		}
		terminate(t, url)
		err = d.Ask(t.Context(), db.Question{SQL: `SELECT count(*) FROM t`, Each: func(r db.Row) error { return r.Scan(&n) }})
		if err != nil || n == 0 {
			t.Errorf("the first questions afterwards: %v", err)
		}
	}
}

// A connection lost inside a transaction is unavailability: nothing of it is kept, and the next one works.
func TestConnectionLostInTx(t *testing.T) {
	t.Parallel()
	url := dbtest.PostgresDatabase(t, "")
	d := open(t, pg.Config{URL: url})
	exec(t, d, `CREATE TABLE t (a bigint)`)
	for _, nested := range []bool{false, true} {
		err := d.InTx(t.Context(), func(ctx context.Context) error {
			if _, err := d.Exec(ctx, `INSERT INTO t VALUES (1)`); err != nil {
				return err
			}
			terminate(t, url)
			lost := func(ctx context.Context) error { _, err := d.Exec(ctx, `INSERT INTO t VALUES (2)`); return err }
			if nested {
				return d.InTx(ctx, lost)
			}
			return lost(ctx)
		})
		if !errors.Is(err, db.ErrUnavailable) {
			t.Errorf("nested %v: %v", nested, err)
		}
	}
	var n int
	if err := d.QueryRow(t.Context(), `SELECT count(*) FROM t`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// F24: a transaction that was chosen as a deadlock's victim is run again, and both end.
func TestF24_DeadlockIsRetried(t *testing.T) {
	t.Parallel()
	d := open(t, pg.Config{})
	exec(t, d, `CREATE TABLE t (id bigint PRIMARY KEY, n bigint)`, `INSERT INTO t VALUES (1, 0), (2, 0)`)
	var runs atomic.Int64
	var both sync.WaitGroup
	both.Add(2)
	meet := [2]sync.Once{}
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			err := d.InTx(t.Context(), func(ctx context.Context) error {
				runs.Add(1)
				if _, err := d.Exec(ctx, `UPDATE t SET n = n + 1 WHERE id = $1`, i+1); err != nil {
					return err
				}
				meet[i].Do(func() { both.Done(); both.Wait() })
				_, err := d.Exec(ctx, `UPDATE t SET n = n + 1 WHERE id = $1`, 2-i)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var n int
	if err := d.QueryRow(t.Context(), `SELECT count(*) FROM t WHERE n = 2`).Scan(&n); err != nil || n != 2 || runs.Load() < 3 {
		t.Errorf("%d rows are right after %d runs, %v", n, runs.Load(), err)
	}
}

// F24: so is a statement outside a transaction, alone and in a batch; what has lost as often as is tried is unavailability.
func TestF24_StatementAloneIsRetried(t *testing.T) {
	t.Parallel()
	d := open(t, pg.Config{Attempts: 4})
	const lose = `DO $$ BEGIN IF nextval('tries') <= %d THEN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END IF; END $$`
	forms := map[string]func(sql string) error{
		"exec": func(sql string) error { _, err := d.Exec(t.Context(), sql); return err },
		"batch": func(sql string) error {
			_, err := d.Batch(t.Context(), []db.Statement{{SQL: `INSERT INTO t VALUES ($1)`, Args: []any{1}}, {SQL: sql}})
			return err
		},
	}
	for name, form := range forms {
		for losses, kept := range map[int]bool{3: true, 100: false} {
			exec(t, d, `DROP TABLE IF EXISTS t`, `CREATE TABLE t (n bigint)`, `DROP SEQUENCE IF EXISTS tries`, `CREATE SEQUENCE tries`)
			err := form(fmt.Sprintf(lose, losses))
			if kept != (err == nil) || !kept && !errors.Is(err, db.ErrUnavailable) {
				t.Errorf("%s that loses %d times: %v", name, losses, err)
			}
			var rows, tries int
			if err := d.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM t), (SELECT last_value FROM tries)`).Scan(&rows, &tries); err != nil {
				t.Fatal(err)
			}
			if want := map[bool]int{true: 1}[kept && name == "batch"]; rows != want || tries != 4 {
				t.Errorf("%s that loses %d times left %d rows after %d tries, want %d after 4", name, losses, rows, tries, want)
			}
		}
	}
}

// F24: a serialization failure is retried a bounded number of times, then reported.
func TestF24_SerializationFailureIsRetriedBounded(t *testing.T) {
	t.Parallel()
	d := open(t, pg.Config{Attempts: 4})
	for _, failures := range []int{3, 100} {
		runs := 0
		err := d.InTx(t.Context(), func(ctx context.Context) error {
			if runs++; runs > failures {
				return nil
			}
			_, err := d.Exec(ctx, `DO $$ BEGIN RAISE EXCEPTION 'lost the race' USING ERRCODE = '40001'; END $$`)
			return err
		})
		if failures == 3 && (err != nil || runs != 4) {
			t.Errorf("%d runs, %v", runs, err)
		}
		if failures == 100 && (!errors.Is(err, db.ErrUnavailable) || runs != 4) {
			t.Errorf("%d runs, %v", runs, err)
		}
	}
}

// F24: a pool in which nothing becomes free, and a row that stays locked, are unavailability after a bounded wait.
func TestF24_WaitsAreBounded(t *testing.T) {
	t.Parallel()
	url := dbtest.PostgresDatabase(t, "")
	d := open(t, pg.Config{URL: url + "&pool_max_conns=4", MaxConns: 9, AcquireTimeout: time.Second, LockTimeout: 50 * time.Millisecond,
		StatementTimeout: time.Second})
	exec(t, d, `CREATE TABLE t (a bigint)`, `INSERT INTO t VALUES (1)`)
	ctx := t.Context()
	elsewhere := func(fn func() error) error {
		result := make(chan error)
		go func() { result <- fn() }()
		return <-result
	}
	err := d.InTx(ctx, func(tx context.Context) error {
		if _, err := d.Exec(tx, `UPDATE t SET a = 2`); err != nil {
			return err
		}
		err := elsewhere(func() error { _, err := d.Exec(ctx, `UPDATE t SET a = 3`); return err })
		if !errors.Is(err, db.ErrUnavailable) || !strings.Contains(err.Error(), "55P03") {
			t.Errorf("locked row: %v", err)
		}
		err = elsewhere(func() error { _, err := d.Exec(ctx, `SELECT pg_sleep(5)`); return err })
		if !errors.Is(err, db.ErrUnavailable) {
			t.Errorf("slow statement: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	var rows []db.Rows
	for range 4 {
		r, err := d.Query(ctx, `SELECT a FROM t`)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	if _, err := d.Exec(ctx, `SELECT 1`); !errors.Is(err, db.ErrUnavailable) || errors.Is(err, context.Canceled) {
		t.Errorf("empty pool: %v", err)
	}
	for _, r := range rows {
		r.Close()
	}
	exec(t, d, `SELECT 1`)
}

// F25: a server that only reads is noticed by Ping, and writes to it are unavailability.
func TestF25_ReadOnlyServer(t *testing.T) {
	t.Parallel()
	url := dbtest.PostgresDatabase(t, "")
	d := open(t, pg.Config{URL: url})
	exec(t, d, `CREATE TABLE t (a bigint)`)
	readOnly := open(t, pg.Config{URL: url + "&default_transaction_read_only=on"})
	if err := readOnly.Ping(t.Context()); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("ping: %v", err)
	}
	if _, err := readOnly.Exec(t.Context(), `INSERT INTO t VALUES (1)`); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("insert: %v", err)
	}
}

// A server that is not there is reported at once and as unavailability.
func TestNoServer(t *testing.T) {
	t.Parallel()
	_, err := pg.Open(t.Context(), pg.Config{URL: "postgres://nobody@127.0.0.1:1/none?sslmode=disable"})
	if !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if _, err := pg.Open(t.Context(), pg.Config{URL: "postgres://%zz"}); err == nil {
		t.Error("a broken connection string was taken")
	}
}

// F20, F21: every insert that was acknowledged before the server was killed in the middle of the load is there afterwards, and
// the same pool works again within five seconds of the server's return.
func TestF20_F21_ServerKilledUnderLoad(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	p := dbtest.PrivatePostgres(t)
	d := open(t, pg.Config{URL: p.URL})
	exec(t, d, `CREATE TABLE t (a bigint PRIMARY KEY)`)
	const perRound = 40
	var next, acked atomic.Int64
	for range 2 {
		load, stop := context.WithCancel(ctx)
		enough := make(chan struct{})
		var once sync.Once
		var wg sync.WaitGroup
		goal := acked.Load() + perRound
		for range 4 {
			wg.Go(func() {
				for load.Err() == nil {
					err := d.InTx(load, func(ctx context.Context) error {
						_, err := d.Exec(ctx, `INSERT INTO t VALUES ($1)`, next.Add(1))
						return err
					})
					if err != nil {
						if load.Err() == nil && !errors.Is(err, db.ErrUnavailable) {
							t.Errorf("not told as unavailability: %v", err)
						}
						return
					}
					if acked.Add(1) >= goal {
						once.Do(func() { close(enough) })
					}
				}
			})
		}
		select {
		case <-enough:
		case <-ctx.Done():
			t.Fatal("no load")
		}
		if err := p.Kill(ctx); err != nil {
			t.Fatal(err)
		}
		stop()
		wg.Wait()
		if err := d.Ping(ctx); !errors.Is(err, db.ErrUnavailable) {
			t.Errorf("ping while it is down: %v", err)
		}
		if err := p.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		back := time.Now()
		for d.Ping(ctx) != nil && time.Since(back) < 5*time.Second {
		}
		var n int64
		if err := d.QueryRow(ctx, `SELECT count(*) FROM t`).Scan(&n); err != nil || n < acked.Load() {
			t.Errorf("%d rows after %d acknowledged, %v, %v after the return", n, acked.Load(), err, time.Since(back))
		}
	}
}

// Rows that somebody forgot to close do not keep a process from ending: Close gives up on them and says so.
func TestCloseDoesNotHang(t *testing.T) {
	t.Parallel()
	d, err := pg.Open(t.Context(), pg.Config{URL: dbtest.PostgresDatabase(t, "")})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := d.Query(t.Context(), `SELECT 1`)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- d.Close() }()
	select {
	case err := <-closed:
		if err == nil || !strings.Contains(err.Error(), "1 connections were still in use") {
			t.Errorf("closed with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("Close hangs")
	}
	rows.Close()
}
