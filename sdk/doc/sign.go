package doc

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
)

// Signer signs documents with one key. It is safe for concurrent use if the
// crypto.Signer is, as ed25519.PrivateKey is.
type Signer struct {
	key     crypto.Signer
	kid     string
	headers map[string]string // by typ, of the two that are signed in numbers
}

// NewSigner wraps an Ed25519 key: an ed25519.PrivateKey, or anything that signs
// with one, such as a hardware module.
func NewSigner(key crypto.Signer) (*Signer, error) {
	if key == nil {
		return nil, fmt.Errorf("%w: none given", ErrKey)
	}
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: not an Ed25519 key", ErrKey)
	}
	if err := CheckPublicKey(pub); err != nil {
		return nil, err
	}
	kid := Thumbprint(pub)
	return &Signer{key: key, kid: kid, headers: map[string]string{TypeLicense: header(kid, TypeLicense), TypeLease: header(kid, TypeLease)}}, nil
}

// KID returns the thumbprint of the key.
func (s *Signer) KID() string { return s.kid }

// Sign returns the compact JWS of d. What the strict parser would refuse is not
// signed: the error then wraps ErrPayload, ErrUnsupported or ErrTooLong.
func (s *Signer) Sign(d Document) (string, error) {
	payload, err := Payload(d)
	if err != nil {
		return "", err
	}
	head, ok := s.headers[d.Typ()]
	if !ok {
		head = header(s.kid, d.Typ())
	}
	size := len(head) + len(".") + b64.EncodedLen(len(payload)) + len(".") + b64.EncodedLen(ed25519.SignatureSize)
	if size > capOf(d.Typ()) {
		return "", ErrTooLong
	}
	text := append(append(make([]byte, 0, size), head...), '.')
	text = b64.AppendEncode(text, payload)
	sig, err := s.key.Sign(rand.Reader, text, crypto.Hash(0))
	if err != nil {
		return "", fmt.Errorf("sign %s: %w", d.Typ(), err)
	}
	if len(sig) != ed25519.SignatureSize {
		return "", errors.New("sign " + d.Typ() + ": signer returned no Ed25519 signature")
	}
	return string(b64.AppendEncode(append(text, '.'), sig)), nil
}

// Payload returns the JSON of d after checking that the strict parser takes it.
func Payload(d Document) ([]byte, error) {
	buf := bytes.NewBuffer(make([]byte, 0, 1<<10)) // room for most
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPayload, err)
	}
	payload := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	return payload, d.check(string(payload))
}

// header returns the header that documents usually have, in base64url.
func header(kid, typ string) string {
	return b64.EncodeToString([]byte(`{"alg":"EdDSA","kid":"` + kid + `","typ":"` + typ + `"}`))
}
