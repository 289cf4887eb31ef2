package dial_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mintreu/mintreu/service/dial"
)

// listener counts connections to a loopback server.
func listener(t *testing.T) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var hits atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("secret")) }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			hits.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s, &hits
}

// No spelling of an address that is not public is connected to, whatever the spelling resolves to; the check is made on the
// address of the socket.
func TestO01_AddressSpellingsRefused(t *testing.T) {
	t.Parallel()
	s, hits := listener(t)
	u, _ := url.Parse(s.URL)
	spellings := strings.Fields(`
		127.0.0.1 127.1 127.0.1 127.255.255.254 0 0.0.0.0 0x7f000001 0x7f.0.0.1 0x7f.1 2130706433 017700000001 0177.0.0.1 0177.1 127.000.000.001
		localhost localhost. LOCALHOST ip6-localhost
		10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255 169.254.169.254 169.254.0.1 0xa9fea9fe 2852039166
		100.64.0.1 100.127.255.255 192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 192.88.99.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
		[::1] [0:0:0:0:0:0:0:1] [::] [::127.0.0.1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::ffff:10.0.0.1] [::ffff:169.254.169.254] [::ffff:0:127.0.0.1]
		[64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::7f00:1] [2002:7f00:1::] [2002:a9fe:a9fe::1] [2001::1] [2001:db8::1]
		[fe80::1] [fe80::1%25lo] [fc00::1] [fd00:ec2::254] [fec0::1] [ff02::1] [100::1] [2001:10::1]
		①②⑦.⓪.⓪.① １２７.０.０.１ 127。0。0。1`)
	if len(spellings) < 60 {
		t.Fatalf("only %d spellings", len(spellings))
	}
	d := dial.Guarded()
	client := dial.Client()
	for _, host := range spellings {
		for _, port := range []string{u.Port(), "80", "443"} {
			bare := strings.ReplaceAll(strings.Trim(host, "[]"), "%25", "%")
			conn, err := d(t.Context(), "tcp", net.JoinHostPort(bare, port))
			if err == nil {
				_ = conn.Close()
				t.Errorf("connected to %s port %s", host, port)
			}
		}
		if resp, err := client.Get("http://" + host + ":" + u.Port() + "/"); err == nil {
			_ = resp.Body.Close()
			t.Errorf("fetched from %s", host)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d connections reached the server", n)
	}
}

// A name that resolves to loopback is refused at the socket, whatever it resolved to before, and so are other ports of
// public addresses; the refusal is recognisable.
func TestO02_RefusedAtTheSocket(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"localhost:443", "127.0.0.1:443", "1.1.1.1:6379", "1.1.1.1:22", "[2606:4700:4700::1111]:25"} {
		if conn, err := dial.Guarded()(t.Context(), "tcp", address); !errors.Is(err, dial.ErrRefused) {
			t.Errorf("%s: %v %v", address, conn, err)
		}
	}
	if _, err := dial.Guarded()(t.Context(), "unix", "/nonexistent.sock"); err == nil {
		t.Error("a unix socket was opened")
	}
}

// No client follows a redirect, wherever it points.
func TestO04_RedirectsNotFollowed(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(target.Close)
	s := httptest.NewServer(http.RedirectHandler(target.URL, http.StatusTemporaryRedirect))
	t.Cleanup(s.Close)
	resp, err := dial.TrustedClient().Get(s.URL)
	if err != nil || resp.StatusCode != http.StatusTemporaryRedirect || hits.Load() != 0 {
		t.Errorf("got %v, %v, %d hits", resp, err, hits.Load())
	}
}

// The environment's proxy is not used, by either kind of client.
func TestO07_ProxyOfTheEnvironmentIgnored(t *testing.T) {
	s, _ := listener(t)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	resp, err := dial.TrustedClient().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if dial.Transport(dial.Guarded()).Proxy != nil {
		t.Error("the guarded transport has a proxy")
	}
}

// A response body that a customer's host sends ends at 64 KiB, compressed or not, and headers without end are refused.
func TestO08_ResponsesAreCapped(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/headers" {
			for range 100_000 {
				w.Header().Add("X-Filler", "xxxxxxxxxxxxxxxxxxxx")
			}
		}
		_, _ = io.CopyN(w, zeros{}, 10<<20)
	}))
	t.Cleanup(s.Close)
	client := dial.Client()
	dial.Reach(client, func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
	})
	resp, err := client.Get("http://receiver.example/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || len(body) != dial.MaxBody {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	if resp, err := client.Get("http://receiver.example/headers"); err == nil {
		_ = resp.Body.Close()
		t.Error("headers without end were taken")
	}
}

// A server whose certificate is for nobody known, or that speaks TLS 1.1, is refused.
func TestO09_BadTLSRefused(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	if _, err := dial.TrustedClient().Get(s.URL); err == nil {
		t.Error("an unknown certificate was accepted")
	}
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.StartTLS()
	t.Cleanup(old.Close)
	client := dial.TrustedClient()
	client.Transport.(*http.Transport).TLSClientConfig.RootCAs = old.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if _, err := client.Get(old.URL); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.1: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
