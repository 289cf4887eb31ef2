package activation

import (
	"context"
	"maps"
	"time"

	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// span is how long the seat and the lease of a contact last.
type span struct {
	at         time.Time // the contact, in whole seconds
	leaseUntil time.Time // zero: the lease has no end
	diesAt     time.Time // zero: the seat never dies
	borrowed   bool      // until leaseUntil
}

// spanOf works the lengths of a license's terms out from a contact at an instant.
func spanOf(t *license.Terms, at time.Time) span {
	s := span{at: at.Truncate(time.Second)}
	if t.Then != doc.ThenAdvisory {
		s.leaseUntil = s.at.Add(t.OfflineMax())
	}
	if t.DeadAfter > 0 {
		s.diesAt = s.at.Add(time.Duration(t.DeadAfter) * time.Second)
	}
	return s
}

// spanFor is [spanOf] for an activation, whose seat may be borrowed: then lease and seat end at that date, and nothing is stale before. No lease
// lasts longer than the terms let a device run offline, which may be less than when the seat was lent, or count from a contact before that.
func spanFor(t *license.Terms, a *Activation, at time.Time) span {
	if !t.Seats.Floating || !a.BorrowedUntil.After(at) {
		return spanOf(t, at)
	}
	s := span{at: at.Truncate(time.Second), leaseUntil: a.BorrowedUntil, diesAt: a.BorrowedUntil, borrowed: true}
	if latest := s.at.Add(t.OfflineMax()); latest.Before(s.leaseUntil) {
		s.leaseUntil = latest
	}
	return s
}

// claims is what a lease of an activation says. device is the one it binds to.
func (s *Service) claims(l *license.License, a *Activation, when span, device map[string]string, nonce string) *doc.Lease {
	t := &l.Terms
	c := &doc.Lease{
		Issuer: s.Signer.Issuer(), Audience: l.ProductSlug, License: l.ID, TokenID: s.IDs.New("lse"), IssuedAt: when.at.Unix(),
		Env: string(l.Env), Activation: a.ID, Token: l.Token.JTI, Seq: a.Seq, Device: maps.Clone(device),
		Match: min(t.Match, int64(len(device))), RecheckAt: when.at.Unix() + t.Recheck, FreshUntil: when.at.Unix() + t.Fresh,
		Ent: l.Granted(), EntUntil: l.EntitledUntil(), User: a.User, Nonce: nonce,
	}
	if c.Device == nil {
		c.Device = map[string]string{}
	}
	if !when.leaseUntil.IsZero() {
		c.Expires = when.leaseUntil.Unix()
	}
	if when.borrowed {
		c.Borrowed, c.FreshUntil, c.RecheckAt = true, c.Expires, min(c.RecheckAt, c.Expires)
	}
	return c
}

// decide asks eval what the server thinks of the license and lease now.
func (s *Service) decide(l *license.License, lease *doc.Lease, r eval.Request, now time.Time) eval.Decision {
	return eval.Evaluate(eval.Input{
		License: s.Licenses.Claims(l), Lease: lease, Request: r, Now: now.Unix(),
		Status: &eval.Status{Value: statusOf(l.State), IssuedAt: now.Unix()},
	})
}

func statusOf(state license.State) byte {
	switch state {
	case license.Active:
		return doc.StatusValid
	case license.Suspended:
		return doc.StatusSuspended
	}
	return doc.StatusInvalid
}

// sign signs a lease. It runs after the seat is taken or renewed and outside any transaction; a reply lost here is made good
// by the next request, which gets the next seq of the same activation.
func (s *Service) sign(ctx context.Context, c *doc.Lease) (string, error) {
	text, _, err := s.Signer.SignLease(ctx, c)
	return text, err
}
