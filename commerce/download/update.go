package download

import (
	"context"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
)

// ErrNoRelease answers a product that asks for an update when nothing is published that it could update to.
var ErrNoRelease = licensing.Fail(licensing.NotFound, sdk.CodeNoRelease, "Nothing is published for this product on this channel.")

// defaultChannel is where a release is unless it says otherwise.
const defaultChannel = "stable"

// Newest returns the signed manifest of the highest version of a product that is published on a channel and fits the installed
// version from ("" fits all). It is public: what it says is signed and who may fetch the bytes is another question.
func (s *Service) Newest(ctx context.Context, product, channel, from string) (string, error) {
	if channel == "" {
		channel = defaultChannel
	}
	list, err := s.Store.Published(ctx, product, channel)
	if err != nil {
		return "", err
	}
	var best *Release
	for i := range list {
		if r := &list[i]; r.fits(from) && (best == nil || doc.Newer(r.Version, best.Version)) {
			best = r
		}
	}
	if best == nil {
		return "", ErrNoRelease
	}
	return best.Manifest, nil
}
