// Package seal keeps small secrets encrypted at rest. [Key] is the installation's master key: 32 random bytes in a file of its
// own, beside the data or wherever the operator put it, never in the database and never in a backup of it. Whoever has only the
// database can read no sealed secret; whoever has only the key file has nothing to open.
//
// A sealed value is
//
//	version 1 byte · key id 8 bytes · nonce 24 bytes · XChaCha20-Poly1305 ciphertext and tag
//
// under a key derived from the master key. The place (table, row, column) is authenticated with it, so that a value moved to
// another row or column does not open. Nonces are 192 random bits: they do not repeat in any number of values that a
// database can hold.
package seal

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/mintreu/mintreu/licensing"
)

// Size is the length of a master key in bytes.
const Size = 32

const (
	version = 1
	idSize  = 8
	header  = 1 + idSize + chacha20poly1305.NonceSizeX
)

// What can be wrong with a sealed value.
var (
	// ErrOtherKey says that the value was sealed under another master key.
	ErrOtherKey = errors.New("seal: sealed under another master key")
	// ErrAltered says that the value was changed, cut, or moved from another place.
	ErrAltered = errors.New("seal: the sealed value was changed or belongs elsewhere")
)

// Key seals and opens under one master key. It is immutable and safe for concurrent use.
type Key struct {
	master [Size]byte
	id     [idSize]byte
	sealer [Size]byte
}

var _ licensing.Sealer = (*Key)(nil)

// New makes a Key of 32 bytes.
func New(master []byte) (*Key, error) {
	if len(master) != Size {
		return nil, fmt.Errorf("seal: a master key has %d bytes, not %d", Size, len(master))
	}
	k := &Key{}
	copy(k.master[:], master)
	copy(k.sealer[:], k.Derive("seal/1"))
	copy(k.id[:], k.Derive("seal/1/id"))
	return k, nil
}

// ID names the key without telling anything of it: 16 hex digits.
func (k *Key) ID() string { return hex.EncodeToString(k.id[:]) }

// String and GoString keep the key out of logs.
func (k *Key) String() string { return "master key " + k.ID() }

// GoString is [Key.String].
func (k *Key) GoString() string { return k.String() }

// Derive implements [licensing.Sealer].
func (k *Key) Derive(purpose string) []byte {
	out, err := hkdf.Key(sha256.New, k.master[:], nil, "mintreu/"+purpose, Size)
	if err != nil { // only for a length that HKDF cannot give
		panic(err)
	}
	return out
}

// Seal implements [licensing.Sealer].
func (k *Key) Seal(plaintext []byte, place string) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(k.sealer[:])
	if err != nil {
		return nil, err
	}
	out := make([]byte, header, header+len(plaintext)+aead.Overhead())
	out[0] = version
	copy(out[1:], k.id[:])
	nonce := out[1+idSize : header]
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return aead.Seal(out, nonce, plaintext, bound(out[:1+idSize], place)), nil
}

// Open implements [licensing.Sealer]. It fails with [ErrOtherKey] or [ErrAltered].
func (k *Key) Open(sealed []byte, place string) ([]byte, error) {
	if len(sealed) < header || sealed[0] != version {
		return nil, ErrAltered
	}
	if !bytes.Equal(sealed[1:1+idSize], k.id[:]) {
		return nil, ErrOtherKey
	}
	aead, err := chacha20poly1305.NewX(k.sealer[:])
	if err != nil {
		return nil, err
	}
	out, err := aead.Open(nil, sealed[1+idSize:header], sealed[header:], bound(sealed[:1+idSize], place))
	if err != nil {
		return nil, ErrAltered
	}
	return out, nil
}

// bound is the associated data: the version, the key and the place.
func bound(head []byte, place string) []byte {
	return append(bytes.Clone(head), place...)
}
