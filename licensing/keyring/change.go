package keyring

import (
	"context"
	"crypto/ed25519"
	"slices"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

// standbys is how many keys stand by after a keyset was signed, so that planned rotation needs no root.
const standbys = 2

// maxKeys is how many keys a keyset can name and stay below its cap. One more and the oldest is left out; see [plan.drop].
const maxKeys = 60

// maxRoots is how many roots products may be told to trust at once.
const maxRoots = 3

// wish is what somebody wants of the keys.
type wish struct {
	rotate   bool   // the next standby key becomes active
	revoke   string // this signing key verifies nothing from now on; if it was active, the next one signs
	refill   bool   // make standby keys until two stand by
	addRoot  ed25519.PublicKey
	nextRoot string // this standby root signs keysets from now on, and the active one is trusted no more
	newRoot  *Key   // a root made here; with nextRoot its kid
}

// plan is a change worked out from the keys as they are, and the keyset that a root has to sign for it; claims is nil when the change
// needs none.
type plan struct {
	Change
	ring   *ring
	root   *Key // who signs
	claims *doc.Keyset
}

// num is the number of the keyset in force after the change.
func (p *plan) num() int64 {
	if p.claims != nil {
		return p.claims.Num
	}
	return p.ring.set.Num
}

// plan works a wish out.
func (s *Service) plan(ctx context.Context, w wish) (*plan, error) {
	r, err := s.fetch(ctx)
	if err != nil {
		return nil, err
	}
	now := s.Clock.Now().Truncate(time.Second)
	p := &plan{Change: Change{At: now}, ring: r, root: r.root}
	after := slices.Clone(r.keys)
	if err := p.move(w, after, now); err != nil {
		return nil, err
	}
	if err := s.refill(w, p, after); err != nil {
		return nil, err
	}
	p.drop(after)
	roots, err := p.roots(w, after, now)
	if err != nil {
		return nil, err
	}
	p.claims, err = keysetClaims(r.iss, r.set.Num+1, now, append(after, p.Added...), roots)
	return p, err
}

// move retires, revokes and activates signing keys, in the plan and in after, the keys as they will be.
func (p *plan) move(w wish, after []Key, now time.Time) error {
	old := p.ring.active
	var next, gone *Key
	for i := range after {
		k := &after[i]
		if k.Role != Signing {
			continue
		}
		if k.KID == w.revoke {
			gone = k
		}
		if next == nil && k.State == Standby && k.KID != w.revoke {
			next = k
		}
	}
	if w.revoke != "" {
		switch {
		case gone == nil:
			return licensing.ErrNotFound
		case gone.State == Revoked:
			return ErrRevoked
		}
		p.Revoke, gone.State, gone.RevokedAt = gone.KID, Revoked, now
	}
	urgent := w.revoke == old.KID
	if !w.rotate && !urgent {
		return nil
	}
	switch {
	case next == nil:
		return ErrNoStandby
	case next.NotBefore.After(now) && !urgent:
		return ErrTooNew.After(next.NotBefore.Sub(now))
	case next.NotBefore.After(now): // products learn of it with the keyset that tells them of the revocation
		next.NotBefore, p.ActiveFrom = now, now
	}
	if !urgent {
		retired := slices.IndexFunc(after, func(k Key) bool { return k.KID == old.KID })
		p.Retire, after[retired].State, after[retired].RetiredAt = old.KID, Retired, now
	}
	p.Activate, next.State, next.ActivatedAt = next.KID, Active, now
	return nil
}

// refill makes the standby keys that are missing. One that is made now may sign when products had a day to fetch the keyset.
func (s *Service) refill(w wish, p *plan, after []Key) error {
	if !w.rotate && !w.refill && w.revoke == "" {
		return nil
	}
	n, last := 0, int64(0)
	for i := range after {
		if k := &after[i]; k.Role == Signing {
			last = max(last, k.Position)
			if k.State == Standby {
				n++
			}
		}
	}
	for ; n < standbys; n++ {
		last++
		k, _, err := s.generate(Signing, Standby, last, p.At)
		if err != nil {
			return err
		}
		k.NotBefore = p.At.Add(PublishLead)
		p.Added = append(p.Added, k)
	}
	return nil
}

// drop leaves keys out of the keyset until it fits: those that were revoked longest ago, then those that were retired longest ago, in the plan and
// in after. Products refuse what a revoked key signed whether they read that it is revoked or do not know it. What a retired key signed is signed
// again, as after a revocation: a product that has the keyset was in contact, and gets its documents anew in that contact or the next; one that
// was not goes on with the keyset that it has.
func (p *plan) drop(after []Key) {
	named := len(p.Added)
	for i := range after {
		if after[i].named() {
			named++
		}
	}
	for ; named > maxKeys; named-- {
		var oldest *Key
		for i := range after {
			k := &after[i]
			if !k.named() || k.State != Revoked && k.State != Retired || k.KID == p.Revoke || k.KID == p.Retire {
				continue
			}
			if oldest == nil || k.State == Revoked && oldest.State == Retired || k.State == oldest.State && k.over().Before(oldest.over()) {
				oldest = k
			}
		}
		oldest.DroppedAt = p.At
		p.Drop = append(p.Drop, oldest.KID)
	}
}

// told adds the keys that the plan leaves out to what the audit trail is told.
func (p *plan) told(detail map[string]any) map[string]any {
	if len(p.Drop) > 0 {
		detail["dropped"] = p.Drop
	}
	return detail
}

// named reports whether keysets name the key.
func (k *Key) named() bool { return k.Role == Signing && k.DroppedAt.IsZero() }

// over is when a key that was retired or revoked signed no more.
func (k *Key) over() time.Time {
	if k.State == Revoked {
		return k.RevokedAt
	}
	return k.RetiredAt
}

// roots works out the roots that the keyset names: none when products keep those they have.
func (p *plan) roots(w wish, after []Key, now time.Time) ([]Key, error) {
	if w.addRoot == nil && w.nextRoot == "" {
		return nil, nil
	}
	last := int64(0)
	for i := range after {
		if after[i].Role == Root {
			last = max(last, after[i].Position)
		}
	}
	if w.newRoot != nil {
		k := *w.newRoot
		k.Position = last + 1
		p.Added = append(p.Added, k)
	}
	if w.addRoot != nil {
		k := Key{KID: doc.Thumbprint(w.addRoot), Role: Root, State: Standby, Public: w.addRoot, NotBefore: now, Position: last + 1, CreatedAt: now}
		if slices.ContainsFunc(after, func(have Key) bool { return have.KID == k.KID }) {
			return nil, ErrKnownRoot
		}
		p.Added = append(p.Added, k)
	}
	if w.nextRoot != "" {
		p.RootActivate, p.RootRetire = w.nextRoot, p.root.KID
	}
	var out []Key
	found := w.nextRoot == ""
	for _, k := range append(slices.Clone(after), p.Added...) {
		if k.Role != Root || k.State != Active && k.State != Standby || w.nextRoot != "" && k.KID == p.root.KID {
			continue
		}
		if k.KID == w.nextRoot {
			found, k.State = k.State == Standby, Active
		}
		out = append(out, k)
	}
	switch {
	case !found:
		return nil, licensing.ErrNotFound
	case len(out) > maxRoots:
		return nil, ErrRoots
	}
	return out, nil
}

// keysetClaims is the keyset that names the signing keys among keys and, if given, the roots.
func keysetClaims(iss string, num int64, at time.Time, keys, roots []Key) (*doc.Keyset, error) {
	claims := &doc.Keyset{Issuer: iss, IssuedAt: at.Unix(), Num: num}
	for i := range keys {
		if !keys[i].named() {
			continue
		}
		e, err := keys[i].entry()
		if err != nil {
			return nil, err
		}
		claims.Keys = append(claims.Keys, e)
	}
	for i := range roots {
		e, err := roots[i].entry()
		if err != nil {
			return nil, err
		}
		claims.Roots = append(claims.Roots, e)
	}
	return claims, nil
}

// signKeyset signs claims with a root.
func signKeyset(claims *doc.Keyset, root ed25519.PrivateKey, at time.Time) (Keyset, error) {
	signer, err := doc.NewSigner(root)
	if err != nil {
		return Keyset{}, err
	}
	text, err := signer.Sign(claims)
	return Keyset{Num: claims.Num, KID: signer.KID(), Text: text, Roots: len(claims.Roots) > 0, At: at}, err
}

// signed has the plan's keyset signed by the root, which must be online when the plan has one.
func (s *Service) signed(p *plan) error {
	if p.claims == nil {
		return nil
	}
	if p.root == nil || p.root.Sealed == nil {
		return ErrRootOffline
	}
	private, err := s.open(p.root)
	if err != nil {
		return err
	}
	set, err := signKeyset(p.claims, private, p.At)
	p.Keyset = &set
	return err
}

// apply makes a change with its audit row, and whatever belongs to it, in one transaction.
func (s *Service) apply(ctx context.Context, c Change, e licensing.Event, also func(ctx context.Context) error) error {
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		done, err := s.Store.Apply(ctx, c)
		if err != nil {
			return err
		}
		if !done {
			return ErrRotated
		}
		if also != nil {
			if err := also(ctx); err != nil {
				return err
			}
		}
		return s.Audit.Record(ctx, e)
	})
	if err == nil {
		s.Forget()
	}
	return err
}
