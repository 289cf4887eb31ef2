package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/mintreu/mintreu/api"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/db/dbtest"
	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// surface is the whole service as it is shipped, in process, with people, sales and credentials of every kind in it. Each test has a
// copy of its own.
type surface struct {
	seeded
	t      testing.TB
	app    *app.App
	log    *kittest.Log
	clock  *storetest.Clock
	ids    *faultyIDs
	routes []kit.Route
	public http.Handler // the public handler; every exchange is held against the API document
	local  http.Handler // the operator's
	base   string       // address of a listener in front of the public handler
	rows   statements   // counts what the services ask of the database
	calls  atomic.Int64
}

// seeded is what the seed made; the same for all copies.
type seeded struct {
	Now         time.Time
	A, B        buyer
	Product     string
	Slug        string
	Beta        string // another product, never sold
	BetaSlug    string
	Policy      string
	Plan        string
	Price       string
	StaffID     map[licensing.Role]string
	Staff       map[licensing.Role]string // bearer of each role
	Machine     map[string]string         // bearer by scope; "" has a scope that nothing asks for
	MachineID   string
	Canned      string
	Article     string
	MachineBeta string // every scope, but for the other product alone
	Dead        map[string]string
	Stale       string // bearer of A, signed in more than ten minutes ago
	Reporter    string // bearer of an API key of A that may report usage
	Member      string // bearer of a member of A's organisation who acts for it
	OrgAdmin    string // bearer of an admin of it who acts for it
	Secrets     map[string]string
}

// buyer is a customer with everything that can be bought.
type buyer struct {
	ID, Email, Password, Session, SessionID string
	Order, Access, Pending                  string
	License, Key, Token, Activation, Lease  string
	APIKeyID, APIKey                        string
	Ticket                                  string
	Organisation, Membership, Invite        string // the organisation that the buyer owns, the membership in it, and an invite to it
}

// faultyIDs makes identifiers, and panics once for the prefix that it was told.
type faultyIDs struct{ panicFor atomic.Pointer[string] }

func (f *faultyIDs) new(prefix string) string {
	if p := f.panicFor.Load(); p != nil && *p == prefix && f.panicFor.CompareAndSwap(p, nil) {
		panic("SELECT * FROM license; planted fault in " + prefix)
	}
	return app.NewID(prefix)
}

// engine is a database with the seed in it, made once for the test program.
type engine struct {
	name  string
	once  sync.Once
	files fs.FS  // data directory: master key, and the database itself on SQLite
	tmpl  string // name of the PostgreSQL database
	seed  seeded
	err   error
}

var engines = struct{ sqlite, postgres engine }{engine{name: "sqlite"}, engine{name: "postgres"}}

// eachSurface runs body on SQLite and on PostgreSQL.
func eachSurface(t *testing.T, body func(t *testing.T, s *surface)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); body(t, openSurface(t, &engines.sqlite)) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); body(t, openSurface(t, &engines.postgres)) })
}

// onSurface runs body on SQLite.
func onSurface(t *testing.T) *surface {
	t.Helper()
	return openSurface(t, &engines.sqlite)
}

func openSurface(t testing.TB, e *engine) *surface {
	t.Helper()
	if e.name == "postgres" {
		dbtest.Postgres(t) // skips or fails when there is none
	}
	e.once.Do(func() { e.err = errors.New("the seed did not end"); e.plant(t); e.err = nil })
	if e.err != nil {
		t.Fatal(e.err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, e.files); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "master.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := ""
	if e.tmpl != "" {
		url = dbtest.PostgresDatabase(t, e.tmpl)
	}
	s := startSurface(t, dir, url, e.seed.Now)
	s.seeded = e.seed
	return s
}

// plant makes the seed in a database that outlives the test that came first.
func (e *engine) plant(t testing.TB) {
	t.Helper()
	dir, err := os.MkdirTemp("", "mintreu-surface-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	work := filepath.Join(dir, "data")
	fill := func(_ context.Context, url string) (err error) {
		defer func() { // a failed step ends the goroutine of the template otherwise
			if p := recover(); p != nil {
				err = fmt.Errorf("seed: %v", p)
			}
		}()
		s := startSurface(&panicking{TB: t}, work, url, storetest.NewClock().Now())
		defer s.stop()
		s.plant()
		e.seed = s.seeded
		return nil
	}
	if e.name == "postgres" {
		e.tmpl = dbtest.PostgresTemplate(t, "mintreu_surface_"+strings.ToLower(rand.Text()[:12]), fill)
	} else if err := fill(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if e.files, err = inMemory(os.DirFS(work)); err != nil {
		t.Fatal(err)
	}
}

// inMemory copies the files of a directory, so that nothing is left on disk when the test program ends.
func inMemory(dir fs.FS) (fs.FS, error) {
	out := fstest.MapFS{}
	return out, fs.WalkDir(dir, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := fs.ReadFile(dir, path)
		out[path] = &fstest.MapFile{Data: text, Mode: 0o600}
		return err
	})
}

// panicking is a TB for work on another goroutine than the test's: what is fatal panics.
type panicking struct {
	testing.TB
	cleanups []func()
}

func (p *panicking) Helper()                   {}
func (p *panicking) Fatal(args ...any)         { panic(fmt.Sprint(args...)) }
func (p *panicking) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
func (p *panicking) Errorf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
func (p *panicking) Cleanup(f func())          { p.cleanups = append(p.cleanups, f) }
func (p *panicking) Context() context.Context  { return context.Background() }

// startSurface wires the service on a data directory or a PostgreSQL database. Its own calls to the sandbox's payment pages go over a
// real listener.
func startSurface(t testing.TB, dir, postgres string, now time.Time) *surface {
	t.Helper()
	s := &surface{t: t, log: &kittest.Log{}, clock: storetest.NewClock(), ids: &faultyIDs{}, routes: httpapi.Routes(httpapi.Services{})}
	s.clock.Set(now)
	var handler atomic.Pointer[http.Handler]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handler.Load()).ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	s.base = server.URL
	var err error
	s.app, err = app.New(context.WithoutCancel(t.Context()), app.Config{DataDir: dir, Addr: "127.0.0.1:0", OpsAddr: "off", AuthorizeFrom: []string{"198.51.0.0/16"}, BaseURL: server.URL, Issuer: "https://surface.example", PostgresURL: postgres,
		KeyPrefix: "mtr", ShopName: "Surface", MailFrom: "Shop <shop@localhost>", LogLevel: "debug", StorefrontOrigin: []string{"https://shop.example"},
		Clock: s.clock.Now, IDs: s.ids.new, Seams: app.Seams{Watch: s.rows.watch}}, app.Options{Log: s.log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.app.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	bare := s.app.Handler()
	handler.Store(&bare)
	s.public = kittest.Validate(t, api.OpenAPI(), bare)
	s.local = s.app.OperatorHandler()
	return s
}

func (s *surface) stop() {
	if p, ok := s.t.(*panicking); ok {
		for i := len(p.cleanups) - 1; i >= 0; i-- {
			p.cleanups[i]()
		}
	}
}

// request is one call. As is the Authorization header; "cli" goes by the operator's socket. Body is text as it is, or a value that is
// sent as JSON; nil sends none.
type request struct {
	Method, Path, As string
	Body             any
	Header           http.Header
	Bare             bool // not held against the API document
}

// answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
	Sent request
}

const cli = "cli"

// send makes a call and holds every refusal against what refusals must be (I18).
func (s *surface) send(q request) answer {
	s.t.Helper()
	var body []byte
	switch b := q.Body.(type) {
	case nil:
	case string:
		body = []byte(b)
	default:
		var err error
		if body, err = json.Marshal(b); err != nil {
			s.t.Fatal(err)
		}
	}
	for {
		r := httptest.NewRequest(q.Method, "http://surface.example/", bytes.NewReader(body))
		u, err := url.Parse(q.Path)
		if err != nil {
			s.t.Fatalf("%s: %v", q.Path, err)
		}
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery = u.Path, u.RawPath, u.RawQuery
		r.RequestURI = q.Path
		if q.Body == nil {
			r.Body, r.ContentLength = http.NoBody, 0
		} else {
			r.Header.Set("Content-Type", "application/json")
		}
		for name, values := range q.Header {
			r.Header[name] = values
		}
		n := s.calls.Add(1)
		r.RemoteAddr = fmt.Sprintf("198.51.%d.%d:4000", n/250%250, n%250)
		handler := s.public
		if q.Bare {
			handler = s.app.Handler()
		}
		if q.As == cli {
			handler = s.local
		} else if q.As != "" {
			r.Header.Set("Authorization", q.As)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code == http.StatusTooManyRequests && strings.Contains(w.Body.String(), `"code":"busy"`) {
			time.Sleep(20 * time.Millisecond) // the process's own ceiling; nothing but time lowers it
			continue
		}
		a := answer{w, q}
		s.inspect(a)
		return a
	}
}

// ours matches what an answer must never tell: stacks, source files, SQL, drivers, paths of the machine.
var ours = regexp.MustCompile(`goroutine \d|\.go:\d|runtime error|/wo` + `rk/|/tmp/|/root/|/home/|SELECT \*|INSERT INTO|UPDATE \w+ SET|SQLSTATE|sqlite|modernc|pgx|constraint failed|violates|planted fault`)

// inspect holds a refusal against RFC 9457 and the list of codes.
func (s *surface) inspect(a answer) {
	s.t.Helper()
	if a.Code < 400 {
		return
	}
	at := a.Sent.Method + " " + a.Sent.Path
	if len(at) > 200 {
		at = at[:200]
	}
	var p struct {
		Type, Title, Detail, Code string
		Status                    int
		RequestID                 string `json:"request_id"`
	}
	if got := a.Header().Get("Content-Type"); got != "application/problem+json" {
		s.t.Errorf("%s answered %d as %q: %.200s", at, a.Code, got, a.Body)
		return
	}
	if err := json.Unmarshal(a.Body.Bytes(), &p); err != nil {
		s.t.Errorf("%s: %v", at, err)
		return
	}
	if p.Status != a.Code || p.Type != "urn:mintreu:problem:"+p.Code || p.Title == "" || p.Detail == "" || p.RequestID == "" {
		s.t.Errorf("%s answered an incomplete problem: %s", at, a.Body)
	}
	if !problemCodes(s.t)[p.Code] {
		s.t.Errorf("%s answered code %q, which is not in testdata/problems.txt", at, p.Code)
	}
	if told := ours.FindString(a.Body.String()); told != "" && !strings.Contains(fmt.Sprint(a.Sent.Body)+a.Sent.Path, told) {
		s.t.Errorf("%s tells %q: %s", at, told, a.Body)
	}
}

// must sends and decodes a success.
func (s *surface) must(q request, out any) answer {
	s.t.Helper()
	a := s.send(q)
	if a.Code >= 300 {
		s.t.Fatalf("%s %s by %.20q answered %d: %s", q.Method, q.Path, q.As, a.Code, a.Body)
	}
	if out != nil {
		if err := json.Unmarshal(a.Body.Bytes(), out); err != nil {
			s.t.Fatalf("%s %s: %v: %s", q.Method, q.Path, err, a.Body)
		}
	}
	return a
}

// code is the problem's code of an answer.
func (a answer) code() string {
	var p struct{ Code string }
	_ = json.Unmarshal(a.Body.Bytes(), &p)
	return p.Code
}

var requestID = regexp.MustCompile(`"request_id":"[^"]*"`)

// text is status and body without the request's id.
func (a answer) text() string {
	return fmt.Sprint(a.Code, " ", requestID.ReplaceAllString(a.Body.String(), `"request_id":""`))
}

// object is a JSON object.
type object = map[string]any

// list reads every page of a list.
func (s *surface) list(as, path string) []object {
	s.t.Helper()
	var out []object
	next := ""
	for {
		var page struct {
			Items []object
			Next  string
		}
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		s.must(request{Method: "GET", Path: path + sep + "limit=100" + next, As: as, Bare: true}, &page)
		out = append(out, page.Items...)
		if page.Next == "" {
			return out
		}
		next = "&cursor=" + url.QueryEscape(page.Next)
	}
}
