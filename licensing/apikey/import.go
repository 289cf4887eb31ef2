package apikey

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"sync/atomic"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// ImportStore knows of keys that other systems issued.
type ImportStore interface {
	// KeysFrom returns the ids of the keys that were imported, by the ids of their sources.
	KeysFrom(ctx context.Context, sources []string) (map[string]string, error)
	// KeysByHead returns the ids of the keys that have, or had, a text with the head of a digest, by that head.
	KeysByHead(ctx context.Context, heads [][]byte) (map[string]string, error)
	// HasImported reports whether any key was imported.
	HasImported(ctx context.Context) (bool, error)
}

// foreign remembers whether there are imported keys: while there are none, a text that is not of our form is looked up nowhere. Once there are
// some there always will be.
type foreign struct {
	any   atomic.Bool
	known licensing.Memo[bool]
}

// mayBeForeign reports whether a text that is not of our form may be that of an imported key.
func (s *Service) mayBeForeign(ctx context.Context, text string) (bool, error) {
	if s.Imports == nil || !s.format.Foreign(text) {
		return false, nil
	}
	if s.foreign.any.Load() {
		return true, nil
	}
	some, err := s.foreign.known.Get(ctx, "", func(ctx context.Context, _ string) (bool, error) { return s.Imports.HasImported(ctx) })
	if some {
		s.foreign.any.Store(true)
	}
	return some, err
}

// Takes reports whether a text may be that of an API key: one of our form, with its checksum, or, where keys were imported, one that another
// system made. Nothing is looked up.
func (s *Service) Takes(ctx context.Context, text string) bool {
	if _, ours := s.format.Parse(text); ours {
		return true
	}
	may, err := s.mayBeForeign(ctx, text)
	return may || err != nil // whoever looks it up meets the failure again
}

// ImportSpec describes a key of another system by the digest of its text.
type ImportSpec struct {
	IssueSpec
	Digest credential.Digest
	// Hint is what people know the text by; the head of the digest unless said.
	Hint string
	// State is [Active] unless said, [Disabled] for a key that the shop stops, or [Revoked].
	State State
}

const maxHint = 40

// DraftImport makes a key of another system, whose text nobody here knows. [Service.Issue] stores it, once for each source; a digest that another
// key has fails there as a conflict ([ErrTaken]), with nothing to be done in that transaction any more.
func (s *Service) DraftImport(spec ImportSpec) (*Draft, error) {
	spec.Source.Kind = FromImport
	k, err := s.describe(spec.IssueSpec)
	if err != nil {
		return nil, err
	}
	if spec.Hint == "" {
		spec.Hint = hex.EncodeToString(spec.Digest[:5])
	}
	if len(spec.Hint) > maxHint || strings.ContainsFunc(spec.Hint, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, ErrSpec.With("hint", "must be at most %d visible characters of ASCII", maxHint)
	}
	if credential.Sum(spec.Hint) == spec.Digest {
		return nil, ErrSpec.With("hint", "is the key itself; give no more than its first characters")
	}
	if spec.State == Revoked {
		k.RevokedAt = k.CreatedAt
	}
	d := &Draft{Key: k, credits: spec.Credits, held: spec.State == Disabled}
	d.secret = Secret{ID: s.IDs.New("sec"), Hint: spec.Hint, Digest: spec.Digest, CreatedAt: k.CreatedAt}
	return d, nil
}

// ErrTaken refuses a digest that another key has.
var ErrTaken = licensing.Fail(licensing.Conflict, "key-taken", "Another API key has this text.")

// ParseDigest reads a SHA-256 as 64 hexadecimal digits or as base64, with or without padding, in either alphabet.
func ParseDigest(text string) (d credential.Digest, ok bool) {
	if len(text) == hex.EncodedLen(len(d)) {
		_, err := hex.Decode(d[:], []byte(text))
		return d, err == nil
	}
	text = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimSuffix(text, "="))
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return d, err == nil && copy(d[:], raw) == len(d) && len(raw) == len(d)
}
