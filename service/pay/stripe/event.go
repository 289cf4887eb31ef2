package stripe

import (
	"context"
	"crypto/hmac"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/event"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/mintreu/mintreu/commerce/payment"
)

// tolerance is how far a delivery's timestamp may lie from now, in either direction.
const tolerance = 300 * time.Second

// Verify implements [payment.Gateway]. stripe-go's own check accepts an empty secret, any instant in the future, capital hex
// digits and JSON with duplicate members, so the header is read here and only the signature itself is computed by it.
func (g *Gateway) Verify(body []byte, signature string, now time.Time) (payment.Event, error) {
	at, given, err := parseHeader(signature)
	if err != nil {
		return payment.Event{}, err
	}
	if d := now.Sub(at); d > tolerance || d < -tolerance {
		return payment.Event{}, fmt.Errorf("%w: signed %s away from now", payment.ErrSignature, d.Round(time.Second))
	}
	if !g.signed(body, at, given, now) {
		return payment.Event{}, fmt.Errorf("%w: no signature matches", payment.ErrSignature)
	}
	e, err := parseEvent(body)
	if err != nil {
		return payment.Event{}, fmt.Errorf("%w: %w", payment.ErrSignature, err)
	}
	if e.Live != g.live {
		return payment.Event{}, fmt.Errorf("%w: livemode is %t", payment.ErrForeign, e.Live)
	}
	if e.Account != "" && e.Account != g.config.Account {
		return payment.Event{}, fmt.Errorf("%w: account %s", payment.ErrForeign, e.Account)
	}
	return e, nil
}

// signed reports whether one of the signatures was made with a secret that holds now.
func (g *Gateway) signed(body []byte, at time.Time, given [][]byte, now time.Time) bool {
	ok := false
	for _, s := range g.config.Secrets {
		if !s.Until.IsZero() && !now.Before(s.Until) {
			continue
		}
		want := webhook.ComputeSignature(at, body, s.Value)
		for _, sig := range given {
			ok = hmac.Equal(want, sig) || ok
		}
	}
	return ok
}

// parseHeader reads "t=<seconds>,v1=<64 lower-case hex digits>…": exactly one t, at least one v1, other schemes ignored.
func parseHeader(header string) (time.Time, [][]byte, error) {
	bad := func(what string) (time.Time, [][]byte, error) {
		return time.Time{}, nil, fmt.Errorf("%w: header %s", payment.ErrSignature, what)
	}
	if len(header) > 4096 {
		return bad("too long")
	}
	var at time.Time
	var given [][]byte
	for part := range strings.SplitSeq(header, ",") {
		name, value, ok := strings.Cut(part, "=")
		switch {
		case !ok:
			return bad("malformed")
		case name == "t":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || !at.IsZero() || n <= 0 || n > 1<<40 || strconv.FormatInt(n, 10) != value {
				return bad("with a bad timestamp")
			}
			at = time.Unix(n, 0)
		case name == "v1":
			sig, err := hex.DecodeString(value)
			if err != nil || len(sig) != 32 || hex.EncodeToString(sig) != value {
				return bad("with a bad signature")
			}
			given = append(given, sig)
		}
	}
	if at.IsZero() || len(given) == 0 || len(given) > 8 {
		return bad("incomplete")
	}
	return at, given, nil
}

// wireEvent and wireObject are what is read of an event; the rest stays in Raw.
type wireEvent struct {
	ID         string `json:"id"`
	Object     string `json:"object"`
	Type       string `json:"type"`
	APIVersion string `json:"api_version"`
	Live       *bool  `json:"livemode"`
	Account    string `json:"account"`
	Created    int64  `json:"created"`
	Data       struct {
		Object wireObject `json:"object"`
	} `json:"data"`
}

type wireObject struct {
	ID        string            `json:"id"`
	Object    string            `json:"object"`
	Reference string            `json:"client_reference_id"`
	Metadata  map[string]string `json:"metadata"`
}

// parseEvent reads an event strictly: valid UTF-8, no duplicate members, nothing behind it, the members that matter present.
func parseEvent(raw []byte) (payment.Event, error) {
	var w wireEvent
	if err := json.Unmarshal(raw, &w); err != nil {
		return payment.Event{}, err
	}
	if w.Object != "event" || !strings.HasPrefix(w.ID, "evt_") || len(w.ID) > 255 || w.Type == "" || w.Live == nil || w.Created <= 0 || w.Data.Object.Object == "" {
		return payment.Event{}, errors.New("stripe: not an event")
	}
	return payment.Event{
		ID: w.ID, Type: w.Type, APIVersion: w.APIVersion, Live: *w.Live, Account: w.Account, Created: time.Unix(w.Created, 0).UTC(),
		Object: w.Data.Object.ID, ObjectKind: w.Data.Object.Object, Order: w.Data.Object.order(), Raw: raw,
	}, nil
}

// order is our order id where the object carries it and does not contradict itself.
func (o wireObject) order() string {
	order := o.Metadata[orderKey]
	if o.Reference != "" && o.Reference != order {
		return ""
	}
	return order
}

// Events implements [payment.Gateway]. Stripe lists newest first, so the walk goes through every page since the instant and
// keeps the oldest rows.
func (g *Gateway) Events(ctx context.Context, since time.Time, limit int) ([]payment.Event, error) {
	var oldest []payment.Event
	params := &stripe.EventListParams{
		ListParams:   stripe.ListParams{Limit: stripe.Int64(100), Single: true},
		CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: since.Unix()}, Types: stripe.StringSlice(Types()),
	}
	for {
		page, more, err := g.eventPage(ctx, params)
		if err != nil {
			return nil, fmt.Errorf("stripe: events: %w", err)
		}
		oldest = append(oldest, page...)
		if surplus := len(oldest) - limit; surplus > 0 {
			oldest = slices.Clone(oldest[surplus:])
		}
		if !more || len(page) == 0 {
			slices.Reverse(oldest)
			return oldest, nil
		}
		params.StartingAfter = stripe.String(page[len(page)-1].ID)
	}
}

// eventPage fetches one page, each event as the bytes Stripe sent.
func (g *Gateway) eventPage(ctx context.Context, params *stripe.EventListParams) ([]payment.Event, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, g.config.Timeout)
	defer cancel()
	params.Context = ctx
	it := event.Client{B: g.backend, Key: g.config.Key}.List(params)
	list := it.EventList()
	if err := outcome(it.Err(), list.LastResponse != nil && list.URL != ""); err != nil {
		return nil, false, err
	}
	var raw struct {
		Data []jsontext.Value `json:"data"`
	}
	if err := json.Unmarshal(list.LastResponse.RawJSON, &raw); err != nil {
		return nil, false, away(err)
	}
	out := make([]payment.Event, len(raw.Data))
	for i, one := range raw.Data {
		e, err := parseEvent(one)
		if err != nil {
			return nil, false, away(err)
		}
		out[i] = e
	}
	return out, list.HasMore, nil
}

func isNoObject(err error) bool { return errors.Is(err, payment.ErrNoObject) }
