// Package download gives customers the files of what they bought. Staff upload the files of a [Release] and publish it, which signs a
// manifest (a release+jwt with the size and SHA-256 of every file). A customer sees the releases that one of his licenses covers,
// or that are free, and asks for a link.
//
// A link is an opaque token under an HMAC, good for five to fifteen minutes and bound to a grant (a license, or the freedom of the
// release), a file and a customer. Its address shows a page and spends nothing; the transfer starts from that page. Everything
// is looked at again at each request: the license's owner, state and reach, the release, the kill switch.
//
// A transfer is known by its link. Its first byte reserves one use of a limited release, its last byte confirms it, resumed
// parts belong to it, and an hour without progress gives the use back. No byte leaves unchecked: files are read in blocks
// whose SHA-256 was taken while they were uploaded.
package download

import (
	"context"
	"io"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// State is where a release stands.
type State string

// The states. Files are added to drafts only; a withdrawn release is kept and given to nobody.
const (
	Draft     State = "draft"
	Published State = "published"
	Withdrawn State = "withdrawn"
)

// Access says who may have a release.
type Access string

// Licensed releases need a license that covers them; free ones only somebody who is signed in or holds any license.
const (
	Licensed Access = "license"
	Free     Access = "free"
)

// BlockSize is the size of the blocks in which files are checked, in bytes.
const BlockSize = 256 << 10

// Release is one version of a product with its files.
type Release struct {
	ID          string // "rel_…"
	ProductID   string
	ProductSlug string
	ProductName string // as the catalogue has it now; only where customers are to read it, else empty
	Version     string
	Channel     string // "stable" unless said
	Access      Access
	Notes       string
	// FromMin and FromMax are the installed versions that may update to this one; empty for any.
	FromMin, FromMax string
	// UsesMax is how often one grant may fetch one file, 0 for any number.
	UsesMax int64
	// SameAddress lets a link work only at the network address that asked for it.
	SameAddress bool
	State       State
	ReleasedAt  time.Time // what updates_until is held against; zero while it is a draft
	Manifest    string    // release+jwt, empty while it is a draft
	Reason      string    // why it was withdrawn
	Row         int64     // counts changes; a write names the one it saw
	CreatedAt   time.Time
	UpdatedAt   time.Time
	Files       []File
}

// File is one file of a release. Blob is its name in the blob store.
type File struct {
	ID        string // "file_…"
	ReleaseID string
	Name      string
	Platform  string // "linux-amd64", "any"
	Size      int64
	SHA256    []byte
	Blob      string
	CreatedAt time.Time
}

// Grant is what a license says about downloads.
type Grant struct {
	License      string
	ProductID    string
	Active       bool
	Expired      string // what becomes of the license after its term; one of sdk/doc's
	ExpiryGrace  time.Duration
	ValidUntil   time.Time
	UpdatesUntil time.Time
	MaxVersion   string
}

// Covers reports whether the grant gives release r at an instant: the license is active and within its term or what follows it,
// the release came out within its updates, and its version is not beyond the newest one covered.
func (g *Grant) Covers(r *Release, now time.Time) bool { return g.lacks(r, now) == "" }

// Why a grant does not give a release. The nearer to giving it, the further back in the list.
const (
	lacksLicense = "no-license" // there is no active license of the product
	lacksTerm    = "expired"    // the license has expired
	lacksVersion = "version"    // the license ends with an older version
	lacksUpdates = "updates"    // it came out after the license's updates ended
)

// lacks says what keeps the grant from giving release r, "" when nothing does.
func (g *Grant) lacks(r *Release, now time.Time) string {
	switch over := !g.ValidUntil.IsZero() && now.After(g.ValidUntil.Add(g.ExpiryGrace)); {
	case !g.Active || g.ProductID != r.ProductID:
		return lacksLicense
	case !g.UpdatesUntil.IsZero() && r.ReleasedAt.After(g.UpdatesUntil):
		return lacksUpdates
	case g.MaxVersion != "" && !eval.Covers(g.MaxVersion, r.Version):
		return lacksVersion
	case !over || g.Expired == doc.ExpiredAllow:
		return ""
	case g.Expired == doc.ExpiredMaintain && !r.ReleasedAt.After(g.ValidUntil): // what came out in the term stays
		return ""
	}
	return lacksTerm
}

// LinkState is how far the transfer of a link has come.
type LinkState string

// The states. An open link has moved nothing; released gave its use back.
const (
	Open      LinkState = "open"
	Reserved  LinkState = "reserved"
	Confirmed LinkState = "confirmed"
	Released  LinkState = "released"
)

// FreeGrant is the grant of a free release.
const FreeGrant = "free"

// Link is one permission to fetch one file, and what became of it.
type Link struct {
	ID         string // "lnk_…"
	FileID     string
	ReleaseID  string
	ProductID  string
	GrantID    string // the license, or [FreeGrant]
	Owner      licensing.Owner
	Address    []byte // keyed hash of the network address it is bound to, nil for none
	State      LinkState
	Counted    bool  // the transfer holds or spent a use
	Granted    int64 // bytes asked for, less what was not sent
	Sent       int64
	Requests   int64 // how often bytes were asked for
	ExpiresAt  time.Time
	CreatedAt  time.Time
	BegunAt    time.Time
	ProgressAt time.Time
}

// Ticket is a link with all it depends on, as it stands now. Grant is nil when the license is not the owner's any more.
type Ticket struct {
	Link    Link
	Release Release // without its files
	File    File
	Grant   *Grant
}

// OfferFilter narrows what a customer is shown; empty members do not.
type OfferFilter struct {
	Owner   licensing.Owner
	License string // only by this license
	Product string // slug
	Channel string
	File    string // the release with this file
}

// Beginning asks for bytes of a link.
type Beginning struct {
	Link    Link
	Length  int64
	UsesMax int64
	// Budget is the most bytes that the link may be asked for, 0 for any number.
	Budget int64
	Now    time.Time
	// StaleBefore is the instant before which a reservation without progress gives its use back.
	StaleBefore time.Time
}

// Ending says what became of the bytes asked for. Last reports that the file's last byte was sent.
type Ending struct {
	Link   string
	Length int64
	Sent   int64
	Last   bool
	Now    time.Time
}

// Store keeps releases and files. Writes run in the caller's transaction. Not found is [licensing.ErrNotFound].
type Store interface {
	// AddRelease stores a draft; [ErrTaken] when the product has the version already.
	AddRelease(ctx context.Context, r Release) error
	// SaveRelease writes state, times and manifest of r if the row still has r.Row-1, and reports whether it did.
	SaveRelease(ctx context.Context, r Release) (bool, error)
	// Release loads a release with its files: for staff.
	Release(ctx context.Context, id string) (Release, error)
	ListReleases(ctx context.Context, product string, page licensing.Page) (licensing.List[Release], error)
	// PublishedReleases loads published releases of all products with their files, by id after one of them.
	PublishedReleases(ctx context.Context, after string, limit int) ([]Release, error)
	// PutFile adds a file to a draft in place of one of the same name, whose blob it returns; false when it is no draft.
	PutFile(ctx context.Context, f File, blocks []byte) (replaced string, ok bool, err error)
	// File loads a file: for staff.
	File(ctx context.Context, id string) (File, error)
	// DropFile removes a file of a draft; false when it is no draft.
	DropFile(ctx context.Context, id string) (bool, error)
	// Blocks returns the SHA-256 of each block of a file, one after the other.
	Blocks(ctx context.Context, file string) ([]byte, error)
	// Offers returns published releases with their files, newest first: the free ones, and those of products for which the
	// owner has an active license; with the owner's grants for them.
	Offers(ctx context.Context, f OfferFilter, page licensing.Page) (licensing.List[Release], []Grant, error)
	// Published returns the latest releases of a product, by its slug, on a channel, without their files.
	Published(ctx context.Context, product, channel string) ([]Release, error)
}

// Links keeps links and the uses they spend. Writes run in the caller's transaction.
type Links interface {
	AddLink(ctx context.Context, l Link) error
	// Ticket loads a link with its file, its release and its owner's license.
	Ticket(ctx context.Context, id string) (Ticket, error)
	// Begin counts a request for bytes. The first of a limited link takes one of UsesMax uses of its grant and file;
	// stale reservations of the same give theirs back first. It fails with [ErrUsedUp] when none is left and with [ErrOver] when
	// the link's bytes are spent or its transfer was given up.
	Begin(ctx context.Context, b Beginning) (first bool, err error)
	// Progress notes that a transfer is alive.
	Progress(ctx context.Context, link string, at time.Time) error
	End(ctx context.Context, e Ending) error
	// ReleaseStale gives back the uses of at most limit reservations without progress since, and returns how many.
	ReleaseStale(ctx context.Context, since time.Time, limit int) (int64, error)
	// PruneLinks removes links that ended before and spent no use.
	PruneLinks(ctx context.Context, before time.Time) (int64, error)
	// LicenseOwner tells whose a license is: for staff.
	LicenseOwner(ctx context.Context, license string) (licensing.Owner, error)
}

// Blobs is where the bytes are. Open returns a reader that seeks, and the size in bytes.
type Blobs interface {
	PutFrom(ctx context.Context, name string, content io.Reader) (int64, error)
	OpenSized(ctx context.Context, name string) (io.ReadSeekCloser, int64, error)
	Delete(ctx context.Context, name string) error
}

// Signer signs manifests with the installation's active key.
type Signer interface {
	Issuer() string
	SignRelease(ctx context.Context, c *doc.Release) (text, kid string, err error)
}

// Throttle slows callers down.
type Throttle interface {
	// Allow counts one attempt under key, at most count in each period, and returns how long to wait when that is too many.
	Allow(ctx context.Context, key string, count int64, period time.Duration) (wait time.Duration, err error)
}

// The failures of this package that callers may act on.
var (
	ErrTaken   = licensing.Fail(licensing.Conflict, "release-exists", "The product has a release of this version already.")
	ErrState   = licensing.Fail(licensing.Conflict, "release-state", "The release does not stand where this is possible; files change in drafts only.")
	ErrChanged = licensing.Fail(licensing.Conflict, "release-changed", "The release was changed meanwhile; look again.")
	ErrEmpty   = licensing.Fail(licensing.Conflict, "release-empty", "A release needs a file before it can be published.")

	ErrLink    = licensing.Fail(licensing.Forbidden, "download-link", "This link is not valid. Ask for a new one where you got it.")
	ErrExpired = licensing.Fail(licensing.Gone, "download-link-expired", "This link has expired. Ask for a new one where you got it.")
	ErrRefused = licensing.Fail(licensing.Forbidden, "download-refused", "Your license does not cover this download any more.")
	ErrCovered = licensing.Fail(licensing.Forbidden, "download-not-covered", "Your license does not cover this version.")
	ErrUsedUp  = licensing.Fail(licensing.Forbidden, "download-used-up", "This file has been downloaded as often as your license allows.")
	ErrOver    = licensing.Fail(licensing.Gone, "download-over", "This download is over. Ask for a new link.")
	ErrBusy    = licensing.Fail(licensing.TooMany, "download-busy", "Too many of your downloads run at once; wait for one to end.").After(10 * time.Second)
	ErrDamaged = licensing.Fail(licensing.Unavailable, "download-damaged", "This file is not intact in our store. We were told and will mend it.").After(10 * time.Minute)
	errAway    = licensing.Fail(licensing.Unavailable, "download-store-away", "The file store does not answer at the moment. Try again.").After(30 * time.Second)
)
