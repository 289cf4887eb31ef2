package download

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/mintreu/mintreu/licensing/keyring"
)

// manifestBatch is how many releases are looked at in one step.
const manifestBatch = 100

var _ keyring.Documents = (*Service)(nil)

// CountSigned implements [keyring.Documents].
func (s *Service) CountSigned(ctx context.Context, kid, after string) (n int64, next string, err error) {
	list, err := s.Store.PublishedReleases(ctx, after, manifestBatch)
	for i := range list {
		if signer(list[i].Manifest) == kid {
			n++
		}
	}
	if len(list) == manifestBatch {
		next = list[len(list)-1].ID
	}
	return n, next, err
}

// SignAgain implements [keyring.Documents]: the manifests of published releases are signed again.
func (s *Service) SignAgain(ctx context.Context, kid, after string, keep func(ctx context.Context, b keyring.Batch) error) error {
	list, err := s.Store.PublishedReleases(ctx, after, manifestBatch)
	if err != nil {
		return err
	}
	var last string
	var signed []Release
	for i := range list {
		rel := list[i]
		last = rel.ID
		if signer(rel.Manifest) != kid {
			continue
		}
		now := s.Clock.Now()
		if rel.Manifest, err = s.sign(ctx, &rel, now); err != nil {
			return err
		}
		rel.UpdatedAt, rel.Row = now, rel.Row+1
		signed = append(signed, rel)
	}
	return s.Tx.InTx(ctx, func(ctx context.Context) error {
		b := keyring.Batch{Last: last}
		for i := range signed {
			ok, err := s.Store.SaveRelease(ctx, signed[i])
			if err != nil {
				return err
			}
			if ok {
				b.Done++
			}
		}
		return keep(ctx, b)
	})
}

// signer is the kid in the header of a document of ours.
func signer(text string) string {
	head, _, _ := strings.Cut(text, ".")
	var header struct {
		KID string `json:"kid"`
	}
	if raw, err := base64.RawURLEncoding.DecodeString(head); err != nil || json.Unmarshal(raw, &header) != nil {
		return ""
	}
	return header.KID
}
