package kit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
)

type limits struct {
	Left int `json:"left" doc:"What is left."`
}

func (limits) Headers() http.Header { return http.Header{"Ratelimit": {`"a";r=1`}} }

type spent struct{ error }

func (spent) Headers() http.Header { return http.Header{"Ratelimit": {`"a";r=0`}} }
func (s spent) Unwrap() error      { return s.error }

// TestAnswersBringHeaders: a response and an error may add header fields, the error also from within another.
func TestAnswersBringHeaders(t *testing.T) {
	t.Parallel()
	type request struct {
		Fail bool `query:"fail" doc:"Whether to fail."`
	}
	f := kittest.NewFixture(t)
	mux, err := kit.NewMux(f.Stack, kit.New(kit.Spec{Name: "limit.get", Method: "GET", Path: "/limits", Access: kit.Allow{Anonymous: true}, Cache: "public, max-age=5"},
		func(_ context.Context, r request) (limits, error) {
			if r.Fail {
				return limits{}, fmt.Errorf("limit: %w", spent{licensing.Fail(licensing.TooMany, "rate-limited", "Slow down.")})
			}
			return limits{Left: 1}, nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]struct {
		status       int
		limit, cache string
	}{"/limits": {200, `"a";r=1`, "public, max-age=5"}, "/limits?fail=true": {429, `"a";r=0`, "no-store"}} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		if w.Code != want.status || w.Header().Get("RateLimit") != want.limit || w.Header().Get("Cache-Control") != want.cache {
			t.Errorf("%s: %d %v", target, w.Code, w.Header())
		}
	}
}

// TestKeyRequiredAndInProcess: an operation may demand an Idempotency-Key, and in process the key comes with the context and means
// the same as over HTTP.
func TestKeyRequiredAndInProcess(t *testing.T) {
	t.Parallel()
	f := kittest.NewFixture(t)
	done := 0
	op := kit.New(kit.Spec{Name: "order.make", Method: "POST", Path: "/orders/{id}", Access: kit.Allow{Customer: true}, KeyRequired: true},
		func(ctx context.Context, r struct {
			ID string `path:"id" doc:"Id."`
		}) (limits, error) {
			done++
			return limits{Left: done}, f.Kept.Keep(ctx, "ord_1")
		}).Again(func(ctx context.Context, id, _ string) (limits, error) {
		if call := licensing.CallFrom(ctx); call.Mutating || call.IdempotencyKey != "" || id != "ord_1" {
			return limits{}, errors.New("the replay is no plain reading")
		}
		return limits{Left: 100}, nil
	})
	mux, err := kit.NewMux(f.Stack, op)
	if err != nil {
		t.Fatal(err)
	}
	actor := licensing.Actor{Kind: licensing.Customer, ID: "cus_1"}
	ctx := licensing.WithCall(t.Context(), &licensing.Call{Actor: actor})
	var id struct {
		ID string `path:"id" doc:"Id."`
	}
	id.ID = "a"
	if _, err := op.Call(ctx, id); licensing.KindOf(err) != licensing.Invalid {
		t.Errorf("without a key: %v", err)
	}
	ctx = kit.WithIdempotencyKey(ctx, "one-key")
	for i, want := range []int{1, 100} {
		if out, err := op.Call(ctx, id); err != nil || out.Left != want {
			t.Errorf("call %d: %+v, %v", i, out, err)
		}
	}
	f.Actors.Know("Bearer one", actor)
	for target, want := range map[string]int{"/orders/a": 200, "/orders/b": 422} {
		r := httptest.NewRequest("POST", target, nil)
		r.Header.Set("Authorization", "Bearer one")
		r.Header.Set("Idempotency-Key", "one-key")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s over HTTP: %d %s", target, w.Code, w.Body)
		}
	}
	if done != 1 {
		t.Errorf("done %d times", done)
	}
}

// FuzzI03_Body: no body of any bytes makes an operation answer 5xx or anything but JSON.
func FuzzI03_Body(f *testing.F) {
	for _, b := range kittest.Hostile() {
		if len(b.Text) < 1000 {
			f.Add(b.Text)
		}
	}
	f.Add(`{"name":"a","quantity":1,"parts":[{"name":"p","count":1}],"labels":{"a":"b"},"extra":[1,{"a":null}],"at":"2027-01-31T09:00:00Z"}`)
	h := newHouse(f)
	f.Fuzz(func(t *testing.T, body string) {
		resp := h.send("POST", "/v1/widgets", body)
		if resp.StatusCode >= 500 || !strings.Contains(resp.Header.Get("Content-Type"), "json") {
			t.Errorf("answered %d", resp.StatusCode)
		}
	})
}
