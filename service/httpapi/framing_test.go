package httpapi_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/httpapi"
)

// TestI07_NothingRidesBehindChunks: what a request hides behind its chunks, for a proxy in front that went by another length, is never
// served as a request, and a length folded over two lines is refused.
func TestI07_NothingRidesBehindChunks(t *testing.T) {
	t.Parallel()
	h, _ := public(t, httpapi.NewReadiness())
	s, _, _ := start(t, httpapi.ServerConfig{Public: h})
	const hidden = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, raw := range map[string]string{
		"length beside chunks": "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"chunks before length": "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 40\r\n\r\n0\r\n\r\n" + hidden,
		"folded encoding":      "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + hidden,
		"folded length":        "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n 5\r\n\r\n" + hidden,
		"line folded first":    "POST /v1/x HTTP/1.1\r\n Host: a\r\nHost: a\r\nContent-Length: 0\r\n\r\n" + hidden,
	} {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, raw); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(c) // ends when the server closes, with a reset if more was sent than it read
		_ = c.Close()
		if n := strings.Count(string(answer), "HTTP/1.1 "); n > 1 || strings.Contains(string(answer), `"live"`) || !strings.HasPrefix(string(answer), "HTTP/1.1 4") {
			t.Errorf("%s: %d answers (%v):\n%s", name, n, err, answer)
		}
	}
}

// TestI08_SlowHeadersEnd: connections that drip their headers are ended within ten seconds, however they keep dripping, and meanwhile
// others are served as ever.
func TestI08_SlowHeadersEnd(t *testing.T) {
	t.Parallel()
	h, _ := public(t, httpapi.NewReadiness())
	s, _, _ := start(t, httpapi.ServerConfig{Public: h})
	var dripping sync.WaitGroup
	for range 200 {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		dripping.Go(func() {
			began := time.Now()
			_, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: a\r\n")
			for err == nil && time.Since(began) < 20*time.Second {
				_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) // between two drops
				if _, ended := c.Read(make([]byte, 512)); ended == nil || !isTimeout(ended) {
					break
				}
				_, err = io.WriteString(c, "X-Drop: 1\r\n")
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("a dripping connection lived for %v", took)
			}
		})
	}
	for range 20 {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("another caller: %v", err)
		}
		_ = c.Close()
	}
	dripping.Wait()
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}
