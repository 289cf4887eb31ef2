package license

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"strings"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
	"github.com/mintreu/mintreu/sdk"
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
		l, line, err := s.find(ctx, text)
		return licensing.Actor{Kind: licensing.Holder, ID: l.ID, License: l.ID, Owner: l.Owner, Product: l.ProductID, Env: l.Env, Line: line}, []string{l.ID}, err
	}
	var actor licensing.Actor
	var err error
	if strings.Count(text, ".") == 2 || len(text) > doc.MaxLicense {
		actor, _, err = read(ctx)
	} else {
		actor, err = s.holders.Load(ctx, credential.Digest(s.keyLookup(text)), read)
	}
	if errors.Is(err, licensing.ErrNotFound) {
		return licensing.Actor{Kind: licensing.Holder, Line: actor.Line}, nil
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

// find loads the license that a key or a current token speaks for, and the [Token.Line] of the credential. A token that has ended speaks for
// none, [licensing.ErrNotFound]; its line is returned all the same.
func (s *Service) find(ctx context.Context, text string) (License, string, error) {
	if len(text) > doc.MaxLicense {
		return License{}, "", licensing.ErrNotFound
	}
	if strings.Count(text, ".") != 2 {
		return s.byKey(ctx, s.keyLookup(text))
	}
	claims, err := s.Verifier.VerifyLicense(ctx, text)
	if licensing.KindOf(err) == licensing.Unauthorized {
		if errors.Is(err, doc.ErrKeyRevoked) {
			return s.byPrior(ctx, text)
		}
		// An imported key may have two dots of its own.
		return s.byKey(ctx, s.lookup(text))
	}
	if err != nil {
		return License{}, "", err
	}
	l, line, err := s.byToken(ctx, claims.TokenID)
	if err == nil && l.ID != claims.ID {
		return License{}, "", licensing.ErrNotFound
	}
	return l, line, err
}

// byKey is find by the lookup of a key.
func (s *Service) byKey(ctx context.Context, lookup []byte) (License, string, error) {
	l, err := s.Store.LicenseByKey(ctx, lookup)
	return l, l.Token.Line(), err
}

// byToken is find by the id of a token that is known to be ours.
func (s *Service) byToken(ctx context.Context, jti string) (License, string, error) {
	l, line, err := s.Tokens.LicenseByToken(ctx, jti)
	if err == nil && l.Token.JTI != jti {
		return License{}, line, licensing.ErrNotFound
	}
	return l, line, err
}

// ErrCredential is the one answer to a credential by which no token is handed out, whatever the reason.
var ErrCredential = licensing.Fail(licensing.Unauthorized, sdk.CodeUnauthorized, "This needs a valid credential in the Authorization header.")

// ErrRevoked answers the holder of a license that was revoked.
var ErrRevoked = licensing.Fail(licensing.Forbidden, sdk.CodeLicenseRevoked, "The license was revoked.")

// Current answers a product with the current token of its license: a renewal, like every change, gives a license another token and makes the one
// before it invalid. It is the one operation for which a token speaks that has ended, if the license stayed in the same hands since: a transfer
// and the re-issue of a key end what was known before. Unknown, in other hands, and of another's license look alike.
func (s *Service) Current(ctx context.Context, _ struct{}) (sdk.TokenResponse, error) {
	actor := licensing.ActorFrom(ctx)
	if actor.Kind != licensing.Holder {
		actor = licensing.Actor{}
	}
	// A line is named by its first token, so that one look tells both the license and whether it is in the same hands at this instant. Who has none
	// takes as long to be told so.
	l, _, err := s.Tokens.LicenseByToken(ctx, actor.Line)
	switch {
	case errors.Is(err, licensing.ErrNotFound), err == nil && l.Token.Line() != actor.Line:
		return sdk.TokenResponse{}, ErrCredential
	case err != nil:
		return sdk.TokenResponse{}, err
	case l.State == Revoked && actor.License == "":
		return sdk.TokenResponse{}, ErrCredential
	case l.State == Revoked:
		return sdk.TokenResponse{}, ErrRevoked
	}
	text, err := s.TokenText(ctx, &l)
	return sdk.TokenResponse{License: text}, err
}
