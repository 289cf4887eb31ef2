package sdk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/mintreu/mintreu/sdk/spool"
)

// usage is the client's spool of usage, opened when it is first needed.
type usage struct {
	mu    sync.Mutex // guards what follows; not held while records are written or sent
	opt   spool.Options
	given bool
	spool *spool.Spool
	ended bool

	sending gate   // one batch at a time
	source  string // as last seen
	seq     int64
	receipt string
}

// WithSpool says where and how usage is kept until it is counted. Without it the spool is the directory usage beside the file
// of the state, each Report is durable before it returns, and 64 MiB are kept at most.
func WithSpool(o spool.Options) Option {
	return func(c *Client) { c.usage.opt, c.usage.given = o, true }
}

// ErrMeter refuses a meter's name that is not 1 to 64 of a-z 0-9 _ . and -, or a number below 0 or above 10^12.
var ErrMeter = errors.New("sdk: not a meter and a number that can be counted")

// maxReport is the highest number of one event.
const maxReport = 1_000_000_000_000

// Report notes that n of something was used: pages rendered, minutes, calls. It never calls the server: the event goes to a spool
// on disk that survives kill -9, and Run (or Flush) sends what is there, summed up by quarters of an hour; the server counts
// each event exactly once, for the license with which it is sent. Weeks without a network cost nothing but room.
//
// nil means that the event is safe as WithSpool says. An error means that it was not noted: spool.ErrFull when the spool
// has reached its cap (the oldest events are kept, and UsageStats counts what was refused), the system's error when the disk is
// full, ErrClosed after Close.
func (c *Client) Report(meter string, n int64) error {
	if !UsageCode(meter) || n < 0 || n > maxReport {
		return ErrMeter
	}
	s, err := c.usageSpool()
	if err != nil {
		return err
	}
	if err := s.Append(event{meter: meter, n: n, at: c.now()}.encode()); err != nil {
		if errors.Is(err, spool.ErrClosed) {
			return ErrClosed
		}
		return fmt.Errorf("sdk: report: %w", err)
	}
	return nil
}

// usageSpool opens the spool.
func (c *Client) usageSpool() (*spool.Spool, error) {
	u := &c.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended {
		return nil, ErrClosed
	}
	if u.spool == nil {
		if u.opt.Dir = c.usageDir(); u.opt.Dir == "" {
			return nil, errors.New("sdk: report: a store of your own needs WithSpool")
		}
		s, err := spool.Open(u.opt)
		if err != nil {
			return nil, fmt.Errorf("sdk: report: %w", err)
		}
		u.spool = s
	}
	return u.spool, nil
}

// usageDir is where the spool is, or "".
func (c *Client) usageDir() string {
	if f, ok := c.store.(*FileStore); ok && !c.usage.given {
		return filepath.Join(filepath.Dir(f.path), "usage")
	}
	return c.usage.opt.Dir
}

// hasUsage reports whether there is a spool, of this process or of one before.
func (c *Client) hasUsage() bool {
	dir := c.usageDir()
	if dir == "" {
		return false
	}
	_, err := os.Lstat(dir)
	return err == nil
}

// close ends the spool, after the reports under way.
func (u *usage) close() error {
	u.mu.Lock()
	s := u.spool
	u.ended = true
	u.mu.Unlock()
	if s == nil {
		return nil
	}
	return s.Close()
}

// UsageStats says how it stands with usage: what the spool holds and refused, and how far this process has seen it counted.
type UsageStats struct {
	Spool   spool.Stats
	Source  string // src_…, "" before the first batch
	Seq     int64  // number of the last batch that the server acknowledged
	Receipt string // its usage-receipt+jwt, verified
}

// UsageStats returns the counters.
func (c *Client) UsageStats() UsageStats {
	u := &c.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	st := UsageStats{Source: u.source, Seq: u.seq, Receipt: u.receipt}
	if u.spool != nil {
		st.Spool = u.spool.Stats()
	}
	return st
}

// event is one use, as the spool keeps it: version, time, number, meter.
type event struct {
	meter string
	n, at int64
}

const eventVersion = 1

func (e event) encode() []byte {
	b := append(make([]byte, 0, 1+2*binary.MaxVarintLen64+len(e.meter)), eventVersion)
	b = binary.AppendVarint(b, e.at)
	b = binary.AppendVarint(b, e.n)
	return append(b, e.meter...)
}

// errNewer means that a later SDK wrote an event in a form that this one does not know.
var errNewer = errors.New("an event of a newer version of the SDK")

func decodeEvent(b []byte) (e event, err error) {
	if len(b) == 0 || b[0] != eventVersion {
		return e, errNewer
	}
	b = b[1:]
	for _, to := range []*int64{&e.at, &e.n} {
		n, size := binary.Varint(b)
		if size <= 0 {
			return e, errors.New("a damaged event")
		}
		*to, b = n, b[size:]
	}
	if e.meter = string(b); !UsageCode(e.meter) || e.n < 0 || e.n > maxReport {
		return e, errors.New("a damaged event")
	}
	return e, nil
}

// batchRows is how many rows a batch has at most. A server takes more ([MaxUsageRows]); but what weeks without a network left, or hundreds of meters,
// would keep one that has a single writer from everybody else for too long.
const batchRows = 100

// rows sums events up.
type rows struct {
	list []UsageRow
	at   map[rowKey]int
}

type rowKey struct {
	meter string
	at    int64
}

// add takes an event, or reports that the batch is full.
func (r *rows) add(e event) bool {
	key := rowKey{e.meter, e.at - ((e.at%UsageBucket)+UsageBucket)%UsageBucket}
	i, ok := r.at[key]
	if !ok {
		if len(r.list) == batchRows {
			return false
		}
		if r.at == nil {
			r.at = map[rowKey]int{}
		}
		i = len(r.list)
		r.at[key] = i
		r.list = append(r.list, UsageRow{Meter: e.meter, At: key.at})
	}
	row := &r.list[i]
	if row.Sum > MaxUsageSum-e.n {
		return false
	}
	row.Events++
	row.Sum += e.n
	row.Max = max(row.Max, e.n)
	return true
}

// Flush sends what the spool holds, batch by batch, until there is nothing left. Run does it by itself. The error is
// spool.ErrBusy while another process of the product sends.
func (c *Client) Flush(ctx context.Context) error {
	for {
		more, err := c.sendBatch(ctx)
		if err != nil {
			return fmt.Errorf("sdk: send usage: %w", err)
		}
		if !more {
			return nil
		}
	}
}
