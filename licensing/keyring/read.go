package keyring

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/sdk/doc"
)

// Keyset returns the newest keyset+jwt.
func (s *Service) Keyset(ctx context.Context) (string, error) {
	r, err := s.load(ctx)
	if err != nil {
		return "", err
	}
	return r.set.Text, nil
}

// JWKS returns the JWK set of the keys that may verify, in JSON.
func (s *Service) JWKS(ctx context.Context) ([]byte, error) {
	r, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	return r.jwks, nil
}

// Roots returns the public keys that products pin, each as 43 characters of base64url, the one that signs keysets first.
func (s *Service) Roots(ctx context.Context) ([]string, error) {
	r, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	return r.pins(), nil
}

func (r *ring) pins() []string { return Pins(r.keys) }

// Pins are the roots among keys that products are to trust, the one that signs keysets first.
func Pins(keys []Key) []string {
	var out []string
	for _, state := range []State{Active, Standby} {
		for i := range keys {
			if k := &keys[i]; k.Role == Root && k.State == state {
				out = append(out, doc.FormatPublicKey(k.Public))
			}
		}
	}
	return out
}

// RootKeysets returns the keysets that replaced the roots, oldest first, one a line: by them a product that was away for long comes from the
// roots it pins to those of today.
func (s *Service) RootKeysets(ctx context.Context) (string, error) {
	r, err := s.load(ctx)
	if err != nil {
		return "", err
	}
	return r.chain, nil
}

// RootOnline reports whether the private part of the root is in this installation, how many keys stand by, and whether something is being
// signed again. It answers from memory.
func (s *Service) RootOnline(ctx context.Context) (online bool, standby int, working bool, err error) {
	r, err := s.load(ctx)
	if err != nil {
		return false, 0, false, err
	}
	for i := range r.keys {
		if k := &r.keys[i]; k.Role == Signing && k.State == Standby {
			standby++
		}
	}
	return r.root.Sealed != nil, standby, r.working, nil
}

// Entry is a key as staff see it.
type Entry struct {
	KID         string     `json:"kid" doc:"Thumbprint of the key."`
	Role        string     `json:"role" doc:"What it signs: keysets, or everything else." enum:"root,signing"`
	State       string     `json:"state" doc:"Where it stands in its life." enum:"active,standby,retired,revoked"`
	Public      string     `json:"public" doc:"The public key, in base64url; for a root, what products pin."`
	Online      bool       `json:"online" doc:"Whether the private part is in this installation."`
	NotBefore   time.Time  `json:"not_before" doc:"Documents from before are refused."`
	CreatedAt   time.Time  `json:"created_at" doc:"When it was made."`
	ActivatedAt *time.Time `json:"activated_at,omitempty" doc:"When it began to sign."`
	RetiredAt   *time.Time `json:"retired_at,omitempty" doc:"When it ceased to sign."`
	RevokedAt   *time.Time `json:"revoked_at,omitempty" doc:"When it was revoked; nothing that it signed is good."`
	DroppedAt   *time.Time `json:"dropped_at,omitempty" doc:"When keysets had no room for it any more: whatever it signed that is still good was signed again."`
}

// ListRequest asks for the keys.
type ListRequest struct{}

// Listing is all keys of the installation.
type Listing struct {
	Issuer string  `json:"issuer" doc:"The installation's iss, set at the first start."`
	Keyset int64   `json:"keyset" doc:"Number of the keyset in force."`
	Keys   []Entry `json:"keys" doc:"The keys: roots, then signing keys in the order of their use."`
}

// List returns all keys, public parts only.
func (s *Service) List(ctx context.Context, _ ListRequest) (Listing, error) {
	r, err := s.load(ctx)
	if err != nil {
		return Listing{}, err
	}
	out := Listing{Issuer: r.iss, Keyset: r.set.Num}
	for i := range r.keys {
		k := &r.keys[i]
		out.Keys = append(out.Keys, Entry{
			KID: k.KID, Role: string(k.Role), State: string(k.State), Public: doc.FormatPublicKey(k.Public), Online: k.Sealed != nil,
			NotBefore: k.NotBefore, CreatedAt: k.CreatedAt, ActivatedAt: optional(k.ActivatedAt), RetiredAt: optional(k.RetiredAt), RevokedAt: optional(k.RevokedAt), DroppedAt: optional(k.DroppedAt),
		})
	}
	return out, nil
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
