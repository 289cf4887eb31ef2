package bench_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/db/dbtest/server"
	"github.com/mintreu/mintreu/service/limit/limittest"
	"github.com/mintreu/mintreu/service/walk"
)

const (
	clients   = 64               // connections that issue at once
	warming   = time.Second      // of those clients, which does not count: pgbench leaves out what connecting takes
	measured  = 5 * time.Second  // by pgbench, and by those clients
	bulkCount = 10_000           // licenses of a bulk issue
	patience  = 10 * time.Minute // for a bulk issue
)

// BenchmarkIssue sets the issue of licenses, signed and durable, over HTTP beside pgbench's insert of one row on the same PostgreSQL, with as many
// connections, which syncs to disk: the base. "single" asks for one license at a time, "bulk" for ten thousand in one call, counted until the last
// is there. Each reports its rate as a part of the base's.
func BenchmarkIssue(b *testing.B) {
	pg, err := server.NewPostgres(b.Context(), true)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = pg.Stop() })
	base := 0.0
	b.Run("base", func(b *testing.B) {
		base = pgbench(b, pg.URL)
		b.ReportMetric(1e9/base, "ns/op")
		b.ReportMetric(base, "rows/s")
	})
	a := serve(b, app.Config{DataDir: b.TempDir(), Addr: "127.0.0.1:0", OpsAddr: "off", LogLevel: "error", KeyPrefix: "mtr", MailFrom: "Shop <shop@example.com>", ShopName: "Shop",
		Ceiling: 1_000_000, PostgresURL: pg.URL, RedisURL: limittest.Redis(b)})
	s := newIssuer(b, a)
	single := 0.0
	b.Run("single", func(b *testing.B) {
		single = s.single(b)
		b.ReportMetric(1e9/single, "ns/op")
		b.ReportMetric(single/base, "x-base")
	})
	b.Run("bulk", func(b *testing.B) {
		rate := s.bulk(b)
		b.ReportMetric(1e9/rate, "ns/op")
		b.ReportMetric(rate/base, "x-base")
		b.ReportMetric(rate/single, "x-single")
	})
}

var tps = regexp.MustCompile(`tps = ([\d.]+)`)

// pgbench is how many rows a second pgbench inserts, one a transaction.
func pgbench(b *testing.B, url string) float64 {
	b.Helper()
	program, err := exec.LookPath("pgbench")
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
		if len(found) == 0 {
			b.Fatal("pgbench is missing; it comes with PostgreSQL")
		}
		program = found[len(found)-1]
	}
	script := filepath.Join(b.TempDir(), "insert.sql")
	if err := os.WriteFile(script, []byte("INSERT INTO bench_row (at) VALUES (now());\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	make := exec.CommandContext(b.Context(), strings.TrimSuffix(program, "pgbench")+"psql", url, "-qc", "CREATE TABLE IF NOT EXISTS bench_row (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz)")
	if out, err := make.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	out, err := exec.CommandContext(b.Context(), program, "-n", "-M", "prepared", "-f", script, "-c", strconv.Itoa(clients), "-j", "2", "-T", strconv.Itoa(int(measured.Seconds())), url).CombinedOutput()
	m := tps.FindSubmatch(out)
	if err != nil || m == nil {
		b.Fatalf("%v: %s", err, out)
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// issuer is automation with a machine token that may issue licenses.
type issuer struct {
	base, token, policy, owner string
	client                     *http.Client
}

func newIssuer(b *testing.B, a *app.App) *issuer {
	b.Helper()
	shopper, err := walk.NewShopper(b.Context(), walk.Params{BaseURL: a.BaseURL(), Operator: operator(a)})
	if err != nil {
		b.Fatal(err)
	}
	shopper.Close()
	call := operator(a)
	var token struct{ Secret string }
	var policies struct{ Items []struct{ ID string } }
	var owner struct{ ID string }
	ctx := context.WithoutCancel(b.Context())
	for _, err := range []error{
		call(ctx, http.MethodPost, "/v1/machine-tokens", map[string]any{"name": "bench", "scopes": []string{"licenses:issue"}}, &token),
		call(ctx, http.MethodGet, "/v1/policies", nil, &policies),
		call(ctx, http.MethodPost, "/v1/staff", map[string]any{"email": "reseller@example.com", "role": "support", "password": "a bench in the shade 8"}, &owner),
	} {
		if err != nil {
			b.Fatal(err)
		}
	}
	return &issuer{base: a.BaseURL(), token: token.Secret, policy: policies.Items[0].ID, owner: owner.ID,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}}
}

// send sends one request and decodes its answer; it waits while the process is at the ceiling that it sets itself.
func (s *issuer) send(method, path string, in, out any) error {
	text, err := json.Marshal(in)
	if err != nil {
		return err
	}
	for {
		r, err := http.NewRequest(method, s.base+path, bytes.NewReader(text))
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+s.token)
		r.Header.Set("Content-Type", "application/json")
		if in == nil {
			r.Body, r.ContentLength = http.NoBody, 0
			r.Header.Del("Content-Type")
		}
		res, err := s.client.Do(r)
		if err != nil {
			return err
		}
		err = json.NewDecoder(res.Body).Decode(out)
		_ = res.Body.Close()
		switch {
		case res.StatusCode == http.StatusTooManyRequests:
			time.Sleep(5 * time.Millisecond)
			continue
		case res.StatusCode >= 300:
			return fmt.Errorf("%s %s answered %d", method, path, res.StatusCode)
		}
		return err
	}
}

// line is one connection on which the same request goes out again and again. Its bytes are made once and the answer is read by net/http's reader:
// a client as lean as pgbench's, which is written in C, since the service is measured and not the client beside it on the same processors.
type line struct {
	conn    net.Conn
	answers *bufio.Reader
	request []byte
}

func (s *issuer) line(path string, in any) (*line, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	host := strings.TrimPrefix(s.base, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, host, s.token, len(body))
	return &line{conn, bufio.NewReader(conn), append([]byte(head), body...)}, nil
}

// issue gets one license; it waits while the process is at the ceiling that it sets itself.
func (l *line) issue() error {
	for {
		if _, err := l.conn.Write(l.request); err != nil {
			return err
		}
		res, err := http.ReadResponse(l.answers, nil)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(res.Body)
		switch {
		case err != nil:
			return err
		case res.StatusCode == http.StatusTooManyRequests:
			time.Sleep(5 * time.Millisecond)
		case res.StatusCode >= 300 || !bytes.Contains(body, []byte(`"key":"`)):
			return fmt.Errorf("it answered %d: %s", res.StatusCode, body)
		default:
			return nil
		}
	}
}

// single is how many licenses a second the clients get, one a request.
func (s *issuer) single(b *testing.B) float64 {
	b.Helper()
	lines := make([]*line, clients)
	for i := range lines {
		var err error
		if lines[i], err = s.line("/v1/licenses", map[string]any{"policy": s.policy, "owner": s.owner, "reason": "bench"}); err != nil {
			b.Fatal(err)
		}
		defer func() { _ = lines[i].conn.Close() }()
	}
	began := time.Now().Add(warming)
	var total atomic.Int64
	var wg sync.WaitGroup
	for _, l := range lines {
		wg.Go(func() {
			for time.Since(began) < measured {
				if err := l.issue(); err != nil {
					b.Error(err)
					return
				}
				if time.Since(began) >= 0 {
					total.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return float64(total.Load()) / time.Since(began).Seconds()
}

// bulk is how many licenses a second one call gets, until the last is there.
func (s *issuer) bulk(b *testing.B) float64 {
	b.Helper()
	began := time.Now()
	var run struct {
		ID, State string
		Done      int
	}
	if err := s.send(http.MethodPost, "/v1/licenses/bulk", map[string]any{"policy": s.policy, "owner": s.owner, "reason": "bench", "count": bulkCount}, &run); err != nil {
		b.Fatal(err)
	}
	for run.State == "running" && time.Since(began) < patience {
		time.Sleep(20 * time.Millisecond)
		if err := s.send(http.MethodGet, "/v1/runs/"+run.ID, nil, &run); err != nil {
			b.Fatal(err)
		}
	}
	if run.Done != bulkCount {
		b.Fatalf("%+v", run)
	}
	return bulkCount / time.Since(began).Seconds()
}
