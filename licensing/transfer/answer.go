package transfer

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
	"github.com/mintreu/mintreu/licensing/license"
)

// maxToken is the longest text that is looked up as a link's token.
const maxToken = 100

// TokenRequest is the token of a mailed link.
type TokenRequest struct {
	Token string `json:"token" doc:"The token of the mailed link."`
}

// Shown is what an offer says to whoever holds its link.
type Shown struct {
	Product   string    `json:"product" doc:"What the license is for."`
	By        string    `json:"by" doc:"Who offers it: the name, or the address."`
	Email     string    `json:"email" doc:"E-mail address that it was offered to; only who signs in with it can accept."`
	Approval  bool      `json:"approval" doc:"Whether the shop looks at the transfer after it was accepted."`
	ExpiresAt time.Time `json:"expires_at" doc:"When the offer ends."`
}

// Show tells whoever holds the link what is offered. A used, cancelled, expired and unknown token answer the same.
func (s *Service) Show(ctx context.Context, r TokenRequest) (Shown, error) {
	q, err := s.offer(ctx, r.Token)
	if err != nil {
		return Shown{}, err
	}
	by, err := s.asker(ctx, &q)
	if err != nil {
		return Shown{}, err
	}
	return Shown{Product: q.product(), By: by.called(), Email: q.Email, Approval: q.Approval, ExpiresAt: q.ExpiresAt}, nil
}

// offer finds the offer of a link.
func (s *Service) offer(ctx context.Context, token string) (Request, error) {
	if len(token) > maxToken {
		return Request{}, ErrOver
	}
	q, err := s.Store.RequestByDigest(ctx, credential.Sum(token))
	if errors.Is(err, licensing.ErrNotFound) || err == nil && (q.State != Offered || !s.Clock.Now().Before(q.ExpiresAt)) {
		err = ErrOver
	}
	return q, err
}

// asker is who asked for a transfer, [ErrOver] when that person speaks for the license's owner no more: what somebody was trusted to give
// ends with the trust.
func (s *Service) asker(ctx context.Context, q *Request) (Person, error) {
	people, err := s.People.Voices(ctx, q.From)
	if err != nil {
		return Person{}, err
	}
	for _, p := range people {
		if p.ID == q.AskedBy {
			return p, nil
		}
	}
	return Person{}, ErrOver.Because(errors.New(q.ID + ": who asked speaks for the owner no more"))
}

// Accept takes a license over for the caller, or for the organisation that he acts for, if he signed in with the address that was named.
// Where the license's policy wants an approval, the shop is asked first.
func (s *Service) Accept(ctx context.Context, r TokenRequest) (View, error) {
	a, err := customer(ctx)
	if err != nil {
		return View{}, err
	}
	q, err := s.offer(ctx, r.Token)
	if err != nil {
		return View{}, err
	}
	if _, err := s.asker(ctx, &q); err != nil {
		return View{}, err
	}
	p, err := s.People.TransferPerson(ctx, a.ID)
	if err != nil {
		return View{}, err
	}
	if p.Email != q.Email || !p.Confirmed {
		return View{}, ErrAddress
	}
	if err := s.Switches.Check(ctx, licensing.SwitchLicensing, q.ProductID); err != nil {
		return View{}, err
	}
	if a.Owner == q.From {
		return View{}, license.ErrTransferTo.With("/token", "is for a license that is yours already")
	}
	q.To, q.AcceptedBy = a.Owner, a.ID
	step := Step{ID: q.ID, From: Offered, To: Done, Owner: a.Owner, AcceptedBy: a.ID}
	if q.Approval {
		step.To, step.ExpiresAt = Accepted, s.Clock.Now().Add(waitFor)
		return s.wait(ctx, a, q, step)
	}
	return s.hand(ctx, a, q, step, "transfer.accept", "")
}

// wait keeps an accepted request for the shop to decide on.
func (s *Service) wait(ctx context.Context, a licensing.Actor, q Request, step Step) (View, error) {
	step.At = s.Clock.Now()
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		taken, err := s.Store.Take(ctx, step)
		if err != nil {
			return err
		}
		if !taken {
			return ErrOver
		}
		if err := s.Audit.Record(ctx, licensing.Event{Action: "transfer.accept", Target: q.ID, Product: q.ProductID, Detail: map[string]any{"license": q.LicenseID, "to": q.To}}); err != nil {
			return err
		}
		if err := s.tell(ctx, &q, ToldAccepted, "", q.From, q.To); err != nil {
			return err
		}
		staff, err := s.Notices.Staff(ctx)
		if err != nil {
			return err
		}
		return s.mail(ctx, &q, ToldWaiting, "", staff)
	})
	if err != nil {
		return View{}, err
	}
	q.State, q.AcceptedAt, q.ExpiresAt = Accepted, step.At, step.ExpiresAt
	return viewOf(&q, a), nil
}

// tries is how often a transfer is drafted anew when something else happens to the license at the same moment.
const tries = 5

// hand makes the license change hands with the step that ends its request. The first audit event names the request, which is what the
// operation answers with.
func (s *Service) hand(ctx context.Context, a licensing.Actor, q Request, step Step, action, reason string) (View, error) {
	why := reason
	if why == "" {
		why = "its owner gave it away"
	}
	var err error
	for range tries {
		var move *license.Move
		if move, err = s.Licenses.DraftTransfer(ctx, license.TransferSpec{License: q.LicenseID, From: q.From, To: q.To, Reason: why}); err != nil {
			return View{}, err
		}
		if step.From == Offered && move.License.Terms.Transfer.Approval { // it went over to such terms since the offer was looked at
			return View{}, license.ErrChanged
		}
		step.At, step.Reason = s.Clock.Now(), reason
		err = s.Tx.InTx(ctx, func(ctx context.Context) error { return s.finish(ctx, &q, step, move, action) })
		if !again(err) {
			break
		}
	}
	if err != nil {
		return View{}, err
	}
	q.State, q.EndedAt, q.DecidedBy, q.Reason, q.Email = Done, step.At, step.DecidedBy, reason, ""
	return viewOf(&q, a), nil
}

// finish is the transaction of [Service.hand].
func (s *Service) finish(ctx context.Context, q *Request, step Step, move *license.Move, action string) error {
	taken, err := s.Store.Take(ctx, step)
	if err != nil {
		return err
	}
	if !taken {
		return ErrOver
	}
	if err := s.Audit.Record(ctx, licensing.Event{Action: action, Target: q.ID, Product: q.ProductID, Reason: step.Reason, Detail: map[string]any{"license": q.LicenseID, "transfer": move.ID, "to": q.To}}); err != nil {
		return err
	}
	if err := s.Licenses.ApplyTransfer(ctx, move); err != nil {
		return err
	}
	if err := s.tell(ctx, q, ToldGiven, "", q.From); err != nil {
		return err
	}
	return s.tell(ctx, q, ToldGot, "", q.To)
}

// DecideRequest approves or declines.
type DecideRequest struct {
	ID     string `path:"id" doc:"The transfer."`
	Reason string `json:"reason" doc:"Why, for the audit trail; both sides are told when it is declined."`
}

// Validate demands a reason.
func (r DecideRequest) Validate() error {
	if r.Reason == "" {
		return licensing.Fail(licensing.Invalid, "reason", "Say why, in at most 500 bytes.").With("/reason", "required")
	}
	return licensing.CheckReason(r.Reason)
}

// Approve makes an accepted license change hands. Who is one of the two sides does not decide.
func (s *Service) Approve(ctx context.Context, r DecideRequest) (View, error) {
	a, q, err := s.deciding(ctx, r)
	if err != nil {
		return View{}, err
	}
	if q.State != Accepted || !s.Clock.Now().Before(q.ExpiresAt) {
		return View{}, ErrState
	}
	if _, err := s.asker(ctx, &q); err != nil {
		return View{}, err
	}
	if err := s.Switches.Check(ctx, licensing.SwitchLicensing, q.ProductID); err != nil {
		return View{}, err
	}
	return s.hand(ctx, a, q, Step{ID: q.ID, From: Accepted, To: Done, Owner: q.To, AcceptedBy: q.AcceptedBy, DecidedBy: a.String()}, "transfer.approve", r.Reason)
}

// Decline ends a request that waits for the shop, or for who was named; the license stays where it is.
func (s *Service) Decline(ctx context.Context, r DecideRequest) (View, error) {
	a, q, err := s.deciding(ctx, r)
	if err != nil {
		return View{}, err
	}
	return s.end(ctx, a, q, Step{To: Declined, DecidedBy: a.String()}, "transfer.decline", ToldDeclined, r.Reason)
}

// deciding loads a request for somebody of the shop who is neither side of it.
func (s *Service) deciding(ctx context.Context, r DecideRequest) (licensing.Actor, Request, error) {
	a := licensing.ActorFrom(ctx)
	if err := r.Validate(); err != nil {
		return a, Request{}, err
	}
	if a.Kind != licensing.Staff && a.Kind != licensing.CLI {
		return a, Request{}, licensing.ErrNotFound
	}
	q, err := s.Store.Request(ctx, r.ID)
	if err != nil || a.Kind == licensing.CLI { // the operator at the machine is a person of the shop, and no account
		return a, q, err
	}
	me, err := s.People.TransferPerson(ctx, a.ID)
	if err != nil {
		return a, q, err
	}
	for _, id := range []string{q.AskedBy, q.AcceptedBy} {
		if id == "" {
			continue
		}
		p, err := s.People.TransferPerson(ctx, id)
		if errors.Is(err, licensing.ErrNotFound) {
			continue // erased since
		}
		if err != nil {
			return a, q, err
		}
		if p.ID == me.ID || same(p.Email, me.Email) {
			return a, q, ErrOwn
		}
	}
	return a, q, nil
}
