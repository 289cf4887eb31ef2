package download

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"log/slog"
	"sync"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Deps is what a [Service] is made of. All members but Log, Alert, From, MaxFile and PerOwner are required.
type Deps struct {
	Store    Store
	Links    Links
	Blobs    Blobs
	Signer   Signer
	Seal     licensing.Sealer
	Throttle Throttle
	Clock    licensing.Clock
	IDs      licensing.IDs
	Tx       licensing.Transactor
	Audit    licensing.Auditor
	Switches licensing.Switches
	// Product returns the slug of a product, [licensing.ErrNotFound] when there is none.
	Product func(ctx context.Context, id string) (slug string, err error)
	// BaseURL is where customers reach the service.
	BaseURL string
	Log     *slog.Logger
	// Alert says that a person is needed: a file that is not intact.
	Alert func(ctx context.Context, code, text string)
	// From tells the network address of the caller, "" if not known.
	From func(ctx context.Context) string
	// MaxFile is the largest file in bytes, [DefaultMaxFile] unless said.
	MaxFile int64
	// PerOwner is how many transfers of one owner run at once in this process, 8 unless said.
	PerOwner int
}

// DefaultMaxFile is the largest file, in bytes, unless the configuration says otherwise.
const DefaultMaxFile = 8 << 30

// How long things last.
const (
	minTTL     = 5 * time.Minute
	maxTTL     = 15 * time.Minute
	defaultTTL = 10 * time.Minute
	// patience is how long a transfer may make no progress before its use is given back.
	patience = time.Hour
	// longest is how long after its first byte a transfer can be resumed.
	longest = 24 * time.Hour
	// progressEvery is how often a running transfer says that it is alive.
	progressEvery = time.Minute
	// keptFor is how long links that spent nothing are kept.
	keptFor = 90 * 24 * time.Hour
	// Retries is how many times its own size a limited link may be asked for, and how many times the bytes of a file may go out, over all links, to
	// transfers that were given up and spent no use.
	Retries = 3

	linksPerHour    = 120
	requestsPerHour = 1200
	// refusalsPerHour is how many refusals of a link elsewhere the audit trail keeps.
	refusalsPerHour = 10
)

// Service keeps releases and serves downloads. It is safe for concurrent use.
type Service struct {
	Deps
	key       []byte // of link tokens
	addresses []byte // of the hashes of addresses

	mu      sync.Mutex
	running map[licensing.Owner]int
	uploads map[string]*Upload // by release and name
}

// New makes a Service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Alert == nil {
		d.Alert = func(ctx context.Context, code, text string) { d.Log.ErrorContext(ctx, text, "alert", code) }
	}
	if d.From == nil {
		d.From = func(context.Context) string { return "" }
	}
	if d.MaxFile <= 0 {
		d.MaxFile = DefaultMaxFile
	}
	if d.PerOwner <= 0 {
		d.PerOwner = 8
	}
	return &Service{Deps: d, key: d.Seal.Derive("download link"), addresses: d.Seal.Derive("download address"),
		running: map[licensing.Owner]int{}, uploads: map[string]*Upload{}}
}

// address is the keyed hash of the caller's network address, nil when it is not known.
func (s *Service) address(ctx context.Context) []byte {
	from := s.From(ctx)
	if from == "" {
		return nil
	}
	mac := hmac.New(sha256.New, s.addresses)
	mac.Write([]byte(from))
	return mac.Sum(nil)[:16]
}

// throttle refuses an owner who asks too often.
func (s *Service) throttle(ctx context.Context, what string, owner licensing.Owner, perHour int64) error {
	wait, err := s.Throttle.Allow(ctx, "download-"+what+":"+string(owner), perHour, time.Hour)
	if err == nil && wait > 0 {
		err = licensing.Fail(licensing.TooMany, "download-rate", "Too many downloads in a short time. Try again later.").After(wait)
	}
	return err
}

// Sweep gives back the uses of transfers that made no progress for an hour, and removes links that ended long ago and spent nothing.
// It is safe to run at once on several replicas.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.Clock.Now()
	for {
		var n int64
		err := s.Tx.InTx(ctx, func(ctx context.Context) (err error) {
			n, err = s.Links.ReleaseStale(ctx, now.Add(-patience), 200)
			return err
		})
		if err != nil {
			return err
		}
		if n < 200 {
			break
		}
	}
	return s.Tx.InTx(ctx, func(ctx context.Context) error {
		_, err := s.Links.PruneLinks(ctx, now.Add(-keptFor))
		return err
	})
}
