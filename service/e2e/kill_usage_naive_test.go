//go:build failpoint

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/service/db/lite"
	"github.com/mintreu/mintreu/service/failpoint"
)

// naiveVariable names the way in which this test program is to count usage, as a service of its own, and the directory of its database.
const naiveVariable = "MINTREU_TEST_NAIVE"

// naive serves ingestion as one might write it, durably, on SQLite:
//
//	remembers    what was counted before is remembered by the process
//	marks-first  it is marked in the database before what it is about is added, each in a transaction
//	adds-first   the other way round
//	together     both in one transaction, which is right
func naive(how, dir string) error {
	d, err := lite.Open(context.Background(), lite.Config{Path: filepath.Join(dir, "naive.sqlite")})
	if err != nil {
		return err
	}
	for _, sql := range []string{`CREATE TABLE IF NOT EXISTS mark (name text PRIMARY KEY)`, `CREATE TABLE IF NOT EXISTS counted (events bigint, total bigint)`} {
		if _, err := d.Exec(context.Background(), sql); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var mu sync.Mutex
	seen := map[string]bool{}
	mark := func(ctx context.Context, name string) (fresh bool, err error) {
		n, err := d.Exec(ctx, `INSERT INTO mark (name) VALUES ($1) ON CONFLICT DO NOTHING`, name)
		return n == 1, err
	}
	add := func(ctx context.Context, u used) error {
		_, err := d.Exec(ctx, `INSERT INTO counted (events, total) VALUES ($1, $2)`, u.events, u.sum)
		return err
	}
	count := func(ctx context.Context, name string, u used) (err error) {
		mu.Lock()
		defer mu.Unlock()
		fresh := true
		switch how {
		case "remembers":
			if fresh = !seen[name]; fresh {
				if err = add(ctx, u); err == nil {
					failpoint.Hit("after-commit")
					seen[name] = true
				}
			}
		case "marks-first":
			if fresh, err = mark(ctx, name); err == nil && fresh {
				failpoint.Hit("between")
				err = add(ctx, u)
			}
			failpoint.Hit("after-commit")
		case "adds-first":
			var n int64
			if err = d.QueryRow(ctx, `SELECT count(*) FROM mark WHERE name = $1`, name).Scan(&n); err == nil && n == 0 {
				if err = add(ctx, u); err == nil {
					failpoint.Hit("between")
					_, err = mark(ctx, name)
				}
			}
			failpoint.Hit("after-commit")
		default:
			err = d.InTx(ctx, func(ctx context.Context) error {
				if fresh, err = mark(ctx, name); err != nil || !fresh {
					return err
				}
				failpoint.Hit("between")
				return add(ctx, u)
			})
			failpoint.Hit("after-commit")
		}
		return err
	}
	answer := func(w http.ResponseWriter, out any, err error) {
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(out)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+sdk.PathUsageSources, func(w http.ResponseWriter, r *http.Request) { answer(w, sdk.SourceResponse{Source: "src"}, nil) })
	mux.HandleFunc("POST "+sdk.PathUsage, func(w http.ResponseWriter, r *http.Request) {
		var in sdk.UsageRequest
		err := json.NewDecoder(r.Body).Decode(&in)
		if err == nil {
			err = count(r.Context(), fmt.Sprint("batch ", in.Seq), used{in.Rows[0].Events, in.Rows[0].Sum})
		}
		answer(w, sdk.UsageResponse{LastSeq: in.Seq}, err)
	})
	mux.HandleFunc("POST /v1/usage/events", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Events []struct {
				ID   string
				Data struct{ Pages int64 }
			}
		}
		err := json.NewDecoder(r.Body).Decode(&in)
		if err == nil {
			var u used
			for _, e := range in.Events {
				u = u.plus(used{1, e.Data.Pages})
			}
			err = count(r.Context(), in.Events[0].ID, u)
		}
		answer(w, map[string]int{"counted": len(in.Events)}, err)
	})
	mux.HandleFunc("GET /counted", func(w http.ResponseWriter, r *http.Request) {
		var out [2]int64
		err := d.QueryRow(r.Context(), `SELECT COALESCE(SUM(events), 0), COALESCE(SUM(total), 0) FROM counted`).Scan(&out[0], &out[1])
		answer(w, out, err)
	})
	fmt.Printf("shop and API   http://%s\n%s\n", l.Addr(), greeted)
	return http.Serve(l, mux)
}

// What checks the kills at each step of ingestion finds a service that counts twice or not at all, whichever way it reports, and finds nothing
// of one that does not.
func TestKill_NaiveIngestionIsFound(t *testing.T) {
	if how, dir, ok := strings.Cut(os.Getenv(naiveVariable), " "); ok {
		t.Fatal(naive(how, dir))
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "naive") // which is not told what to serve
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexec '"+os.Args[0]+"' -test.run '^"+t.Name()+"$'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for how, point := range map[string]string{"remembers": "after-commit", "marks-first": "between", "adds-first": "between", "together": "between"} {
		for _, report := range []func(name, base, secret, carrier string) *reporter{batchReporter, eventReporter} {
			p := &plant{t: t, path: path, balancer: newBalancer(t), env: []string{naiveVariable + "=" + how + " " + shortDir(t)}}
			t.Cleanup(func() {
				if p.running != nil {
					p.running.kill()
				}
			})
			k := newKilling(t, p)
			k.counted = func(t *testing.T, _ string) used {
				t.Helper()
				var out [2]int64
				status, text, err := fetch(t.Context(), http.MethodGet, p.balancer.url+"/counted", nil, nil)
				if err != nil || status != http.StatusOK {
					t.Fatalf("%d %s, %v", status, text, err)
				}
				decode(t, text, &out)
				return used{out[0], out[1]}
			}
			r := report(how, p.balancer.url, "", "")
			wrong := k.through(t, []step{{r, point, either}, {r, "after-commit", either}})
			if (how == "together") != (len(wrong) == 0) {
				t.Errorf("%s: found %q", how, strings.Join(wrong, "; "))
			}
		}
	}
}
