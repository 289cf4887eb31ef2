package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

// between is a network between a product and its server, which answers as said or lets the server do so.
type between struct {
	answer http.HandlerFunc // nil: the server's own
}

func (b *between) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.answer == nil {
		return http.DefaultTransport.RoundTrip(r)
	}
	w := httptest.NewRecorder()
	b.answer(w, r)
	return w.Result(), nil
}

func (b *between) option() sdk.Option { return sdk.WithHTTPClient(&http.Client{Transport: b}) }

// says answers everything alike.
func says(status int, media, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// strangers are answers of networks and machines that are none of Mintreu's: a portal before a network, a proxy that wants a password, a page of a
// balancer, JSON of another service.
var strangers = map[string]http.HandlerFunc{
	"portal":       says(200, "text/html", "<html>Please log in to the network</html>"),
	"portal, 204":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
	"proxy 401":    says(401, "text/html", "<html>Who are you?</html>"),
	"proxy 407":    says(407, "text/html", "<html>Who are you?</html>"),
	"balancer 503": says(503, "text/html", "<html>no server</html>"),
	"not found":    says(404, "text/html", "<html>nothing here</html>"),
	"gone":         says(410, "text/plain", "gone"),
	"empty object": says(200, "application/json", "{}"),
	"null":         says(200, "application/json", "null"),
	"other JSON":   says(200, "application/json", `{"status":"ok","lease":"","license":""}`),
	"other 401":    says(401, "application/json", `{"code":"unauthorized"}`),
}

// An answer that is none of Mintreu's is as good as none: nothing that a product has is lost by it, whatever it asked for, and nothing is taken for
// done or decided.
func TestHostile_AnswersOfStrangers(t *testing.T) {
	t.Parallel()
	for name, answer := range strangers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := server(t)
			key := s.Issue(sdktest.Spec{Product: "editor", Ent: features, Floating: true})
			net := new(between)
			c := client(t, s, net.option())
			activate(t, c, key)
			if err := c.Report("pages", 2); err != nil {
				t.Fatal(err)
			}
			net.answer = answer
			s.Clock.Advance(2 * day)
			expect(t, check(t, c), true, eval.Valid)
			if d, err := c.Activate(t.Context(), key); err == nil {
				t.Errorf("Activate decided %s", d.Code)
			}
			if d, err := c.Validate(t.Context(), key, "", 0); err == nil {
				t.Errorf("Validate decided %q", d.Code)
			}
			if d, err := c.Borrow(t.Context(), s.Clock.Now().Add(day)); err == nil {
				t.Errorf("Borrow decided %s", d.Code)
			}
			if d, err := c.EndBorrow(t.Context()); err == nil {
				t.Errorf("EndBorrow decided %s", d.Code)
			}
			if err := c.Refresh(t.Context()); err == nil {
				t.Error("Refresh took it for a keyset")
			}
			if err := c.Flush(t.Context()); err == nil {
				t.Error("Flush took it for a receipt")
			}
			if err := c.Deactivate(t.Context()); err == nil {
				t.Error("Deactivate took it for a seat given back")
			}
			expect(t, check(t, c), true, eval.Valid)
			if !c.Allowed("export") || c.Lease() == nil || s.Seats(key) != 1 {
				t.Errorf("allowed %t, lease %v, %d seats", c.Allowed("export"), c.Lease(), s.Seats(key))
			}
			net.answer = nil
			s.Clock.Advance(2 * time.Hour)
			expect(t, check(t, c), true, eval.Valid)
			if err := c.Flush(t.Context()); err != nil || s.Usage(key)["pages"].Sum != 2 {
				t.Errorf("usage: %v, %v", s.Usage(key), err)
			}
			if err := c.Deactivate(t.Context()); err != nil || s.Seats(key) != 0 {
				t.Errorf("%d seats, %v", s.Seats(key), err)
			}
		})
	}
}

// However long an answer says to wait, in its body or in a header field, a product asks again within the hour, and no sooner than it would otherwise.
func TestHostile_AbsurdRetryAfter(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"busy", "license-suspended"} {
		for _, wait := range []string{"9223372036854775807", "9223372036854775000", "31536000000", "-9223372036854775808", "-5", "0"} {
			for _, where := range []string{"body", "header"} {
				t.Run(code+" "+where+" "+wait, func(t *testing.T) {
					t.Parallel()
					s := server(t)
					net := new(between)
					c := client(t, s, net.option())
					activate(t, c, s.Issue(sdktest.Spec{Product: "editor", Ent: features}))
					asked := 0
					net.answer = func(w http.ResponseWriter, _ *http.Request) {
						asked++
						w.Header().Set("Content-Type", "application/problem+json")
						body := `{"code":"` + code + `","retry_after":` + wait + `}`
						if where == "header" {
							w.Header().Set("Retry-After", wait)
							body = `{"code":"` + code + `"}`
						}
						w.WriteHeader(503)
						fmt.Fprint(w, body)
					}
					s.Clock.Advance(25 * time.Hour)
					for range 10 {
						check(t, c)
					}
					if asked > 2 {
						t.Errorf("asked %d times at once", asked)
					}
					net.answer = nil
					s.Clock.Advance(time.Hour + time.Minute)
					if expect(t, check(t, c), true, eval.Valid); c.Lease().Seq != 2 {
						t.Errorf("not asked again within the hour: seq %d", c.Lease().Seq)
					}
				})
			}
		}
	}
}

// hole is a server that takes connections and never answers.
func hole(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
		}
	}()
	return "http://" + l.Addr().String()
}

// stuck is a client that is activated, with a contact under way that no answer comes to.
func stuck(t *testing.T, options ...sdk.Option) *sdk.Client {
	t.Helper()
	s := server(t)
	store := sdk.WithStore(new(sdk.MemoryStore))
	first := client(t, s, store)
	activate(t, first, s.Issue(sdktest.Spec{Product: "editor", Ent: features}))
	s.Clock.Advance(25 * time.Hour)
	cfg := s.Config("editor")
	cfg.BaseURL, cfg.Issuer = hole(t), s.URL()
	begun := make(chan struct{})
	h := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		select {
		case <-begun:
		default:
			close(begun)
		}
		return http.DefaultTransport.RoundTrip(r)
	})}
	c, err := sdk.New(cfg, append(append(s.Options(), store, sdk.WithHTTPClient(h)), options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = c.Check(context.Background())
	}()
	t.Cleanup(func() { c.Close(); <-ended })
	<-begun
	return c
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// soon fails the test if do takes as long as one waits who waits for an answer: a request without one ends after 15 seconds.
func soon(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Errorf("%s waits for a contact under way", what)
	}
}

// What never calls the server never waits for it either, from the first moment on; what does waits no longer than its context says.
func TestHostile_NobodyWaitsForASilentServer(t *testing.T) {
	t.Parallel()
	c := stuck(t)
	soon(t, "Allowed", func() {
		if !c.Allowed("export") || c.Limit("projects") != 25 || c.Text("tier") != "gold" {
			t.Error("not allowed")
		}
	})
	soon(t, "Evaluate", func() {
		if d, err := c.Evaluate(context.Background(), "export", 0); err != nil || !d.Allowed {
			t.Error(d, err)
		}
	})
	soon(t, "License", func() {
		if c.License() == nil || c.Lease() == nil {
			t.Error("no license")
		}
	})
	soon(t, "Report", func() {
		if err := c.Report("pages", 1); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	for name, call := range map[string]func() error{
		"Check":          func() error { _, err := c.Check(ctx); return err },
		"Activate":       func() error { _, err := c.Activate(ctx, "MINT-X"); return err },
		"Install":        func() error { _, err := c.Install(ctx, "x"); return err },
		"Deactivate":     func() error { return c.Deactivate(ctx) },
		"Refresh":        func() error { return c.Refresh(ctx) },
		"Borrow":         func() error { _, err := c.Borrow(ctx, time.Now()); return err },
		"Return":         func() error { _, err := c.Return(ctx); return err },
		"OfflineRequest": func() error { _, err := c.OfflineRequest(ctx, "MINT-X"); return err },
		"Flush":          func() error { return c.Flush(ctx) },
	} {
		soon(t, name, func() {
			if err := call(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// Close ends a contact under way instead of waiting for an answer that does not come.
func TestHostile_CloseEndsAContact(t *testing.T) {
	t.Parallel()
	c := stuck(t)
	soon(t, "Close", func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	if d, err := c.Validate(context.Background(), "MINT-X", "", 0); !errors.Is(err, sdk.ErrClosed) {
		t.Errorf("Validate after Close: %s, %v", d.Code, err)
	}
}

// A caller who gives up is no failure of the server: the next call asks it at once.
func TestHostile_CancelledCheckCostsNoPause(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	activate(t, c, s.Issue(sdktest.Spec{Product: "editor"}))
	s.Clock.Advance(25 * time.Hour)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if d, err := c.Check(ctx); err != nil || !d.Allowed {
		t.Fatal(d, err)
	}
	if expect(t, check(t, c), true, eval.Valid); c.Lease().Seq != 2 {
		t.Errorf("seq %d", c.Lease().Seq)
	}
}

// slowStore is a store whose first answer takes until go is closed.
type slowStore struct {
	sdk.MemoryStore
	asked, go_ chan struct{}
}

func (s *slowStore) Load(ctx context.Context) ([]byte, error) {
	select {
	case <-s.asked:
	default:
		close(s.asked)
		<-s.go_
	}
	return s.MemoryStore.Load(ctx)
}

// A product that asks for a feature while another part of it reads the state, and then waits for a server that does not answer, waits for the first
// alone.
func TestHostile_FirstAskerWaitsForTheStateAlone(t *testing.T) {
	t.Parallel()
	s := server(t)
	store := &slowStore{asked: make(chan struct{}), go_: make(chan struct{})}
	close(store.asked)
	activate(t, client(t, s, sdk.WithStore(store)), s.Issue(sdktest.Spec{Product: "editor", Ent: features}))
	store.asked = make(chan struct{})
	s.Clock.Advance(25 * time.Hour)
	silent := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if _, ok := r.Context().Deadline(); !ok {
			t.Error("a request without a limit of its time")
		}
		<-r.Context().Done()
		return nil, r.Context().Err()
	})}
	c := client(t, s, sdk.WithStore(store), sdk.WithHTTPClient(silent))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if _, err := c.Check(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	<-store.asked
	asked := make(chan bool)
	go func() { asked <- c.Allowed("export") }()
	time.Sleep(10 * time.Millisecond) // it should wait for the state by now; if it does not yet, the test sees less and nothing wrong
	close(store.go_)
	select {
	case ok := <-asked:
		if !ok {
			t.Error("not allowed")
		}
	case <-time.After(10 * time.Second):
		t.Error("Allowed waits for a contact under way")
	}
	c.Close()
	<-ended
}

// Two processes in contact at the same time leave the newer of the two leases, whoever is answered first: the older one, shown again beside the newer
// by the other, would look like the lease of a cloned machine.
func TestCheck_ProcessesInContactAtOnceKeepTheNewerLease(t *testing.T) {
	t.Parallel()
	s := server(t)
	store := sdk.WithStore(new(sdk.MemoryStore))
	answered, goOn := make(chan struct{}), make(chan struct{})
	slow := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		res, err := http.DefaultTransport.RoundTrip(r)
		if strings.HasSuffix(r.URL.Path, sdk.PathHeartbeat) {
			close(answered)
			<-goOn
		}
		return res, err
	})}
	a, b := client(t, s, store, sdk.WithHTTPClient(slow)), client(t, s, store)
	activate(t, a, s.Issue(sdktest.Spec{Product: "editor"}))
	expect(t, check(t, b), true, eval.Valid)
	s.Clock.Advance(25 * time.Hour)
	done := make(chan eval.Decision)
	go func() {
		d, err := a.Check(context.Background())
		if err != nil {
			t.Error(err)
		}
		done <- d
	}()
	<-answered
	expect(t, check(t, b), true, eval.Valid)
	close(goOn)
	expect(t, <-done, true, eval.Valid)
	c := client(t, s, store)
	expect(t, check(t, c), true, eval.Valid)
	if want := b.Lease().Seq; want != 3 || a.Lease().Seq != want || c.Lease().Seq != want {
		t.Errorf("leases %d, %d and %d", a.Lease().Seq, b.Lease().Seq, c.Lease().Seq)
	}
}
