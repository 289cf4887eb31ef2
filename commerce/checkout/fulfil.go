package checkout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
)

// errLost reports that somebody else moved the order first: look again.
var errLost = licensing.Fail(licensing.Conflict, "changed-meanwhile", "The order was changed at the same moment; look again.")

// attempts is how often Fulfil looks again when others move the order first.
const attempts = 10

// Fulfil brings an order to what the payment provider says: paid and fulfilled, waiting, closed, refunded, or parked. It is safe
// to call at any time, by anybody, at once and again; only what has changed since is done, and it is done once. Failures of
// the provider come back wrapped and change nothing.
func (s *Service) Fulfil(ctx context.Context, id string) error {
	for range attempts {
		next, err := s.prepare(ctx, id)
		if err != nil {
			return err
		}
		if next.commit == nil {
			return next.failure
		}
		err = s.Tx.InTx(ctx, next.commit)
		if !errors.Is(err, errLost) && !errors.Is(err, license.ErrCollision) && !errors.Is(err, license.ErrChanged) {
			return errors.Join(err, next.failure)
		}
	}
	return errLost
}

// step is what follows for an order: what is to be committed, nil when there is nothing to do, and why its grants could not be made,
// which the sweeper tries again. Money that arrived is written down either way.
type step struct {
	commit  func(ctx context.Context) error
	failure error
}

// prepare does everything that does not belong in a transaction: asks the provider, compares, drafts what is to be given.
func (s *Service) prepare(ctx context.Context, id string) (next step, err error) {
	o, err := s.Orders.Order(ctx, id)
	if err != nil {
		return next, err
	}
	page, known, err := s.truth(ctx, o)
	if err != nil {
		return next, err
	}
	w := outcome{order: o}
	if known {
		if w, err = judge(o, page, s.Clock.Now()); err != nil {
			return next, err
		}
	} else if o.State == order.Pending && !s.Clock.Now().Before(o.ExpiresAt) {
		w.move(order.Closed, "no payment page was ever opened", "closed")
		w.over = true
	}
	var drafts []drafted
	if w.grant {
		if drafts, next.failure = s.draft(ctx, &w); ctx.Err() != nil {
			return next, ctx.Err()
		}
	}
	if next.failure != nil {
		s.Log.ErrorContext(ctx, "an order is paid and its grants could not be made; they are tried again", "order", o.ID, "error", next.failure)
		w.move(order.Paid, "the grants could not be made; they are tried again", "held")
	}
	ready, err := s.reverse(ctx, &w.order, w.given)
	if err != nil {
		return next, err
	}
	if w.changed {
		next.commit = func(ctx context.Context) error { return s.commit(ctx, o, w, drafts, ready, page) }
	}
	return next, nil
}

// truth asks the provider about an order. An order over nothing is its own truth: complete, with no payment required. known is
// false when the provider has no page for the order.
func (s *Service) truth(ctx context.Context, o order.Order) (page payment.Session, known bool, err error) {
	switch {
	case o.Total == 0:
		return payment.Session{Order: o.ID, Status: payment.SessionComplete, Payment: payment.NoPaymentNeed, Live: o.Env == licensing.Live,
			Currency: o.Currency, Subtotal: o.Subtotal, Discount: o.Discount, Lines: pageLines(o)}, true, nil
	case o.Session != "":
		page, err = s.Gateway.Session(ctx, o.Session)
	default:
		page, err = s.Gateway.FindSession(ctx, o.ID, o.CreatedAt.Add(-sinceSlack))
		if errors.Is(err, payment.ErrNoObject) {
			return payment.Session{}, false, nil
		}
	}
	if err != nil {
		return payment.Session{}, false, fmt.Errorf("order %s: ask the payment provider: %w", o.ID, err)
	}
	return page, true, nil
}

// drafted is a grant that was made and not stored yet.
type drafted struct {
	unit   Unit
	draft  Draft
	sealed []byte
}

// draft makes every grant of the order. While the grants of one of its products are switched off none is made: the order
// stays paid, with the grants queued.
func (s *Service) draft(ctx context.Context, w *outcome) ([]drafted, error) {
	var out []drafted
	for _, u := range units(w.order) {
		giver, ok := s.Givers[u.Grant.Kind]
		if !ok {
			return nil, fmt.Errorf("order %s: nobody gives %q", w.order.ID, u.Grant.Kind)
		}
		d, err := s.draftOne(ctx, giver, u)
		if kind := licensing.KindOf(err); u.Grant.Kind == order.KindRenewal && (kind == licensing.Conflict || kind == licensing.Invalid) {
			w.move(order.Parked, "license "+u.Line.Renews+" cannot be renewed any more; give the money back", "parked")
			w.grant = false
			return nil, nil
		}
		if licensing.KindOf(err) == licensing.Unavailable {
			w.move(order.Paid, "grants queued: they are switched off", "queued")
			w.grant = false
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("order %s: %s: %w", w.order.ID, u.Source, err)
		}
		var sealed []byte
		if d.Secret != "" {
			if sealed, err = s.Seal.Seal([]byte(d.Secret), sealPlace(u.Source)); err != nil {
				return nil, err
			}
		}
		out = append(out, drafted{u, d, sealed})
	}
	w.order.FulfilledAt = s.Clock.Now()
	w.move(order.Fulfilled, "", "fulfilled")
	return out, nil
}

func (s *Service) draftOne(ctx context.Context, giver Giver, u Unit) (Draft, error) {
	if err := s.Switches.Check(ctx, licensing.SwitchLicensing, u.Line.ProductID); err != nil {
		return Draft{}, err
	}
	return giver.Draft(ctx, u)
}

func sealPlace(source string) string { return "order_grant/" + source + "/sealed" }

// units are all grants of all units of all lines of an order.
func units(o order.Order) []Unit {
	var out []Unit
	for _, l := range o.Snapshot.Lines {
		for n := int64(1); n <= l.Units(); n++ {
			for g, grant := range l.Grants {
				out = append(out, Unit{Source: fmt.Sprintf("%s/%d/%d", l.ID, n, g+1), Line: l, Grant: grant, Owner: o.Owner, Env: grantEnv(o, grant), Licensee: o.Licensee()})
			}
		}
	}
	return out
}

// grantEnv is the environment of a grant: a payment in test mode makes test objects, whatever the plan says.
func grantEnv(o order.Order, g order.Grant) licensing.Env {
	if o.Env != licensing.Live || g.Env == licensing.Test {
		return licensing.Test
	}
	return licensing.Live
}

// commit makes an outcome true in the caller's transaction. It fails with errLost when somebody else moved the order first, and
// then nothing of it remains.
//
// What it locks it locks in one order, as everybody does: orders by their ids, then licenses by theirs, then keys, then the counters of numbers,
// which every order of a series needs.
func (s *Service) commit(ctx context.Context, was order.Order, w outcome, drafts []drafted, ready reversals, page payment.Session) error {
	o := w.order
	now := s.Clock.Now()
	var renewers []Renewer
	if w.given == revoke {
		var err error
		if renewers, err = s.holdRenewers(ctx, o.ID); err != nil {
			return err
		}
	}
	o.Version, o.UpdatedAt = was.Version+1, now
	switch ok, err := s.Orders.Save(ctx, o); {
	case err != nil:
		return err
	case !ok:
		return errLost
	}
	if err := s.record(ctx, was, o, w); err != nil {
		return err
	}
	for _, p := range w.postings {
		if err := s.Orders.Post(ctx, p); err != nil {
			return err
		}
	}
	drafts = slices.SortedStableFunc(slices.Values(drafts), func(a, b drafted) int {
		return byLock(a.unit.Grant.Kind, a.draft.Object, b.unit.Grant.Kind, b.draft.Object)
	})
	for _, d := range drafts {
		if err := s.give(ctx, o, d); err != nil {
			return err
		}
	}
	if w.given != keep {
		if err := s.change(ctx, o, w.given, ready); err != nil {
			return err
		}
	}
	if w.given == revoke {
		if err := s.strand(ctx, o, renewers); err != nil {
			return err
		}
	}
	if err := s.followPage(ctx, o, w, page); err != nil {
		return err
	}
	if w.paid {
		number, err := s.Orders.GiveReceipt(ctx, o.ID, order.Series(o), now)
		if err != nil {
			return err
		}
		o.Receipt = number
	}
	if err := s.credit(ctx, o, w.credit); err != nil {
		return err
	}
	return s.tell(ctx, was, o)
}

// byLock compares what grants gave by the order in which it is locked: licenses, renewed ones too, then keys.
func byLock(aKind, a, bKind, b string) int {
	rank := map[string]int{order.KindAPIKey: 1}
	return cmp.Or(cmp.Compare(rank[aKind], rank[bKind]), strings.Compare(a, b))
}

// record writes the timeline and the audit row.
func (s *Service) record(ctx context.Context, was, o order.Order, w outcome) error {
	action := "order.update"
	if was.State != o.State {
		action = "order." + string(o.State)
	}
	if err := s.Audit.Record(ctx, licensing.Event{Action: action, Target: o.ID, Reason: o.Reason,
		Detail: map[string]any{"from": was.State, "to": o.State, "paid": w.paid, "was_refunded": was.Refunded, "refunded": o.Refunded, "was_disputed": was.Disputed, "disputed": o.Disputed, "lost": w.lost, "stray": o.Stray.Received, "stray_back": o.Stray.Back, "version": o.Version}}); err != nil {
		return err
	}
	for _, n := range w.notes {
		if err := s.note(ctx, o.ID, n.kind, n.detail); err != nil {
			return err
		}
	}
	return nil
}

// give stores one grant. A source that gave already gives nothing more.
func (s *Service) give(ctx context.Context, o order.Order, d drafted) error {
	issued, err := d.draft.Issue(ctx)
	if err != nil || !issued {
		return err
	}
	ok, err := s.Grants.AddGiven(ctx, Given{Source: d.unit.Source, Order: o.ID, Line: d.unit.Line.ID, Kind: d.unit.Grant.Kind, Object: d.draft.Object, State: Active,
		Sealed: d.sealed, Hint: d.draft.Hint, CreatedAt: o.UpdatedAt, UpdatedAt: o.UpdatedAt})
	if err == nil && !ok {
		return fmt.Errorf("order %s: %s has given already", o.ID, d.unit.Source)
	}
	return err
}

// reversals are what takes grants of an order back that need signing for it, or gives them again, by their source.
type reversals map[string]func(ctx context.Context) error

// reverse makes them for everything that the order gave and that c changes.
func (s *Service) reverse(ctx context.Context, o *order.Order, c change) (reversals, error) {
	if c == keep {
		return nil, nil
	}
	given, err := s.Grants.Given(ctx, o.ID)
	if err != nil {
		return nil, err
	}
	out := reversals{}
	for _, g := range given {
		giver, ok := s.Givers[g.Kind].(Reverser)
		if !ok || g.State == Revoked {
			continue
		}
		if out[g.Source], err = giver.Reverse(ctx, g, c == reinstate, "order "+o.ID+": "+reasonOf(*o, c)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// change suspends, reinstates or revokes everything that the order gave.
func (s *Service) change(ctx context.Context, o order.Order, c change, ready reversals) error {
	given, err := s.Grants.Given(ctx, o.ID)
	if err != nil {
		return err
	}
	slices.SortStableFunc(given, func(a, b Given) int { return byLock(a.Kind, a.Object, b.Kind, b.Object) })
	for _, g := range given {
		giver := s.Givers[g.Kind]
		do, state := giver.Revoke, Revoked
		switch c {
		case suspend:
			do, state = giver.Suspend, Suspended
		case reinstate:
			do, state = giver.Reinstate, Active
		}
		if g.State == state || g.State == Revoked {
			continue
		}
		if _, ok := giver.(Reverser); ok {
			apply := ready[g.Source]
			if apply == nil { // it was given meanwhile
				return errLost
			}
			do = func(ctx context.Context, _ Given, _ string) error { return apply(ctx) }
		}
		if err := do(ctx, g, "order "+o.ID+": "+reasonOf(o, c)); err != nil {
			return err
		}
		if err := s.Grants.SetGiven(ctx, g.Source, state, o.UpdatedAt); err != nil {
			return err
		}
	}
	return nil
}

// strand parks the orders whose renewals are worth nothing any more, because the license that they renewed was revoked with the order that gave it: the
// money is still here, so a person has to give it back, or the buyer another license.
func (s *Service) strand(ctx context.Context, o order.Order, held []Renewer) error {
	renewers, err := s.Queue.Renewers(ctx, o.ID)
	if err != nil {
		return err
	}
	for _, r := range renewers {
		if !slices.Contains(held, r) {
			return errLost // it renewed at the same moment
		}
		was, err := s.Orders.Order(ctx, r.Order)
		if err != nil {
			return err
		}
		if was.State != order.Fulfilled {
			return errLost // it was moved at the same moment
		}
		w := outcome{order: was}
		// Who pays for a renewal need not be who bought the license, and learns nothing of that order.
		w.move(order.Parked, "license "+r.License+", which it renewed, was revoked with the payment that it came from; give the money back", "parked")
		w.notes = append(w.notes, note{"stranded", o.ID})
		if err := s.commit(ctx, was, w, nil, nil, payment.Session{}); err != nil {
			return err
		}
	}
	return nil
}

// holdRenewers locks an order and those that renewed what it gave, in the order of their ids: each of those, when it is refunded itself, holds its own
// row and then the license.
func (s *Service) holdRenewers(ctx context.Context, id string) ([]Renewer, error) {
	renewers, err := s.Queue.Renewers(ctx, id)
	if err != nil || len(renewers) == 0 {
		return nil, err
	}
	ids := []string{id}
	for _, r := range renewers {
		ids = append(ids, r.Order)
	}
	return renewers, s.Queue.Hold(ctx, ids...)
}

func reasonOf(o order.Order, c change) string {
	switch c {
	case suspend:
		return "the payment is disputed"
	case reinstate:
		return "the dispute of the payment ended"
	}
	return o.Reason
}

// followPage keeps the attempts at a payment page in step with the order.
func (s *Service) followPage(ctx context.Context, o order.Order, w outcome, page payment.Session) error {
	if w.over {
		return s.Sessions.EndSessions(ctx, o.ID)
	}
	if page.Status != payment.SessionOpen {
		return nil
	}
	in, err := s.Sessions.LastSession(ctx, o.ID)
	if err != nil || in.State != Opening {
		return err
	}
	in.ID, in.URL, in.State = page.ID, page.URL, Open
	_, err = s.Sessions.ConfirmSession(ctx, in)
	return err
}

// tell queues the notices of a transition.
func (s *Service) tell(ctx context.Context, was, o order.Order) error {
	if was.State == o.State {
		return nil
	}
	n := Notice{Order: o.ID, Email: o.Email, Epoch: o.Version, Data: map[string]any{"total": o.Amount(o.Total).String(), "receipt": o.Receipt}}
	switch o.State {
	case order.Fulfilled:
		n.Template, n.Epoch = "purchase", 1
	case order.AwaitingFunds:
		n.Template, n.Epoch = "awaiting_funds", 1
	case order.Parked:
		s.Log.ErrorContext(ctx, "order parked: its payment and what it gave do not match", "order", o.ID, "reason", o.Reason)
		s.Alert(ctx, "order-parked", fmt.Sprintf("Order %s: %s.", o.ID, o.Reason))
		n.Template, n.Data["reason"] = "order_parked", o.Reason
	default:
		return nil
	}
	return s.Notices.Queue(ctx, n)
}
