package checkout

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
)

// Checkout is what a buyer sees of an order.
type Checkout struct {
	ID        string             `json:"id" doc:"Id of the order."`
	State     order.State        `json:"state" doc:"Where it stands." enum:"pending,awaiting_funds,paid,fulfilled,refunded,closed,parked"`
	Access    string             `json:"access,omitempty" doc:"Code that shows the order to whoever has it; guests need it for every later call. Shown once." secret:"once"`
	URL       string             `json:"url,omitempty" doc:"Page to pay on; absent when there is nothing to pay (any more)."`
	Lines     []LineView         `json:"lines" doc:"What is bought."`
	Subtotal  money.Amount       `json:"subtotal" doc:"Sum of the lines before discount and tax."`
	Discount  money.Amount       `json:"discount" doc:"Discount on the whole order."`
	Tax       money.Amount       `json:"tax" doc:"Tax within the total."`
	Total     money.Amount       `json:"total" doc:"What is paid."`
	Env       licensing.Env      `json:"environment" doc:"Payments in test mode make test licenses and keys." enum:"live,test"`
	ExpiresAt *time.Time         `json:"expires_at,omitempty" doc:"Until when it can be paid."`
	Grants    []GrantView        `json:"grants" doc:"What was given, once the order is fulfilled."`
	Receipt   *ReceiptView       `json:"receipt,omitempty" doc:"The receipt, once the order is paid."`
	Credits   []order.CreditView `json:"credit_notes,omitempty" doc:"Credit notes over what was refunded, oldest first."`
	Next      string             `json:"next" doc:"What to do now, for people."`
}

// LineView is a line of an order.
type LineView struct {
	Product  string       `json:"product" doc:"Slug of the product."`
	Name     string       `json:"name" doc:"Name as it was when it was ordered."`
	Plan     string       `json:"plan" doc:"Id of the plan."`
	Renews   string       `json:"renews,omitempty" doc:"The license that the line renews."`
	Quantity int64        `json:"quantity" doc:"Units."`
	Unit     money.Amount `json:"unit" doc:"Price of one unit."`
	Total    money.Amount `json:"total" doc:"What the line costs, after discount, with tax."`
}

// GrantView is one license or key.
type GrantView struct {
	Kind    string `json:"kind" doc:"What it is: a renewal made a license that was there valid for longer." enum:"license,apikey,renewal"`
	ID      string `json:"id" doc:"Id of the license or key, or of the license that was renewed."`
	Product string `json:"product" doc:"Slug of the product."`
	Name    string `json:"name" doc:"Name of the line it belongs to, as it was when it was ordered."`
	State   string `json:"state" doc:"Where it stands." enum:"active,suspended,revoked"`
	Key     string `json:"key,omitempty" doc:"The license key. API keys are shown once, by revealing them."`
	Hint    string `json:"hint" doc:"End of the key, to tell keys apart."`
	Reveal  bool   `json:"reveal,omitempty" doc:"An API key that can still be revealed, once."`
}

// ReceiptView is where the receipt is.
type ReceiptView struct {
	Number string `json:"number" doc:"Number of the receipt."`
	HTML   string `json:"html" doc:"Path of the receipt as a page; add ?access=<access code>."`
	PDF    string `json:"pdf" doc:"Path of the receipt as PDF; add ?access=<access code>."`
}

// GetRequest names a checkout.
type GetRequest struct {
	ID     string `path:"id" doc:"Id of the order."`
	Access string `query:"access" doc:"Access code that the checkout was answered with; needed by guests."`
}

// Get tells a buyer where the order stands. It asks the payment provider itself, so that a payment shows even when no webhook came. Staff see no keys.
// Whoever has neither the access code nor the account sees no order at all.
func (s *Service) Get(ctx context.Context, r GetRequest) (Checkout, error) {
	o, err := s.Find(ctx, r.ID, r.Access)
	if err != nil {
		return Checkout{}, err
	}
	if o.State == order.Pending || o.State == order.AwaitingFunds || o.State == order.Paid {
		s.poll(ctx, o.ID)
	}
	c, err := s.show(ctx, o.ID, "")
	if kind := licensing.ActorFrom(ctx).Kind; r.Access == "" && kind != licensing.Customer && kind != licensing.System {
		for i := range c.Grants {
			c.Grants[i].Key = "" // staff reveal a license's key in the license, which is audited
		}
	}
	return c, err
}

// Find loads an order for whoever calls: by the access code, by the customer's account, or by id alone for staff and jobs. Everything else is
// [licensing.ErrNotFound].
func (s *Service) Find(ctx context.Context, id, access string) (order.Order, error) {
	actor := licensing.ActorFrom(ctx)
	switch {
	case access != "":
		hash := sha256.Sum256([]byte(access))
		return s.Orders.OrderBySecret(ctx, id, hash[:])
	case actor.Kind == licensing.Customer && actor.Owner != "":
		return s.Orders.OrderOf(ctx, id, actor.Owner)
	case actor.Kind == licensing.CLI, actor.Kind == licensing.System, actor.Kind == licensing.Staff && mayRead(actor.Role):
		return s.Orders.Order(ctx, id)
	}
	return order.Order{}, licensing.ErrNotFound
}

// mayRead lists the staff roles that see orders.
func mayRead(r licensing.Role) bool {
	switch r {
	case licensing.RoleOwner, licensing.RoleAdmin, licensing.RoleFinance, licensing.RoleSupport, licensing.RoleAuditor:
		return true
	}
	return false
}

// show makes the view of an order that the caller may see.
func (s *Service) show(ctx context.Context, id, access string) (Checkout, error) {
	w, err := s.Grants.Whole(ctx, id)
	if err != nil {
		return Checkout{}, err
	}
	o := w.Order
	c := Checkout{ID: o.ID, State: o.State, Access: access, Env: o.Env, Subtotal: o.Amount(o.Subtotal), Discount: o.Amount(o.Discount),
		Tax: o.Amount(o.Tax), Total: o.Amount(o.Total), Grants: []GrantView{}, Next: next(o)}
	lines := map[string]order.Line{}
	for _, l := range o.Snapshot.Lines {
		lines[l.ID] = l
		c.Lines = append(c.Lines, LineView{Product: l.ProductSlug, Name: l.Name(), Plan: l.PlanID, Renews: l.Renews, Quantity: l.Quantity, Unit: o.Amount(l.Unit), Total: o.Amount(l.Total)})
	}
	if o.Receipt != "" {
		c.Receipt = &ReceiptView{Number: o.Receipt, HTML: "/v1/checkouts/" + o.ID + "/receipt.html", PDF: "/v1/checkouts/" + o.ID + "/receipt.pdf"}
	}
	if o.State == order.Pending && o.Total > 0 {
		if len(w.Sessions) == 0 {
			return Checkout{}, licensing.ErrNotFound
		}
		c.URL, c.ExpiresAt = w.Sessions[0].URL, &w.Sessions[0].ExpiresAt
	}
	c.Credits = order.CreditViews(&o, w.Credits)
	for _, g := range w.Given {
		v := GrantView{Kind: g.Kind, ID: g.Object, Product: lines[g.Line].ProductSlug, Name: lines[g.Line].Name(), State: g.State, Hint: g.Hint}
		switch {
		case g.Kind == order.KindAPIKey:
			v.Reveal = len(g.Sealed) > 0 && g.State == Active
		case len(g.Sealed) > 0 && g.State != Revoked:
			key, err := s.Seal.Open(g.Sealed, sealPlace(g.Source))
			if err != nil {
				return Checkout{}, err
			}
			v.Key = string(key)
		}
		c.Grants = append(c.Grants, v)
	}
	if o.State == order.Fulfilled && !slices.ContainsFunc(c.Grants, func(g GrantView) bool { return g.Kind != order.KindRenewal }) {
		c.Next = "Your license is valid for longer. Products learn of it with their next contact."
	}
	return c, nil
}

func next(o order.Order) string {
	switch o.State {
	case order.Pending:
		return "Pay on the payment page; then look here again."
	case order.AwaitingFunds:
		return "The payment is under way, which can take some days. License and receipt come by mail when it arrives."
	case order.Paid:
		return "The payment is here. What you bought follows by mail in a short while."
	case order.Fulfilled:
		return "Keep your keys in a safe place. An API key is shown once, when it is revealed."
	case order.Refunded:
		if o.Disputed > 0 {
			return "Your bank took the payment back in a dispute, and what was bought is no longer valid."
		}
		return "The payment was refunded, and what was bought is no longer valid."
	case order.Closed:
		if o.Stray.Gone() {
			return "What was paid was not what you ordered, and all of it went back. Start a new checkout if you still want it."
		}
		return "Nothing was paid. Start a new checkout if you still want it."
	}
	return "We are looking into this payment and will write to you."
}

// RevealRequest names a checkout whose API keys are to be shown.
type RevealRequest struct {
	ID     string `path:"id" doc:"Id of the order."`
	Access string `json:"access,omitempty" doc:"Access code that the checkout was answered with; needed by guests."`
}

// Revealed are API keys in clear.
type Revealed struct {
	Keys []RevealedKey `json:"keys" doc:"The keys that had not been shown yet."`
}

// RevealedKey is one API key in clear.
type RevealedKey struct {
	ID  string `json:"id" doc:"Id of the key."`
	Key string `json:"key" doc:"The key. It is not shown again." secret:"once"`
}

// Reveal shows the API keys of an order, each once: the kept copy is destroyed in the same transaction. The customer's own order
// needs no access code; staff cannot reveal.
func (s *Service) Reveal(ctx context.Context, r RevealRequest) (Revealed, error) {
	if kind := licensing.ActorFrom(ctx).Kind; r.Access == "" && kind != licensing.Customer {
		return Revealed{}, licensing.ErrNotFound
	}
	o, err := s.Find(ctx, r.ID, r.Access)
	if err != nil {
		return Revealed{}, err
	}
	given, err := s.Grants.Given(ctx, o.ID)
	if err != nil {
		return Revealed{}, err
	}
	keys := map[string]string{}
	for _, g := range given {
		if g.Kind == order.KindAPIKey && len(g.Sealed) > 0 && g.State == Active {
			key, err := s.Seal.Open(g.Sealed, sealPlace(g.Source))
			if err != nil {
				return Revealed{}, fmt.Errorf("order %s: %w", o.ID, err)
			}
			keys[g.Source] = string(key)
		}
	}
	var out Revealed
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		out = Revealed{Keys: []RevealedKey{}}
		for _, g := range given {
			key, ok := keys[g.Source]
			if !ok {
				continue
			}
			taken, err := s.Grants.TakeSecret(ctx, g.Source, s.Clock.Now())
			if err != nil {
				return err
			}
			if taken {
				out.Keys = append(out.Keys, RevealedKey{ID: g.Object, Key: key})
			}
		}
		licensing.KeepOnce(ctx, packKeys(out.Keys))
		if err := s.note(ctx, o.ID, "revealed", fmt.Sprintf("%d keys", len(out.Keys))); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "order.reveal", Target: o.ID, Detail: map[string]any{"keys": len(out.Keys)}})
	})
	return out, err
}
