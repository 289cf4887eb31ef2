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
	Holder    string // the credential: "act_…" of a lease, "lic_…" of a license token, "key_…" of an API key
	Nonce     string // the holder's name for it, so that asking twice makes one
	Carrier   string // what the usage counts for: the license, or the API key
	ProductID string
	Env       licensing.Env
	Seq       int64  // of the last batch that was counted, 0 before the first
	Hash      string // 8 bytes of its digest, in hex
	At        time.Time
	ForkedAt  time.Time // when two were first seen to use it
	CreatedAt time.Time
}

// Batch is one to be counted: Seq follows From, which is what the source's Seq must be for the batch to count.
type Batch struct {
	Source    Source
	From, Seq int64
	Hash      string
	At        time.Time
	Tally
}

// Store keeps sources and sums. Not found is [licensing.ErrNotFound].
type Store interface {
	// OpenSource makes a source for a license or API key that is there, or returns the one of the same holder and nonce. A holder who made [MostSources]
	// within [SourcesWithin] before it gets [ErrSources]; calls at the same moment may come to some more.
	OpenSource(ctx context.Context, s Source) (Source, error)
	// PurgeSources forgets sources that were made before an instant and never counted anything, and reports how many. One that counted is kept for
	// good: what it sent last must be known when it is sent again.
	PurgeSources(ctx context.Context, before time.Time) (int64, error)
	Source(ctx context.Context, id string) (Source, error)
	// Advance moves a source from From to Seq and reports whether it was there; a step of more than one is kept as a gap, and one that
	// would bring the source above [MostOfSource] is [ErrTooMuch]. In the caller's transaction.
	Advance(ctx context.Context, b Batch) (bool, error)
	// Add adds a batch's sums. It returns [ErrTooMuch] when a license or key would come above [MostOfMonth], so that nothing that is added
	// up can grow beyond what a number holds. In the caller's transaction, after Advance.
	Add(ctx context.Context, b Batch) error
	// HandOver gives a source to another activation of the same license, if its holder has no seat any more.
	HandOver(ctx context.Context, id, license, to string) (bool, error)
	// Flag remembers that a source was seen to be used by two.
	Flag(ctx context.Context, id string, at time.Time) error
	// Fresh keeps digests of events and reports which of them are new. In the caller's transaction.
	Fresh(ctx context.Context, digests [][]byte) ([]bool, error)
	// Tick moves a source of events up by one, as Advance does. In the caller's transaction.
	Tick(ctx context.Context, source string, t *Tally, at time.Time) error
	// MetersFor returns every meter of a product.
	MetersFor(ctx context.Context, product string) ([]Meter, error)
}

// Meters keeps what staff defined. Writers run in the caller's transaction.
type Meters interface {
	AddMeter(ctx context.Context, m Meter) error
	// SaveMeter changes a meter at a version, and reports whether it was there.
	SaveMeter(ctx context.Context, m Meter) (bool, error)
	Meter(ctx context.Context, id string) (Meter, error)
	ListMeters(ctx context.Context, product string, page licensing.Page) (licensing.List[Meter], error)
}

// Reads answers what was counted. A carrier out of reach does not exist.
type Reads interface {
	// Months returns what was counted for a license or API key within reach by calendar month in UTC, newest first. One round trip.
	Months(ctx context.Context, reach license.Reach, carrier string, page licensing.Page) (licensing.List[Sum], error)
	// Carrier returns a license or API key within reach, with the meter of a code if its product has one.
	Carrier(ctx context.Context, reach license.Reach, id, meter string) (Carrier, error)
	// Values hands on the sums of a selection, range by range.
	Values(ctx context.Context, s Selection, ranges []Range, each func(starts time.Time, v Value) error) error
	// Differing hands on how many different values of a selection stand in each span of the ranges in which there are any.
	Differing(ctx context.Context, s Selection, ranges []Range, each func(starts time.Time, n int64) error) error
	// DifferingIn hands on how many different values stand in all ranges of a window together, for each window in which there are any.
	DifferingIn(ctx context.Context, s Selection, windows [][]Range, each func(window int, n int64) error) error
	// Consumers returns those subjects, groups or carriers of a selection that used most of a meter of a kind in all ranges, the most
	// first, and how many there are.
	Consumers(ctx context.Context, s Selection, by, kind string, ranges []Range, limit int64) (list []Consumer, of int64, err error)
	// Glance hands on the sums of every meter of a selection by calendar month in UTC from one on, and the different values of those that
	// have any, and the sums and different values of each count. One round trip.
	Glance(ctx context.Context, s Selection, since time.Time, counts []Count, month func(meter string, starts time.Time, v Value, unique int64), count func(i int, v Value, unique int64)) error
	// Counts hands on the sums and different values of each count, which may come in parts. One round trip.
	Counts(ctx context.Context, counts []Count, each func(i int, v Value, unique int64)) error
	// Owned returns the licenses and API keys within reach, which names an owner, that counted something or have quotas, the licenses first and
	// the newest first, and every meter of the owner's products. One round trip.
	Owned(ctx context.Context, reach license.Reach, now time.Time, page licensing.Page) (licensing.List[Owned], []Meter, error)
	// Days hands on the sums of every meter of carriers by day in UTC from one on, the different values of those asked for, and the sums and
	// different values of each count. One round trip.
	Days(ctx context.Context, of []DaysOf, since time.Time, counts []Count, day func(i int, meter string, starts time.Time, v Value, unique int64), count func(i int, v Value, unique int64)) error
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
	Meters   Meters
	Reads    Reads
	Accounts Accounts
	// Thresholds and Notices serve [Service.Look] and what sets it.
	Thresholds Thresholds
	Notices    Notices
	Licenses   Licenses
	Audit      licensing.Auditor
	Keyring    Keyring
	Clock      licensing.Clock
	IDs        licensing.IDs
	Tx         licensing.Transactor
	Switches   licensing.Switches
	Logger     *slog.Logger
}

// Service counts usage. It is safe for concurrent use, also by several processes on one database.
type Service struct {
	Deps
	memory memory
}

// New makes a Service.
func New(d Deps) *Service {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{Deps: d}
}

// The most that is counted, of events and of their numbers: of a meter of a license or key in a calendar month what JSON carries exactly and
// quotas go up to, and of all meters of a source at any time a part of what the database's numbers hold.
const (
	MostOfMonth  = 1<<53 - 1
	MostOfSource = 1 << 60
)

// How many sources one credential opens within a day, and after how long one that never counted anything is forgotten. Who finds it gone takes another, and
// nothing counts twice, since nothing was counted.
const (
	MostSources   = 2000
	SourcesWithin = 24 * time.Hour
	sourceUnused  = 7 * 24 * time.Hour
)

// What a product is told. The codes are those of package sdk.
var (
	// ErrUnknown answers for a source that is not there and for one of somebody else.
	ErrUnknown = licensing.Fail(licensing.NotFound, sdk.CodeSourceUnknown, "There is no such source of usage, or it is not yours. Ask for a new one.")
	// ErrSources refuses another source to a credential that opened very many: a program that opens one each time it runs.
	ErrSources = licensing.Fail(licensing.TooMany, "usage-sources",
		"This credential opened 2,000 sources of usage within a day. Keep what the SDK stores between runs, so that a program goes on under its source, or report events, which need none.")
	// ErrForked refuses a batch whose number was already used for another one.
	ErrForked = licensing.Fail(licensing.Conflict, sdk.CodeSourceForked,
		"The source is used by two, or was set back to an earlier state. Go on under a new source.")
	// ErrGap refuses a batch when one before it is missing.
	ErrGap = licensing.Fail(licensing.Conflict, sdk.CodeUsageGap, "A batch before this one is missing.")

	// ErrTooMuch refuses what nobody uses: with more, the sums of everybody who uses the product could no longer be kept.
	ErrTooMuch = licensing.Fail(licensing.Conflict, "usage-too-much", "More was reported than can be counted of a meter in a month. None of it was.")

	errForm = licensing.Fail(licensing.Invalid, "usage-form", "The batch cannot be counted; see the fields.")
	errBusy = licensing.Fail(licensing.Unavailable, sdk.CodeUnavailable, "Too much happened at once to this source; try again.").After(time.Second)
)
