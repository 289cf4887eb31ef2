package license

import (
	"context"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

// Transferred is a license that changed hands.
type Transferred struct {
	ID        string
	LicenseID string
	From, To  licensing.Owner
	Anew      bool // its term began anew: what earlier renewals gave to the term is gone, and is taken from the new one no more
	At        time.Time
}

// Transfers keeps what changed hands. AddTransfer runs in the caller's transaction, behind the change of the license: it gives every
// seat of it back, and reports false when limit transfers were made since an instant; a limit of 0 is none. When the term began anew it
// notes of every renewal so far that it gives nothing to the term.
type Transfers interface {
	AddTransfer(ctx context.Context, t Transferred, limit int64, since time.Time) (bool, error)
	// CountTransfers counts those of a license since an instant. It is for those who ask; what holds a limit is AddTransfer.
	CountTransfers(ctx context.Context, licenseID string, since time.Time) (int64, error)
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

// ByTransfer reports whether it was a transfer of the license that released a seat, by what released it.
func ByTransfer(releasedBy string) bool { return strings.HasPrefix(releasedBy, "trf_") }

// movable reports whether l may change hands now, apart from how often it did. A trial is its owner's one trial and stays with them.
func (l *License) movable(now time.Time) bool {
	end := l.HardEnd()
	return l.Terms.Transfer.Allowed && l.Terms.Type != doc.Trial && l.State == Active && (end.IsZero() || now.Before(end))
}

// Transferable returns a license of the caller's that may change hands now. It fails with [ErrTransfer] and, when its policy's limit
// was reached, with [ErrTransferLimit].
func (s *Service) Transferable(ctx context.Context, id string) (License, error) {
	l, err := s.load(ctx, id)
	if err != nil {
		return License{}, err
	}
	now := s.now()
	if !l.movable(now) {
		return l, ErrTransfer
	}
	if rule := l.Terms.Transfer; rule.Limit > 0 {
		n, err := s.Transfers.CountTransfers(ctx, l.ID, now.Add(-seconds(rule.Period)))
		if err != nil {
			return l, err
		}
		if n >= rule.Limit {
			return l, ErrTransferLimit
		}
	}
	return l, nil
}

// TransferSpec says which license changes hands, between whom and why. From is who must own it.
type TransferSpec struct {
	License  string
	From, To licensing.Owner
	Reason   string
}

// Move is a license as it will be once it changed hands, signed and not stored.
type Move struct {
	Transferred
	License License

	was    int64  // version of the row
	old    string // token that ends
	reason string
}

// DraftTransfer gives a license to another owner and signs, and stores nothing; it belongs before the transaction of
// [Service.ApplyTransfer]. The license is the one named, whoever asks.
func (s *Service) DraftTransfer(ctx context.Context, spec TransferSpec) (*Move, error) {
	l, err := s.Store.LicenseByID(ctx, spec.License)
	if err != nil {
		return nil, err
	}
	if l.Owner != spec.From {
		return nil, ErrTransfer
	}
	return s.draftTransfer(ctx, l, spec)
}

func (s *Service) draftTransfer(ctx context.Context, l License, spec TransferSpec) (*Move, error) {
	now := s.now()
	if !l.movable(now) {
		return nil, ErrTransfer
	}
	there, err := s.Transfers.OwnerExists(ctx, spec.To)
	if err != nil {
		return nil, err
	}
	if !there || spec.To == l.Owner {
		return nil, ErrTransferTo.With("/to", "is nobody, or owns the license already")
	}
	m := &Move{Transferred: Transferred{ID: s.IDs.New("trf"), LicenseID: l.ID, From: l.Owner, To: spec.To, At: now}, was: l.Version, old: l.Token.JTI, reason: spec.Reason}
	l.Owner, l.Licensee = spec.To, ""
	if l.Terms.Transfer.Expiry == ResetExpiry && l.Terms.Duration > 0 {
		m.Anew, l.StartedAt, l.ValidUntil, l.TermAdded = true, time.Time{}, time.Time{}, 0
		if !l.Terms.Starts() {
			l.begin(now)
		}
	}
	if _, err := s.giveKey(&l); err != nil {
		return nil, err
	}
	if err := s.redraw(ctx, &l); err != nil {
		return nil, err
	}
	m.License = l
	return m, nil
}

// ApplyTransfer stores what changed hands, in the caller's transaction. [ErrChanged] and [ErrCollision] ask for a new draft.
func (s *Service) ApplyTransfer(ctx context.Context, m *Move) error {
	if err := s.resave(ctx, &m.License, m.was, m.old); err != nil {
		return err
	}
	rule := m.License.Terms.Transfer
	added, err := s.Transfers.AddTransfer(ctx, m.Transferred, rule.Limit, m.At.Add(-seconds(rule.Period)))
	if err != nil {
		return err
	}
	if !added {
		return ErrTransferLimit
	}
	return s.Audit.Record(ctx, licensing.Event{Action: "license.transfer", Target: m.LicenseID, Product: m.License.ProductID, Reason: m.reason,
		Detail: map[string]any{"transfer": m.ID, "from": m.From, "to": m.To, "expiry": rule.Expiry}})
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
	m, err := s.draftTransfer(ctx, l, TransferSpec{License: l.ID, From: l.Owner, To: licensing.Owner(r.To), Reason: r.Reason})
	if err != nil {
		return View{}, err
	}
	if err := s.Tx.InTx(ctx, func(ctx context.Context) error { return s.ApplyTransfer(ctx, m) }); err != nil {
		return View{}, err
	}
	return s.view(ctx, l.ID)
}
