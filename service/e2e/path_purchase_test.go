package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mintreu/mintreu/service/db"
)

// offer is what the shop sells: a plan that grants a license and an API key for each unit.
type offer struct{ product, slug, plan, price string }

const (
	unitPrice = 4900
	seats     = 3
)

// shelve puts the offer on the shelf, as a founder does.
func (s *site) shelve(t *testing.T) offer {
	t.Helper()
	return shelve(t, s.operator)
}

type operatorCall func(ctx context.Context, method, at string, in, out any) error

func shelve(t *testing.T, call operatorCall) offer {
	t.Helper()
	o := offer{slug: "quill"}
	create := func(at string, in any) string {
		t.Helper()
		var out struct{ ID string }
		if err := call(t.Context(), http.MethodPost, at, in, &out); err != nil {
			t.Fatal(err)
		}
		return out.ID
	}
	o.product = create("/v1/products", map[string]any{"slug": o.slug, "name": "Quill", "purpose": "revenue", "key_prefix": "QUILL", "description": "Writes."})
	create("/v1/policies", map[string]any{"product_id": o.product, "code": "standard", "name": "Standard", "terms": map[string]any{
		"type": "perpetual", "seats": map[string]any{"n": seats, "by": "device"}, "activation": "required",
		"entitlements": map[string]any{"export": true}, "recheck": 86400, "fresh": 7 * 86400, "stale": 7 * 86400, "grace": 7 * 86400}})
	o.plan = create("/v1/products/"+o.product+"/plans", map[string]any{"code": "pro", "name": "Pro", "type": "perpetual", "grants": []any{
		map[string]any{"license": map[string]any{"policy": "standard"}},
		map[string]any{"api_key": map[string]any{"scopes": []string{"quill:read"}, "rate_count": 10, "rate_period": 3600}}}})
	o.price = create("/v1/plans/"+o.plan+"/prices", map[string]any{"price": map[string]any{"amount": unitPrice, "currency": "EUR"}})
	create("/v1/plans/"+o.plan+"/publish", nil)
	create("/v1/products/"+o.product+"/publish", nil)
	return o
}

// purchase is one buyer's way through the shop, over HTTP.
type purchase struct {
	base, product string // the shop, the plan's id
	quantity      int64
	email, idem   string
	id, access    string
	url           string // payment page
}

// newPurchase is a buyer who has not ordered yet.
func (s *site) newPurchase(quantity int64) *purchase {
	return newPurchase(s.url, s.product, quantity)
}

func newPurchase(base string, o offer, quantity int64) *purchase {
	return &purchase{base: base, product: o.plan, quantity: quantity, email: uuid.NewString()[:18] + "@example.com", idem: uuid.NewString()}
}

// order takes a purchase to its payment page.
func (s *site) order(t *testing.T, quantity int64) *purchase {
	t.Helper()
	p := s.newPurchase(quantity)
	if err := p.checkOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// pays orders and pays at once.
func (s *site) pays(t *testing.T, quantity int64, method string) *purchase {
	t.Helper()
	p := s.order(t, quantity)
	if err := p.pay(t.Context(), method); err != nil {
		t.Fatal(err)
	}
	return p
}

// patient is how long a buyer's browser waits for one answer.
const patient = 20 * time.Second

// browser keeps no connection alive, so that a replica that died is met as a new buyer meets it.
var browser = &http.Client{Timeout: patient, Transport: &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// fetch makes one request and returns status and text.
func fetch(ctx context.Context, method, at string, header http.Header, in any) (int, string, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return 0, "", err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, at, body)
	if err != nil {
		return 0, "", err
	}
	for k, v := range header {
		r.Header[k] = v
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := browser.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), err
}

// basket is the body of the order.
func (p *purchase) basket() map[string]any {
	return map[string]any{"lines": []any{map[string]any{"plan": p.product, "quantity": p.quantity}}, "currency": "EUR", "email": p.email, "country": "DE",
		"consent": map[string]any{"terms": true, "immediate_delivery": true}}
}

// checkOut orders; again with the same Idempotency-Key it is the same order.
func (p *purchase) checkOut(ctx context.Context) error {
	status, text, err := fetch(ctx, http.MethodPost, p.base+"/v1/checkouts", http.Header{"Idempotency-Key": {p.idem}}, p.basket())
	if err != nil {
		return err
	}
	var out struct{ ID, Access, URL string }
	if status >= 300 {
		return fmt.Errorf("checkout answered %d %s", status, text)
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return err
	}
	if out.URL == "" || out.Access == "" {
		return fmt.Errorf("the checkout has no page to pay on, or no access code: %s", text)
	}
	p.id, p.access, p.url = out.ID, out.Access, out.URL
	return nil
}

// pay pays on the provider's page.
func (p *purchase) pay(ctx context.Context, method string) error {
	form := url.Values{"email": {p.email}, "card": {method}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := browser.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSeeOther {
		text, _ := io.ReadAll(res.Body)
		return fmt.Errorf("paying answered %d %s", res.StatusCode, text)
	}
	return nil
}

// seen is what the buyer sees of the order.
type seen struct {
	State  string
	Grants []struct{ Kind, ID, Key, State string }
}

// look is what the buyer does on the order's page. It makes the service ask the provider.
func (p *purchase) look(ctx context.Context) (out seen, err error) {
	status, text, err := fetch(ctx, http.MethodGet, p.base+"/v1/checkouts/"+p.id+"?access="+url.QueryEscape(p.access), nil, nil)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the order's page answered %d %s", status, text)
	}
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal([]byte(text), &out)
}

// number reads one number from the database.
func number(t *testing.T, d db.DB, sql string, args ...any) (n int64) {
	t.Helper()
	if err := d.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// state reads where an order stands, without anybody looking at it.
func state(t *testing.T, d db.DB, id string) (out string) {
	t.Helper()
	err := d.QueryRow(t.Context(), `SELECT state FROM orders WHERE id = $1`, id).Scan(&out)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		t.Fatal(err)
	}
	return out
}

// becomes waits until an order is in a state, without looking at it as its buyer would.
func (s *site) becomes(t *testing.T, p *purchase, want string) {
	t.Helper()
	eventually(t, "order "+want, 2*time.Minute, func() bool { return state(t, s.rows, p.id) == want })
}

// account is everything that an order may lead to.
type account struct {
	Licenses, ActiveLicenses, Keys, Grants, Receipts, CreditNotes int64
	Cash, Unbalanced                                              int64
}

func accountOf(t *testing.T, d db.DB, id string) account {
	t.Helper()
	of := func(sql string) int64 { t.Helper(); return number(t, d, sql, id) }
	const mine = ` JOIN order_line o ON x.source_kind = 'order_unit' AND x.source_id LIKE o.id || '/%' WHERE o.order_id = $1`
	return account{
		Licenses:       of(`SELECT count(*) FROM license x` + mine),
		ActiveLicenses: of(`SELECT count(*) FROM license x` + mine + ` AND x.state = 'active'`),
		Keys:           of(`SELECT count(*) FROM api_key x` + mine),
		Grants:         of(`SELECT count(*) FROM order_grant WHERE order_id = $1`),
		Receipts:       of(`SELECT count(*) FROM receipt WHERE order_id = $1`),
		CreditNotes:    of(`SELECT count(*) FROM credit_note WHERE order_id = $1`),
		Cash:           of(`SELECT CAST(COALESCE(SUM(amount), 0) AS bigint) FROM ledger_entry WHERE order_id = $1 AND account = 'cash:stripe'`),
		Unbalanced:     of(`SELECT CAST(COALESCE(SUM(amount), 0) AS bigint) FROM ledger_entry WHERE order_id = $1`),
	}
}

// granted is the account of an order over n units that was paid.
func granted(n int64) account {
	return account{Licenses: n, ActiveLicenses: n, Keys: n, Grants: 2 * n, Receipts: 1, Cash: n * unitPrice}
}

// exactly checks that the order led to just that, and that every invariant holds.
func (s *site) exactly(t *testing.T, p *purchase, want account) {
	t.Helper()
	if got := accountOf(t, s.rows, p.id); got != want {
		t.Errorf("the order led to %+v, want %+v", got, want)
	}
	s.sound(t)
}

// bought checks an order that was paid and granted: its grants, one receipt, one purchase mail, and every invariant.
func (s *site) bought(t *testing.T, p *purchase) {
	t.Helper()
	s.becomes(t, p, "fulfilled")
	eventually(t, "the purchase mail is out", 2*time.Minute, func() bool {
		return number(t, s.rows, `SELECT count(*) FROM notice WHERE template = 'purchase' AND subject = $1 AND state = 'sent'`, p.id) == 1
	})
	s.exactly(t, p, granted(p.quantity))
	oneMail(t, s.rows, p)
}

// oneMail checks that the buyer was written to about the purchase once.
func oneMail(t *testing.T, d db.DB, p *purchase) {
	t.Helper()
	if n := number(t, d, `SELECT count(*) FROM notice WHERE template = 'purchase' AND subject = $1`, p.id); n != 1 {
		t.Errorf("%d purchase notices, want 1", n)
	}
	if n := number(t, d, `SELECT count(*) FROM mail m JOIN notice n ON n.id = m.id WHERE n.template = 'purchase' AND m.recipient = $1`, p.email); n != 1 {
		t.Errorf("%d purchase mails, want 1", n)
	}
}

// sound checks every invariant, at every replica.
func (s *site) sound(t *testing.T) {
	t.Helper()
	for _, a := range s.replicas {
		found, err := a.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range found {
			t.Errorf("%s is broken: %s %s", v.Invariant, v.Object, v.Text)
		}
	}
}
