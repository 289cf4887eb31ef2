package license

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"strings"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
	"github.com/mintreu/mintreu/sdk/doc"
)

// lookup is the keyed hash under which a license key is found. The database alone cannot test a guess.
func (s *Service) lookup(key string) []byte {
	m := hmac.New(sha256.New, s.lookupKey)
	m.Write([]byte(key))
	return m.Sum(nil)
}

// keyLookup is the lookup of a license key: of its usual spelling if it has the shape of ours, else byte for byte.
func (s *Service) keyLookup(text string) []byte {
	key, _ := doc.NormalizeLicenseKey(text)
	return s.lookup(key)
}

// ByCredential names the holder behind a license key or a license token. A credential of no license, or a token that is no
// longer the current one, is a holder of nothing: an Actor without License, whom every operation answers as it answers
// for a license that may not do what is asked. So no answer and no status tells unknown from refused. It fails only when the
// store does.
//
// Whose a key is comes from memory, bounded, until the change feed tells of the license ([Service.ForgetHolder]); that a key is nobody's is
// remembered for five seconds at most, until a license changes that is not remembered, which may have come to be; and apart from the others, so
// that a flood of guesses pushes out none. A token is verified each time, for its signing key may have been revoked.
func (s *Service) ByCredential(ctx context.Context, text string) (licensing.Actor, error) {
	read := func(ctx context.Context) (licensing.Actor, []string, error) {
		l, err := s.find(ctx, text)
		return licensing.Actor{Kind: licensing.Holder, ID: l.ID, License: l.ID, Owner: l.Owner, Product: l.ProductID, Env: l.Env}, []string{l.ID}, err
	}
	var actor licensing.Actor
	var err error
	if strings.Count(text, ".") == 2 || len(text) > doc.MaxLicense {
		actor, _, err = read(ctx)
	} else {
		actor, err = s.holders.Load(ctx, credential.Digest(s.keyLookup(text)), read)
	}
	if errors.Is(err, licensing.ErrNotFound) {
		return licensing.Actor{Kind: licensing.Holder}, nil
	}
	if err != nil {
		return licensing.Actor{}, err
	}
	return actor, nil
}

// ForgetHolder drops whose keys the license with an id has, everything for "".
func (s *Service) ForgetHolder(id string) {
	if id == "" {
		s.holders.Reset()
		return
	}
	if !s.holders.Invalidate(id) {
		s.holders.ForgetMisses()
	}
}

// find loads the license that a key or a current token speaks for.
func (s *Service) find(ctx context.Context, text string) (License, error) {
	if len(text) > doc.MaxLicense {
		return License{}, licensing.ErrNotFound
	}
	if strings.Count(text, ".") != 2 {
		return s.Store.LicenseByKey(ctx, s.keyLookup(text))
	}
	claims, err := s.Verifier.VerifyLicense(ctx, text)
	if licensing.KindOf(err) == licensing.Unauthorized {
		if errors.Is(err, doc.ErrKeyRevoked) {
			return s.byPrior(ctx, text)
		}
		// An imported key may have two dots of its own.
		return s.Store.LicenseByKey(ctx, s.lookup(text))
	}
	if err != nil {
		return License{}, err
	}
	l, current, err := s.Tokens.LicenseByToken(ctx, claims.TokenID)
	if err == nil && (!current || l.ID != claims.ID) {
		return License{}, licensing.ErrNotFound
	}
	return l, err
}
