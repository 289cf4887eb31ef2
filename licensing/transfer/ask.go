package transfer

import (
	"context"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// AskRequest asks for a license to be given away.
type AskRequest struct {
	ID    string `path:"id" doc:"The license."`
	Email string `json:"email" doc:"E-mail address of who gets it; only who signs in with it can accept." example:"grace@example.com"`
}

// Ask mails a link by which somebody takes a license over within seven days. The license stays as it is until then; its owners are told.
// Nothing tells whether there is an account with the address.
func (s *Service) Ask(ctx context.Context, r AskRequest) (View, error) {
	a, err := customer(ctx)
	if err != nil {
		return View{}, err
	}
	email, err := s.Address(r.Email)
	if err != nil {
		return View{}, err
	}
	l, err := s.Licenses.Transferable(ctx, r.ID)
	if err != nil {
		return View{}, err
	}
	if err := s.Switches.Check(ctx, licensing.SwitchLicensing, l.ProductID); err != nil {
		return View{}, err
	}
	if err := s.allow(ctx, "by:"+a.ID, asksAnHour); err != nil {
		return View{}, err
	}
	if err := s.allow(ctx, "to:"+email, mailsAnHour); err != nil {
		return View{}, err
	}
	token, err := credential.Random(s.Random, 43)
	if err != nil {
		return View{}, err
	}
	now := s.Clock.Now()
	q := Request{ID: s.IDs.New("trq"), LicenseID: l.ID, From: l.Owner, AskedBy: a.ID, Email: email, Digest: credential.Sum(token), State: Offered, CreatedAt: now, ExpiresAt: now.Add(offerFor)}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		added, err := s.Store.AddRequest(ctx, q)
		if err != nil {
			return err
		}
		if !added {
			return ErrOpen
		}
		if q, err = s.Store.Request(ctx, q.ID); err != nil {
			return err
		}
		by, err := s.People.TransferPerson(ctx, a.ID)
		if err != nil {
			return err
		}
		if err := s.Audit.Record(ctx, licensing.Event{Action: "transfer.ask", Target: q.ID, Product: q.ProductID, Detail: map[string]any{"license": q.LicenseID, "from": q.From}}); err != nil {
			return err
		}
		if err := s.Notices.Offer(ctx, Mail{Topic: ToldOffered, Request: &q, Product: q.product(), To: email, By: by.called(), At: now}, token); err != nil {
			return err
		}
		return s.tell(ctx, &q, ToldOffered, by.called(), q.From)
	})
	if err != nil {
		return View{}, err
	}
	return viewOf(&q, a), nil
}

// tell mails those who speak for owners.
func (s *Service) tell(ctx context.Context, r *Request, topic Topic, by string, owners ...licensing.Owner) error {
	var all []Person
	for _, owner := range owners {
		people, err := s.People.Voices(ctx, owner)
		if err != nil {
			return err
		}
		all = append(all, people...)
	}
	return s.mail(ctx, r, topic, by, all)
}

// mail writes to each of the people once, also to who is on both sides.
func (s *Service) mail(ctx context.Context, r *Request, topic Topic, by string, people []Person) error {
	told := map[string]bool{}
	for i, p := range people {
		if told[p.Email] {
			continue
		}
		told[p.Email] = true
		if err := s.Notices.Tell(ctx, Mail{Topic: topic, Request: r, Product: r.product(), To: p.Email, Name: p.Name, By: by, Reason: r.Reason, N: int64(i), At: s.Clock.Now()}); err != nil {
			return err
		}
	}
	return nil
}

// AskAgain answers a replay of Ask, and of what owners do to their requests.
func (s *Service) AskAgain(ctx context.Context, id, _ string) (View, error) {
	return s.Get(ctx, GetRequest{ID: id})
}

// CancelRequest names a request.
type CancelRequest struct {
	ID string `path:"id" doc:"The transfer."`
}

// Cancel takes a request back before the license has changed hands: for the license's owner, also while the shop looks at it.
func (s *Service) Cancel(ctx context.Context, r CancelRequest) (View, error) {
	a, err := customer(ctx)
	if err != nil {
		return View{}, err
	}
	q, err := s.Store.RequestOf(ctx, r.ID, a.Owner)
	if err != nil {
		return View{}, err
	}
	if q.From != a.Owner { // who accepted does not take back what others offer
		return View{}, licensing.ErrNotFound
	}
	return s.end(ctx, a, q, Step{To: Cancelled}, "transfer.cancel", ToldCancelled, "")
}

// end ends an open request without the license changing hands, and tells both sides.
func (s *Service) end(ctx context.Context, a licensing.Actor, q Request, step Step, action string, topic Topic, reason string) (View, error) {
	if q.State != Offered && q.State != Accepted {
		return View{}, ErrState
	}
	step.ID, step.From, step.At, step.Reason = q.ID, q.State, s.Clock.Now(), reason
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		taken, err := s.Store.Take(ctx, step)
		if err != nil {
			return err
		}
		if !taken {
			return ErrState
		}
		if err := s.Audit.Record(ctx, licensing.Event{Action: action, Target: q.ID, Product: q.ProductID, Reason: reason, Detail: map[string]any{"license": q.LicenseID, "was": q.State}}); err != nil {
			return err
		}
		q.Reason = reason
		if q.State == Accepted {
			return s.tell(ctx, &q, topic, "", q.From, q.To)
		}
		people, err := s.People.Voices(ctx, q.From)
		if err != nil {
			return err
		}
		if topic != ToldLapsed { // who did not answer is not written to again
			people = append(people, Person{Email: q.Email})
		}
		return s.mail(ctx, &q, topic, "", people)
	})
	if err != nil {
		return View{}, err
	}
	q.State, q.EndedAt, q.DecidedBy, q.Email = step.To, step.At, step.DecidedBy, ""
	return viewOf(&q, a), nil
}

// lapseBatch is how many requests lapse at once.
const lapseBatch = 200

// Lapse ends the requests whose time is over and reports how many. A job runs it; it is safe to run anywhere, at once and again.
func (s *Service) Lapse(ctx context.Context) (int, error) {
	ctx = licensing.AsSystem(ctx, "transfer.lapse")
	n := 0
	for {
		due, err := s.Store.DueToLapse(ctx, s.Clock.Now(), lapseBatch)
		if err != nil || len(due) == 0 {
			return n, err
		}
		for _, q := range due {
			_, err := s.end(ctx, licensing.ActorFrom(ctx), q, Step{To: Lapsed}, "transfer.lapse", ToldLapsed, "")
			switch licensing.KindOf(err) {
			case licensing.Conflict: // somebody was faster
			default:
				if err != nil {
					return n, err
				}
				n++
			}
		}
	}
}
