package keyring

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/mintreu/mintreu/sdk/doc"
)

// marshalJWKS renders the signing keys that may verify as a JWK set for libraries other than our own: public parts only, and
// never the roots.
func marshalJWKS(keys []Key) ([]byte, error) {
	set := jwk.NewSet()
	for i := range keys {
		k := &keys[i]
		if !k.named() || k.State == Revoked {
			continue
		}
		j, err := jwk.FromRaw(k.Public)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(j.Set(jwk.KeyIDKey, k.KID), j.Set(jwk.AlgorithmKey, jwa.EdDSA), j.Set(jwk.KeyUsageKey, "sig")); err != nil {
			return nil, err
		}
		if err := set.AddKey(j); err != nil {
			return nil, err
		}
	}
	return json.Marshal(set)
}

// maxJWKS is the largest JWK set read, in bytes.
const maxJWKS = 32 << 10

// ParseJWKS reads a JWK set of Ed25519 signing keys, for import. One bad member refuses the whole set: a private part, another
// curve or kind of key, a small-order or non-canonical point, a kid that is not the key's thumbprint or appears twice.
// Errors wrap [doc.ErrKey].
func ParseJWKS(text []byte) ([]ed25519.PublicKey, error) {
	if len(text) > maxJWKS {
		return nil, fmt.Errorf("%w: more than %d bytes", doc.ErrKey, maxJWKS)
	}
	set, err := jwk.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", doc.ErrKey, err)
	}
	if set.Len() == 0 {
		return nil, fmt.Errorf("%w: an empty set", doc.ErrKey)
	}
	seen := map[string]bool{}
	var out []ed25519.PublicKey
	for i := range set.Len() {
		k, _ := set.Key(i)
		pub, err := publicKey(k)
		if err != nil {
			return nil, err
		}
		kid := doc.Thumbprint(pub)
		if k.KeyID() != "" && k.KeyID() != kid {
			return nil, fmt.Errorf("%w: kid %q is not the key's thumbprint", doc.ErrKey, k.KeyID())
		}
		if seen[kid] {
			return nil, fmt.Errorf("%w: key %s twice", doc.ErrKey, kid)
		}
		seen[kid] = true
		out = append(out, pub)
	}
	return out, nil
}

func publicKey(k jwk.Key) (ed25519.PublicKey, error) {
	okp, ok := k.(jwk.OKPPublicKey)
	if !ok || okp.Crv() != jwa.Ed25519 {
		return nil, fmt.Errorf("%w: %T is not an Ed25519 public key", doc.ErrKey, k)
	}
	pub := ed25519.PublicKey(okp.X())
	return pub, doc.CheckPublicKey(pub)
}
