package keyring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

// Request is what a root is asked to sign while it is offline, as stored.
type Request struct {
	ID        string
	Num       int64 // of the keyset asked for
	Claims    []byte
	Wish      RequestedChange
	Reason    string
	By        string
	CreatedAt time.Time
	DoneAt    time.Time
}

// RequestedChange is what the keyset asked for does.
type RequestedChange struct {
	Revoke   string
	AddRoot  []byte
	NextRoot string
	Drop     []string
	Added    []Key // signing keys that were made for it, sealed
}

// Requests keeps requests.
type Requests interface {
	// AddRequest and CloseRequest write in the caller's transaction; CloseRequest reports false when the request was closed already.
	AddRequest(ctx context.Context, r Request) error
	CloseRequest(ctx context.Context, id string, at time.Time) (bool, error)
	// OpenRequests returns the requests for a keyset that were not closed, newest first.
	OpenRequests(ctx context.Context, num int64) ([]Request, error)
	Request(ctx context.Context, id string) (Request, error)
}

// AskRequest asks for a request to the root.
type AskRequest struct {
	Revoke   string `json:"revoke,omitempty" doc:"Thumbprint of a signing key that somebody else may have; the keyset revokes it."`
	AddRoot  string `json:"add_root,omitempty" doc:"Public key of a further root, 43 characters of base64url; products trust it from then on."`
	NextRoot string `json:"next_root,omitempty" doc:"Thumbprint of the root that stood by and signs keysets from then on; products trust the present one no more."`
	Reason   string `json:"reason" doc:"Why, for the audit trail."`
}

// Validate demands a reason and one change of roots at most.
func (r AskRequest) Validate() error {
	if r.AddRoot != "" && r.NextRoot != "" {
		return licensing.Fail(licensing.Invalid, "invalid-request", "Add a root or go to the next one, not both at once.").With("/next_root", "not together with add_root")
	}
	return demand(r.Reason)
}

// Asked is a request to the root.
type Asked struct {
	ID        string    `json:"id" doc:"Id of the request."`
	Keyset    int64     `json:"keyset" doc:"Number of the keyset asked for."`
	File      string    `json:"file" doc:"The request as a file, to carry to where the root is. It holds public keys only."`
	CreatedAt time.Time `json:"created_at" doc:"When it was made."`
}

// Request makes the request for a keyset that an offline root is to sign: with the active key, two keys that stand by (made now as far as
// they are missing), those of the past, and what else is asked. Nothing changes before the signed keyset is imported.
func (s *Service) Request(ctx context.Context, r AskRequest) (Asked, error) {
	w := wish{revoke: r.Revoke, refill: true, nextRoot: r.NextRoot}
	if r.AddRoot != "" {
		var err error
		if w.addRoot, err = doc.ParsePublicKey(r.AddRoot); err != nil {
			return Asked{}, badRoot("/add_root", err)
		}
	}
	p, err := s.plan(ctx, w)
	if err != nil {
		return Asked{}, err
	}
	claims, err := doc.Payload(p.claims)
	if err != nil {
		return Asked{}, err
	}
	req := Request{ID: s.IDs.New("ksr"), Num: p.claims.Num, Claims: claims, Reason: r.Reason, By: licensing.ActorFrom(ctx).String(), CreatedAt: p.At,
		Wish: RequestedChange{Revoke: r.Revoke, AddRoot: w.addRoot, NextRoot: r.NextRoot, Drop: p.Drop}}
	for _, k := range p.Added {
		if k.Role == Signing {
			req.Wish.Added = append(req.Wish.Added, k)
		}
	}
	out, err := s.asked(ctx, &req)
	if err != nil {
		return Asked{}, err
	}
	return out, s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Requests.AddRequest(ctx, req); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "keyring.request", Target: req.ID, Reason: r.Reason,
			Detail: map[string]any{"keyset": req.Num, "revoke": r.Revoke, "add_root": r.AddRoot, "next_root": r.NextRoot, "new_keys": len(req.Wish.Added)}})
	})
}

// asked renders a request as its file.
func (s *Service) asked(ctx context.Context, r *Request) (Asked, error) {
	ring, err := s.fetch(ctx)
	if err != nil {
		return Asked{}, err
	}
	file, err := json.MarshalIndent(requestFile{Format: requestFormat, ID: r.ID, Reason: r.Reason, Previous: ring.set.Text, Claims: r.Claims}, "", "  ")
	return Asked{ID: r.ID, Keyset: r.Num, File: string(file) + "\n", CreatedAt: r.CreatedAt}, err
}

// RequestAgain answers a replay.
func (s *Service) RequestAgain(ctx context.Context, id, _ string) (Asked, error) {
	r, err := s.Requests.Request(ctx, id)
	if err != nil {
		return Asked{}, err
	}
	return s.asked(ctx, &r)
}

// ImportRequest brings a keyset that a root signed.
type ImportRequest struct {
	Keyset string `json:"keyset" doc:"The keyset+jwt that the root signed from a request of this installation."`
}

// Imported is the answer of [Service.Import].
type Imported struct {
	Keyset    int64      `json:"keyset" doc:"Number of the keyset now in force."`
	Active    string     `json:"active" doc:"The key that signs."`
	Standby   int        `json:"standby" doc:"How many keys stand by."`
	Roots     []string   `json:"roots" doc:"The root public keys to pin in products, the one that signs keysets first."`
	Resigning *Resigning `json:"resigning,omitempty" doc:"The work that follows a revoked key."`
}

// ErrForeignKeyset refuses a keyset that was not asked for, or not in this form. So nothing can be brought into the keyring but keys
// that were made here and a root that somebody asked to add.
var ErrForeignKeyset = licensing.Fail(licensing.Invalid, "keyset-unknown", "This keyset was not signed by a root of this installation from an open request of it.")

// ErrStaleKeyset refuses a keyset whose request was overtaken by another change.
var ErrStaleKeyset = licensing.Fail(licensing.Conflict, "keyset-stale", "The keys changed since the request was made. Make a new one.")

// Import publishes a keyset that an offline root signed, and makes the change it stands for. A bad keyset is refused whole and the old one
// stays.
func (s *Service) Import(ctx context.Context, r ImportRequest) (Imported, error) {
	now := s.Clock.Now()
	set, kid, err := s.readKeyset(ctx, r.Keyset, now)
	if err != nil {
		return Imported{}, err
	}
	req, err := s.requestOf(ctx, set)
	if err != nil {
		return Imported{}, err
	}
	p, err := s.plan(ctx, wish{revoke: req.Wish.Revoke, addRoot: req.Wish.AddRoot, nextRoot: req.Wish.NextRoot})
	if err != nil {
		return Imported{}, err
	}
	if set.Num != p.claims.Num {
		return Imported{}, ErrStaleKeyset
	}
	added := req.Wish.Added
	for _, k := range p.Added {
		if k.Role == Root {
			added = append(added, k)
		}
	}
	for i := range added { // products cannot have seen them before now, whenever they were asked for
		if k := &added[i]; k.Role == Signing && k.NotBefore.Before(p.At.Add(PublishLead)) {
			k.NotBefore = p.At.Add(PublishLead)
		}
	}
	p.Added, p.Drop, p.Keyset = added, req.Wish.Drop, &Keyset{Num: set.Num, KID: kid, Text: r.Keyset, Roots: len(set.Roots) > 0, At: p.At}
	w := s.workOf(p, req.Reason)
	err = s.apply(ctx, p.Change, licensing.Event{Action: "keyring.import", Target: req.ID, Reason: req.Reason,
		Detail: p.told(map[string]any{"keyset": set.Num, "root": kid, "revoked": p.Revoke, "active": p.Activate, "next_root": p.RootActivate})}, func(ctx context.Context) error {
		done, err := s.Requests.CloseRequest(ctx, req.ID, p.At)
		if err == nil && !done {
			err = ErrStaleKeyset
		}
		if err == nil {
			err = s.renew(ctx, p)
		}
		if err != nil || p.Revoke == "" {
			return err
		}
		return s.begin(ctx, w)
	})
	if err != nil {
		return Imported{}, err
	}
	return s.imported(ctx, p.Revoke)
}

// readKeyset verifies a keyset under the roots of the installation.
func (s *Service) readKeyset(ctx context.Context, text string, now time.Time) (*doc.Keyset, string, error) {
	ring, err := s.fetch(ctx)
	if err != nil {
		return nil, "", err
	}
	for i := range ring.keys {
		k := &ring.keys[i]
		if k.Role != Root || k.State != Active && k.State != Standby {
			continue
		}
		pins, err := doc.PinRoots(k.Public)
		if err != nil {
			return nil, "", err
		}
		v := &doc.Verifier{Keys: pins, Issuer: ring.iss, Now: func() time.Time { return now }}
		set, err := v.Keyset(text, ring.set.Num+1)
		switch {
		case errors.Is(err, doc.ErrUnknownKey):
			continue
		case errors.Is(err, doc.ErrRollback):
			return nil, "", ErrStaleKeyset.Because(err)
		case err != nil:
			return nil, "", ErrForeignKeyset.Because(err)
		}
		return set, k.KID, nil
	}
	return nil, "", ErrForeignKeyset
}

// requestOf finds the open request that a keyset was signed from.
func (s *Service) requestOf(ctx context.Context, set *doc.Keyset) (Request, error) {
	open, err := s.Requests.OpenRequests(ctx, set.Num)
	if err != nil {
		return Request{}, err
	}
	for _, r := range open {
		var asked doc.Keyset
		if err := json.Unmarshal(r.Claims, &asked); err != nil {
			return Request{}, fmt.Errorf("request %s: %w", r.ID, err)
		}
		if reflect.DeepEqual(&asked, set) {
			return r, nil
		}
	}
	return Request{}, ErrForeignKeyset
}

func (s *Service) imported(ctx context.Context, revoked string) (Imported, error) {
	ring, err := s.fetch(ctx)
	if err != nil {
		return Imported{}, err
	}
	out := Imported{Keyset: ring.set.Num, Active: ring.active.KID, Roots: ring.pins()}
	for i := range ring.keys {
		if k := &ring.keys[i]; k.Role == Signing && k.State == Standby {
			out.Standby++
		}
	}
	if revoked == "" {
		return out, nil
	}
	works, err := s.Works.ListWork(ctx)
	for i := range works {
		if works[i].KID == revoked {
			v := works[i].view()
			out.Resigning = &v
		}
	}
	return out, err
}

// ImportAgain answers a replay.
func (s *Service) ImportAgain(ctx context.Context, id, _ string) (Imported, error) {
	r, err := s.Requests.Request(ctx, id)
	if err != nil {
		return Imported{}, err
	}
	return s.imported(ctx, r.Wish.Revoke)
}

// badRoot refuses a public key that cannot be a root, by the member that it came in.
func badRoot(member string, err error) error {
	return licensing.Fail(licensing.Invalid, "root-key", "This is no public key that can be trusted as a root.").With(member, "must be 43 characters of base64url: an Ed25519 public key of full order").Because(err)
}
