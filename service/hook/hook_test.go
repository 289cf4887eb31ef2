package hook_test

import (
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk/webhook"
	"github.com/mintreu/mintreu/service/dial"
	"github.com/mintreu/mintreu/service/hook"
)

// server counts the connections that reach it.
func server(t *testing.T, h http.HandlerFunc) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var hits atomic.Int64
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			hits.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s, &hits
}

// Whatever an endpoint's URL says, no message reaches this machine, the cloud's metadata, or another port: the address that is being
// connected to is looked at, so that what the name meant when the endpoint was made is worth nothing. What staff read of it names no address.
func TestO02_O05_NothingInsideIsReached(t *testing.T) {
	t.Parallel()
	s, hits := server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("secret")) })
	port := s.URL[strings.LastIndex(s.URL, ":"):]
	sender := hook.New(false)
	const refused, unresolved, unusable = "refused: ", "the name could not be resolved", "the URL cannot be used"
	for to, why := range map[string][]string{
		s.URL: {refused}, "http://localhost" + port: {refused}, "https://localhost" + port: {refused}, "http://[::ffff:127.0.0.1]" + port: {refused}, "https://127.0.0.1/": {refused}, "http://[::1]/": {refused},
		"http://169.254.169.254/latest/meta-data/": {refused}, "https://169.254.169.254/": {refused}, "http://127.0.0.1:6379/%0d%0aFLUSHALL": {refused}, "http://localhost:9090/debug/pprof/": {refused}, "http://10.0.0.1/": {refused}, "http://[64:ff9b::7f00:1]/": {refused},
		// Resolvers differ in whether they take these for addresses, and networks in whether they have the name.
		"http://127.1" + port: {refused, unresolved}, "http://0x7f000001" + port: {refused, unresolved}, "http://metadata.google.internal/": {refused, unresolved},
		"file:///etc/passwd": {unusable}, "gopher://127.0.0.1:6379/_x": {unusable}, "https:///x": {unusable}, "http://127.0.0.1:6379/\r\nFLUSHALL": {unusable},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		answer, err := sender.Send(ctx, to, http.Header{}, []byte("{}"))
		cancel()
		if err == nil {
			t.Errorf("%s answered %d", to, answer.Status)
			continue
		}
		text := err.Error()
		if !slices.ContainsFunc(why, func(w string) bool { return strings.HasPrefix(text, w) }) {
			t.Errorf("%s: %q, want one of %q", to, text, why)
		}
		if strings.Contains(text, "127.") || strings.Contains(text, "169.254") || strings.Contains(text, "::") {
			t.Errorf("%s: staff read %q", to, text)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d connections reached this machine", n)
	}
}

// With loopback, for development, this machine is reached and no other private address.
func TestO05_LoopbackOnlyWhenAllowed(t *testing.T) {
	t.Parallel()
	s, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := webhook.Read(r, webhook.Secret(make([]byte, 32))); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	sender := hook.New(true)
	body := []byte(`{"type":"webhook.test","data":{}}`)
	h, err := webhook.Sign("wev_1", time.Now(), body, webhook.Secret(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := sender.Send(t.Context(), s.URL, h, body); err != nil || answer.Status != http.StatusOK {
		t.Errorf("%+v, %v", answer, err)
	}
	for _, to := range []string{"http://10.0.0.1/", "http://169.254.169.254/", "http://192.168.0.1:8080/"} {
		if _, err := sender.Send(t.Context(), to, h, body); err == nil || !strings.HasPrefix(err.Error(), "refused") {
			t.Errorf("%s: %v", to, err)
		}
	}
}

// reach is a sender that takes every name for a server of the test.
func reach(s *httptest.Server) *hook.Sender {
	return hook.Over(dial.ClientOf(func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
	}))
}

// A redirect is an answer like any other and is followed nowhere.
func TestO04_RedirectsAreAnswers(t *testing.T) {
	t.Parallel()
	inside, hits := server(t, func(http.ResponseWriter, *http.Request) {})
	for _, code := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{inside.URL, "file:///etc/passwd", "https://receiver.example/loop"} {
			var asked atomic.Int64
			s, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				w.Header().Set("Location", to)
				w.WriteHeader(code)
			})
			if answer, err := reach(s).Send(t.Context(), "http://receiver.example/", http.Header{}, nil); err != nil || answer.Status != code || asked.Load() != 1 {
				t.Errorf("%d to %s: %+v, %v, asked %d times", code, to, answer, err, asked.Load())
			}
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d connections followed a redirect", n)
	}
}

// However much a receiver answers, a bounded part is read: bodies without end, compressed ones, which stay so, headers without end. The status
// counts.
func TestO08_O12_AnswersAreBounded(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"a body without end": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, letters{}, 64<<20) },
		"compressed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.CopyN(z, letters{}, 8<<20)
			_ = z.Close()
		},
	} {
		s, _ := server(t, h)
		answer, err := reach(s).Send(t.Context(), "http://receiver.example/", http.Header{}, nil)
		if err != nil || answer.Status != 200 || len(answer.Excerpt) != 1024 {
			t.Errorf("%s: %d bytes, %v", name, len(answer.Excerpt), err)
		}
		if packed := strings.HasPrefix(answer.Excerpt, "\x1f\x8b"); packed != (name == "compressed") {
			t.Errorf("%s: begins with %.10q", name, answer.Excerpt)
		}
	}
	s, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
		for i := range 20_000 {
			w.Header().Set("X-Filler-"+strconv.Itoa(i), "xxxxxxxxxx")
		}
	})
	if _, err := reach(s).Send(t.Context(), "http://receiver.example/", http.Header{}, nil); err == nil {
		t.Error("headers without end were taken")
	}
}

// A receiver that answers a byte now and then is let go when the time for the whole exchange is over, which is ten seconds: what came of the
// body by then is enough when the status came, and a status that did not come whole is no answer.
func TestO08_DripsAreCutOff(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 1)
	s, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		drip := time.NewTicker(100 * time.Millisecond)
		defer drip.Stop()
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte("a"))
			_ = http.NewResponseController(w).Flush()
			select {
			case <-drip.C:
			case <-r.Context().Done():
			}
		}
		gone <- struct{}{}
	})
	client := dial.ClientOf(func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
	})
	if client.Timeout != 10*time.Second {
		t.Errorf("an exchange may take %v", client.Timeout)
	}
	answer, err := hook.Over(client).Send(t.Context(), "http://receiver.example/", http.Header{}, nil)
	if err != nil || answer.Status != 200 || len(answer.Excerpt) >= 1024 {
		t.Errorf("%d, %d bytes, %v", answer.Status, len(answer.Excerpt), err)
	}
	select {
	case <-gone:
	case <-time.After(time.Minute):
		t.Error("the receiver still drips")
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		for _, c := range "HTTP/1.1 200 OK\r\nX-Filler: " + strings.Repeat("x", 1000) {
			if _, err := conn.Write([]byte(string(c))); err != nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	client = dial.ClientOf(func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, l.Addr().String())
	})
	client.Timeout = time.Second
	if _, err := hook.Over(client).Send(t.Context(), "http://receiver.example/", http.Header{}, nil); err == nil || err.Error() != "no answer within ten seconds" {
		t.Errorf("a status that did not come whole: %v", err)
	}
}

// certificate is one for a name, good until an instant, signed by itself.
func certificate(t *testing.T, name string, until time.Time) tls.Certificate {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, form, form, public, private)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private, Leaf: leaf}
}

// Nothing is sent to a receiver whose certificate is for another name, over, or from nobody who is trusted, or whose TLS is too old; staff
// read that it was TLS.
func TestO09_BadCertificatesGetNothing(t *testing.T) {
	t.Parallel()
	tomorrow := time.Now().Add(24 * time.Hour)
	for _, c := range []struct {
		name    string
		cert    tls.Certificate
		trusted bool
		newest  uint16
		good    bool
	}{
		{"good", certificate(t, "receiver.example", tomorrow), true, 0, true},
		{"another name", certificate(t, "other.example", tomorrow), true, 0, false},
		{"over", certificate(t, "receiver.example", time.Now().Add(-time.Hour)), true, 0, false},
		{"from nobody", certificate(t, "receiver.example", tomorrow), false, 0, false},
		{"old TLS", certificate(t, "receiver.example", tomorrow), true, tls.VersionTLS11, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got atomic.Int64
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got.Add(1) }))
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			s.TLS = &tls.Config{Certificates: []tls.Certificate{c.cert}, MinVersion: tls.VersionTLS10, MaxVersion: c.newest}
			s.StartTLS()
			defer s.Close()
			transport := dial.Transport(func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
			})
			defer transport.CloseIdleConnections()
			transport.TLSClientConfig.RootCAs = x509.NewCertPool()
			if c.trusted {
				transport.TLSClientConfig.RootCAs.AddCert(c.cert.Leaf)
			}
			answer, err := hook.Over(&http.Client{Transport: transport, Timeout: time.Minute}).Send(t.Context(), "https://receiver.example/", http.Header{}, []byte("{}"))
			if c.good && (err != nil || answer.Status != 200 || got.Load() != 1) {
				t.Errorf("%+v, %v", answer, err)
			}
			if !c.good && (err == nil || !strings.HasPrefix(err.Error(), "TLS failed") || got.Load() != 0) {
				t.Errorf("%+v, %v, %d messages came through", answer, err, got.Load())
			}
		})
	}
}

type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// What a receiver asks for in Retry-After is understood in seconds; anything else counts as nothing.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"": 0, "120": 2 * time.Minute, "-1": 0, "99999999999": 0, "Wed, 21 Oct 2026 07:28:00 GMT": 0} {
		s, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", text)
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		if answer, err := reach(s).Send(t.Context(), "http://receiver.example/", http.Header{}, nil); err != nil || answer.RetryAfter != want {
			t.Errorf("%q: %+v, %v", text, answer, err)
		}
	}
}
