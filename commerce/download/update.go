package download

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// ErrNoRelease answers a product that asks for an update when nothing is published that it could update to.
var ErrNoRelease = licensing.Fail(licensing.NotFound, sdk.CodeNoRelease, "Nothing is published for this product on this channel.")

// ErrUntil refuses an end of updates that is none.
var ErrUntil = licensing.Fail(licensing.Invalid, "update-until", "until must be whole seconds since 1970: the end of the license's updates.")

// defaultChannel is where a release is unless it says otherwise.
const defaultChannel = "stable"

// Asked is what a product asks of its updates.
type Asked struct {
	Product string // its slug
	Channel string // "stable" unless said
	From    string // the installed version; any unless said
	// Until and Max are the end of updates of the license at hand and the highest version that it covers, none unless said.
	Until time.Time
	Max   string
}

// covers reports whether a release lies within the license of who asks, in whole seconds as documents have them.
func (a *Asked) covers(r *Release) bool {
	return (a.Until.IsZero() || r.ReleasedAt.Unix() <= a.Until.Unix()) && (a.Max == "" || eval.Covers(a.Max, r.Version))
}

// Newest returns the signed manifest of the highest version of a product that is published on a channel, fits the installed version and lies
// within the license. It is public: what it says is signed and who may fetch the bytes is another question.
func (s *Service) Newest(ctx context.Context, a Asked) (string, error) {
	if a.Channel == "" {
		a.Channel = defaultChannel
	}
	list, err := s.Store.Published(ctx, a.Product, a.Channel)
	if err != nil {
		return "", err
	}
	var best *Release
	for i := range list {
		if r := &list[i]; r.fits(a.From) && a.covers(r) && (best == nil || doc.Newer(r.Version, best.Version)) {
			best = r
		}
	}
	if best == nil {
		return "", ErrNoRelease
	}
	return best.Manifest, nil
}
