package stripe

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/refund"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/payment"
)

// refundKey is the metadata member that carries our refund's id.
const refundKey = "refund"

func (g *Gateway) refunds() refund.Client { return refund.Client{B: g.backend, Key: g.config.Key} }

// Refund implements [payment.Gateway]. Before it asks for money to be returned it looks whether Stripe already knows this
// refund, because Stripe forgets an idempotency key after a day and equal partial refunds are legal.
func (g *Gateway) Refund(ctx context.Context, r payment.RefundRequest) (payment.Refund, error) {
	units, err := money.ToStripe(r.Amount)
	if err != nil {
		return payment.Refund{}, fmt.Errorf("%w: refund: %w", payment.ErrRefused, err)
	}
	if r.Key == "" || r.Refund == "" || r.Intent == "" {
		return payment.Refund{}, fmt.Errorf("%w: a refund needs a key, an id and a payment intent", payment.ErrRefused)
	}
	found, err := g.FindRefund(ctx, r.Intent, r.Refund)
	if err == nil || !isNoObject(err) {
		return found, err
	}
	ctx, cancel := context.WithTimeout(ctx, g.config.Timeout)
	defer cancel()
	p := &stripe.RefundParams{
		Params:        stripe.Params{Context: ctx, IdempotencyKey: stripe.String(r.Key)},
		PaymentIntent: stripe.String(r.Intent), Amount: stripe.Int64(units), Metadata: map[string]string{refundKey: r.Refund},
	}
	// Stripe takes three reasons; any other text stays with us.
	if slices.Contains([]string{"duplicate", "fraudulent", "requested_by_customer"}, r.Reason) {
		p.Reason = stripe.String(r.Reason)
	}
	f, err := g.refunds().New(p)
	if err = outcome(err, soundRefund(f)); err != nil {
		return payment.Refund{}, fmt.Errorf("stripe: refund %s: %w", r.Refund, err)
	}
	return translateRefund(f)
}

// FindRefund implements [payment.Gateway].
func (g *Gateway) FindRefund(ctx context.Context, intent, id string) (payment.Refund, error) {
	ctx, cancel := context.WithTimeout(ctx, g.config.Timeout)
	defer cancel()
	it := g.refunds().List(&stripe.RefundListParams{ListParams: stripe.ListParams{Context: ctx, Limit: stripe.Int64(100)}, PaymentIntent: stripe.String(intent)})
	for it.Next() {
		if f := it.Refund(); f.Metadata[refundKey] == id {
			return translateRefund(f)
		}
	}
	if err := outcome(it.Err(), it.RefundList().URL != ""); err != nil {
		return payment.Refund{}, fmt.Errorf("stripe: refunds of %s: %w", intent, err)
	}
	return payment.Refund{}, fmt.Errorf("stripe: no refund %s of %s: %w", id, intent, payment.ErrNoObject)
}

func soundRefund(f *stripe.Refund) bool {
	return f != nil && f.Object == "refund" && f.ID != "" && f.Status != ""
}

func translateRefund(f *stripe.Refund) (payment.Refund, error) {
	a, err := money.FromStripe(f.Amount, money.Currency(strings.ToUpper(string(f.Currency))))
	if err != nil {
		return payment.Refund{}, fmt.Errorf("stripe: refund %s: %w", f.ID, err)
	}
	out := payment.Refund{ID: f.ID, Refund: f.Metadata[refundKey], Amount: a, Status: string(f.Status)}
	if f.PaymentIntent != nil {
		out.Intent = f.PaymentIntent.ID
	}
	return out, nil
}
