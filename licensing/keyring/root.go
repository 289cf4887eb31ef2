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
}

// AddRoot publishes a keyset whose roots are those so far and another, which stands by: whoever has it can sign keysets in the place of
// the first. It needs the root here; with an offline root the same is a request ([Service.Request]).
func (s *Service) AddRoot(ctx context.Context, r AddRootRequest) (RootChange, error) {
	public, err := doc.ParsePublicKey(r.Root)
	if err != nil {
		return RootChange{}, badRoot(err)
	}
	return s.changeRoots(ctx, wish{addRoot: public}, "keyring.root_add", doc.Thumbprint(public), r.Reason)
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

// RootChangeAgain answers a replay of a change of the roots.
func (s *Service) RootChangeAgain(ctx context.Context, _, _ string) (RootChange, error) {
	r, err := s.fetch(ctx)
	if err != nil {
		return RootChange{}, err
	}
	return RootChange{Keyset: r.set.Num, Roots: r.pins(), Online: r.root.Sealed != nil}, nil
}
