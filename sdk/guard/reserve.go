package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// settles is how often it is tried to say what a request did cost, as long as nobody answers.
const settles = 3

// bill is what a request did cost so far.
type bill struct {
	mu         sync.Mutex
	most, cost int64
	told       bool
}

type billKey struct{}

// Spend adds to what the request of ctx costs, in units of the key's limits, and
// returns how many of those that were reserved are left. More than were
// reserved are not charged. Outside of handlers behind [Guard.Reserve] it
// does nothing and returns 0.
func Spend(ctx context.Context, units int64) (left int64) {
	b, ok := ctx.Value(billKey{}).(*bill)
	if !ok {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = true
	b.cost += min(max(units, 0), b.most-b.cost)
	return b.most - b.cost
}

// due is what a request costs whose handler has returned, or not.
func (b *bill) due(returned bool) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.told && returned {
		return b.most
	}
	return b.cost
}

// Reserve lets requests pass as [Guard.Require] does, for work whose cost is
// known only afterwards: most units are spent of every limit and of the credits
// of the key before next runs. There [Spend] says what the work costs, and what
// is left comes back when next returns: nothing, if it never said, and all
// that it did not say, if it panics. Within is how long the work may take, at
// most a day; what a server that dies has not settled by then comes back whole. 0 means five
// minutes.
//
// It asks as the machine token of [Config], whose scope is keys:verify; without
// one, or with a most below 1, it panics, as a mux does for a pattern that is
// none.
func (g *Guard) Reserve(next http.Handler, most int64, within time.Duration, scopes ...string) http.Handler {
	if g.token == "" || most < 1 || within < 0 || within > 24*time.Hour {
		panic(fmt.Sprintf("guard: reserving %d units for %v needs at least 1, a time of at most a day, and Config.Token", most, within))
	}
	ask := question{Cost: most, Scopes: scopes, Seconds: int64(math.Ceil(within.Seconds())), Product: g.query.Get("product"), Env: g.query.Get("env")}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := ask
		if q.Key = bearer(w, r); q.Key == "" {
			return
		}
		if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
			q.IP = host
		}
		var v verdict
		if _, err := g.post(r.Context(), "/v1/keys/reserve", q, &v); err != nil || v.Valid && (v.Reservation.ID == "" || v.Key == "" || v.Owner == "") {
			if err == nil {
				err = errors.New("the answer is none of Mintreu's")
			}
			g.unanswered(w, r, err)
			return
		}
		v.fields(w.Header())
		if !v.Valid {
			v.refuse(w)
			return
		}
		b, returned := &bill{most: most}, false
		defer func() { g.settle(r.Context(), v.Reservation.ID, b.due(returned)) }()
		ctx := context.WithValue(r.Context(), callerKey{}, Caller{Key: v.Key, Owner: v.Owner, Plan: v.Plan})
		next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, billKey{}, b)))
		returned = true
	})
}

// settle says what a request did cost, until Mintreu has heard it: a second time changes nothing.
func (g *Guard) settle(ctx context.Context, reservation string, cost int64) {
	ctx = context.WithoutCancel(ctx)
	var err error
	for range settles {
		var status int
		if status, err = g.post(ctx, "/v1/key-reservations/"+url.PathEscape(reservation)+"/settle", map[string]int64{"cost": cost}, &struct{}{}); err == nil {
			return
		}
		if status/100 == 4 && status != http.StatusTooManyRequests { // such as that it has ended
			break
		}
	}
	g.log.WarnContext(ctx, "what a request did cost could not be settled; its reservation comes back whole", "reservation", reservation, "cost", cost, "error", err)
}

// question is what a reservation is asked for with.
type question struct {
	Key     string   `json:"key"`
	Cost    int64    `json:"cost"`
	Scopes  []string `json:"scopes,omitempty"`
	IP      string   `json:"ip,omitempty"`
	Product string   `json:"product,omitempty"`
	Env     string   `json:"env,omitempty"`
	Seconds int64    `json:"seconds,omitempty"`
}

// verdict is the answer.
type verdict struct {
	Valid  bool    `json:"valid"`
	Code   string  `json:"code"`
	Key    string  `json:"key_id"`
	Owner  string  `json:"owner"`
	Plan   string  `json:"plan"`
	Wait   float64 `json:"retry_after_seconds"` // seconds
	Limits []struct {
		Name      string  `json:"name"`
		Remaining int64   `json:"remaining"`
		Reset     float64 `json:"reset_seconds"`
		Wait      float64 `json:"retry_after_seconds"`
	} `json:"limits"`
	Reservation struct {
		ID string `json:"id"`
	} `json:"reservation"`
}

// fields tells how the limits stand, as draft-ietf-httpapi-ratelimit-headers spells it, and how long to wait.
func (v *verdict) fields(h http.Header) {
	var states []string
	for _, l := range v.Limits {
		until := l.Reset
		if l.Wait > 0 {
			until = l.Wait
		}
		states = append(states, fmt.Sprintf("%q;r=%d;t=%d", l.Name, l.Remaining, int64(math.Ceil(until))))
	}
	if len(states) > 0 {
		h.Set("RateLimit", strings.Join(states, ", "))
	}
	if v.Wait > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64(math.Ceil(v.Wait)), 10))
	}
}

// refuse answers as Mintreu answers a proxy.
func (v *verdict) refuse(w http.ResponseWriter) {
	switch v.Code {
	case "RATE_LIMITED", "QUOTA_EXCEEDED":
		refuse(w, http.StatusTooManyRequests, "quota-exceeded", "A limit of the API key is used up. Try again later.")
	case "NO_CREDITS":
		refuse(w, http.StatusTooManyRequests, "no-credits", "The credits of the API key are used up.")
	case "INSUFFICIENT_SCOPE":
		refuse(w, http.StatusForbidden, "insufficient-scope", "The API key does not carry what this needs.")
	case "FORBIDDEN_IP":
		refuse(w, http.StatusForbidden, "forbidden-ip", "The API key may not be used from this address.")
	case "SWITCHED_OFF":
		refuse(w, http.StatusServiceUnavailable, "switched-off", "The service is switched off for now.")
	default:
		w.Header().Set("WWW-Authenticate", "Bearer")
		refuse(w, http.StatusUnauthorized, "unauthorized", "The API key is not valid.")
	}
}

// post asks as the machine token, and returns the status of the answer, 0 without one. Errors name the address and what was answered, never
// what was sent.
func (g *Guard) post(ctx context.Context, path string, body, into any) (status int, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, g.base+path, bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	q.Header.Set("Authorization", "Bearer "+g.token)
	q.Header.Set("Content-Type", "application/json")
	res, err := g.client.Do(q)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return 0, err
	case len(answer) > maxAnswer:
		return res.StatusCode, errors.New("the answer is too long")
	case res.StatusCode != http.StatusOK:
		var said struct {
			Code string `json:"code"`
		}
		_ = json.Unmarshal(answer, &said) // a page of a proxy in between says none
		return res.StatusCode, fmt.Errorf("mintreu answered %s %s", res.Status, said.Code)
	case json.Unmarshal(answer, into) != nil:
		return res.StatusCode, errors.New("the answer is none of Mintreu's")
	}
	return res.StatusCode, nil
}
