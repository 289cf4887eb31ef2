package checkout

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
)

// Failures of a checkout that callers can tell apart.
var (
	ErrPriceChanged = licensing.Fail(licensing.Conflict, "price-changed", "A price has changed since it was shown; look again and confirm the new one.")
	ErrAlreadyOpen  = licensing.Fail(licensing.Conflict, "checkout-open", "There is an open checkout for this plan; pay it, or wait until it closes.")
	ErrOver         = licensing.Fail(licensing.Conflict, "checkout-over", "This checkout was not paid in time; start a new one.")
	ErrRefused      = licensing.Fail(licensing.Conflict, "payment-refused", "The payment provider does not take this order; it is closed.")
	ErrSlowDown     = licensing.Fail(licensing.TooMany, "too-many-attempts", "Too many attempts. Wait a moment and try again.")
	ErrTryAgain     = licensing.Fail(licensing.Unavailable, "payment-provider-away", "The payment provider does not answer; the order is kept, ask for it again in a moment.")
)

// Create makes an order of a basket and opens a payment page for it. A total of zero is fulfilled at once, without the provider.
// A customer who is signed in has one open payment page for a plan: the same basket again gives the same order, another basket closes
// the page before.
func (s *Service) Create(ctx context.Context, r CreateRequest) (Checkout, error) {
	if err := r.Validate(); err != nil {
		return Checkout{}, err
	}
	o, err := s.freeze(ctx, r)
	if err != nil {
		return Checkout{}, err
	}
	access := newSecret()
	hash := sha256.Sum256([]byte(access))
	o.SecretHash = hash[:]
	if o.Access, err = s.Seal.Seal([]byte(access), accessPlace(o.ID)); err != nil {
		return Checkout{}, err
	}
	intent, err := s.intent(o, r)
	if err != nil {
		return Checkout{}, err
	}
	for range 2 {
		holder, err := s.place(ctx, o, intent, access)
		if err == nil {
			return s.proceed(ctx, o.ID, access, false)
		}
		if !errors.Is(err, ErrAlreadyOpen) {
			return Checkout{}, err
		}
		if c, joined, err := s.join(ctx, o, holder); joined || err != nil {
			return c, err
		}
	}
	return Checkout{}, ErrAlreadyOpen
}

// Again answers the replay of a checkout's Idempotency-Key: with the same order, and with its payment page even if the first
// attempt never got so far.
func (s *Service) Again(ctx context.Context, id, access string) (Checkout, error) {
	return s.proceed(ctx, id, access, true)
}

// proceed takes a placed order to its payment page, or to its grants when there is nothing to pay. again says that somebody may
// have tried before.
func (s *Service) proceed(ctx context.Context, id, access string, again bool) (Checkout, error) {
	o, err := s.Orders.Order(ctx, id)
	if err != nil {
		return Checkout{}, err
	}
	if o.State == order.Pending {
		if o.Total == 0 {
			err = s.Fulfil(asSystem(ctx, "checkout.create"), id)
		} else {
			err = s.openPage(ctx, o, again)
		}
		if err != nil {
			return Checkout{}, err
		}
	}
	c, err := s.show(ctx, id, access)
	if err == nil && c.State == order.Pending && c.URL == "" {
		return Checkout{}, ErrTryAgain // somebody else is opening the page at this moment
	}
	return c, err
}

// freeze makes the order of a basket: plans, prices, grants, tax and totals as they are now.
func (s *Service) freeze(ctx context.Context, r CreateRequest) (order.Order, error) {
	now := s.Clock.Now()
	o := order.Order{ID: s.IDs.New("ord"), Env: s.Gateway.Env(), State: order.Pending, Currency: r.Currency, Version: 1,
		CreatedAt: now, UpdatedAt: now, CheckedAt: now, ExpiresAt: now.Add(s.Open)}
	o.Snapshot.VATID, o.Snapshot.Seller, o.Snapshot.TermsAt, o.Snapshot.DeliverAt = r.VATID, s.Seller, now, now
	var err error
	if o.Snapshot.Tax, err = s.Tax.For(r.Country, r.VATID); err != nil {
		return o, err
	}
	if err := s.Switches.Check(ctx, licensing.SwitchPayments, ""); err != nil {
		return o, err
	}
	ids := make([]string, len(r.Lines))
	for i, l := range r.Lines {
		ids[i] = l.Plan
	}
	sold, err := s.Shop.Sellable(ctx, ids)
	if err != nil {
		return o, err
	}
	grants := int64(0)
	for i, l := range r.Lines {
		line, err := s.freezeLine(ctx, &o, i, l, sold[i])
		if err != nil {
			return o, err
		}
		o.Snapshot.Lines = append(o.Snapshot.Lines, line)
		grants += line.Units() * int64(len(line.Grants))
	}
	if grants > order.MaxGrants {
		return o, licensing.Fail(licensing.Invalid, "too-many-grants", "The basket gives %d licenses and keys; an order gives at most %d. Split it.", grants, order.MaxGrants)
	}
	if err := o.Settle(0); err != nil {
		return o, err
	}
	return o, s.identify(ctx, &o, r.Email)
}

func (s *Service) freezeLine(ctx context.Context, o *order.Order, i int, l LineRequest, sold catalog.Sellable) (order.Line, error) {
	if err := s.Switches.Check(ctx, licensing.SwitchPayments, sold.Product.ID); err != nil {
		return order.Line{}, err
	}
	price, err := s.Prices.Current(ctx, l.Plan, o.Currency, o.CreatedAt)
	if err != nil {
		return order.Line{}, err
	}
	if l.Price != "" && l.Price != price.ID {
		return order.Line{}, ErrPriceChanged.With(fmt.Sprintf("/lines/%d/price", i), "is %s by now: %s", price.ID, price.Amount)
	}
	line := order.Line{ID: s.IDs.New("orl"), N: int64(i + 1), ProductID: sold.Product.ID, ProductSlug: sold.Product.Slug, ProductName: sold.Product.Name,
		KeyPrefix: sold.Product.KeyPrefix, PlanID: sold.Plan.ID, PlanCode: sold.Plan.Code, PlanName: sold.Plan.Name, PlanType: string(sold.Plan.Type),
		PriceID: price.ID, Price: price.Version, Unit: price.Amount.Minor, Quantity: l.Quantity}
	if l.Renews != "" {
		return line, s.freezeRenewal(ctx, o, &line, l.Renews, fmt.Sprintf("/lines/%d/renews", i), sold.Plan)
	}
	for _, g := range sold.Plan.Grants {
		switch {
		case g.License != nil:
			p := sold.Policies[g.License.Policy]
			line.Grants = append(line.Grants, order.Grant{Kind: order.KindLicense, Policy: p.ID, Terms: p.Terms, Seats: g.License.Seats, Entitlements: g.License.Entitlements})
		case g.APIKey != nil:
			line.Grants = append(line.Grants, order.Grant{Kind: order.KindAPIKey, Scopes: g.APIKey.Scopes, RateCount: g.APIKey.RateCount, RatePeriod: g.APIKey.RatePeriod, Env: g.APIKey.Environment})
		}
	}
	return line, nil
}

// identify finds whose order it is: the organisation's that the customer acts for, though the mail still goes to the person. A guest
// gets a customer, who can claim the account by mail later.
func (s *Service) identify(ctx context.Context, o *order.Order, email string) (err error) {
	if actor := licensing.ActorFrom(ctx); actor.Kind == licensing.Customer {
		o.Owner, o.Snapshot.Buyer = actor.Owner, actor.OrgName
		o.Email, err = s.Buyers.Email(ctx, licensing.Owner(actor.ID))
		return err
	}
	if email == "" {
		return licensing.Fail(licensing.Invalid, "invalid-request", "Say where license and receipt go.").With("/email", "is needed of guests")
	}
	o.Email = email
	return s.Tx.InTx(asSystem(ctx, "checkout.guest"), func(ctx context.Context) (err error) {
		o.Owner, err = s.Buyers.Guest(ctx, email)
		return err
	})
}

func (s *Service) intent(o order.Order, r CreateRequest) (Session, error) {
	in := Session{Order: o.ID, Epoch: 1, State: Opening, CreatedAt: o.CreatedAt, ExpiresAt: o.ExpiresAt}
	var err error
	if in.Success, err = s.returnURL("/success_url", r.SuccessURL, "/checkout/", o.ID); err != nil {
		return in, err
	}
	in.Cancel, err = s.returnURL("/cancel_url", r.CancelURL, "/checkout/", o.ID)
	return in, err
}

// place writes the order and the intent to open a page, in one transaction. When the customer has an open order for one of the
// plans it fails with [ErrAlreadyOpen] and names that order.
func (s *Service) place(ctx context.Context, o order.Order, in Session, access string) (holder string, err error) {
	actor := licensing.ActorFrom(ctx)
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Audit.Record(ctx, licensing.Event{Action: "order.create", Target: o.ID, Detail: map[string]any{
			"total": o.Amount(o.Total), "lines": len(o.Snapshot.Lines), "env": o.Env}}); err != nil {
			return err
		}
		licensing.KeepOnce(ctx, access)
		if err := s.Buyers.HoldOwner(ctx, o.Owner); err != nil {
			return err
		}
		if err := s.Orders.Add(ctx, o); err != nil {
			return err
		}
		if o.Total > 0 {
			if _, err := s.Sessions.AddSession(ctx, in); err != nil {
				return err
			}
		}
		if actor.Kind == licensing.Customer && o.Total > 0 {
			plans := make([]string, len(o.Snapshot.Lines))
			for i, l := range o.Snapshot.Lines {
				plans[i] = l.PlanID
			}
			slices.Sort(plans) // so that two orders for the same plans do not wait for each other
			for _, plan := range plans {
				var err error
				if holder, err = s.Sessions.TakeSlot(ctx, o.Owner, plan, o.ID); err != nil {
					return err
				} else if holder != o.ID {
					return ErrAlreadyOpen
				}
			}
		}
		return s.note(ctx, o.ID, "created", o.Amount(o.Total).String())
	})
	return holder, err
}

// join leads a customer back to the open order that holds the slot, if it is the same basket. Otherwise it makes room: the old page is
// closed at the provider and the order becomes what that says, paid perhaps after all.
func (s *Service) join(ctx context.Context, wanted order.Order, holder string) (c Checkout, joined bool, err error) {
	o, err := s.Orders.OrderOf(ctx, holder, wanted.Owner)
	if err != nil {
		return Checkout{}, false, err
	}
	if o.State == order.Pending && sameBasket(o, wanted) {
		c, err = s.proceed(ctx, o.ID, "", true)
		if !errors.Is(err, ErrOver) {
			return c, true, err
		}
		return Checkout{}, false, nil // it never had a page and is closed by now
	}
	if err := s.closePage(ctx, o); err != nil {
		return Checkout{}, false, ErrTryAgain.Because(err)
	}
	return Checkout{}, false, nil
}

// sameBasket reports whether b would be what a is: the same things at the same prices, for a buyer of the same country and VAT id, which the
// receipt names and the tax depends on.
func sameBasket(a, b order.Order) bool {
	if a.Currency != b.Currency || a.Total != b.Total || len(a.Snapshot.Lines) != len(b.Snapshot.Lines) || a.Snapshot.Tax != b.Snapshot.Tax || a.Snapshot.VATID != b.Snapshot.VATID {
		return false
	}
	for i, l := range a.Snapshot.Lines {
		if m := b.Snapshot.Lines[i]; l.PriceID != m.PriceID || l.Quantity != m.Quantity || l.Renews != m.Renews {
			return false
		}
	}
	return true
}

func accessPlace(id string) string { return "orders/" + id + "/access" }

// Link is the address of the page on which whoever has it sees the order, for the mail to its buyer. It holds the access code.
func (s *Service) Link(ctx context.Context, id string) (string, error) {
	o, err := s.Orders.Order(ctx, id)
	if err != nil {
		return "", err
	}
	code, err := s.Seal.Open(o.Access, accessPlace(o.ID))
	if err != nil {
		return "", err
	}
	return s.BaseURL + "/checkout/" + o.ID + "?access=" + url.QueryEscape(string(code)), nil
}

func newSecret() string {
	b := make([]byte, 24)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// asSystem goes on as the named job, so that what a poll or a guest's checkout sets off is not taken for the caller's own deed.
func asSystem(ctx context.Context, job string) context.Context {
	request := licensing.CallFrom(ctx).RequestID
	ctx = licensing.AsSystem(ctx, job)
	licensing.CallFrom(ctx).RequestID = request
	return ctx
}

func (s *Service) note(ctx context.Context, id, kind, detail string) error {
	return s.Orders.AddEvent(ctx, id, order.Event{ID: s.IDs.New("oev"), At: s.Clock.Now(), Kind: kind, Actor: licensing.ActorFrom(ctx).String(), Detail: detail})
}
