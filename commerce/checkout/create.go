package checkout

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
)

// Failures of a checkout that callers can tell apart.
var (
	ErrPriceChanged = licensing.Fail(licensing.Conflict, "price-changed", "A price has changed since it was shown; look again and confirm the new one.")
	ErrAlreadyOpen  = licensing.Fail(licensing.Conflict, "checkout-open", "There is an open checkout for this plan; pay it, or wait until it closes.")
	ErrOver         = licensing.Fail(licensing.Conflict, "checkout-over", "This checkout was not paid in time; start a new one.")
	ErrRefused      = licensing.Fail(licensing.Conflict, "payment-refused", "The payment provider does not take this order; it is closed.")
	ErrTryAgain     = licensing.Fail(licensing.Unavailable, "payment-provider-away", "The payment provider does not answer; the order is kept, ask for it again in a moment.")
)

// Create makes an order of a basket and opens a payment page for it. A total of zero is fulfilled at once, without the provider.
// A customer who is signed in has one open payment page for a plan: the same basket again gives the same order.
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
	holder, err := s.place(ctx, o, intent, access)
	if errors.Is(err, ErrAlreadyOpen) {
		return s.join(ctx, o, holder)
	}
	if err != nil {
		return Checkout{}, err
	}
	return s.proceed(ctx, o.ID, access, false)
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
	return s.show(ctx, id, access)
}

// freeze makes the order of a basket: plans, prices, grants, tax and totals as they are now.
func (s *Service) freeze(ctx context.Context, r CreateRequest) (order.Order, error) {
	now := s.Clock.Now()
	o := order.Order{ID: s.IDs.New("ord"), Env: s.Gateway.Env(), State: order.Pending, Currency: r.Currency, Version: 1,
		CreatedAt: now, UpdatedAt: now, CheckedAt: now, ExpiresAt: now.Add(s.Open)}
	o.Snapshot.VATID, o.Snapshot.TermsAt, o.Snapshot.DeliverAt = r.VATID, now, now
	var err error
	if o.Snapshot.Tax, err = s.Tax.For(r.Country); err != nil {
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
		grants += l.Quantity * int64(len(line.Grants))
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

// identify finds whose order it is. A guest gets a customer, who can claim the account by mail later.
func (s *Service) identify(ctx context.Context, o *order.Order, email string) (err error) {
	if actor := licensing.ActorFrom(ctx); actor.Kind == licensing.Customer {
		o.Owner = actor.Owner
		o.Email, err = s.Buyers.Email(ctx, actor.Owner)
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
		if err := s.Orders.Add(ctx, o); err != nil {
			return err
		}
		if o.Total > 0 {
			if err := s.Sessions.AddSession(ctx, in); err != nil {
				return err
			}
		}
		if actor.Kind == licensing.Customer && o.Total > 0 {
			for _, l := range o.Snapshot.Lines {
				var err error
				if holder, err = s.Sessions.TakeSlot(ctx, o.Owner, l.PlanID, o.ID); err != nil {
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

// join leads a customer back to the open order that holds the slot, if it is the same basket.
func (s *Service) join(ctx context.Context, wanted order.Order, holder string) (Checkout, error) {
	o, err := s.Orders.OrderOf(ctx, holder, wanted.Owner)
	if err != nil {
		return Checkout{}, err
	}
	if o.State != order.Pending || !sameBasket(o, wanted) {
		return Checkout{}, ErrAlreadyOpen.With("order", "%s", o.ID)
	}
	return s.proceed(ctx, o.ID, "", true)
}

func sameBasket(a, b order.Order) bool {
	if a.Currency != b.Currency || a.Total != b.Total || len(a.Snapshot.Lines) != len(b.Snapshot.Lines) {
		return false
	}
	for i, l := range a.Snapshot.Lines {
		if m := b.Snapshot.Lines[i]; l.PriceID != m.PriceID || l.Quantity != m.Quantity {
			return false
		}
	}
	return true
}

// openPage opens the payment page of a pending order. The provider is called outside of any transaction and always with the key of
// the attempt. When an attempt may have been made before, or its outcome is unknown, the provider is first asked for what
// it has.
func (s *Service) openPage(ctx context.Context, o order.Order, again bool) error {
	in, err := s.Sessions.LastSession(ctx, o.ID)
	if err != nil || in.State != Opening {
		return err
	}
	page, err := payment.Session{}, payment.ErrNoObject
	if again {
		page, err = s.Gateway.FindSession(ctx, o.ID, in.CreatedAt.Add(-time.Minute))
	}
	if errors.Is(err, payment.ErrNoObject) {
		if err := s.mayOpen(ctx, o, in); err != nil {
			return err
		}
		page, err = s.Gateway.OpenSession(ctx, s.sessionRequest(o, in))
	}
	if errors.Is(err, payment.ErrUnknown) {
		if found, lookup := s.Gateway.FindSession(ctx, o.ID, in.CreatedAt.Add(-time.Minute)); lookup == nil {
			page, err = found, nil
		}
	}
	if errors.Is(err, payment.ErrRefused) {
		return errors.Join(ErrRefused.Because(err), s.abandon(ctx, o))
	}
	if err != nil {
		return ErrTryAgain.Because(err)
	}
	return s.confirm(ctx, o.ID, in, page)
}

// abandon closes an order whose payment page the provider refused for good.
func (s *Service) abandon(ctx context.Context, o order.Order) error {
	w := outcome{order: o, over: true}
	w.move(order.Closed, "the payment provider refused the order", "closed")
	return s.Tx.InTx(ctx, func(ctx context.Context) error { return s.commit(ctx, o, w, nil, payment.Session{}) })
}

// mayOpen refuses to open a page while payments are off, and so late that the provider would not take the attempt's expiry.
func (s *Service) mayOpen(ctx context.Context, o order.Order, in Session) error {
	if s.Clock.Now().After(in.CreatedAt.Add(s.Open / 3)) {
		return ErrOver
	}
	if err := s.Switches.Check(ctx, licensing.SwitchPayments, ""); err != nil {
		return err
	}
	for _, l := range o.Snapshot.Lines {
		if err := s.Switches.Check(ctx, licensing.SwitchPayments, l.ProductID); err != nil {
			return err
		}
	}
	return nil
}

// confirm writes down which page the provider opened, unless somebody else has by now.
func (s *Service) confirm(ctx context.Context, id string, in Session, page payment.Session) error {
	in.ID, in.URL, in.State = page.ID, page.URL, Open
	return s.Tx.InTx(ctx, func(ctx context.Context) error {
		ok, err := s.Sessions.ConfirmSession(ctx, in)
		if err != nil || !ok {
			return err
		}
		o, err := s.Orders.Order(ctx, id)
		if err != nil {
			return err
		}
		if o.Session == "" {
			o.Session, o.UpdatedAt = page.ID, s.Clock.Now()
			o.Version++
			switch ok, err := s.Orders.Save(ctx, o); {
			case err != nil:
				return err
			case !ok:
				return errLost
			}
		}
		if err := s.note(ctx, o.ID, "session", page.ID); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "order.session", Target: o.ID, Detail: map[string]any{"session": page.ID, "epoch": in.Epoch}})
	})
}

func (s *Service) sessionRequest(o order.Order, in Session) payment.SessionRequest {
	return payment.SessionRequest{Key: fmt.Sprintf("mintreu:session:%s:%d", o.ID, in.Epoch), Order: o.ID, Email: o.Email, Lines: pageLines(o),
		Discount: o.Amount(o.Discount), SuccessURL: in.Success, CancelURL: in.Cancel, ExpiresAt: in.ExpiresAt}
}

// pageLines are the lines of an order as the payment page shows them. Tax on top of the prices is a line of its own, so that the
// page's total is the order's.
func pageLines(o order.Order) []payment.Line {
	lines := make([]payment.Line, 0, len(o.Snapshot.Lines)+1)
	for _, l := range o.Snapshot.Lines {
		lines = append(lines, payment.Line{Name: l.Name(), Unit: o.Amount(l.Unit), Quantity: l.Quantity})
	}
	if t := o.Snapshot.Tax; o.Tax > 0 && !t.Inclusive {
		lines = append(lines, payment.Line{Name: "Tax " + t.Country + " " + t.Rate.String(), Unit: o.Amount(o.Tax), Quantity: 1})
	}
	return lines
}

func accessPlace(id string) string { return "orders/" + id + "/access" }

// Link is the address under which whoever has it sees the order's receipt, for the mail to its buyer. It holds the access code.
func (s *Service) Link(ctx context.Context, id string) (string, error) {
	o, err := s.Orders.Order(ctx, id)
	if err != nil {
		return "", err
	}
	code, err := s.Seal.Open(o.Access, accessPlace(o.ID))
	if err != nil {
		return "", err
	}
	return s.BaseURL + "/v1/checkouts/" + o.ID + "/receipt.html?access=" + string(code), nil
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
