package e2e_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/app"
)

// slow are the ways to hold a connection by being slow.
var slow = map[string]func(c net.Conn) error{
	"headers": func(c net.Conn) error {
		_, err := io.WriteString(c, "GET /v1/catalog HTTP/1.1\r\nHost: a\r\n")
		return drip(c, err, "X-Drop: 1\r\n")
	},
	"body": func(c net.Conn) error {
		_, err := io.WriteString(c, "POST /v1/checkouts HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n{")
		return drip(c, err, " ")
	},
	"form": func(c net.Conn) error {
		_, err := io.WriteString(c, "POST /sign-in HTTP/1.1\r\nHost: a\r\nSec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 4000\r\n\r\n")
		return drip(c, err, "a")
	},
	"reading": func(c net.Conn) error { // asks for far more than the buffers between both ends take, and reads none of it
		_, err := io.WriteString(c, strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n", 60))
		time.Sleep(slowest - 2*time.Second)
		for began := time.Now(); err == nil && time.Since(began) < slowest; {
			time.Sleep(50 * time.Millisecond) // nothing else shows that the other end has gone than that it takes no more
			_, err = io.WriteString(c, "\r\n")
		}
		return err
	},
}

const (
	slowest   = 10 * time.Second // what a slow connection may live
	dripEvery = time.Second
)

// drip writes drop by drop until the server ends the connection, or answers.
func drip(c net.Conn, err error, drop string) error {
	for began := time.Now(); err == nil && time.Since(began) < 2*slowest; {
		_ = c.SetReadDeadline(time.Now().Add(dripEvery))
		if _, ended := c.Read(make([]byte, 512)); !errors.Is(ended, context.DeadlineExceeded) && !isTimeout(ended) {
			return nil
		}
		_, err = io.WriteString(c, drop)
	}
	return err
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// TestI08_FiveHundredSlowConnections: 500 connections that are slow to send headers, a body or a form, or to take what they asked for, are
// each ended within ten seconds, and meanwhile others are served with a p99 of at most twice what it was, the best of three tries.
func TestI08_FiveHundredSlowConnections(t *testing.T) {
	s := bareStage(t, app.Config{})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	p99 := func() time.Duration {
		const calls = 400
		took := make([]time.Duration, calls)
		for i := range took {
			began := time.Now()
			res, err := client.Get(s.url + "/v1/catalog")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if took[i] = time.Since(began); res.StatusCode != http.StatusOK {
				t.Fatalf("another caller was answered %d", res.StatusCode)
			}
		}
		slices.Sort(took)
		return took[calls*99/100]
	}
	var before, during time.Duration
	for range 3 {
		before = p99()
		ended := s.besiege(t)
		time.Sleep(time.Second) // those that read nothing have filled what lies between
		during = p99()
		ended.Wait()
		if during <= 2*max(before, 5*time.Millisecond) { // below that a scheduler's slice counts more than the server
			return
		}
	}
	t.Errorf("p99 of others: %v, and %v before", during, before)
}

// besiege opens 500 slow connections; what it returns is done when all have ended.
func (s *stage) besiege(t *testing.T) *sync.WaitGroup {
	t.Helper()
	small := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
	}}
	var ended sync.WaitGroup
	for kind, hold := range slow {
		for range 500 / len(slow) {
			c, err := small.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			ended.Go(func() {
				defer func() { _ = c.Close() }()
				began := time.Now()
				_ = hold(c) // how it ended does not matter
				if took := time.Since(began); took > slowest {
					t.Errorf("a connection slow with its %s lived for %v", kind, took)
				}
			})
		}
	}
	return &ended
}
