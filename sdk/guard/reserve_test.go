package guard_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk/guard"
)

// ledger is a Mintreu that reserves, and keeps what was settled. It fails to answer as many settlements as it is told to.
type ledger struct {
	mu      sync.Mutex
	asked   map[string]any
	settled []string
	silent  int
	answers int  // status of those, 502 unless said
	ended   bool // settlements come too late
}

func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	if r.Header.Get("Authorization") != "Bearer machine" || r.Method != http.MethodPost {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"code":"unauthorized"}`)
		return
	}
	if r.URL.Path != "/v1/keys/reserve" {
		l.settled = append(l.settled, r.URL.Path+" "+string(body))
		if l.silent--; l.silent >= 0 {
			w.WriteHeader(cmp.Or(l.answers, http.StatusBadGateway))
			return
		}
		if l.ended {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"code":"reservation-ended"}`)
			return
		}
		_, _ = io.WriteString(w, `{}`)
		return
	}
	l.asked = nil
	_ = json.Unmarshal(body, &l.asked)
	switch key := l.asked["key"]; key {
	case "good":
		_, _ = io.WriteString(w, `{"valid":true,"code":"VALID","key_id":"key_1","owner":"cus_1","plan":"pro","limits":[{"name":"calls","remaining":4,"reset_seconds":11.2}],"reservation":{"id":"rsv_1"}}`)
	case "page":
		_, _ = io.WriteString(w, "<html>welcome to the hotel's network</html>")
	case "empty":
		_, _ = io.WriteString(w, `{"valid":true}`)
	case "outage":
		w.WriteHeader(http.StatusBadGateway)
	default:
		_, _ = fmt.Fprintf(w, `{"valid":false,"code":%q,"retry_after_seconds":11.2,"limits":[{"name":"calls","reset_seconds":60,"retry_after_seconds":11.2}]}`, key)
	}
}

// TestReserve: a request passes exactly when Mintreu reserves what it may cost, and what its handler did say it cost is settled once it
// returned: all of it, if it never said, and what it said, if it panics. A settlement that is not heard is said again, and one that comes too late
// is not.
func TestReserve(t *testing.T) {
	t.Parallel()
	l := &ledger{}
	mintreu := httptest.NewServer(l)
	t.Cleanup(mintreu.Close)
	var log strings.Builder
	g, err := guard.New(guard.Config{BaseURL: mintreu.URL, Env: "live", Product: "prod_1", Token: "machine", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	run := func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "done") }
	h := g.Reserve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { run(w, r) }), 10, 90*time.Second, "notes:write")
	spends := func(units ...int64) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			c, _ := guard.CallerFrom(r.Context())
			left := int64(-1)
			for _, n := range units {
				left = guard.Spend(r.Context(), n)
			}
			_, _ = fmt.Fprintf(w, "%s %d", c.Owner, left)
		}
	}
	for _, c := range []struct {
		run     func(http.ResponseWriter, *http.Request)
		silent  int
		body    string
		settled string
	}{
		{run, 0, "done", `{"cost":10}`},
		{spends(3, 4), 0, "cus_1 3", `{"cost":7}`},
		{spends(0), 0, "cus_1 10", `{"cost":0}`},
		{spends(9, 9, -5), 0, "cus_1 0", `{"cost":10}`},
		{spends(1<<62, 1<<62), 0, "cus_1 0", `{"cost":10}`},
		{spends(1), 2, "cus_1 9", `{"cost":1}`},
	} {
		l.settled, l.silent, run = nil, c.silent, c.run
		w := call(h, "Bearer good")
		want := strings.TrimSpace(strings.Repeat("/v1/key-reservations/rsv_1/settle "+c.settled+" ", 1+c.silent))
		if got := strings.Join(l.settled, " "); w.Code != 200 || w.Body.String() != c.body || got != want || w.Header().Get("RateLimit") != `"calls";r=4;t=12` {
			t.Errorf("%d %q %q, settled %q; want %q, settled %q", w.Code, w.Body, w.Header(), got, c.body, want)
		}
	}
	if got := fmt.Sprint(l.asked); got != "map[cost:10 env:live ip:192.0.2.1 key:good product:prod_1 scopes:[notes:write] seconds:90]" {
		t.Errorf("asked for %s", got)
	}
	for _, said := range []bool{false, true} {
		l.settled = nil
		run = func(_ http.ResponseWriter, r *http.Request) {
			if said {
				guard.Spend(r.Context(), 4)
			}
			panic("broken")
		}
		func() {
			defer func() {
				if recover() != "broken" {
					t.Error("the panic was lost")
				}
			}()
			call(h, "Bearer good")
		}()
		if want := map[bool]string{false: `{"cost":0}`, true: `{"cost":4}`}[said]; len(l.settled) != 1 || !strings.HasSuffix(l.settled[0], want) {
			t.Errorf("a handler that panics settled %q, want %s", l.settled, want)
		}
	}
	run, l.settled, l.silent = spends(1), nil, 9
	call(h, "Bearer good")
	if len(l.settled) != 3 || !strings.Contains(log.String(), "rsv_1") {
		t.Errorf("settled %q; the log says %s", l.settled, log.String())
	}
	l.settled, l.silent, l.answers = nil, 1, http.StatusTooManyRequests
	call(h, "Bearer good")
	if len(l.settled) != 2 {
		t.Errorf("too busy once, settled %q", l.settled)
	}
	l.settled, l.silent, l.ended = nil, 0, true
	call(h, "Bearer good")
	if len(l.settled) != 1 || !strings.Contains(log.String(), "reservation-ended") {
		t.Errorf("too late, settled %q; the log says %s", l.settled, log.String())
	}

	run, l.settled = func(http.ResponseWriter, *http.Request) { t.Error("a request passed") }, nil
	for key, want := range map[string]struct {
		status int
		code   string
	}{
		"NOT_FOUND": {401, "unauthorized"}, "REVOKED": {401, "unauthorized"}, "FORBIDDEN_IP": {403, "forbidden-ip"}, "INSUFFICIENT_SCOPE": {403, "insufficient-scope"},
		"RATE_LIMITED": {429, "quota-exceeded"}, "QUOTA_EXCEEDED": {429, "quota-exceeded"}, "NO_CREDITS": {429, "no-credits"}, "SWITCHED_OFF": {503, "switched-off"},
		"page": {503, "unavailable"}, "empty": {503, "unavailable"}, "outage": {503, "unavailable"}, "": {401, "unauthorized"},
	} {
		w := call(h, "Bearer "+key)
		if w.Code != want.status || !strings.Contains(w.Body.String(), `"code":"`+want.code+`"`) || want.status == 429 && w.Header().Get("Retry-After") != "12" || (want.status == 401) != (w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%q: %d %s %v, want %v", key, w.Code, w.Body, w.Header(), want)
		}
	}
	if len(l.settled) != 0 || strings.Contains(log.String(), "outage\"") || strings.Contains(log.String(), "machine") {
		t.Errorf("settled %q; the log says %s", l.settled, log.String())
	}
	if guard.Spend(t.Context(), 1) != 0 {
		t.Error("a request that reserved nothing has something left")
	}
}

// TestReserve_Mistakes: a guard that cannot reserve says so where handlers are put together, not when requests come.
func TestReserve_Mistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		token  string
		most   int64
		within time.Duration
	}{{"", 1, 0}, {"machine", 0, 0}, {"machine", 1, 25 * time.Hour}, {"machine", 1, -time.Second}} {
		g, err := guard.New(guard.Config{BaseURL: "https://shop.example", Token: c.token})
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v was taken", c)
				}
			}()
			g.Reserve(http.NotFoundHandler(), c.most, c.within)
		}()
	}
}
