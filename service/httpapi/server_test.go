package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/httpapi"
)

// start serves h until the test ends or stop is called; done tells how it ended.
func start(t *testing.T, c httpapi.ServerConfig) (s *httpapi.Server, stop context.CancelFunc, done chan error) {
	t.Helper()
	c.Addr, c.Logger = "127.0.0.1:0", slog.New(slog.DiscardHandler)
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	s, err := httpapi.Listen(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	done = make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	return s, stop, done
}

func ended(t *testing.T, done chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(time.Minute):
		t.Fatal("the server does not end")
		return nil
	}
}

// TestServerDrains: when the server ends, readiness turns at once, a request under way is answered whole, and new connections are
// refused.
func TestServerDrains(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	ready := httpapi.NewReadiness()
	s, stop, done := start(t, httpapi.ServerConfig{Readiness: ready, OpsAddr: "127.0.0.1:0", Ops: ready, Public: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "whole")
	})})
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + s.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	<-entered
	stop()
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			break
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatal("new connections are still taken")
		}
	}
	resp, err := http.Get("http://" + s.OpsAddr().String() + "/readyz")
	if err != nil || resp.StatusCode != 503 {
		t.Errorf("while draining, ready answers %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	close(release)
	if got := <-answer; got != "whole" {
		t.Errorf("the request under way got %q", got)
	}
	if err := ended(t, done); err != nil {
		t.Errorf("ended with %v", err)
	}
}

// TestServerCutsOffWhatDoesNotEnd: a request that outlives the drain is cut off, and the server says so instead of hanging.
func TestServerCutsOffWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	s, stop, done := start(t, httpapi.ServerConfig{Drain: 50 * time.Millisecond, Public: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})})
	go func() {
		if resp, err := http.Get("http://" + s.Addr().String()); err == nil {
			resp.Body.Close()
		}
	}()
	<-entered
	stop()
	if err := ended(t, done); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("ended with %v", err)
	}
}

// TestServerRefusesATakenAddress: an address in use is an error of Listen, and nothing stays open.
func TestServerRefusesATakenAddress(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := httpapi.Listen(context.Background(), httpapi.ServerConfig{Addr: "127.0.0.1:0", OpsAddr: l.Addr().String(), Logger: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("listened twice")
	}
}

// exchange writes raw bytes on a connection of their own and reads the answer's status; 0 when the connection just closed.
func exchange(t *testing.T, addr, raw string) (status int, closed bool) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, raw); err != nil {
		return 0, true
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, true
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Close
}

// TestI07_SmugglingIsRefused: a request whose length can be read in two ways is refused and its connection closed.
func TestI07_SmugglingIsRefused(t *testing.T) {
	t.Parallel()
	h, _ := public(t, httpapi.NewReadiness())
	s, _, _ := start(t, httpapi.ServerConfig{Public: h})
	for name, raw := range map[string]string{
		"two lengths":        "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
		"two encodings":      "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"unknown encoding":   "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"space before colon": "GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 0\r\n\r\n",
		"two hosts":          "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"no host":            "GET / HTTP/1.1\r\n\r\n",
		"negative length":    "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
	} {
		if status, closed := exchange(t, s.Addr().String(), raw); status/100 != 4 && status/100 != 5 || !closed {
			t.Errorf("%s: answered %d, closed %v", name, status, closed)
		}
	}
}

// TestI09_HeadersAreBounded: a megabyte of headers or of path is refused before it is routed.
func TestI09_HeadersAreBounded(t *testing.T) {
	t.Parallel()
	h, f := public(t, httpapi.NewReadiness())
	s, _, _ := start(t, httpapi.ServerConfig{Public: h})
	var many strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&many, "X-H%d: %s\r\n", i, "v")
	}
	for name, raw := range map[string]string{
		"long header":  "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: " + strings.Repeat("a", 1<<20) + "\r\n\r\n",
		"many headers": "GET /healthz HTTP/1.1\r\nHost: a\r\n" + many.String() + "\r\n",
		"long path":    "GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		if status, _ := exchange(t, s.Addr().String(), raw); status != 431 && status != 0 { // 0: the connection was reset while we wrote
			t.Errorf("%s: answered %d", name, status)
		}
	}
	if log := f.Log.String(); strings.Contains(log, "health.live") {
		t.Error("one was routed")
	}
}

// F37: a connection that was taken before the end began, and whose request comes only then, is answered; one that stays silent does
// not hold up the end.
func TestF37_TakenConnectionIsAnswered(t *testing.T) {
	t.Parallel()
	s, stop, done := start(t, httpapi.ServerConfig{Public: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") })})
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	taken := dial()
	if _, err := taken.Write([]byte("GET / HTTP/1.1\r\nHo")); err != nil {
		t.Fatal(err)
	}
	if status, _ := exchange(t, s.Addr().String(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); status != http.StatusOK { // taken is taken by now
		t.Fatal(status)
	}
	stop()
	for { // until the listener is closed
		c, err := net.DialTimeout("tcp", s.Addr().String(), time.Second)
		if err != nil {
			break
		}
		_ = c.Close()
	}
	if _, err := taken.Write([]byte("st: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(taken), nil)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("a connection that was taken got no answer: %v", err)
	}
	_ = res.Body.Close()
	if err := ended(t, done); err != nil {
		t.Error(err)
	}
}
