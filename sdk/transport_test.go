package sdk_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

// Mistakes of configuration are found when the client is made: an embedded key of zeros, a key for tests in a build that talks to a
// vendor's server.
func TestL26_NewRefusesBadConfiguration(t *testing.T) {
	t.Parallel()
	root := doc.FormatPublicKey(sdktest.Public(sdktest.Key("a vendor's root")))
	good := sdk.Config{BaseURL: "https://example.com", Product: "editor", Roots: []string{root}}
	for name, change := range map[string]func(*sdk.Config){
		"no product":      func(c *sdk.Config) { c.Product = "" },
		"no base":         func(c *sdk.Config) { c.BaseURL = "" },
		"plain http":      func(c *sdk.Config) { c.BaseURL = "http://example.com" },
		"like loopback":   func(c *sdk.Config) { c.BaseURL = "http://localhost.example.com" },
		"user in base":    func(c *sdk.Config) { c.BaseURL = "https://a:b@example.com" },
		"query in base":   func(c *sdk.Config) { c.BaseURL = "https://example.com?x=1" },
		"no keys":         func(c *sdk.Config) { c.Roots = nil },
		"both kinds":      func(c *sdk.Config) { c.Keys = []string{root} },
		"same root twice": func(c *sdk.Config) { c.Roots = []string{root, root} },
		"L26 zero key":    func(c *sdk.Config) { c.Roots = []string{strings.Repeat("A", 43)} },
		"L26 test root":   func(c *sdk.Config) { c.Roots = []string{doc.FormatPublicKey(sdktest.Public(sdktest.Key("root")))} },
		"L26 test key": func(c *sdk.Config) {
			c.Roots, c.Keys = nil, []string{" " + doc.FormatPublicKey(sdktest.Public(sdktest.Key("signing 1")))}
		},
		"L26 second key": func(c *sdk.Config) {
			c.Roots, c.Keys = nil, []string{root, doc.FormatPublicKey(sdktest.Public(sdktest.Key("signing 2")))}
		},
		"L26 key of an RFC": func(c *sdk.Config) { c.Roots = []string{"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"} },
		"short key":         func(c *sdk.Config) { c.Roots = []string{root[:42]} },
		"unknown env":       func(c *sdk.Config) { c.Env = "production" },
		"padded key":        func(c *sdk.Config) { c.Roots = []string{root + "="} },
		"line in key":       func(c *sdk.Config) { c.Roots = []string{root[:20] + "\n" + root[20:]} },
		"loopback by name":  func(c *sdk.Config) { c.BaseURL = "http://127.0.0.1.example.com" },
	} {
		cfg := good
		change(&cfg)
		if c, err := sdk.New(cfg); err == nil {
			c.Close()
			t.Errorf("%s: accepted", name)
		}
	}
	c, err := sdk.New(good, sdk.WithStore(new(sdk.MemoryStore)))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// A redirect to another host is not followed: the key is never sent there.
func TestL25_RedirectNeverCarriesTheKey(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer evil.Close()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, evil.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer front.Close()
	s := server(t)
	cfg := s.Config("editor")
	cfg.BaseURL = front.URL
	c, err := sdk.New(cfg, s.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Activate(context.Background(), s.Issue(sdktest.Spec{Product: "editor"})); err == nil {
		t.Fatal("activated through a redirect")
	}
	if err := c.Refresh(context.Background()); err == nil || hits.Load() != 0 {
		t.Fatalf("%d requests to the other host, %v", hits.Load(), err)
	}
}

// A request with a credential follows no redirect at all, not even to the same
// host.
func TestL25_NoRedirectWithACredential(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			elsewhere.Add(1)
			return
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer front.Close()
	s := server(t)
	cfg := s.Config("editor")
	cfg.BaseURL = front.URL
	c, err := sdk.New(cfg, s.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Activate(context.Background(), s.Issue(sdktest.Spec{Product: "editor"})); err == nil || elsewhere.Load() != 0 {
		t.Fatalf("%d requests after the redirect, %v", elsewhere.Load(), err)
	}
}

// rewriter changes the text of answers.
type rewriter struct{ old, new string }

func (r rewriter) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(bytes.ReplaceAll(b, []byte(r.old), []byte(r.new))))
	res.ContentLength = -1
	return res, err
}

// An answer that was recorded earlier, or that names another activation, is not
// adopted.
func TestActivate_AnswerMustFitTheRequest(t *testing.T) {
	t.Parallel()
	s := server(t)
	key := s.Issue(sdktest.Spec{Product: "editor"})
	c := client(t, s)
	activate(t, c, key)
	s.Fail(sdktest.Replay)
	if _, err := client(t, s).Activate(context.Background(), key); !errors.Is(err, doc.ErrMismatch) {
		t.Fatalf("recorded answer: %v", err)
	}
	s.Fail(sdktest.None)
	wrong := client(t, s, sdk.WithHTTPClient(&http.Client{Transport: rewriter{"act_0000000000000001", "act_0000000000000002"}}))
	if _, err := wrong.Activate(context.Background(), key); !errors.Is(err, doc.ErrMismatch) {
		t.Fatalf("other activation: %v", err)
	}
}

// An answer beyond what any answer needs is not read to its end.
func TestTransport_HugeAnswer(t *testing.T) {
	t.Parallel()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for chunk := make([]byte, 64<<10); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer front.Close()
	s := server(t)
	cfg := s.Config("editor")
	cfg.BaseURL = front.URL
	c, err := sdk.New(cfg, s.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.Refresh(ctx); err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "too long") {
		t.Fatal(err)
	}
}
