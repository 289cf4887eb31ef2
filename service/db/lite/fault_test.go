package lite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/db/lite"
)

// statements runs statements that may not fail.
func statements(t *testing.T, d db.DB, all ...string) {
	t.Helper()
	for _, s := range all {
		if _, err := d.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// F42: a data directory in use is refused with words that say who has it, and is free again after Close.
func TestF42_SecondWriterRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	first := open(t, lite.Config{Path: path})
	for _, name := range []string{path, filepath.Join(filepath.Dir(path), "other.db")} {
		_, err := lite.Open(t.Context(), lite.Config{Path: name})
		if !errors.Is(err, lite.ErrLocked) || !strings.Contains(err.Error(), "process ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	statements(t, first, `CREATE TABLE t (a bigint)`)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, lite.Config{Path: path})
}

// A read-only opener works beside the writer, sees what it commits, and can change nothing.
func TestReadOnlyBesideTheWriter(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	if _, err := lite.Open(t.Context(), lite.Config{Path: path, ReadOnly: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	writer := open(t, lite.Config{Path: path})
	statements(t, writer, `CREATE TABLE t (a bigint)`)
	reader := open(t, lite.Config{Path: path, ReadOnly: true})
	statements(t, writer, `INSERT INTO t VALUES (7)`)
	var a int
	if err := reader.QueryRow(t.Context(), `SELECT a FROM t`).Scan(&a); err != nil || a != 7 {
		t.Errorf("%d, %v", a, err)
	}
	if err := reader.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	_, err := reader.Exec(t.Context(), `DELETE FROM t`)
	if !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("delete: %v", err)
	}
	if err := reader.QueryRow(t.Context(), `DELETE FROM t RETURNING a`).Scan(&a); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("delete returning: %v", err)
	}
	if err := writer.QueryRow(t.Context(), `SELECT a FROM t`).Scan(&a); err != nil {
		t.Error(err)
	}
}

// Commits are durable and references are enforced, whatever SQLite's defaults are.
func TestSettings(t *testing.T) {
	t.Parallel()
	d := open(t, lite.Config{})
	err := d.InTx(t.Context(), func(ctx context.Context) error {
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
			var got string
			if err := d.QueryRow(ctx, "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %s, %v; want %s", pragma, got, err, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(d.Path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
}

// F25: a full disk is unavailability, loses nothing that was committed, and ends when there is room again.
func TestF25_DiskFull(t *testing.T) {
	t.Parallel()
	d := open(t, lite.Config{})
	statements(t, d, `CREATE TABLE t (a bytea)`, `INSERT INTO t VALUES (zeroblob(10))`)
	limit := func(pages string) {
		var n int
		if err := d.SQLDB().QueryRowContext(t.Context(), "PRAGMA max_page_count = "+pages).Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	limit("1") // SQLite keeps at least what is in use
	if _, err := d.Exec(t.Context(), `INSERT INTO t VALUES (zeroblob(1000000))`); !errors.Is(err, db.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	var n int
	if err := d.QueryRow(t.Context(), `SELECT count(*) FROM t`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
	limit("1000000")
	statements(t, d, `INSERT INTO t VALUES (zeroblob(1000000))`)
}

// F42: a file that is no database, and one with a damaged page, are refused with an error and never read as something else.
func TestF42_DamagedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("not a database. "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := lite.Open(t.Context(), lite.Config{Path: path}); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("no database: %v", err)
	}
	path = filepath.Join(t.TempDir(), "test.db")
	d := open(t, lite.Config{Path: path})
	statements(t, d, `CREATE TABLE t (a text)`, `INSERT INTO t VALUES (hex(randomblob(20000)))`)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(file[:4096:4096], bytes.Repeat([]byte{0xee}, len(file)-4096)...), 0o600); err != nil {
		t.Fatal(err)
	}
	d = open(t, lite.Config{Path: path})
	var a string
	if err := d.QueryRow(t.Context(), `SELECT a FROM t`).Scan(&a); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("damaged page: %v", err)
	}
}

// F42: a log or a database file removed from under the running program is noticed by Ping, since nothing written after it
// would last.
func TestF42_FilesRemoved(t *testing.T) {
	t.Parallel()
	for _, suffix := range []string{"", "-wal"} {
		path := filepath.Join(t.TempDir(), "test.db")
		d := open(t, lite.Config{Path: path})
		statements(t, d, `CREATE TABLE t (a bigint)`)
		if err := d.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path + suffix); err != nil {
			t.Fatal(err)
		}
		if err := d.Ping(t.Context()); !errors.Is(err, db.ErrUnavailable) {
			t.Errorf("without %q: %v", "test.db"+suffix, err)
		}
	}
}

// F42: while a foreign process holds the write lock, writes wait no longer than their context allows, and readers not at all.
func TestF42_BusyWriter(t *testing.T) {
	t.Parallel()
	d := open(t, lite.Config{})
	statements(t, d, `CREATE TABLE t (a bigint)`)
	foreign, err := sql.Open("sqlite", "file:"+d.Path()+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	tx, err := foreign.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = d.Exec(ctx, `INSERT INTO t VALUES (1)`)
	if err == nil || (!errors.Is(err, db.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded)) || time.Since(began) > 4*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	var n int
	if err := d.QueryRow(t.Context(), `SELECT count(*) FROM t`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	statements(t, d, `INSERT INTO t VALUES (1)`)
}

// A write that waits for a transaction which never ends fails after the configured wait instead of hanging.
func TestWriterWaitIsBounded(t *testing.T) {
	t.Parallel()
	d := open(t, lite.Config{WriterWait: 20 * time.Millisecond})
	statements(t, d, `CREATE TABLE t (a bigint)`)
	err := d.InTx(t.Context(), func(context.Context) error {
		other := make(chan error)
		go func() { _, err := d.Exec(t.Context(), `INSERT INTO t VALUES (1)`); other <- err }()
		if err := <-other; !errors.Is(err, db.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	statements(t, d, `INSERT INTO t VALUES (1)`)
}

// A transaction that kept the writer longer than allowed is reported with its operation; a short one only to the hook.
func TestHeldWriterIsReported(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	now := time.Now()
	held := map[string]time.Duration{}
	d := open(t, lite.Config{
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Clock:  func() time.Time { return now },
		OnHeld: func(operation string, d time.Duration) { held[operation] = d },
	})
	for operation, took := range map[string]time.Duration{"order.create": lite.HoldLimit + time.Millisecond, "order.read": lite.HoldLimit} {
		ctx := licensing.WithCall(t.Context(), &licensing.Call{Operation: operation})
		if err := d.InTx(ctx, func(context.Context) error { now = now.Add(took); return nil }); err != nil {
			t.Fatal(err)
		}
		if held[operation] != took {
			t.Errorf("%s: the hook saw %v", operation, held[operation])
		}
	}
	if text := log.String(); !strings.Contains(text, "order.create") || strings.Contains(text, "order.read") {
		t.Errorf("log: %s", text)
	}
}
