package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/db/lite"
	"github.com/mintreu/mintreu/service/limit/limittest"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// site is a shop as the world sees it: one address, behind it one replica or several in turn, beside it the provider of payments.
type site struct {
	t        *testing.T
	url      string
	bank     *bank
	clock    *shiftedClock
	balancer *balancer
	config   app.Config
	replicas []*app.App
	rows     db.DB // reads what the replicas wrote
	stops    []func()
	turn     atomic.Int64
	product  offer
}

// siteOptions say how a test's shop differs.
type siteOptions struct {
	sweep  time.Duration // how often sweepers run, their own intervals when zero
	events []string      // types of events that the provider delivers, all when none
	redis  string        // URL of the Redis of a shop with replicas, a shared one when empty
}

// eachSite runs body on a shop with one replica on SQLite and on one with two replicas on PostgreSQL and Redis.
func eachSite(t *testing.T, o siteOptions, body func(t *testing.T, s *site)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		body(t, newSite(t, o, app.Config{DataDir: shortDir(t)}, 1))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		body(t, newReplicas(t, o))
	})
}

// newReplicas starts a shop with two replicas on one PostgreSQL and one Redis.
func newReplicas(t *testing.T, o siteOptions) *site {
	t.Helper()
	if o.redis == "" {
		o.redis = limittest.Redis(t)
	}
	return newSite(t, o, app.Config{PostgresURL: storetest.PostgresURL(t), RedisURL: o.redis, MasterKeyFile: filepath.Join(shortDir(t), "master.key")}, 2)
}

// newSite starts a shop with an offer on its shelf.
func newSite(t *testing.T, o siteOptions, c app.Config, replicas int) *site {
	t.Helper()
	s := &site{t: t, clock: &shiftedClock{}, balancer: newBalancer(t)}
	s.url = s.balancer.url
	s.bank = newBank(t, s.clock, s.url+"/v1/webhooks/stripe", o.events...)
	c.Addr, c.OpsAddr, c.BaseURL, c.MailFrom, c.Clock = "127.0.0.1:0", "off", s.url, "Shop <shop@shop.example>", s.clock.Now
	c.LogLevel, c.RedisBudget = "info", 5*time.Second // where a machine shared with other tests is slow, counters are still there
	c.Files = "file:" + shortDir(t)                   // what replicas share
	c.StripeURL, c.StripeAccount = s.bank.url, bankAccount
	c.Seams = app.Seams{StripeKey: bankKey, StripeSecret: bankSecret, SweepEvery: o.sweep}
	s.config = c
	for range replicas {
		s.start(t)
	}
	s.rows = openRows(t, s.config)
	s.product = s.shelve(t)
	return s
}

// start adds a replica, each with a directory of its own unless its database is in it.
func (s *site) start(t *testing.T) *app.App {
	t.Helper()
	c := s.config
	if !c.Embedded() {
		c.DataDir = shortDir(t)
	}
	log := &journal{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the replica's log:\n%s", log.tail())
		}
	})
	a, err := app.New(t.Context(), c, app.Options{Log: log, Listen: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-ended, a.Close()); err != nil {
			t.Errorf("the replica did not end cleanly: %v", err)
		}
	})
	t.Cleanup(stop)
	select {
	case <-a.Serving():
	case err := <-ended:
		ended <- err
		t.Fatalf("the replica does not serve: %v", err)
	}
	s.replicas, s.stops = append(s.replicas, a), append(s.stops, stop)
	s.balancer.add(a.LocalURL())
	return a
}

// stop ends every replica as SIGTERM would.
func (s *site) stop() {
	s.balancer.clear()
	for _, stop := range s.stops {
		stop()
	}
	s.replicas, s.stops = nil, nil
}

// operator calls an operation as the person at the machine, at each replica in turn.
func (s *site) operator(ctx context.Context, method, at string, in, out any) error {
	a := s.replicas[int(s.turn.Add(1))%len(s.replicas)]
	return operate(ctx, a, method, at, in, out)
}

// operate calls an operation of one replica as the person at its machine.
func operate(ctx context.Context, a *app.App, method, at string, in, out any) error {
	var body io.Reader = http.NoBody
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r := httptest.NewRequestWithContext(ctx, method, at, body)
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	a.OperatorHandler().ServeHTTP(w, r)
	if w.Code >= 300 {
		return fmt.Errorf("%s %s answered %d %s", method, at, w.Code, w.Body)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(w.Body.Bytes(), out)
}

// must calls an operation as the person at the machine and ends the test when it is refused.
func (s *site) must(t *testing.T, method, at string, in, out any) {
	t.Helper()
	if err := s.operator(t.Context(), method, at, in, out); err != nil {
		t.Fatal(err)
	}
}

// openRows opens the database beside the service, to read what it wrote.
func openRows(t *testing.T, c app.Config) db.DB {
	t.Helper()
	if !c.Embedded() {
		return storetest.OpenPostgres(t, c.PostgresURL)
	}
	d, err := lite.Open(t.Context(), lite.Config{Path: filepath.Join(c.DataDir, "mintreu.sqlite"), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

// balancer is the one address of a shop. It passes requests on to its targets in turn.
type balancer struct {
	url string

	mu      sync.Mutex
	targets []*url.URL
	next    int
	lose    func(*http.Response) bool // reports whether the answer gets lost
}

func newBalancer(t *testing.T) *balancer {
	t.Helper()
	b := &balancer{}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	proxy := &httputil.ReverseProxy{Transport: transport, Rewrite: func(p *httputil.ProxyRequest) {
		target := b.take()
		p.SetURL(target)
		p.Out.Host = p.In.Host
	}, ModifyResponse: func(r *http.Response) error {
		b.mu.Lock()
		lose := b.lose
		b.mu.Unlock()
		if lose != nil && lose(r) {
			return errLost
		}
		return nil
	}, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
		if errors.Is(err, errLost) {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusBadGateway)
	}}
	server := httptest.NewServer(proxy)
	b.url = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	return b
}

var errLost = errors.New("the answer got lost")

// nowhere is an address at which nothing listens.
var nowhere = &url.URL{Scheme: "http", Host: "127.0.0.1:1"}

func (b *balancer) take() *url.URL {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.targets) == 0 {
		return nowhere
	}
	b.next++
	return b.targets[b.next%len(b.targets)]
}

func (b *balancer) add(target string) {
	u, err := url.Parse(target)
	if err != nil {
		panic(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.targets = append(b.targets, u)
}

func (b *balancer) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.targets = nil
}

// loses has the answers lost for which fn says so, after the service has done its work.
func (b *balancer) loses(fn func(*http.Response) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lose = fn
}

// journal keeps the end of a log.
type journal struct {
	mu   sync.Mutex
	text []byte
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text = append(j.text, p...)
	return len(p), nil
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return string(j.text)
}

func (j *journal) tail() string {
	var lines []string
	for line := range strings.Lines(j.String()) {
		if strings.Contains(line, `"code":"switched-off"`) { // a refusal, as told
			continue
		}
		if strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`) || !strings.HasPrefix(line, "{") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-40):], "")
}

// shortDir is a temporary directory whose path is short enough for a socket in it.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mtr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove: %v", err)
		}
	})
	return dir
}

// eventually looks until ok says yes, and ends the test when it has not within d.
func eventually(t *testing.T, what string, d time.Duration, ok func() bool) {
	t.Helper()
	if !limittest.Eventually(d, ok) {
		t.Fatalf("not within %v: %s", d, what)
	}
}

func decode(t *testing.T, text string, out any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), out); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}
