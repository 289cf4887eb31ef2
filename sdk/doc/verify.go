package doc

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"strings"
	"time"
)

// Verifier reads documents and returns them only if they are authentic, meant
// for this product and within their times. Fill it once and do not change it
// afterwards; then it is safe for concurrent use. The zero values of the
// optional fields are the strict ones.
type Verifier struct {
	Keys     *Keys  // who is trusted
	Issuer   string // expected iss; "" takes that of the keyset behind Keys
	Audience string // the product's slug; Any for the issuer itself
	Env      string // "" means EnvLive; EnvTest, or Any

	// Now returns the trusted time; nil means time.Now.
	Now func() time.Time
	// Skew is the tolerance on nbf, exp and iat: 0 means 60 seconds, a negative
	// one means none.
	Skew time.Duration
	// Expired also accepts documents past their exp, for a caller that leaves
	// the consequences to eval.
	Expired bool
}

// foreign marks the bytes that are none of the 64 characters of base64url.
var foreign = func() (t [256]byte) {
	for i := range t {
		t[i] = 1
	}
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		t[c] = 0
	}
	return t
}()

// License verifies a license+jwt.
func (v *Verifier) License(token string) (*License, error) {
	payload, key, err := v.open(token, TypeLicense)
	if err != nil {
		return nil, err
	}
	l, err := parseLicense(payload)
	if err == nil {
		err = v.belongs(key, l.Issuer, l.Audience, l.Env)
	}
	if err == nil {
		err = v.timely(key, l.IssuedAt, l.NotBefore, l.Expires)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Lease verifies a lease+jwt. Whether it belongs to a license is for
// Lease.RestsOn to say.
func (v *Verifier) Lease(token string) (*Lease, error) {
	payload, key, err := v.open(token, TypeLease)
	if err != nil {
		return nil, err
	}
	l, err := parseLease(payload)
	if err == nil {
		err = v.belongs(key, l.Issuer, l.Audience, l.Env)
	}
	if err == nil {
		err = v.timely(key, l.IssuedAt, 0, l.Expires)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Keyset verifies a keyset+jwt under the roots in v.Keys and refuses, with
// ErrRollback, one whose number is below floor, the highest seen so far. A
// keyset with one bad key is refused whole. The issuer is compared when v.Issuer
// is set; the root's signature is the proof otherwise.
func (v *Verifier) Keyset(token string, floor int64) (*Keyset, error) {
	payload, key, err := v.open(token, TypeKeyset)
	if err != nil {
		return nil, err
	}
	k, err := parseKeyset(payload)
	if err != nil {
		return nil, err
	}
	if v.Issuer != "" && k.Issuer != v.Issuer {
		return nil, ErrIssuer
	}
	if err := v.timely(key, k.IssuedAt, 0, 0); err != nil {
		return nil, err
	}
	if k.Num < floor {
		return nil, fmt.Errorf("%w: keyset %d, seen %d", ErrRollback, k.Num, floor)
	}
	if _, err := k.Trust(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPayload, err)
	}
	if _, err := k.TrustRoots(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPayload, err)
	}
	return k, nil
}

// StatusList verifies a statuslist+jwt that was fetched from uri. Status lists
// have no audience: any product of the issuer reads them.
func (v *Verifier) StatusList(token, uri string) (*StatusList, error) {
	payload, key, err := v.open(token, TypeStatusList)
	if err != nil {
		return nil, err
	}
	s, err := parseStatusList(payload)
	if err == nil {
		err = v.belongs(key, s.Issuer, v.Audience, "")
	}
	if err == nil && s.URI != uri {
		err = fmt.Errorf("%w: status list of another address", ErrMismatch)
	}
	if err == nil {
		err = v.timely(key, s.IssuedAt, 0, s.Expires)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Release verifies a release+jwt.
func (v *Verifier) Release(token string) (*Release, error) {
	payload, key, err := v.open(token, TypeRelease)
	if err != nil {
		return nil, err
	}
	r, err := parseRelease(payload)
	if err == nil {
		err = v.belongs(key, r.Issuer, r.Audience, "")
	}
	if err == nil {
		err = v.timely(key, r.IssuedAt, 0, 0)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Receipt verifies a usage-receipt+jwt.
func (v *Verifier) Receipt(token string) (*Receipt, error) {
	payload, key, err := v.open(token, TypeReceipt)
	if err != nil {
		return nil, err
	}
	r, err := parseReceipt(payload)
	if err == nil {
		err = v.belongs(key, r.Issuer, v.Audience, "")
	}
	if err == nil {
		err = v.timely(key, r.IssuedAt, 0, 0)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// open does every check up to the signature and returns the payload.
func (v *Verifier) open(token, typ string) (payload string, key *Key, err error) {
	if len(token) > capOf(typ) {
		return "", nil, ErrTooLong
	}
	head, body, ok := parts(token)
	if !ok {
		return "", nil, ErrMalformed
	}
	var room [2 << 10]byte // spares most tokens an allocation
	text := append(room[:0], token...)
	key, err = v.signer(text[:head], typ)
	if err != nil {
		return "", nil, err
	}
	var sig [ed25519.SignatureSize + 2]byte
	if b64.DecodedLen(len(text)-body-1) != ed25519.SignatureSize {
		return "", nil, ErrSignature
	}
	if _, err := b64.Decode(sig[:], text[body+1:]); err != nil {
		return "", nil, ErrMalformed
	}
	if !ed25519.Verify(key.Public, text[:body], sig[:ed25519.SignatureSize]) {
		return "", nil, ErrSignature
	}
	raw, err := b64.AppendDecode(text[:0], text[head+1:body])
	if err != nil {
		return "", nil, ErrMalformed
	}
	return string(raw), key, nil
}

// parts finds the two dots and checks the alphabet; every part must be there.
func parts(token string) (head, body int, ok bool) {
	head = strings.IndexByte(token, '.')
	body = head + 1 + strings.IndexByte(token[head+1:], '.')
	if head <= 0 || body <= head+1 || body == len(token)-1 {
		return 0, 0, false
	}
	return head, body, base64url(token[:head]) && base64url(token[head+1:body]) && base64url(token[body+1:])
}

// base64url reports whether s has characters of the alphabet alone. It looks at eight at a time, since it reads all that is
// refused.
func base64url(s string) bool {
	for ; len(s) >= 8; s = s[8:] {
		if foreign[s[0]]|foreign[s[1]]|foreign[s[2]]|foreign[s[3]]|foreign[s[4]]|foreign[s[5]]|foreign[s[6]]|foreign[s[7]] != 0 {
			return false
		}
	}
	for i := range len(s) {
		if foreign[s[i]] != 0 {
			return false
		}
	}
	return true
}

// maxHeader is more than any header of ours needs, in bytes of base64url.
const maxHeader = 512

// signer reads the header strictly and returns the trusted key it names.
func (v *Verifier) signer(header []byte, typ string) (*Key, error) {
	if v.Keys == nil {
		return nil, ErrUnknownKey
	}
	key := v.Keys.byHeader[typ][string(header)]
	if key == nil {
		kid, err := readHeader(header, typ)
		if err != nil {
			return nil, err
		}
		if key = v.Keys.byKID[kid]; key == nil {
			return nil, ErrUnknownKey
		}
	}
	if !key.signs(typ) || !key.covers(v.Audience) && typ != TypeKeyset {
		return nil, ErrUnknownKey
	}
	if key.State == KeyRevoked || key.RevokedAt != 0 {
		return nil, ErrKeyRevoked
	}
	return key, nil
}

// readHeader returns the kid of a header in base64url.
func readHeader(header []byte, typ string) (kid string, err error) {
	if len(header) > maxHeader {
		return "", ErrHeader
	}
	var room [maxHeader]byte
	n, err := b64.Decode(room[:], header)
	if err != nil {
		return "", ErrMalformed
	}
	if bytes.IndexByte(room[:n], '\\') >= 0 {
		return "", ErrHeader
	}
	var p scanner
	p.text(string(room[:n]))
	var alg, is string
	var o object
	p.open(&o)
	for p.next(&o) {
		switch o.name {
		case "alg":
			alg = p.str()
		case "kid":
			kid = p.str()
		case "typ":
			is = p.str()
		default:
			p.fail("unknown header member")
		}
	}
	p.end()
	if p.fault != "" || alg != "EdDSA" || is != typ || kid == "" {
		return "", ErrHeader
	}
	return kid, nil
}

// belongs checks issuer, audience and environment; env "" means that the
// document has none.
func (v *Verifier) belongs(key *Key, iss, aud, env string) error {
	want := v.Issuer
	if want == "" && v.Keys != nil {
		want = v.Keys.issuer
	}
	if iss != want {
		return ErrIssuer
	}
	if aud != v.Audience && v.Audience != Any {
		return ErrAudience
	}
	if !key.covers(aud) {
		return ErrUnknownKey
	}
	if env == "" || v.Env == Any || env == v.Env || v.Env == "" && env == EnvLive {
		return nil
	}
	return ErrEnv
}

// timely checks nbf, exp and iat; 0 means that the document has none.
func (v *Verifier) timely(key *Key, iat, nbf, exp int64) error {
	now, skew := v.now().Unix(), int64(Skew)
	if v.Skew != 0 {
		skew = max(0, int64(v.Skew/time.Second))
	}
	switch {
	case nbf > now+skew:
		return ErrNotYetValid
	case exp != 0 && exp <= now-skew && !v.Expired:
		return ErrExpired
	case iat > now+skew:
		return fmt.Errorf("%w: issued in the future", ErrNotYetValid)
	case iat < key.NotBefore-skew:
		return fmt.Errorf("%w: issued before its key was valid", ErrUnknownKey)
	}
	return nil
}

func (v *Verifier) now() time.Time {
	if v.Now != nil {
		return v.Now()
	}
	return time.Now()
}
