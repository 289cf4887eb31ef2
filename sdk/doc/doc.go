// Package doc is the one definition of Mintreu's signed documents: their
// claims, the strict parser that reads them and the functions that sign them.
//
// A document is a compact JWS (RFC 7515) signed with Ed25519. The header has
// exactly the members alg ("EdDSA"), kid and typ; the payload is one JSON
// object in UTF-8. Every spelling that a lax decoder would also take is refused:
// padding, unused bits, white space around parts, duplicate members, members
// that differ from a known one only in case, text after the payload. So one
// signature has one accepted text, and every JOSE library can still read it.
//
// Reading starts with keys. Either pin signing keys:
//
//	keys, err := doc.Pin(publicKey)
//
// or pin roots and let a keyset signed by one of them name the signing keys:
//
//	set, err := doc.VerifyKeyset(text, roots, floor)
//	keys, err := set.Trust()
//
// then verify:
//
//	v := doc.Verifier{Keys: keys, Issuer: "https://example.com", Audience: "editor"}
//	license, err := v.License(token)
//
// The checks run in this order and the first failure is the answer: length cap
// of the type; alphabet and three parts; header; key known, meant for this type
// and this product; signature; payload; issuer, audience, environment; nbf, exp
// and iat. Nothing is decoded before the length is known to be within the cap,
// and no claim is looked at before the signature holds.
//
// A verified document is authentic. Whether it permits something is for package
// eval to say. All times are whole seconds since 1970 in UTC.
package doc

import "errors"

// The types of document, as they stand in the header's typ.
const (
	TypeLicense    = "license+jwt"
	TypeLease      = "lease+jwt"
	TypeKeyset     = "keyset+jwt"
	TypeStatusList = "statuslist+jwt"
	TypeRelease    = "release+jwt"
	TypeReceipt    = "usage-receipt+jwt"
)

// Caps on the length of a document's text in bytes, checked before anything is
// decoded.
const (
	MaxLicense           = 8 << 10
	MaxLease             = 8 << 10
	MaxReceipt           = 8 << 10
	MaxRelease           = 8 << 10
	MaxKeyset            = 32 << 10
	MaxStatusList        = 64 << 10
	MaxActivationRequest = 2 << 10
	MaxFile              = 256 << 10
)

// Environments of a document's env claim.
const (
	EnvLive = "live"
	EnvTest = "test"
)

// Any, as a Verifier's Audience or Env, accepts every value. It is for the
// issuer, who serves all products and both environments; a product names its own.
const Any = "*"

// Skew is the tolerance, in seconds, between the issuer's clock and the
// reader's on nbf, exp and iat.
const Skew = 60

// What can be wrong with a document. Errors of this package wrap one of these;
// compare with errors.Is.
var (
	ErrTooLong     = errors.New("document is longer than its type allows")
	ErrMalformed   = errors.New("document is not a canonical compact JWS")
	ErrHeader      = errors.New("document header is not exactly alg, kid and typ")
	ErrUnknownKey  = errors.New("document is signed by a key that is not trusted for it")
	ErrKeyRevoked  = errors.New("document is signed by a revoked key")
	ErrSignature   = errors.New("document signature is wrong")
	ErrPayload     = errors.New("document payload is not valid")
	ErrUnsupported = errors.New("document demands something this version does not know; update the SDK")
	ErrIssuer      = errors.New("document is from another issuer")
	ErrAudience    = errors.New("document is for another product")
	ErrEnv         = errors.New("document is for another environment")
	ErrNotYetValid = errors.New("document is not valid yet")
	ErrExpired     = errors.New("document has expired")
	ErrKey         = errors.New("key is not acceptable")
	ErrRollback    = errors.New("document is older than one already seen")
	ErrMismatch    = errors.New("documents do not belong together")
)

// capOf returns the length cap of a type of document, or 0 for an unknown type.
func capOf(typ string) int {
	switch typ {
	case TypeLicense:
		return MaxLicense
	case TypeLease:
		return MaxLease
	case TypeReceipt:
		return MaxReceipt
	case TypeRelease:
		return MaxRelease
	case TypeKeyset:
		return MaxKeyset
	case TypeStatusList:
		return MaxStatusList
	}
	return 0
}
