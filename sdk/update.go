package sdk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// PathUpdates is the address of signed releases, below the base URL:
//
//	GET /v1/updates/{product}?channel=stable&from=1.2.0   the newest release+jwt that fits, as text
//
// until=1767225600 and max=2.9 ask for the newest that was released by then, and up to that version.
const PathUpdates = "/v1/updates/"

// CodeNoRelease is the code of a Problem that says that nothing is published for a product on a channel.
const CodeNoRelease = "no-release"

// Update is a newer version of the product, as the vendor signed it.
type Update struct {
	Version string
	// ReleasedAt is when it was signed, in seconds since 1970.
	ReleasedAt int64
	// Covered says whether the license at hand covers it: it was released within updates_until and lies within max_version, and the
	// license is not over, or goes on with what came out in its term, as this did. Without a license nothing is covered.
	Covered bool
	Files   []doc.ReleaseFile
	// Within is the newest version that the license covers, where this one is not covered: nil when that is no newer than the installed one.
	Within *Update
}

// Update asks whether there is a newer version than Config.Version on a channel, "" for stable. nil and no error mean that there
// is none. The release is verified as strictly as a license; of an answer that was forged, or that shows an older version, nothing
// comes but an error or nil. Only the product, the channel and the version are sent, and, where the newest release is not covered, the end of
// updates and the highest version that the license covers.
func (c *Client) Update(ctx context.Context, channel string) (*Update, error) {
	if c.closed.Load() {
		return nil, ErrClosed
	}
	if c.cfg.Version == "" {
		return nil, errors.New("sdk: update: Config.Version is not set")
	}
	query := url.Values{"from": {c.cfg.Version}}
	if channel != "" {
		query.Set("channel", channel)
	}
	u, within, err := c.update(ctx, query)
	if err != nil || u == nil || u.Covered || within == nil {
		return u, err
	}
	older, _, err := c.update(ctx, within)
	if err != nil {
		return nil, err
	}
	if older != nil && older.Covered {
		u.Within = older
	}
	return u, nil
}

// update asks for a release, and returns with what to ask for the newest that is covered, if that may be another one.
func (c *Client) update(ctx context.Context, query url.Values) (u *Update, within url.Values, err error) {
	text, err := c.send(ctx, request{method: http.MethodGet, path: PathUpdates + pathPart(c.cfg.Product) + "?" + query.Encode()})
	var p *Problem
	if errors.As(err, &p) && p.Code == CodeNoRelease {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("sdk: update: %w", err)
	}
	if err := c.mu.enter(ctx); err != nil {
		return nil, nil, fmt.Errorf("sdk: update: %w", err)
	}
	defer c.mu.Unlock()
	if err := c.loaded(ctx); err != nil {
		return nil, nil, err
	}
	var r *doc.Release
	err = c.withKeys(ctx, func() (err error) {
		r, err = c.verifier(c.now()).Release(strings.TrimSpace(string(text)))
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("sdk: update: %w", err)
	}
	if !doc.Newer(r.Version, c.cfg.Version) {
		return nil, nil, nil
	}
	until, ok := updatesEnd(c.license, c.now())
	u = &Update{Version: r.Version, ReleasedAt: r.IssuedAt, Files: r.Files}
	if !ok {
		return u, nil, nil
	}
	u.Covered = (until == 0 || r.IssuedAt <= until) && (c.license.MaxVersion == "" || eval.Covers(c.license.MaxVersion, r.Version))
	within = maps.Clone(query)
	if until != 0 {
		within.Set("until", strconv.FormatInt(until, 10))
	}
	if c.license.MaxVersion != "" {
		within.Set("max", c.license.MaxVersion)
	}
	return u, within, nil
}

// updatesEnd is until when a license covers what is released, in seconds since 1970, 0 for good. ok is false where it covers nothing: there is none,
// or it is over and does not go on with what came out in its term.
func updatesEnd(l *doc.License, now int64) (until int64, ok bool) {
	if l == nil {
		return 0, false
	}
	until = l.UpdatesUntil
	if l.ValidUntil == 0 || now < l.ValidUntil+l.Pol.ExpiryGrace || l.Pol.Expired == doc.ExpiredAllow {
		return until, true
	}
	if until == 0 || l.ValidUntil < until {
		until = l.ValidUntil
	}
	return until, l.Pol.Expired == doc.ExpiredMaintain
}

// ErrFile means that a downloaded file is not the one that was signed.
var ErrFile = errors.New("sdk: the file is not the one that was released")

// VerifyFile reads a downloaded file to its end and checks that it is the one of that name in the release, by size and SHA-256. It
// never reads more than the signed size and one byte. Do not install, open or unpack a file before.
func (u *Update) VerifyFile(name string, content io.Reader) error {
	for i := range u.Files {
		f := &u.Files[i]
		if f.Name != name {
			continue
		}
		h := sha256.New()
		n, err := io.Copy(h, io.LimitReader(content, f.Size+1))
		if err != nil {
			return fmt.Errorf("sdk: read %s: %w", name, err)
		}
		if n != f.Size || hex.EncodeToString(h.Sum(nil)) != f.SHA256 {
			return fmt.Errorf("%w: %s", ErrFile, name)
		}
		return nil
	}
	return fmt.Errorf("%w: there is no %s in it", ErrFile, name)
}
