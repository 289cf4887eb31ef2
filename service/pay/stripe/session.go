package stripe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/checkout/session"
	"github.com/stripe/stripe-go/v76/coupon"
	"github.com/stripe/stripe-go/v76/dispute"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/service/failpoint"
)

// orderKey is the metadata member that carries our order's id on the session, its payment intent and its charge.
const orderKey = "order"

func (g *Gateway) sessions() session.Client { return session.Client{B: g.backend, Key: g.config.Key} }

// OpenSession implements [payment.Gateway]. Prices are given with the session, so nothing at Stripe can differ from the
// order. A discount becomes a coupon of exactly that amount, used by this session alone: its id is derived from the request's
// key, so however often the call is repeated there is one.
func (g *Gateway) OpenSession(ctx context.Context, r payment.SessionRequest) (payment.Session, error) {
	params, err := sessionParams(r)
	if err != nil {
		return payment.Session{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, g.config.Timeout)
	defer cancel()
	if r.Discount.Minor > 0 {
		id, err := g.discount(ctx, r)
		if err != nil {
			return payment.Session{}, err
		}
		params.Discounts = []*stripe.CheckoutSessionDiscountParams{{Coupon: stripe.String(id)}}
	}
	params.Context, params.IdempotencyKey = ctx, stripe.String(r.Key)
	s, err := g.sessions().New(params)
	if err = outcome(err, sound(s)); err != nil {
		return payment.Session{}, fmt.Errorf("stripe: open session: %w", err)
	}
	failpoint.Hit("session-created")
	return g.session(ctx, s)
}

func sessionParams(r payment.SessionRequest) (*stripe.CheckoutSessionParams, error) {
	if r.Key == "" || r.Order == "" || len(r.Lines) == 0 {
		return nil, fmt.Errorf("%w: a session needs a key, an order and lines", payment.ErrRefused)
	}
	p := &stripe.CheckoutSessionParams{
		Mode: stripe.String("payment"), ClientReferenceID: stripe.String(r.Order), Metadata: map[string]string{orderKey: r.Order},
		SuccessURL: stripe.String(r.SuccessURL), Expand: expansions(),
		PaymentIntentData: &stripe.CheckoutSessionPaymentIntentDataParams{Metadata: map[string]string{orderKey: r.Order}},
	}
	if r.CancelURL != "" {
		p.CancelURL = stripe.String(r.CancelURL)
	}
	if r.Email != "" {
		p.CustomerEmail = stripe.String(r.Email)
	}
	if !r.ExpiresAt.IsZero() {
		p.ExpiresAt = stripe.Int64(r.ExpiresAt.Unix())
	}
	for _, l := range r.Lines {
		units, err := money.ToStripe(l.Unit)
		if err != nil {
			return nil, fmt.Errorf("%w: line %q: %w", payment.ErrRefused, l.Name, err)
		}
		p.LineItems = append(p.LineItems, &stripe.CheckoutSessionLineItemParams{
			Quantity: stripe.Int64(l.Quantity),
			PriceData: &stripe.CheckoutSessionLineItemPriceDataParams{
				Currency: stripe.String(strings.ToLower(string(l.Unit.Currency))), UnitAmount: stripe.Int64(units),
				ProductData: &stripe.CheckoutSessionLineItemPriceDataProductDataParams{Name: stripe.String(l.Name)},
			},
		})
	}
	return p, nil
}

func expansions() []*string {
	return stripe.StringSlice([]string{"line_items", "payment_intent.latest_charge"})
}

// discount makes the coupon of a session, or finds that an earlier attempt made it.
func (g *Gateway) discount(ctx context.Context, r payment.SessionRequest) (string, error) {
	units, err := money.ToStripe(r.Discount)
	if err != nil {
		return "", fmt.Errorf("%w: discount: %w", payment.ErrRefused, err)
	}
	sum := sha256.Sum256([]byte(r.Key))
	id, currency := "mintreu-"+hex.EncodeToString(sum[:12]), strings.ToLower(string(r.Discount.Currency))
	coupons := coupon.Client{B: g.backend, Key: g.config.Key}
	c, err := coupons.New(&stripe.CouponParams{
		Params: stripe.Params{Context: ctx, IdempotencyKey: stripe.String(r.Key + ":coupon")},
		ID:     stripe.String(id), Name: stripe.String("Discount"), AmountOff: stripe.Int64(units), Currency: stripe.String(currency), Duration: stripe.String("once"),
		MaxRedemptions: stripe.Int64(1), Metadata: map[string]string{orderKey: r.Order},
	})
	var e *stripe.Error
	if errors.As(err, &e) && e.Code == stripe.ErrorCodeResourceAlreadyExists {
		c, err = coupons.Get(id, &stripe.CouponParams{Params: stripe.Params{Context: ctx}})
	}
	if err = outcome(err, c.ID == id); err != nil {
		return "", fmt.Errorf("stripe: discount: %w", err)
	}
	if c.AmountOff != units || string(c.Currency) != currency {
		return "", fmt.Errorf("%w: coupon %s stands for another discount", payment.ErrRefused, id)
	}
	return id, nil
}

// Session implements [payment.Gateway].
func (g *Gateway) Session(ctx context.Context, id string) (payment.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, g.config.Timeout)
	defer cancel()
	s, err := g.sessions().Get(id, &stripe.CheckoutSessionParams{Params: stripe.Params{Context: ctx}, Expand: expansions()})
	if err = outcome(err, sound(s) && s.ID == id); err != nil {
		return payment.Session{}, fmt.Errorf("stripe: session %s: %w", id, err)
	}
	return g.session(ctx, s)
}

// FindSession implements [payment.Gateway]: it walks the list of sessions, which Stripe cannot search by metadata.
func (g *Gateway) FindSession(ctx context.Context, order string, since time.Time) (payment.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*g.config.Timeout)
	defer cancel()
	it := g.sessions().List(&stripe.CheckoutSessionListParams{
		ListParams:   stripe.ListParams{Context: ctx, Limit: stripe.Int64(100)},
		CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: since.Unix()},
	})
	for it.Next() {
		if s := it.CheckoutSession(); s.Metadata[orderKey] == order {
			return g.Session(ctx, s.ID)
		}
	}
	// A list that failed half-way has proven nothing.
	if err := outcome(it.Err(), it.CheckoutSessionList().URL != ""); err != nil {
		return payment.Session{}, fmt.Errorf("stripe: list sessions: %w", err)
	}
	return payment.Session{}, fmt.Errorf("stripe: no session of order %s: %w", order, payment.ErrNoObject)
}

// ExpireSession implements [payment.Gateway]. A session that is not open any more is returned as it is.
func (g *Gateway) ExpireSession(ctx context.Context, id string) (payment.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, g.config.Timeout)
	defer cancel()
	s, err := g.sessions().Expire(id, &stripe.CheckoutSessionExpireParams{Params: stripe.Params{Context: ctx, IdempotencyKey: stripe.String("mintreu:expire:" + id)}})
	if err = outcome(err, sound(s) && s.ID == id); errors.Is(err, payment.ErrRefused) || err == nil {
		return g.Session(ctx, id)
	}
	return payment.Session{}, fmt.Errorf("stripe: expire session %s: %w", id, err)
}

// sound reports whether an answer is a checkout session.
func sound(s *stripe.CheckoutSession) bool {
	return s != nil && s.Object == "checkout.session" && s.ID != "" && s.Status != "" && s.PaymentStatus != ""
}

// session translates Stripe's object, fetching further lines if there are more than came with it.
func (g *Gateway) session(ctx context.Context, s *stripe.CheckoutSession) (payment.Session, error) {
	if s.Livemode != g.live {
		return payment.Session{}, fmt.Errorf("%w: session %s has livemode %t", payment.ErrConfig, s.ID, s.Livemode)
	}
	c, err := money.ParseCurrency(strings.ToUpper(string(s.Currency)))
	if err != nil {
		return payment.Session{}, fmt.Errorf("stripe: session %s: currency %q: %w", s.ID, s.Currency, err)
	}
	out := payment.Session{
		ID: s.ID, URL: s.URL, Order: s.Metadata[orderKey], Status: payment.SessionStatus(s.Status), Payment: payment.PaymentStatus(s.PaymentStatus),
		Live: s.Livemode, Email: s.CustomerEmail, Currency: c, Created: time.Unix(s.Created, 0).UTC(),
	}
	if s.ClientReferenceID != out.Order {
		out.Order = "" // two answers to one question are none
	}
	if s.CustomerDetails != nil && s.CustomerDetails.Email != "" {
		out.Email = s.CustomerDetails.Email
	}
	var discount, tax int64
	if s.TotalDetails != nil {
		discount, tax = s.TotalDetails.AmountDiscount, s.TotalDetails.AmountTax
	}
	figures := []figure{{&out.Subtotal, s.AmountSubtotal}, {&out.Total, s.AmountTotal}, {&out.Discount, discount}, {&out.Tax, tax}}
	if p := s.PaymentIntent; p != nil {
		out.Intent = p.ID
		out.Failed = out.Status == payment.SessionComplete && out.Payment == payment.Unpaid && (p.Status == stripe.PaymentIntentStatusRequiresPaymentMethod || p.Status == stripe.PaymentIntentStatusCanceled)
		if ch := p.LatestCharge; ch != nil {
			if ch.Status == stripe.ChargeStatusSucceeded {
				out.Charge = ch.ID
			}
			if out.Disputed, out.Lost, err = g.disputed(ctx, ch); err != nil {
				return payment.Session{}, err
			}
			figures = append(figures, figure{&out.Refunded, ch.AmountRefunded})
		}
	}
	for _, f := range figures {
		a, err := money.FromStripe(f.units, c)
		if err != nil {
			return payment.Session{}, fmt.Errorf("stripe: session %s: %w", s.ID, err)
		}
		*f.to = a.Minor
	}
	out.Lines, err = g.lines(ctx, s, c)
	return out, err
}

// disputed reports whether a charge is disputed and not won back, and whether a dispute of it was lost: Stripe leaves a charge marked as disputed
// for good.
func (g *Gateway) disputed(ctx context.Context, ch *stripe.Charge) (disputed, lost bool, err error) {
	if !ch.Disputed {
		return false, false, nil
	}
	it := dispute.Client{B: g.backend, Key: g.config.Key}.List(&stripe.DisputeListParams{ListParams: stripe.ListParams{Context: ctx, Limit: stripe.Int64(100)}, Charge: stripe.String(ch.ID)})
	for it.Next() {
		s := it.Dispute().Status
		disputed = disputed || s != stripe.DisputeStatusWon && s != stripe.DisputeStatusWarningClosed
		lost = lost || s == stripe.DisputeStatusLost
	}
	if err := outcome(it.Err(), it.DisputeList().URL != ""); err != nil {
		return false, false, fmt.Errorf("stripe: disputes of %s: %w", ch.ID, err)
	}
	return disputed, lost, nil
}

// figure is an amount to be translated from Stripe's units.
type figure struct {
	to    *int64
	units int64
}

// lines translates the lines that came with the session and fetches the rest.
func (g *Gateway) lines(ctx context.Context, s *stripe.CheckoutSession, c money.Currency) ([]payment.Line, error) {
	if s.LineItems == nil {
		return nil, fmt.Errorf("stripe: session %s: %w", s.ID, away(errors.New("the answer has no lines")))
	}
	items := s.LineItems.Data
	if s.LineItems.HasMore {
		items = nil
		it := g.sessions().ListLineItems(&stripe.CheckoutSessionListLineItemsParams{Session: stripe.String(s.ID), ListParams: stripe.ListParams{Context: ctx, Limit: stripe.Int64(100)}})
		for it.Next() {
			items = append(items, it.LineItem())
		}
		if err := outcome(it.Err(), len(items) > 0); err != nil {
			return nil, fmt.Errorf("stripe: lines of session %s: %w", s.ID, err)
		}
	}
	out := make([]payment.Line, len(items))
	for i, item := range items {
		if item.Price == nil || !strings.EqualFold(string(item.Price.Currency), string(c)) {
			return nil, fmt.Errorf("stripe: session %s: line %d has no price in %s", s.ID, i, c)
		}
		unit, err := money.FromStripe(item.Price.UnitAmount, c)
		if err != nil {
			return nil, fmt.Errorf("stripe: session %s: line %d: %w", s.ID, i, err)
		}
		out[i] = payment.Line{Name: item.Description, Unit: unit, Quantity: item.Quantity}
	}
	return out, nil
}
