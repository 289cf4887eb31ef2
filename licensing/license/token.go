package license

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mintreu/mintreu/sdk/doc"
)

// giveToken draws a free index of an open status list and signs a token under a new jti.
func (s *Service) giveToken(ctx context.Context, l *License) error {
	at, err := s.indexes.draw(ctx)
	if err != nil {
		return err
	}
	return s.tokenAt(ctx, l, at)
}

// tokenAt signs a token for l under a new jti, at a place in a status list.
func (s *Service) tokenAt(ctx context.Context, l *License, at slot) error {
	was := l.Token
	l.Token = Token{JTI: s.IDs.New("tok"), LicenseID: l.ID, List: at.list, Index: at.idx, CreatedAt: s.now(), SignedAt: was.SignedAt}
	if !was.parted {
		l.Token.First = was.Line()
	}
	return s.sign(ctx, l)
}

// sign writes l's current token anew under the same jti with the key that signs now.
func (s *Service) sign(ctx context.Context, l *License) error {
	was := l.Token.SignedAt
	if l.Token.SignedAt = s.now(); was.After(l.Token.SignedAt) && was.Sub(l.Token.SignedAt) <= doc.Skew*time.Second {
		l.Token.SignedAt = was // a replica's clock is ahead of ours; a product never takes an older token for a newer one
	}
	text, kid, err := s.Signer.SignLicense(ctx, s.Claims(l))
	if err != nil {
		return fmt.Errorf("license %s: %w", l.ID, err)
	}
	l.Token.Text, l.Token.KID = text, kid
	return nil
}

// Claims is what l's current token says.
func (s *Service) Claims(l *License) *doc.License {
	c := s.claims(l)
	c.IssuedAt, c.NotBefore = l.Token.SignedAt.Unix(), l.CreatedAt.Unix()
	return c
}

// claims is what a token of l says, but for when.
func (s *Service) claims(l *License) *doc.License {
	t := &l.Terms
	c := &doc.License{
		Issuer: s.Signer.Issuer(), Audience: l.ProductSlug, ID: l.ID, TokenID: l.Token.JTI, Env: string(l.Env),
		Type: t.Type, Plan: l.PlanCode, Customer: string(l.Owner), Licensee: l.Licensee, MaxVersion: t.MaxVersion,
		Seats:    doc.Seats{N: l.Seats, By: t.Seats.By, Floating: t.Seats.Floating},
		Ent:      l.Granted(),
		EntUntil: l.EntitledUntil(),
		Pol: doc.Policy{
			Expired: t.Expired, ExpiryGrace: t.ExpiryGrace, Activation: t.Activation, Match: t.Match, Recheck: t.Recheck,
			Fresh: t.Fresh, Stale: t.Stale, Grace: t.Grace, Then: t.Then, Keep: slices.Clone(t.Keep),
			Status: t.Status, StatusMaxAge: t.StatusMaxAge,
		},
		Status: doc.StatusClaim{List: doc.StatusRef{Index: l.Token.Index, URI: s.statusURI(l.Token.List)}},
	}
	if strings.HasPrefix(string(l.Owner), "org_") {
		c.Organisation = string(l.Owner)
	}
	if !l.ValidUntil.IsZero() {
		c.ValidUntil = l.ValidUntil.Unix()
	}
	if !l.UpdatesUntil.IsZero() {
		c.UpdatesUntil = l.UpdatesUntil.Unix()
	}
	if end := l.HardEnd(); !end.IsZero() {
		c.Expires = end.Unix()
	}
	return c
}

func (s *Service) statusURI(list int64) string {
	return s.Signer.Issuer() + "/v1/status/" + strconv.FormatInt(list, 10)
}

// TokenText returns the license's token, signed by the key that signs now: after a rotation it is signed again under the same
// jti and kept. Call it outside any transaction.
func (s *Service) TokenText(ctx context.Context, l *License) (string, error) {
	kid, err := s.Signer.ActiveKID(ctx)
	if err != nil {
		return "", err
	}
	if l.Token.KID == kid && l.Token.Text != "" {
		return l.Token.Text, nil
	}
	was, prior := l.Token.KID, priorDigest(l.Token.Text)
	if err := s.sign(ctx, l); err != nil {
		return "", err
	}
	l.Token.Prior = prior
	kept, err := s.Tokens.ResignToken(ctx, l.Token, was)
	if err == nil && !kept { // somebody else signed it meanwhile, or this process does not know yet that its key is revoked: what is kept counts
		var now License
		var line string
		switch now, line, err = s.Tokens.LicenseByToken(ctx, l.Token.JTI); {
		case err != nil:
		case now.Token.Line() != line: // it is somebody else's by now
			err = ErrChanged
		default:
			l.Token = now.Token
		}
	}
	return l.Token.Text, err
}
