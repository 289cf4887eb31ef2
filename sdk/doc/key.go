package doc

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
)

// b64 is base64url without padding that refuses unused bits which are not zero.
var b64 = base64.RawURLEncoding.Strict()

// JWK is one public key in a keyset, in the form of RFC 7517 with the members
// of Mintreu: what it may sign, for which products, and its state.
type JWK struct {
	KID       string   `json:"kid"` // RFC 7638 thumbprint
	Kty       string   `json:"kty"` // "OKP"
	Crv       string   `json:"crv"` // "Ed25519"
	X         string   `json:"x"`   // the public key, base64url
	Alg       string   `json:"alg"` // "EdDSA"
	Use       string   `json:"use"` // "sig"
	For       []string `json:"for,omitempty"`
	Aud       []string `json:"aud,omitempty"` // product slugs, or "*"
	State     string   `json:"state"`
	NotBefore int64    `json:"nbf"`
	RevokedAt int64    `json:"revoked_at,omitempty"`
}

// States of a key. Everything but a revoked key verifies; only the active key
// signs.
const (
	KeyActive  = "active"
	KeyStandby = "standby"
	KeyRetired = "retired"
	KeyRevoked = "revoked"
)

// Key is one trusted public key.
type Key struct {
	KID       string
	Public    ed25519.PublicKey
	For       []string // types of document it may sign
	Aud       []string // product slugs, or "*"
	State     string
	NotBefore int64 // documents from before are refused
	RevokedAt int64
}

// NewJWK returns the entry of a public key, active from nbf on, that may sign
// the given types for every product. Change State and Aud as needed.
func NewJWK(pub ed25519.PublicKey, nbf int64, types ...string) (JWK, error) {
	if err := CheckPublicKey(pub); err != nil {
		return JWK{}, err
	}
	return JWK{KID: Thumbprint(pub), Kty: "OKP", Crv: "Ed25519", X: FormatPublicKey(pub), Alg: "EdDSA", Use: "sig",
		For: types, Aud: []string{Any}, State: KeyActive, NotBefore: nbf}, nil
}

// Key returns the checked public key of an entry.
func (j JWK) Key() (Key, error) {
	if j.Kty != "OKP" || j.Crv != "Ed25519" || j.Alg != "EdDSA" || j.Use != "sig" {
		return Key{}, fmt.Errorf("%w: not an Ed25519 signing key", ErrKey)
	}
	pub, err := ParsePublicKey(j.X)
	if err != nil {
		return Key{}, err
	}
	if j.KID != Thumbprint(pub) {
		return Key{}, fmt.Errorf("%w: kid is not its thumbprint", ErrKey)
	}
	return Key{KID: j.KID, Public: pub, For: j.For, Aud: j.Aud, State: j.State, NotBefore: j.NotBefore,
		RevokedAt: j.RevokedAt}, nil
}

// Thumbprint returns the kid of a public key: its RFC 7638 thumbprint.
func Thumbprint(pub ed25519.PublicKey) string {
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + FormatPublicKey(pub) + `"}`))
	return b64.EncodeToString(sum[:])
}

// FormatPublicKey returns a public key as 43 characters of base64url, the form
// in which keys and roots are pinned.
func FormatPublicKey(pub ed25519.PublicKey) string { return b64.EncodeToString(pub) }

// ParsePublicKey reads what FormatPublicKey wrote and checks the key.
func ParsePublicKey(s string) (ed25519.PublicKey, error) {
	raw, ok := decode64(s)
	if !ok || len(raw) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: not 32 bytes in base64url", ErrKey)
	}
	pub := ed25519.PublicKey(raw)
	return pub, CheckPublicKey(pub)
}

// decode64 decodes canonical base64url; unlike the standard decoder it takes no
// line breaks.
func decode64(s string) ([]byte, bool) {
	if !base64url(s) {
		return nil, false
	}
	b, err := b64.DecodeString(s)
	return b, err == nil
}

// Parameters of edwards25519 (RFC 8032): the prime and the constant d.
var (
	fieldPrime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	curveD, _  = new(big.Int).SetString("37095705934669439343138083508754565189542113879843219016388785533085940283555", 10)
)

// smallOrder has the y coordinates, little-endian, of the eight points whose
// order divides 8; signatures under them can be forged.
var smallOrder = [][32]byte{
	{},
	{1},
	{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
	{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
}

// CheckPublicKey refuses, with an error that wraps ErrKey, what is not the
// canonical encoding of a point on the curve, and points of small order.
func CheckPublicKey(pub ed25519.PublicKey) error {
	if len(pub) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: not %d bytes", ErrKey, ed25519.PublicKeySize)
	}
	y := [32]byte(pub)
	y[31] &= 0x7f
	for _, s := range smallOrder {
		if bytes.Equal(y[:], s[:]) {
			return fmt.Errorf("%w: point of small order", ErrKey)
		}
	}
	slices.Reverse(y[:])
	n := new(big.Int).SetBytes(y[:])
	if n.Cmp(fieldPrime) >= 0 {
		return fmt.Errorf("%w: encoding is not canonical", ErrKey)
	}
	// x² = (y²-1) / (dy²+1) has a root if and only if the product has one.
	n.Mul(n, n)
	u := new(big.Int).Sub(n, big.NewInt(1))
	n.Mul(n, curveD).Add(n, big.NewInt(1))
	u.Mul(u, n).Mod(u, fieldPrime)
	if big.Jacobi(u, fieldPrime) < 0 {
		return fmt.Errorf("%w: not a point on the curve", ErrKey)
	}
	return nil
}

// Keys is an immutable set of trusted public keys, safe for concurrent use.
type Keys struct {
	byKID    map[string]*Key
	byHeader map[string]map[string]*Key // by typ and the usual header's text, which spares reading it
	issuer   string
	num      int64
}

// NewKeys makes a set of the given keys; a bad or a repeated key refuses all.
func NewKeys(keys ...Key) (*Keys, error) {
	s := &Keys{byKID: make(map[string]*Key, len(keys)), byHeader: make(map[string]map[string]*Key)}
	for _, k := range keys {
		if err := CheckPublicKey(k.Public); err != nil {
			return nil, err
		}
		if k.KID != Thumbprint(k.Public) {
			return nil, fmt.Errorf("%w: kid is not its thumbprint", ErrKey)
		}
		if s.byKID[k.KID] != nil {
			return nil, fmt.Errorf("%w: key %s twice", ErrKey, k.KID)
		}
		k.Public, k.For, k.Aud = slices.Clone(k.Public), slices.Clone(k.For), slices.Clone(k.Aud)
		s.byKID[k.KID] = &k
		for _, typ := range k.For {
			if s.byHeader[typ] == nil {
				s.byHeader[typ] = make(map[string]*Key)
			}
			s.byHeader[typ][header(k.KID, typ)] = &k
		}
	}
	return s, nil
}

// Pin trusts signing keys directly, for every product and every type of
// document but keysets. It is the simplest use; a key pinned like this cannot be
// revoked without a new release of the product.
func Pin(pubs ...ed25519.PublicKey) (*Keys, error) {
	return pin(pubs, TypeLicense, TypeLease, TypeStatusList, TypeRelease, TypeReceipt)
}

// PinRoots trusts root keys, which sign keysets and nothing else.
func PinRoots(pubs ...ed25519.PublicKey) (*Keys, error) { return pin(pubs, TypeKeyset) }

func pin(pubs []ed25519.PublicKey, types ...string) (*Keys, error) {
	if len(pubs) == 0 {
		return nil, fmt.Errorf("%w: none given", ErrKey)
	}
	keys := make([]Key, len(pubs))
	for i, pub := range pubs {
		keys[i] = Key{KID: Thumbprint(pub), Public: pub, For: types, Aud: []string{Any}, State: KeyActive}
	}
	return NewKeys(keys...)
}

// Trust returns the signing keys that a verified keyset names.
func (k *Keyset) Trust() (*Keys, error) {
	s, err := trust(k.Keys)
	if err == nil {
		s.issuer, s.num = k.Issuer, k.Num
	}
	return s, err
}

// TrustRoots returns the roots that a verified keyset names, or nil when it
// leaves the pinned roots as they are.
func (k *Keyset) TrustRoots() (*Keys, error) {
	if len(k.Roots) == 0 {
		return nil, nil
	}
	roots := slices.Clone(k.Roots)
	for i := range roots {
		roots[i].For, roots[i].Aud = []string{TypeKeyset}, []string{Any}
	}
	return trust(roots)
}

func trust(entries []JWK) (*Keys, error) {
	keys := make([]Key, len(entries))
	for i, e := range entries {
		var err error
		if keys[i], err = e.Key(); err != nil {
			return nil, err
		}
	}
	return NewKeys(keys...)
}

// Issuer returns the issuer of the keyset that these keys come from, or "".
func (s *Keys) Issuer() string { return s.issuer }

// Num returns the number of the keyset that these keys come from, or 0.
func (s *Keys) Num() int64 { return s.num }

// Len returns how many keys there are.
func (s *Keys) Len() int { return len(s.byKID) }

// Get returns the key with the given kid, or nil. The caller must not change it.
func (s *Keys) Get(kid string) *Key { return s.byKID[kid] }

// signs reports whether k may sign documents of typ.
func (k *Key) signs(typ string) bool { return slices.Contains(k.For, typ) }

// covers reports whether k may sign for the product.
func (k *Key) covers(aud string) bool {
	return aud == Any || slices.Contains(k.Aud, Any) || slices.Contains(k.Aud, aud)
}
