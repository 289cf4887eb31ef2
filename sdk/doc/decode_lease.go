package doc

import "fmt"

// Typ returns TypeLease.
func (*Lease) Typ() string { return TypeLease }

var leaseNames = []string{"iss", "aud", "sub", "jti", "iat", "exp", "env", "act", "tok", "seq", "dev", "match",
	"recheck_at", "fresh_until", "ent", "ent_until", "usr", "borrowed", "nonce", "must"}

func (l *Lease) decode(p *scanner) {
	var o object
	match := false
	p.open(&o)
	for p.next(&o) {
		switch o.name {
		case "iss":
			l.Issuer = p.ident()
		case "aud":
			l.Audience = p.ident()
		case "sub":
			l.License = p.ident()
		case "jti":
			l.TokenID = p.ident()
		case "iat":
			l.IssuedAt = p.time()
		case "exp":
			l.Expires = p.time()
		case "env":
			l.Env = p.word(EnvLive, EnvTest)
		case "act":
			l.Activation = p.ident()
		case "tok":
			l.Token = p.ident()
		case "seq":
			l.Seq = p.count()
		case "dev":
			l.Device = p.digests()
		case "match":
			l.Match, match = p.count(), true
		case "recheck_at":
			l.RecheckAt = p.time()
		case "fresh_until":
			l.FreshUntil = p.time()
		case "ent":
			l.Ent = p.entitlements()
		case "ent_until":
			l.EntUntil = p.times()
		case "usr":
			l.User = p.ident()
		case "borrowed":
			l.Borrowed = p.boolean()
		case "nonce":
			l.Nonce = p.ident()
		case "must":
			l.Must = p.idents()
		default:
			p.skipUnknown(&o, leaseNames)
		}
	}
	p.need("iss missing", l.Issuer != "")
	p.need("aud missing", l.Audience != "")
	p.need("sub missing", l.License != "")
	p.need("jti missing", l.TokenID != "")
	p.need("iat missing", l.IssuedAt != 0)
	p.need("env missing", l.Env != "")
	p.need("act missing", l.Activation != "")
	p.need("tok missing", l.Token != "")
	p.need("seq missing", l.Seq > 0)
	p.need("dev missing", l.Device != nil)
	p.need("match missing", match)
	p.need("recheck_at missing", l.RecheckAt >= l.IssuedAt)
	p.need("fresh_until missing", l.FreshUntil >= l.IssuedAt)
	p.need("ent missing", l.Ent != nil)
	p.need("exp before fresh_until", l.Expires == 0 || l.Expires >= l.FreshUntil && l.Expires > l.IssuedAt)
}

// RestsOn reports, as an error that wraps ErrMismatch, whether l is not a lease
// on this very license token: of another issuer, product, environment or
// license, resting on another token of it, or lasting longer than the license's
// policy allows.
func (l *Lease) RestsOn(lic *License) error {
	switch {
	case l.Issuer != lic.Issuer, l.Audience != lic.Audience, l.Env != lic.Env:
		return fmt.Errorf("%w: lease and license are of different products", ErrMismatch)
	case l.License != lic.ID:
		return fmt.Errorf("%w: lease is of another license", ErrMismatch)
	case l.Token != lic.TokenID:
		return fmt.Errorf("%w: lease rests on another token of the license", ErrMismatch)
	case l.Expires == 0 && lic.Pol.Then != ThenAdvisory:
		return fmt.Errorf("%w: lease without an end", ErrMismatch)
	case l.Expires > l.IssuedAt+lic.Pol.OfflineMax(), l.FreshUntil > l.IssuedAt+lic.Pol.OfflineMax():
		return fmt.Errorf("%w: lease is longer than the license allows", ErrMismatch)
	}
	return nil
}

// parseLease reads a payload strictly.
func parseLease(payload string) (*Lease, error) {
	var p scanner
	p.text(payload)
	d := new(Lease)
	d.decode(&p)
	return d, p.finish(d.Must, leaseNames)
}

func (*Lease) check(payload string) error {
	_, err := parseLease(payload)
	return err
}
