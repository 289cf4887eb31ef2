package keyring

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/mintreu/mintreu/sdk/doc"
)

// What follows needs no installation: it is for the machine where the root is.

const (
	requestFormat = "mintreu keyset request 1"
	rootFormat    = "mintreu root key 1"
	// maxCeremony is the longest file that is read, in bytes.
	maxCeremony = 128 << 10
	// minPassphrase is the shortest passphrase that a root is encrypted with, in bytes.
	minPassphrase = 12
	// rootWork is the work factor of scrypt, 2^18 steps: about a second.
	rootWork = 18
)

// requestFile is a request as it is carried to the root.
type requestFile struct {
	Format   string          `json:"format"`
	ID       string          `json:"id"`
	Reason   string          `json:"reason"`
	Previous string          `json:"previous"` // the keyset in force
	Claims   json.RawMessage `json:"claims"`   // the keyset to be signed
}

// Ceremony is a request as the holder of a root reads it: what would be signed, and how it differs from the keyset before.
type Ceremony struct {
	ID       string
	Issuer   string
	Reason   string
	Num      int64
	Previous int64 // number of the keyset before
	Checked  bool  // the keyset before was signed by this very root, so that what follows is certain
	Added    []string
	Revoked  []string
	Dropped  []string // old ones that the keyset has no room for any more
	Standby  []string
	Active   string
	Roots    []string // public keys that replace the pinned roots, if any

	claims *doc.Keyset
}

// Errors of a ceremony.
var (
	ErrRequest    = errors.New("keyring: not a good request")
	ErrRootFile   = errors.New("keyring: not a good root file")
	ErrPassphrase = errors.New("keyring: the passphrase does not open the root file")
)

// OpenRequest reads a request for the holder of root and checks it as far as that is possible without the installation: the keyset asked for
// follows the one before, drops no key unless it is full, and takes back no revocation.
func OpenRequest(text []byte, root ed25519.PublicKey, now time.Time) (*Ceremony, error) {
	if len(text) > maxCeremony {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrRequest, maxCeremony)
	}
	var f requestFile
	if err := json.Unmarshal(text, &f); err != nil || f.Format != requestFormat {
		return nil, fmt.Errorf("%w: not a keyset request", ErrRequest)
	}
	var claims doc.Keyset
	if err := json.Unmarshal(f.Claims, &claims); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if _, err := doc.Payload(&claims); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if _, err := claims.Trust(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if _, err := claims.TrustRoots(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	pins, err := doc.PinRoots(root)
	if err != nil {
		return nil, err
	}
	c := &Ceremony{ID: f.ID, Issuer: claims.Issuer, Reason: f.Reason, Num: claims.Num, claims: &claims}
	before, err := (&doc.Verifier{Keys: pins, Now: func() time.Time { return now }}).Keyset(f.Previous, 0)
	switch {
	case err == nil:
		c.Checked, c.Previous = true, before.Num
		if err := c.follows(before); err != nil {
			return nil, err
		}
	case errors.Is(err, doc.ErrUnknownKey): // another root signed it
		before = &doc.Keyset{}
	default:
		return nil, fmt.Errorf("%w: the keyset before: %w", ErrRequest, err)
	}
	c.describe(before)
	return c, nil
}

// follows reports what is wrong with a keyset that is to come after another.
func (c *Ceremony) follows(before *doc.Keyset) error {
	if c.claims.Issuer != before.Issuer || c.Num != before.Num+1 || c.claims.IssuedAt < before.IssuedAt {
		return fmt.Errorf("%w: it does not follow keyset %d of %s", ErrRequest, before.Num, before.Issuer)
	}
	for _, old := range before.Keys {
		i := slices.IndexFunc(c.claims.Keys, func(k doc.JWK) bool { return k.KID == old.KID })
		switch {
		case i < 0 && len(c.claims.Keys) == maxKeys && (old.State == doc.KeyRevoked || old.State == doc.KeyRetired):
			c.Dropped = append(c.Dropped, old.KID)
		case i < 0:
			return fmt.Errorf("%w: it drops key %s", ErrRequest, old.KID)
		case old.State == doc.KeyRevoked && c.claims.Keys[i].State != doc.KeyRevoked:
			return fmt.Errorf("%w: it takes back that key %s is revoked", ErrRequest, old.KID)
		}
	}
	return nil
}

func (c *Ceremony) describe(before *doc.Keyset) {
	for _, k := range c.claims.Keys {
		i := slices.IndexFunc(before.Keys, func(old doc.JWK) bool { return old.KID == k.KID })
		switch {
		case !c.Checked:
		case i < 0:
			c.Added = append(c.Added, k.KID)
		case k.State == doc.KeyRevoked && before.Keys[i].State != doc.KeyRevoked:
			c.Revoked = append(c.Revoked, k.KID)
		}
		switch k.State {
		case doc.KeyActive:
			c.Active = k.KID
		case doc.KeyStandby:
			c.Standby = append(c.Standby, k.KID)
		}
	}
	for _, r := range c.claims.Roots {
		c.Roots = append(c.Roots, r.X)
	}
}

// Sign signs the keyset of a request.
func (c *Ceremony) Sign(root ed25519.PrivateKey) (string, error) {
	set, err := signKeyset(c.claims, root, time.Unix(c.claims.IssuedAt, 0))
	return set.Text, err
}

// rootFile is what a root's file holds besides the key.
type rootFile struct {
	Format string `json:"format"`
	Issuer string `json:"issuer"`
	Root   string `json:"root"` // public key
	Seed   []byte `json:"seed"`
}

// sealRoot encrypts a root with a passphrase: an armoured age file, which age itself opens too.
func sealRoot(iss string, private ed25519.PrivateKey, passphrase string) (string, error) {
	body, err := json.Marshal(rootFile{Format: rootFormat, Issuer: iss, Root: doc.FormatPublicKey(private.Public().(ed25519.PublicKey)), Seed: private.Seed()})
	if err != nil {
		return "", err
	}
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return "", err
	}
	recipient.SetWorkFactor(rootWork)
	var out bytes.Buffer
	a := armor.NewWriter(&out)
	w, err := age.Encrypt(a, recipient)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(body); err != nil {
		return "", err
	}
	err = errors.Join(w.Close(), a.Close())
	return out.String(), err
}

// OpenRoot decrypts a root's file. Errors wrap [ErrRootFile] or [ErrPassphrase].
func OpenRoot(text []byte, passphrase string) (ed25519.PrivateKey, error) {
	if len(text) > maxCeremony {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrRootFile, maxCeremony)
	}
	if passphrase == "" {
		return nil, ErrPassphrase
	}
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	id.SetMaxWorkFactor(rootWork)
	r, err := age.Decrypt(armor.NewReader(strings.NewReader(strings.TrimSpace(string(text))+"\n")), id)
	var wrong *age.NoIdentityMatchError
	switch {
	case errors.As(err, &wrong):
		return nil, ErrPassphrase
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrRootFile, err)
	}
	body, err := io.ReadAll(io.LimitReader(r, maxCeremony))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRootFile, err)
	}
	var f rootFile
	if json.Unmarshal(body, &f) != nil || f.Format != rootFormat || len(f.Seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%w: it holds no root", ErrRootFile)
	}
	private := ed25519.NewKeyFromSeed(f.Seed)
	public := private.Public().(ed25519.PublicKey)
	if err := doc.CheckPublicKey(public); err != nil || doc.FormatPublicKey(public) != f.Root {
		return nil, fmt.Errorf("%w: its parts do not belong together", ErrRootFile)
	}
	return private, nil
}

// NewRoot makes a root and encrypts it, for an installation's second root or the next one. It returns the file and the public key.
func NewRoot(iss, passphrase string) (file, public string, err error) {
	if err := checkPassphrase(passphrase); err != nil {
		return "", "", err
	}
	pub, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return "", "", err
	}
	file, err = sealRoot(iss, private, passphrase)
	return file, doc.FormatPublicKey(pub), err
}

// checkPassphrase refuses a passphrase that is too short to protect a root.
func checkPassphrase(p string) error {
	if len(p) < minPassphrase || len(p) > 1024 {
		return ErrShortPassphrase.With("/passphrase", "must have %d to 1024 bytes", minPassphrase)
	}
	return nil
}
