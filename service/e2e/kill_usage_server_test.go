//go:build failpoint

package e2e_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/db/dbtest"
	"github.com/mintreu/mintreu/service/limit/limittest"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// F20, F26, INV5: while a spool, back ends with batches and back ends with single events report at once, PostgreSQL, Redis and the service are
// killed again and again, wherever in ingestion they are, and started again. Each goes on with what was not acknowledged; in the end exactly
// what was acknowledged is counted.
func TestKill_F20_F26_ServersOfIngestion(t *testing.T) {
	t.Parallel()
	postgres, redis := dbtest.PrivatePostgres(t), limittest.OwnRedis(t)
	p := newPlant(t, "sqlite")
	p.config = app.Config{DataDir: p.config.DataDir, PostgresURL: postgres.URL}
	p.args = append(p.args, "--postgres-url", postgres.URL, "--redis-url", redis.URL)
	k := newKilling(t, p)
	license, key := k.shelf(t)
	var product string
	if err := k.rows.QueryRow(t.Context(), `SELECT product_id FROM license`).Scan(&product); err != nil {
		t.Fatal(err)
	}
	reporters := []*reporter{k.spoolReporter(t, license, 3)}
	for i := range storetest.Soak(1, 4) {
		batches := k.key(t, product)
		reporters = append(reporters, batchReporter(fmt.Sprint("batches ", i), k.balancer.url, batches.secret, batches.id), eventReporter(fmt.Sprint("events ", i), k.balancer.url, key.secret, key.id))
		key = k.key(t, product)
	}

	acks := make([]atomic.Int64, len(reporters))
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	for i, r := range reporters {
		work.Go(func() {
			tick := time.NewTicker(storetest.Soak(50*time.Millisecond, 5*time.Millisecond))
			defer tick.Stop()
			for ctx.Err() == nil {
				if r.try(t.Context()) == nil {
					acks[i].Add(1)
				}
				<-tick.C
			}
		})
	}
	// Each is served again before the next dies.
	served := func(what string) {
		t.Helper()
		for i := range acks {
			before := acks[i].Load()
			eventually(t, reporters[i].name+" is acknowledged after "+what, 2*recovery, func() bool { return acks[i].Load() >= before+2 })
		}
	}
	served("the beginning")
	for range storetest.Soak(1, 40) {
		if err := postgres.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := postgres.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		served("the kill of PostgreSQL")
		redis.Kill(t)
		served("the kill of Redis")
		redis.Start(t)
		k.running.kill()
		if _, err := k.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		served("the kill of the service")
	}
	stop()
	work.Wait()
	for i, r := range reporters {
		r.settle(t)
		got := k.counted(t, r.carrier)
		if fault := r.judge(got, either); fault != "" {
			t.Error(fault)
		}
		t.Logf("%s: %d batches, %+v", r.name, acks[i].Load(), got)
	}
	k.verify(t)
}
