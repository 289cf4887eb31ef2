package doc

import (
	"crypto/hmac"
	"crypto/sha256"
)

// DeviceDigest returns the digest of one component of a device's fingerprint:
// the first 16 bytes of HMAC-SHA-256, keyed with the product's slug, over
// "component=value", in base64url. It is stable within a product and cannot be
// linked between products. A component with few possible values can be guessed
// from its digest.
func DeviceDigest(product, component, value string) string {
	m := hmac.New(sha256.New, []byte(product))
	m.Write([]byte(component + "=" + value))
	return b64.EncodeToString(m.Sum(nil)[:16])
}

// UserDigest returns the digest under which a user takes a seat; it is made
// like that of a device's component named "user".
func UserDigest(product, user string) string { return DeviceDigest(product, "user", user) }
