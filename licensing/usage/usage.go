// Package usage counts what products report, each event exactly once.
//
// A source is issued to one credential, which alone advances it: it sends numbered batches, one at a time, each the sum of many
// events by meter and quarter of an hour. The source remembers the number and eight bytes of the digest of the last batch, and
// counting adds the batch's rows in the same transaction in which that number moves. So a batch that is sent again changes
// nothing, however often and to whichever replica, and there is no window in which that would cease to hold. One row a source is
// all that it costs, whatever the number of events.
//
// A number that was already used for another batch shows that the spool behind the source was copied or set back: the source is
// flagged, and the product goes on under a new one. A number too high shows that this server was restored from an older backup;
// with the receipt of the batch before, the source moves up and the gap is recorded.
package usage

import (
	"context"
	"log/slog"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
)

// Source is who sends batches, and how far it has come. Zero times mean never.
type Source struct {
	ID        string
	Holder    string // the credential: "act_…" of a lease, "lic_…" of a license token
	Nonce     string // the holder's name for it, so that asking twice makes one
	Carrier   string // what the usage counts for: the license
	ProductID string
	Env       licensing.Env
	Seq       int64  // of the last batch that was counted, 0 before the first
	Hash      string // 8 bytes of its digest, in hex
	At        time.Time
	ForkedAt  time.Time // when two were first seen to use it
	CreatedAt time.Time
}

// Key names what is added up.
type Key struct {
	Meter, Subject, Group string
	Starts                time.Time
}

// Sum is what happened of a key. Late are those events that came more than a day after their quarter of an hour.
type Sum struct {
	Key
	Events, Total, Max, Late int64
}

// Batch is one to be counted: Seq follows From, which is what the source's Seq must be for the batch to count.
type Batch struct {
	Source    Source
	From, Seq int64
	Hash      string
	Quarters  []Sum // by quarter of an hour, sorted by key
	Months    []Sum // the same by calendar month in UTC, sorted by key
	Events    int64
	Total     int64
	At        time.Time
}

// Store keeps sources and sums. Not found is [licensing.ErrNotFound].
type Store interface {
	// OpenSource makes a source for a license that is there, or returns the one of the same holder and nonce.
	OpenSource(ctx context.Context, s Source) (Source, error)
	Source(ctx context.Context, id string) (Source, error)
	// Advance moves a source from From to Seq and reports whether it was there; a step of more than one is kept as a gap. In the
	// caller's transaction.
	Advance(ctx context.Context, b Batch) (bool, error)
	// Add adds a batch's sums. In the caller's transaction, after Advance.
	Add(ctx context.Context, b Batch) error
	// HandOver gives a source to another activation of the same license, if its holder has no seat any more.
	HandOver(ctx context.Context, id, license, to string) (bool, error)
	// Flag remembers that a source was seen to be used by two.
	Flag(ctx context.Context, id string, at time.Time) error
	// Months returns what was counted for a license within reach by calendar month in UTC, newest first. One round trip.
	Months(ctx context.Context, reach license.Reach, carrier string, page licensing.Page) (licensing.List[Sum], error)
}

// Keyring signs receipts and reads them.
type Keyring interface {
	Issuer() string
	SignReceipt(ctx context.Context, c *doc.Receipt) (text, kid string, err error)
	VerifyReceipt(ctx context.Context, text string) (*doc.Receipt, error)
}

// Deps is what a [Service] is made of. All members but Logger are required.
type Deps struct {
	Store    Store
	Keyring  Keyring
	Clock    licensing.Clock
	IDs      licensing.IDs
	Tx       licensing.Transactor
	Switches licensing.Switches
	Logger   *slog.Logger
}

// Service counts usage. It is safe for concurrent use, also by several processes on one database.
type Service struct{ Deps }

// New makes a Service.
func New(d Deps) *Service {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{d}
}

// What a product is told. The codes are those of package sdk.
var (
	// ErrUnknown answers for a source that is not there and for one of somebody else.
	ErrUnknown = licensing.Fail(licensing.NotFound, sdk.CodeSourceUnknown, "There is no such source of usage, or it is not yours. Ask for a new one.")
	// ErrForked refuses a batch whose number was already used for another one.
	ErrForked = licensing.Fail(licensing.Conflict, sdk.CodeSourceForked,
		"The source is used by two, or was set back to an earlier state. Go on under a new source.")
	// ErrGap refuses a batch when one before it is missing.
	ErrGap = licensing.Fail(licensing.Conflict, sdk.CodeUsageGap, "A batch before this one is missing.")

	errForm = licensing.Fail(licensing.Invalid, "usage-form", "The batch cannot be counted; see the fields.")
	errBusy = licensing.Fail(licensing.Unavailable, sdk.CodeUnavailable, "Too much happened at once to this source; try again.").After(time.Second)
)
