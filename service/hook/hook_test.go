package hook_test

import (
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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
	for _, to := range []string{s.URL, "http://localhost" + port, "https://localhost" + port, "http://127.1" + port, "http://0x7f000001" + port, "http://[::ffff:127.0.0.1]" + port, "http://169.254.169.254/latest/meta-data/",
		"https://169.254.169.254/", "http://metadata.google.internal/", "http://127.0.0.1:6379/%0d%0aFLUSHALL", "http://localhost:9090/debug/pprof/", "http://10.0.0.1/", "http://[64:ff9b::7f00:1]/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_x"} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		answer, err := sender.Send(ctx, to, http.Header{}, []byte("{}"))
		cancel()
		if err == nil {
			t.Errorf("%s answered %d", to, answer.Status)
			continue
		}
		if text := err.Error(); strings.Contains(text, "127.") || strings.Contains(text, "169.254") || strings.Contains(text, "::") {
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

// However much a receiver answers, a bounded part is read: bodies without end, compressed ones, headers without end. The status counts.
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
		if answer, err := reach(s).Send(t.Context(), "http://receiver.example/", http.Header{}, nil); err != nil || answer.Status != 200 || len(answer.Excerpt) > 1024 {
			t.Errorf("%s: %d bytes, %v", name, len(answer.Excerpt), err)
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
