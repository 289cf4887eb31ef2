package doc

// Typ returns TypeKeyset.
func (*Keyset) Typ() string { return TypeKeyset }

// Typ returns TypeStatusList.
func (*StatusList) Typ() string { return TypeStatusList }

// Typ returns TypeRelease.
func (*Release) Typ() string { return TypeRelease }

// Typ returns TypeReceipt.
func (*Receipt) Typ() string { return TypeReceipt }

var (
	keysetNames     = []string{"iss", "iat", "num", "keys", "roots"}
	keyNames        = []string{"kid", "kty", "crv", "x", "alg", "use", "for", "aud", "state", "nbf", "revoked_at"}
	statusListNames = []string{"iss", "sub", "iat", "exp", "ttl", "status_list"}
	listNames       = []string{"bits", "lst"}
	releaseNames    = []string{"iss", "aud", "version", "iat", "files"}
	fileNames       = []string{"name", "size", "sha256", "url"}
	receiptNames    = []string{"iss", "sub", "seq", "sha", "iat"}

	// secretNames are the members of private and symmetric keys, which have no
	// place in a keyset.
	secretNames = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}
)

func (k *Keyset) decode(p *scanner) {
	var o object
	p.open(&o)
	for p.next(&o) {
		switch o.name {
		case "iss":
			k.Issuer = p.ident()
		case "iat":
			k.IssuedAt = p.time()
		case "num":
			k.Num = p.count()
		case "keys":
			k.Keys = p.jwks()
		case "roots":
			k.Roots = p.jwks()
			p.need("roots empty", len(k.Roots) > 0)
		default:
			p.skipUnknown(&o, keysetNames)
		}
	}
	p.need("iss missing", k.Issuer != "")
	p.need("iat missing", k.IssuedAt != 0)
	p.need("num missing", k.Num > 0)
	p.need("keys missing", k.Keys != nil)
}

func (p *scanner) jwks() []JWK {
	list := make([]JWK, 0, 4)
	p.array(64, func() {
		var k JWK
		k.decode(p)
		list = append(list, k)
	})
	return list
}

func (k *JWK) decode(p *scanner) {
	var o object
	since := false
	p.open(&o)
	for p.next(&o) {
		switch o.name {
		case "kid":
			k.KID = p.ident()
		case "kty":
			k.Kty = p.ident()
		case "crv":
			k.Crv = p.ident()
		case "x":
			k.X = p.ident()
		case "alg":
			k.Alg = p.ident()
		case "use":
			k.Use = p.ident()
		case "for":
			k.For = p.idents()
		case "aud":
			k.Aud = p.idents()
		case "state":
			k.State = p.word(KeyActive, KeyStandby, KeyRetired, KeyRevoked)
		case "nbf":
			k.NotBefore, since = p.count(), true
		case "revoked_at":
			k.RevokedAt = p.time()
		default:
			for _, s := range secretNames {
				p.need("private key in a keyset", s != o.name)
			}
			p.skipUnknown(&o, keyNames)
		}
	}
	p.need("key state missing", k.State != "")
	p.need("key nbf missing", since)
}

func (s *StatusList) decode(p *scanner) {
	var o object
	ttl := false
	p.open(&o)
	for p.next(&o) {
		switch o.name {
		case "iss":
			s.Issuer = p.ident()
		case "sub":
			s.URI = p.ident()
		case "iat":
			s.IssuedAt = p.time()
		case "exp":
			s.Expires = p.time()
		case "ttl":
			s.TTL, ttl = p.length(), true
		case "status_list":
			s.List.decode(p)
		default:
			p.skipUnknown(&o, statusListNames)
		}
	}
	p.need("iss missing", s.Issuer != "")
	p.need("sub missing", s.URI != "")
	p.need("iat missing", s.IssuedAt != 0)
	p.need("exp missing", s.Expires > s.IssuedAt)
	p.need("ttl missing", ttl)
	p.need("status_list missing", s.List.Bits != 0)
}

func (l *StatusListBits) decode(p *scanner) {
	var o object
	p.open(&o)
	for p.next(&o) {
		switch o.name {
		case "bits":
			l.Bits = p.integer()
		case "lst":
			l.List = p.str()
		default:
			p.skipUnknown(&o, listNames)
		}
	}
	p.need("bits is not 2", l.Bits == 2)
	p.need("lst missing", l.List != "")
}

func (r *Release) decode(p *scanner) {
	var o object
	files := false
	p.open(&o)
	for p.next(&o) {
		switch o.name {
		case "iss":
			r.Issuer = p.ident()
		case "aud":
			r.Audience = p.ident()
		case "version":
			r.Version = p.ident()
		case "iat":
			r.IssuedAt = p.time()
		case "files":
			files = true
			p.array(64, func() {
				var f ReleaseFile
				f.decode(p)
				r.Files = append(r.Files, f)
			})
		default:
			p.skipUnknown(&o, releaseNames)
		}
	}
	p.need("iss missing", r.Issuer != "")
	p.need("aud missing", r.Audience != "")
	p.need("version missing", r.Version != "")
	p.need("iat missing", r.IssuedAt != 0)
	p.need("files missing", files)
}

func (f *ReleaseFile) decode(p *scanner) {
	var o object
	size := false
	p.open(&o)
	for p.next(&o) {
		switch o.name {
		case "name":
			f.Name = p.label()
		case "size":
			f.Size, size = p.count(), true
		case "sha256":
			f.SHA256 = p.sha256()
		case "url":
			f.URL = p.ident()
		default:
			p.skipUnknown(&o, fileNames)
		}
	}
	p.need("file name missing", f.Name != "")
	p.need("file size missing", size)
	p.need("file sha256 missing", f.SHA256 != "")
}

func (r *Receipt) decode(p *scanner) {
	var o object
	seq := false
	p.open(&o)
	for p.next(&o) {
		switch o.name {
		case "iss":
			r.Issuer = p.ident()
		case "sub":
			r.Source = p.ident()
		case "seq":
			r.Seq, seq = p.count(), true
		case "sha":
			r.SHA = p.sha256()
		case "iat":
			r.IssuedAt = p.time()
		default:
			p.skipUnknown(&o, receiptNames)
		}
	}
	p.need("iss missing", r.Issuer != "")
	p.need("sub missing", r.Source != "")
	p.need("seq missing", seq)
	p.need("sha missing", r.SHA != "")
	p.need("iat missing", r.IssuedAt != 0)
}

// sha256 reads a SHA-256 as 64 lower-case hex digits.
func (p *scanner) sha256() string {
	s := p.str()
	ok := len(s) == 64
	for i := 0; ok && i < len(s); i++ {
		ok = s[i] >= '0' && s[i] <= '9' || s[i] >= 'a' && s[i] <= 'f'
	}
	p.need("expected a SHA-256 in hex", ok)
	return s
}

// parseKeyset reads a payload strictly.
func parseKeyset(payload string) (*Keyset, error) {
	var p scanner
	p.text(payload)
	d := new(Keyset)
	d.decode(&p)
	return d, p.finish(nil, nil)
}

func (*Keyset) check(payload string) error {
	_, err := parseKeyset(payload)
	return err
}

// parseStatusList reads a payload strictly.
func parseStatusList(payload string) (*StatusList, error) {
	var p scanner
	p.text(payload)
	d := new(StatusList)
	d.decode(&p)
	return d, p.finish(nil, nil)
}

func (*StatusList) check(payload string) error {
	_, err := parseStatusList(payload)
	return err
}

// parseRelease reads a payload strictly.
func parseRelease(payload string) (*Release, error) {
	var p scanner
	p.text(payload)
	d := new(Release)
	d.decode(&p)
	return d, p.finish(nil, nil)
}

func (*Release) check(payload string) error {
	_, err := parseRelease(payload)
	return err
}

// parseReceipt reads a payload strictly.
func parseReceipt(payload string) (*Receipt, error) {
	var p scanner
	p.text(payload)
	d := new(Receipt)
	d.decode(&p)
	return d, p.finish(nil, nil)
}

func (*Receipt) check(payload string) error {
	_, err := parseReceipt(payload)
	return err
}
