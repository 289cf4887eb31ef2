package keyring

import (
	"context"
	"errors"
	"fmt"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

// ring is the keys as loaded. It is immutable.
type ring struct {
	iss     string
	keys    []Key // by role and position
	set     Keyset
	root    *Key
	active  *Key
	signer  *doc.Signer // of active; nil in a ring only fetched
	trust   *doc.Keys
	jwks    []byte
	working bool   // something is being signed again
	chain   string // keysets that replaced the roots, one a line
}

// Forget drops the keys kept in memory; the next use loads them anew. The change feed calls it for "signing_key".
func (s *Service) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ring != nil {
		s.ring = &ring{iss: s.ring.iss}
	}
}

// load returns the keys, from memory if they are there.
func (s *Service) load(ctx context.Context) (*ring, error) {
	s.mu.RLock()
	r := s.ring
	s.mu.RUnlock()
	if r != nil && r.signer != nil {
		return r, nil
	}
	fresh, err := s.fetch(ctx)
	if err != nil {
		return nil, err
	}
	private, err := s.open(fresh.active)
	if err != nil {
		return nil, err
	}
	if fresh.signer, err = doc.NewSigner(private); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ring == r { // nobody forgot or loaded meanwhile
		s.ring = fresh
	}
	return fresh, nil
}

// fetch reads the keys from the store, without any private part.
func (s *Service) fetch(ctx context.Context) (*ring, error) {
	r := &ring{}
	var err error
	if r.iss, err = s.Store.Issuer(ctx); err != nil {
		return nil, err
	}
	if r.keys, err = s.Store.Keys(ctx); err != nil {
		return nil, err
	}
	if r.set, err = s.Store.LatestKeyset(ctx); err != nil {
		return nil, err
	}
	var trusted []doc.Key
	for i := range r.keys {
		k := &r.keys[i]
		e, err := k.entry()
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", k.KID, err)
		}
		pub, err := e.Key()
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", k.KID, err)
		}
		trusted = append(trusted, pub)
		switch {
		case k.Role == Root && k.State == Active:
			r.root = k
		case k.Role == Signing && k.State == Active:
			r.active = k
		}
	}
	if r.active == nil || r.root == nil || r.iss == "" {
		return nil, errors.New("keyring: no active signing key or root")
	}
	chain, err := s.Store.RootKeysets(ctx)
	if err != nil {
		return nil, err
	}
	for _, set := range chain {
		r.chain += set.Text + "\n"
	}
	if r.trust, err = doc.NewKeys(trusted...); err != nil {
		return nil, err
	}
	if s.Works != nil {
		open, err := s.Works.OpenWork(ctx)
		if err != nil {
			return nil, err
		}
		r.working = len(open) > 0
	}
	r.jwks, err = marshalJWKS(r.keys)
	return r, err
}

// Issuer is the installation's iss. It is known once [Service.Ensure] has run.
func (s *Service) Issuer() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.ring == nil {
		return ""
	}
	return s.ring.iss
}

// ActiveKID names the key that signs now.
func (s *Service) ActiveKID(ctx context.Context) (string, error) {
	r, err := s.load(ctx)
	if err != nil {
		return "", err
	}
	return r.active.KID, nil
}

// SignLicense signs a license token and returns its text and the key that signed it.
func (s *Service) SignLicense(ctx context.Context, c *doc.License) (text, kid string, err error) {
	return s.sign(ctx, c)
}

// SignLease signs a lease.
func (s *Service) SignLease(ctx context.Context, c *doc.Lease) (text, kid string, err error) {
	return s.sign(ctx, c)
}

// SignStatusList signs a status list.
func (s *Service) SignStatusList(ctx context.Context, c *doc.StatusList) (text, kid string, err error) {
	return s.sign(ctx, c)
}

// SignRelease signs the manifest of a release.
func (s *Service) SignRelease(ctx context.Context, c *doc.Release) (text, kid string, err error) {
	return s.sign(ctx, c)
}

// SignReceipt signs the proof that a batch of usage was counted.
func (s *Service) SignReceipt(ctx context.Context, c *doc.Receipt) (text, kid string, err error) {
	return s.sign(ctx, c)
}

func (s *Service) sign(ctx context.Context, c doc.Document) (text, kid string, err error) {
	r, err := s.load(ctx)
	if err != nil {
		return "", "", err
	}
	text, err = r.signer.Sign(c)
	return text, r.active.KID, err
}

// verifier reads documents of this installation, for every product and environment.
func (s *Service) verifier(ctx context.Context, expired bool) (*doc.Verifier, error) {
	r, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	return &doc.Verifier{Keys: r.trust, Issuer: r.iss, Audience: doc.Any, Env: doc.Any, Now: s.Clock.Now, Expired: expired}, nil
}

// VerifyLicense checks a license token of this installation. Its end is not looked at: what an expired license may do is for
// Evaluate to say.
func (s *Service) VerifyLicense(ctx context.Context, text string) (*doc.License, error) {
	v, err := s.verifier(ctx, true)
	if err != nil {
		return nil, err
	}
	l, err := v.License(text)
	return l, refused(err)
}

// VerifyLease checks a lease of this installation. Its end is not looked at: a heartbeat succeeds however late, and the seat
// is the server's to know.
func (s *Service) VerifyLease(ctx context.Context, text string) (*doc.Lease, error) {
	v, err := s.verifier(ctx, true)
	if err != nil {
		return nil, err
	}
	l, err := v.Lease(text)
	return l, refused(err)
}

// VerifyReceipt checks a usage receipt of this installation.
func (s *Service) VerifyReceipt(ctx context.Context, text string) (*doc.Receipt, error) {
	v, err := s.verifier(ctx, true)
	if err != nil {
		return nil, err
	}
	c, err := v.Receipt(text)
	return c, refused(err)
}

// refused makes a verifier's reason an error for the log that callers see as "unauthorized" alone.
func refused(err error) error {
	if err == nil {
		return nil
	}
	return licensing.Fail(licensing.Unauthorized, "unauthorized", "The credential is not good.").Because(err)
}
