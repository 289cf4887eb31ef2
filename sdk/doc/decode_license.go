package doc

// Typ returns TypeLicense.
func (*License) Typ() string { return TypeLicense }

var (
	licenseNames = []string{"iss", "aud", "sub", "jti", "iat", "nbf", "exp", "env", "type", "plan", "cus", "org",
		"licensee", "valid_until", "updates_until", "max_version", "seats", "ent", "ent_until", "pol", "status", "must"}
	seatNames   = []string{"n", "by", "floating"}
	statusNames = []string{"status_list"}
	refNames    = []string{"idx", "uri"}
	policyNames = []string{"expired", "expiry_grace", "activation", "match", "recheck", "fresh", "stale", "grace",
		"then", "keep", "status", "status_max_age"}
)

func (l *License) decode(p *scanner) {
	var o object
	p.open(&o)
	for p.next(&o) {
		switch o.name {
		case "iss":
			l.Issuer = p.ident()
		case "aud":
			l.Audience = p.ident()
		case "sub":
			l.ID = p.ident()
		case "jti":
			l.TokenID = p.ident()
		case "iat":
			l.IssuedAt = p.time()
		case "nbf":
			l.NotBefore = p.time()
		case "exp":
			l.Expires = p.time()
		case "env":
			l.Env = p.word(EnvLive, EnvTest)
		case "type":
			l.Type = p.word(Perpetual, Timed, Subscription, Trial)
		case "plan":
			l.Plan = p.code()
		case "cus":
			l.Customer = p.ident()
		case "org":
			l.Organisation = p.ident()
		case "licensee":
			l.Licensee = p.label()
		case "valid_until":
			l.ValidUntil = p.time()
		case "updates_until":
			l.UpdatesUntil = p.time()
		case "max_version":
			l.MaxVersion = p.ident()
		case "seats":
			l.Seats.decode(p)
		case "ent":
			l.Ent = p.entitlements()
		case "ent_until":
			l.EntUntil = p.times()
		case "pol":
			l.Pol.decode(p)
		case "status":
			l.Status.decode(p)
		case "must":
			l.Must = p.idents()
		default:
			p.skipUnknown(&o, licenseNames)
		}
	}
	l.complete(p)
}

// complete demands every claim that is not optional, and that the claims agree.
func (l *License) complete(p *scanner) {
	p.need("iss missing", l.Issuer != "")
	p.need("aud missing", l.Audience != "")
	p.need("sub missing", l.ID != "")
	p.need("jti missing", l.TokenID != "")
	p.need("iat missing", l.IssuedAt != 0)
	p.need("nbf missing", l.NotBefore != 0)
	p.need("env missing", l.Env != "")
	p.need("type missing", l.Type != "")
	p.need("plan missing", l.Plan != "")
	p.need("cus missing", l.Customer != "")
	p.need("seats missing", l.Seats.By != "")
	p.need("ent missing", l.Ent != nil)
	p.need("pol missing", l.Pol.Expired != "")
	p.need("status missing", l.Status.List.URI != "" || l.Pol.Status == StatusOff)
	p.need("exp missing", l.Expires != 0 || !l.ends())
	if l.Expires != 0 {
		p.need("exp before nbf", l.Expires > l.NotBefore)
		p.need("exp before valid_until", l.Expires >= l.ValidUntil)
	}
}

// ends reports whether a license of this kind has a hard end. One that starts
// to count at its first activation has none until then.
func (l *License) ends() bool {
	if l.Pol.Expired != ExpiredRestrict && l.Pol.Expired != ExpiredRevoke {
		return false
	}
	return l.ValidUntil != 0 || l.Type != Perpetual && l.Pol.Activation == ActivationNone
}

func (s *Seats) decode(p *scanner) {
	var o object
	had := 0
	p.open(&o)
	for p.next(&o) {
		switch o.name {
		case "n":
			s.N, had = p.count(), had+1
		case "by":
			s.By = p.word(ByDevice, ByUser)
		case "floating":
			s.Floating, had = p.boolean(), had+1
		default:
			p.skipUnknown(&o, seatNames)
		}
	}
	p.need("seats.by missing", s.By != "")
	p.need("seats incomplete", had == 2) // no member comes twice
}

func (c *StatusClaim) decode(p *scanner) {
	var o object
	p.open(&o)
	for p.next(&o) {
		if o.name == "status_list" {
			c.List.decode(p)
		} else {
			p.skipUnknown(&o, statusNames)
		}
	}
	p.need("status_list missing", c.List.URI != "")
}

func (r *StatusRef) decode(p *scanner) {
	var o object
	had := false
	p.open(&o)
	for p.next(&o) {
		switch o.name {
		case "idx":
			r.Index, had = p.count(), true
		case "uri":
			r.URI = p.ident()
		default:
			p.skipUnknown(&o, refNames)
		}
	}
	p.need("status idx missing or out of range", had && r.Index < StatusListSize)
}

func (l *Policy) decode(p *scanner) {
	var o object
	had := 0
	p.open(&o)
	for p.next(&o) {
		switch o.name {
		case "expired":
			l.Expired = p.word(ExpiredRestrict, ExpiredRevoke, ExpiredMaintain, ExpiredAllow)
		case "expiry_grace":
			l.ExpiryGrace, had = p.length(), had+1
		case "activation":
			l.Activation = p.word(ActivationNone, ActivationRequired)
		case "match":
			l.Match, had = p.count(), had+1
		case "recheck":
			l.Recheck, had = p.length(), had+1
		case "fresh":
			l.Fresh, had = p.length(), had+1
		case "stale":
			l.Stale, had = p.length(), had+1
		case "grace":
			l.Grace, had = p.length(), had+1
		case "then":
			l.Then = p.word(ThenStop, ThenDegrade, ThenAdvisory)
		case "keep":
			l.Keep = p.codes()
		case "status":
			l.Status = p.word(StatusOff, StatusWarn, StatusRequire)
		case "status_max_age":
			l.StatusMaxAge, had = p.length(), had+1
		default:
			p.skipUnknown(&o, policyNames)
		}
	}
	p.need("pol.expired missing", l.Expired != "")
	p.need("pol.activation missing", l.Activation != "")
	p.need("pol.then missing", l.Then != "")
	p.need("pol.status missing", l.Status != "")
	p.need("pol incomplete", had == 7)
}

// length reads a duration in seconds; more than the whole calendar is refused
// so that sums cannot overflow.
func (p *scanner) length() int64 {
	n := p.count()
	if n > maxTime {
		p.fail("duration too long")
	}
	return n
}

// parseLicense reads a payload strictly.
func parseLicense(payload string) (*License, error) {
	var p scanner
	p.text(payload)
	d := new(License)
	d.decode(&p)
	return d, p.finish(d.Must, licenseNames)
}

func (*License) check(payload string) error {
	_, err := parseLicense(payload)
	return err
}
