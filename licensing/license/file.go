package license

import (
	"context"
	"crypto/subtle"
	"strings"

	"github.com/mintreu/mintreu/sdk/doc"
)

// FileResponse carries a license file.
type FileResponse struct {
	ID   string `json:"id" doc:"The license."`
	Name string `json:"name" doc:"Name for the file." example:"editor-7k3zq.license"`
	File string `json:"file" doc:"The license file, armoured text: the signed license, the keyset that verifies it, and its status list where the policy looks at one."`
}

// File returns a license as a file that verifies without a network, to its owner, to staff and to the holder of its key. It has no lease; a
// machine without a network asks for one by a request of its own.
func (s *Service) File(ctx context.Context, r GetRequest) (FileResponse, error) {
	l, err := s.handed(ctx, r.ID)
	if err != nil {
		return FileResponse{}, err
	}
	text, err := s.FileText(ctx, &l, "")
	return FileResponse{ID: l.ID, Name: FileName(&l), File: text}, err
}

// FileText is l's license file, with a lease unless that is "". Call it outside any transaction.
func (s *Service) FileText(ctx context.Context, l *License, lease string) (string, error) {
	token, err := s.TokenText(ctx, l)
	if err != nil {
		return "", err
	}
	f := doc.File{License: token, Lease: lease}
	if f.Keyset, err = s.Signer.Keyset(ctx); err != nil {
		return "", err
	}
	if l.Terms.Status != doc.StatusOff {
		if f.StatusList, err = s.StatusList(ctx, l.Token.List); err != nil {
			return "", err
		}
	}
	return doc.EncodeFile(f)
}

// FileName is a name for l's license file.
func FileName(l *License) string {
	return l.ProductSlug + "-" + strings.ToLower(l.KeyHint) + ".license"
}

// HasKey reports whether a digest of [doc.KeyDigest] is of l's own key.
func (s *Service) HasKey(l *License, digest string) (bool, error) {
	key, err := s.Seal.Open(l.KeySealed, keyPlace(l.ID))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare([]byte(digest), []byte(doc.KeyDigest(l.ProductSlug, string(key)))) == 1, nil
}
