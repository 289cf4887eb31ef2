package httpapi_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/httpapi"
)

// hiddenRequest is what an attacker wants to be taken for a request of its own.
const hiddenRequest = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"

// TestI07_NoOtherProtocolOrSpelling: the listener speaks HTTP/1 alone, so that nothing is smuggled by a downgrade: a preface of HTTP/2, an
// upgrade to it, a tunnel and what comes of a field of HTTP/2 with a line break in it are refused or ignored, and lengths that another
// server may read differently are refused; none leads to a second answer, and after each the connection is closed.
func TestI07_NoOtherProtocolOrSpelling(t *testing.T) {
	t.Parallel()
	h, _ := public(t, httpapi.NewReadiness())
	s, _, _ := start(t, httpapi.ServerConfig{Public: h})
	post := "POST /v1/x HTTP/1.1\r\nHost: a\r\n"
	for name, raw := range map[string]string{
		"HTTP/2 preface":             "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00" + hiddenRequest,
		"HTTP/2 in the request line": "GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n" + hiddenRequest,
		"HTTP/3 in the request line": "GET /healthz HTTP/3\r\nHost: a\r\n\r\n" + hiddenRequest,
		"no version":                 "GET /healthz\r\n\r\n" + hiddenRequest,
		"pseudo field":               "GET /v1/x HTTP/1.1\r\n:authority: b\r\nHost: a\r\n\r\n" + hiddenRequest,
		"break in a field name":      post + "X\rTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n" + hiddenRequest,
		"break in a field":           post + "X: y\rTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n" + hiddenRequest,
		"NUL in a field":             post + "X: y\x00z\r\nContent-Length: 0\r\n\r\n" + hiddenRequest,
		"length with a sign":         post + "Content-Length: +5\r\n\r\nabcde" + hiddenRequest,
		"list of lengths":            post + "Content-Length: 5, 6\r\n\r\nabcde" + hiddenRequest,
		"length in hex":              post + "Content-Length: 0x5\r\n\r\nabcde" + hiddenRequest,
		"length out of bounds":       post + "Content-Length: 18446744073709551621\r\n\r\nabcde" + hiddenRequest,
		"empty length":               post + "Content-Length: \r\n\r\n" + hiddenRequest,
		"encoding twice in one":      post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + hiddenRequest,
		"encoding not last":          post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + hiddenRequest,
		"encoding with a tab":        post + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + hiddenRequest,
		"chunk out of bounds":        post + "Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nabcde\r\n0\r\n\r\n" + hiddenRequest,
		"chunk with a sign":          post + "Transfer-Encoding: chunked\r\n\r\n+5\r\nabcde\r\n0\r\n\r\n" + hiddenRequest,
		"chunk in hex spelling":      post + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n" + hiddenRequest,
		"long chunk extension":       post + "Transfer-Encoding: chunked\r\n\r\n5;" + strings.Repeat("a", 20_000) + "\r\nabcde\r\n0\r\n\r\n" + hiddenRequest,
		"trailer that is a length":   post + "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\nContent-Length: 5\r\n\r\n" + hiddenRequest,
		"tunnel":                     "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nConnection: close\r\n\r\n" + hiddenRequest,
	} {
		answer := talk(t, s.Addr().String(), raw)
		if n := strings.Count(answer, "HTTP/1.1 "); n > 1 || strings.Contains(answer, `"live"`) || n == 1 && !strings.HasPrefix(answer, "HTTP/1.1 4") && !strings.HasPrefix(answer, "HTTP/1.1 5") {
			t.Errorf("%s: %d answers:\n%s", name, n, answer)
		}
	}
	answer := talk(t, s.Addr().String(), "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 200 ") || strings.Count(answer, "HTTP/1.1 ") != 1 || strings.Contains(answer, "101") {
		t.Errorf("an upgrade to HTTP/2 is answered:\n%s", answer)
	}
}

// talk sends text as it is and returns all that is answered until the server closes.
func talk(t *testing.T, address, raw string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, raw) // the server may close before it has read all
	answer, err := io.ReadAll(c)  // or with a reset, when more was sent than it read
	if isTimeout(err) {
		t.Errorf("the connection stays open after %.60q", raw)
	}
	return string(answer)
}

// TestI09_AddressesAreBounded: a megabyte of query, of a form in the query and of an absolute address is refused before it is routed, and
// what is long but within bounds is answered as any other.
func TestI09_AddressesAreBounded(t *testing.T) {
	t.Parallel()
	h, f := public(t, httpapi.NewReadiness())
	s, _, _ := start(t, httpapi.ServerConfig{Public: h})
	long := strings.Repeat("a", 1<<20)
	for name, raw := range map[string]string{
		"query":            "GET /healthz?q=" + long + " HTTP/1.1\r\nHost: a\r\n\r\n",
		"many parameters":  "GET /healthz?" + strings.Repeat("a=b&", 1<<18) + " HTTP/1.1\r\nHost: a\r\n\r\n",
		"absolute address": "GET http://a/healthz?" + long + " HTTP/1.1\r\nHost: a\r\n\r\n",
		"host":             "GET /healthz HTTP/1.1\r\nHost: " + long + "\r\n\r\n",
		"cookie":           "GET /healthz HTTP/1.1\r\nHost: a\r\nCookie: a=" + long + "\r\n\r\n",
		"method":           long + " /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		if status, _ := exchange(t, s.Addr().String(), raw); status != 431 && status != 400 && status != 0 { // 0: reset while we wrote
			t.Errorf("%s: answered %d", name, status)
		}
	}
	if strings.Contains(f.Log.String(), "health.live") {
		t.Error("one was routed")
	}
	if status, _ := exchange(t, s.Addr().String(), "GET /healthz?q="+long[:30_000]+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); status != http.StatusOK {
		t.Errorf("30 KB of query: answered %d", status)
	}
}
