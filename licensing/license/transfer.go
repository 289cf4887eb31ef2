package license

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Transferred is a license that changed hands.
type Transferred struct {
	ID        string
	LicenseID string
	From, To  licensing.Owner
	At        time.Time
}

// Transfers keeps what changed hands. AddTransfer runs in the caller's transaction, behind the change of the license: it gives every
// seat of it back, and reports false when limit transfers were made since an instant; a limit of 0 is none.
type Transfers interface {
	AddTransfer(ctx context.Context, t Transferred, limit int64, since time.Time) (bool, error)
	// OwnerExists reports whether there is such a customer or organisation that can own things.
	OwnerExists(ctx context.Context, o licensing.Owner) (bool, error)
}

var (
	// ErrTransfer refuses to transfer a license whose policy, state or age does not let it.
	ErrTransfer = licensing.Fail(licensing.Conflict, "license-not-transferable", "The license cannot be transferred: its policy does not allow it, or it is not active.")
	// ErrTransferLimit refuses one transfer more than the policy allows in its period.
	ErrTransferLimit = licensing.Fail(licensing.Conflict, "license-transfer-limit", "The license was transferred as often as its policy allows in this period.")
	// ErrTransferTo refuses a new owner who is nobody, or is the owner already.
	ErrTransferTo = licensing.Fail(licensing.Invalid, "license-transfer-to", "The license needs another customer or organisation as its new owner.")
)

// TransferRequest gives a license to another owner.
type TransferRequest struct {
	ID     string `path:"id" doc:"The license."`
	To     string `json:"to" doc:"The customer or organisation that gets it." example:"cus_0190a1b2c3d47e5f8a9b0c1d2e3f4a5b"`
	Reason string `json:"reason" doc:"Why, for the audit trail."`
}

// Validate checks the form.
func (r TransferRequest) Validate() error {
	if !licensing.ValidID("cus", r.To) && !licensing.ValidID("org", r.To) {
		return ErrTransferTo.With("/to", "must be the id of a customer or organisation")
	}
	return StateRequest{ID: r.ID, Reason: r.Reason}.Validate()
}

// Transfer gives a license to another owner where its policy allows transfers: with a new key and a new token, since the old owner knows
// the old ones, and every seat given back. The policy says whether the end stays or the term begins anew, and how often in a period a
// license may change hands, which holds exactly also when two ask at once. The audit trail and the source of the license stay with it.
func (s *Service) Transfer(ctx context.Context, r TransferRequest) (View, error) {
	if err := r.Validate(); err != nil {
		return View{}, err
	}
	l, err := s.load(ctx, r.ID)
	if err != nil {
		return View{}, err
	}
	now, to := s.now(), licensing.Owner(r.To)
	if end := l.HardEnd(); !l.Terms.Transfer.Allowed || l.State != Active || !end.IsZero() && !now.Before(end) {
		return View{}, ErrTransfer
	}
	there, err := s.Transfers.OwnerExists(ctx, to)
	if err != nil {
		return View{}, err
	}
	if !there || to == l.Owner {
		return View{}, ErrTransferTo.With("/to", "is nobody, or owns the license already")
	}
	t := Transferred{ID: s.IDs.New("trf"), LicenseID: l.ID, From: l.Owner, To: to, At: now}
	was, old := l.Version, l.Token.JTI
	l.Owner, l.Licensee = to, ""
	if l.Terms.Transfer.Expiry == ResetExpiry && l.Terms.Duration > 0 {
		l.StartedAt, l.ValidUntil, l.TermAdded = time.Time{}, time.Time{}, 0
		if !l.Terms.Starts() {
			l.begin(now)
		}
	}
	if _, err := s.giveKey(&l); err != nil {
		return View{}, err
	}
	if err := s.redraw(ctx, &l); err != nil {
		return View{}, err
	}
	rule := l.Terms.Transfer
	if err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.resave(ctx, &l, was, old); err != nil {
			return err
		}
		added, err := s.Transfers.AddTransfer(ctx, t, rule.Limit, now.Add(-seconds(rule.Period)))
		if err != nil {
			return err
		}
		if !added {
			return ErrTransferLimit
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "license.transfer", Target: l.ID, Product: l.ProductID, Reason: r.Reason,
			Detail: map[string]any{"transfer": t.ID, "from": t.From, "to": t.To, "expiry": rule.Expiry}})
	}); err != nil {
		return View{}, err
	}
	return s.view(ctx, l.ID)
}
