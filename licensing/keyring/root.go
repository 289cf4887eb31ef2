package keyring

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

// AddRootRequest adds a root whose private part is elsewhere.
type AddRootRequest struct {
	Root   string `json:"root" doc:"Its public key, 43 characters of base64url."`
	Reason string `json:"reason" doc:"Why, for the audit trail."`
}

// Validate demands a reason.
func (r AddRootRequest) Validate() error { return demand(r.Reason) }

// RootChange is the answer to a change of the roots.
type RootChange struct {
	Keyset int64    `json:"keyset" doc:"Number of the keyset that tells products of it."`
	Roots  []string `json:"roots" doc:"The root public keys to pin in products, the one that signs keysets first."`
	Online bool     `json:"online" doc:"Whether the private part of the one that signs is in this installation."`
	// Proposal is there until another owner has approved it.
	Proposal *ExportView `json:"proposal,omitempty" doc:"The root that is to be added once another owner has approved it, with root_export.approve; nothing has changed before."`
}

// AddRoot proposes another root, which stands by: whoever has it can sign keysets in the place of the first. So it is as the export of the root:
// another owner has to approve it, and the operator at the machine of an installation that one person runs adds it at once. It needs the root here;
// with an offline root the same is a request ([Service.Request]), which whoever has that root signs.
func (s *Service) AddRoot(ctx context.Context, r AddRootRequest) (RootChange, error) {
	public, err := doc.ParsePublicKey(r.Root)
	if err != nil {
		return RootChange{}, badRoot("/root", err)
	}
	w, now, actor := wish{addRoot: public}, s.Clock.Now(), licensing.ActorFrom(ctx)
	e := Export{ID: s.IDs.New("rex"), KID: doc.Thumbprint(public), Adds: r.Root, State: Proposed, Reason: r.Reason, ProposedBy: actor.String(), ProposedAt: now, ExpiresAt: now.Add(proposalLife)}
	if actor.Kind == licensing.CLI && s.Alone {
		return s.changeRoots(ctx, w, "keyring.root_add", e.KID, r.Reason)
	}
	p, err := s.plan(ctx, w)
	if err != nil {
		return RootChange{}, err
	}
	if p.root.Sealed == nil {
		return RootChange{}, ErrRootOffline
	}
	if err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Exports.AddExport(ctx, e); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "keyring.root_propose", Target: e.ID, Reason: r.Reason, Detail: map[string]any{"root": e.KID}})
	}); err != nil {
		return RootChange{}, err
	}
	return s.RootChangeAgain(ctx, e.ID, "")
}

// approveRoot adds the root that somebody else proposed.
func (s *Service) approveRoot(ctx context.Context, e Export) (ExportView, error) {
	public, err := doc.ParsePublicKey(e.Adds)
	if err != nil {
		return ExportView{}, badRoot("/root", err)
	}
	if err := s.approve(ctx, &e); err != nil {
		return ExportView{}, err
	}
	if e.State != Proposed || s.Clock.Now().After(e.ExpiresAt) {
		return ExportView{}, ErrExportState
	}
	p, err := s.plan(ctx, wish{addRoot: public})
	if err != nil {
		return ExportView{}, err
	}
	if err := s.signed(p); err != nil {
		return ExportView{}, err
	}
	e.State, e.DoneAt = Done, e.ApprovedAt
	return e.view(), s.apply(ctx, p.Change, licensing.Event{Action: "keyring.root_add", Target: e.ID, Reason: e.Reason,
		Detail: map[string]any{"root": e.KID, "keyset": p.num(), "retired": p.RootRetire}}, func(ctx context.Context) error {
		done, err := s.Exports.MoveExport(ctx, e, Proposed)
		if err == nil && !done {
			err = ErrExportState
		}
		return err
	})
}

// RotateRootRequest replaces the root.
type RotateRootRequest struct {
	Next   string `json:"next,omitempty" doc:"Thumbprint of the root that stands by and is to take its place; a new one, made here, unless said."`
	Reason string `json:"reason" doc:"Why, for the audit trail."`
}

// Validate demands a reason.
func (r RotateRootRequest) Validate() error { return demand(r.Reason) }

// RotateRoot publishes a keyset, signed by the present root for the last time, whose roots are the others: the next one signs keysets
// from now on. The present root's private part is deleted. Products follow with their next contact, however long they were away.
func (s *Service) RotateRoot(ctx context.Context, r RotateRootRequest) (RootChange, error) {
	w := wish{nextRoot: r.Next}
	if r.Next == "" {
		k, _, err := s.generate(Root, Standby, 0, s.Clock.Now().Truncate(time.Second))
		if err != nil {
			return RootChange{}, err
		}
		w.newRoot, w.nextRoot = &k, k.KID
	}
	return s.changeRoots(ctx, w, "keyring.root_rotate", w.nextRoot, r.Reason)
}

func (s *Service) changeRoots(ctx context.Context, w wish, action, kid, reason string) (RootChange, error) {
	p, err := s.plan(ctx, w)
	if err != nil {
		return RootChange{}, err
	}
	if err := s.signed(p); err != nil {
		return RootChange{}, err
	}
	if err := s.apply(ctx, p.Change, licensing.Event{Action: action, Target: kid, Reason: reason,
		Detail: map[string]any{"keyset": p.num(), "retired": p.RootRetire}}, nil); err != nil {
		return RootChange{}, err
	}
	return s.RootChangeAgain(ctx, kid, "")
}

// RootChangeAgain answers a replay of a change of the roots, or of a proposal of one.
func (s *Service) RootChangeAgain(ctx context.Context, id, _ string) (RootChange, error) {
	r, err := s.fetch(ctx)
	if err != nil {
		return RootChange{}, err
	}
	out := RootChange{Keyset: r.set.Num, Roots: r.pins(), Online: r.root.Sealed != nil}
	if !licensing.ValidID("rex", id) {
		return out, nil
	}
	e, err := s.Exports.Export(ctx, id)
	if err == nil && e.State == Proposed {
		v := e.view()
		out.Proposal = &v
	}
	return out, err
}
