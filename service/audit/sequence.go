package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/mintreu/mintreu/licensing"
)

// Signer's name, the settings that hold its keys, and where the private one is sealed.
const (
	keyName      = "mintreu.audit"
	keySetting   = "audit.signer"
	keyPlace     = "setting/audit.signer/value"
	batch        = 500
	blobPrefix   = "audit/checkpoint-"
	blobLatest   = "audit/checkpoint"
	numberEvery  = 500 * time.Millisecond
	numberWithin = 10 * time.Second
)

// Waiting is a row that has no number yet.
type Waiting struct {
	ID   string
	Leaf tlog.Hash
}

// Numbered is a row's place in the log.
type Numbered struct {
	Num int64
	ID  string
}

// StoredHash is one hash of the tree.
type StoredHash struct {
	Index int64
	Hash  tlog.Hash
}

// Log is the numbered part of the trail. Size locks the head until the transaction in ctx ends, so that one process numbers at
// a time; Append writes numbers and hashes and moves the head from size, and fails when it is not there any more.
type Log interface {
	Pending(ctx context.Context) (bool, error)
	Oldest(ctx context.Context) (at time.Time, found bool, err error)
	Size(ctx context.Context) (int64, error)
	// Head is the size without the lock.
	Head(ctx context.Context) (int64, error)
	Waiting(ctx context.Context, limit int) ([]Waiting, error)
	Append(ctx context.Context, size int64, rows []Numbered, hashes []StoredHash) error
	Hashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error)
	// LastCheckpoint is the newest signed head, size 0 when there is none.
	LastCheckpoint(ctx context.Context) (Checkpoint, error)
	KeepCheckpoint(ctx context.Context, c Checkpoint) error
}

// Checkpoint is a signed head of the tree.
type Checkpoint struct {
	Size int64
	Note string
	At   time.Time
}

// Settings keeps the signing key. KeepSetting sets a value unless there is one and returns the value that stands.
type Settings interface {
	KeepSetting(ctx context.Context, name string, value []byte) ([]byte, error)
}

// Blobs takes copies of the checkpoints, outside the database. The blob store implements it.
type Blobs interface {
	Put(ctx context.Context, name string, content []byte) error
}

// SequencerDeps are what a [Sequencer] needs. Blobs may be nil, then no copies are made.
type SequencerDeps struct {
	Tx       licensing.Transactor
	Log      Log
	Settings Settings
	Seal     licensing.Sealer
	Blobs    Blobs
	Clock    licensing.Clock
	Logger   *slog.Logger
}

// Sequencer numbers rows and signs heads. Any number of processes may run one; the head's row lock lets one work at a time.
type Sequencer struct {
	SequencerDeps
	signer note.Signer
	public string

	mu        sync.Mutex
	published int64 // size of the head last copied outside by this process
}

// NewSequencer makes a Sequencer and, at the first start, its signing key.
func NewSequencer(ctx context.Context, d SequencerDeps) (*Sequencer, error) {
	private, public, err := note.GenerateKey(rand.Reader, keyName)
	if err != nil {
		return nil, err
	}
	sealed, err := d.Seal.Seal([]byte(private+"\n"+public), keyPlace)
	if err != nil {
		return nil, err
	}
	if sealed, err = d.Settings.KeepSetting(ctx, keySetting, sealed); err != nil {
		return nil, err
	}
	text, err := d.Seal.Open(sealed, keyPlace)
	if err != nil {
		return nil, fmt.Errorf("audit: the signing key: %w", err)
	}
	private, public, _ = strings.Cut(string(text), "\n")
	s := &Sequencer{SequencerDeps: d, public: public}
	if s.signer, err = note.NewSigner(private); err != nil {
		return nil, fmt.Errorf("audit: the signing key: %w", err)
	}
	return s, nil
}

// Run numbers rows twice a second until ctx ends. Failures are logged and tried again.
func (s *Sequencer) Run(ctx context.Context) {
	tick := time.NewTicker(numberEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		one, cancel := context.WithTimeout(ctx, numberWithin)
		_, err := s.Sequence(one)
		cancel()
		if err != nil && ctx.Err() == nil && !failing {
			s.Logger.ErrorContext(ctx, "audit rows could not be numbered; trying again", "error", err)
		}
		failing = err != nil
	}
}

// Sequence numbers every row that waits when it begins and signs the new head. It reports how many rows it numbered. What comes meanwhile may wait
// for the next time, so that while much is written many rows are numbered at once.
func (s *Sequencer) Sequence(ctx context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx = licensing.AsSystem(ctx, "audit.sequence")
	total := 0
	for {
		pending, err := s.Log.Pending(ctx)
		if err != nil {
			return total, err
		}
		if !pending {
			break
		}
		n, err := s.number(ctx)
		total += n
		if err != nil {
			return total, err
		}
		if n < batch { // all that waited, less what another process took
			break
		}
	}
	return total, s.checkpoint(ctx)
}

// number gives numbers to at most one batch of rows, in one transaction.
func (s *Sequencer) number(ctx context.Context) (n int, err error) {
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		size, err := s.Log.Size(ctx)
		if err != nil {
			return err
		}
		rows, err := s.Log.Waiting(ctx, batch)
		n = len(rows)
		if err != nil || n == 0 {
			return err
		}
		tree := overlay{log: s.Log, ctx: ctx, fresh: map[int64]tlog.Hash{}}
		numbered := make([]Numbered, 0, n)
		var stored []StoredHash
		for i, r := range rows {
			num := size + int64(i)
			hashes, err := tlog.StoredHashesForRecordHash(num, r.Leaf, &tree)
			if err != nil {
				return err
			}
			at := tlog.StoredHashIndex(0, num)
			for j, h := range hashes {
				tree.fresh[at+int64(j)] = h
				stored = append(stored, StoredHash{at + int64(j), h})
			}
			numbered = append(numbered, Numbered{num, r.ID})
		}
		return s.Log.Append(ctx, size, numbered, stored)
	})
	return n, err
}

// checkpoint signs the head when it moved since the last one, keeps it, and copies it outside.
func (s *Sequencer) checkpoint(ctx context.Context) error {
	last, err := s.Log.LastCheckpoint(ctx)
	if err != nil {
		return err
	}
	size, err := s.Log.Head(ctx)
	if err != nil {
		return err
	}
	if size > last.Size {
		if last, err = s.sign(ctx, size); err != nil {
			return err
		}
		if err := s.Log.KeepCheckpoint(ctx, last); err != nil {
			return err
		}
	}
	if s.Blobs == nil || last.Size == s.published {
		return nil
	}
	if err := s.publish(ctx, last); err != nil {
		return fmt.Errorf("audit: copy the checkpoint: %w", err)
	}
	s.published = last.Size
	return nil
}

func (s *Sequencer) sign(ctx context.Context, size int64) (Checkpoint, error) {
	root, err := tlog.TreeHash(size, &overlay{log: s.Log, ctx: ctx})
	if err != nil {
		return Checkpoint{}, err
	}
	signed, err := note.Sign(&note.Note{Text: string(tlog.FormatTree(tlog.Tree{N: size, Hash: root}))}, s.signer)
	return Checkpoint{Size: size, Note: string(signed), At: s.Clock.Now()}, err
}

// publish copies the head to the blob store: the newest under one name, and the last of each day under the day's.
func (s *Sequencer) publish(ctx context.Context, c Checkpoint) error {
	return errors.Join(
		s.Blobs.Put(ctx, blobLatest, []byte(c.Note)),
		s.Blobs.Put(ctx, blobPrefix+c.At.Format("2006-01-02"), []byte(c.Note)))
}

// VerifierKey is the public key of the checkpoints as golang.org/x/mod/sumdb/note spells it, to be kept by whoever keeps an anchor.
func (s *Sequencer) VerifierKey() string { return s.public }

// Lag is how long the oldest row without a number has waited, 0 when none waits.
func (s *Sequencer) Lag(ctx context.Context) (time.Duration, error) {
	at, found, err := s.Log.Oldest(ctx)
	if err != nil || !found {
		return 0, err
	}
	return max(0, s.Clock.Now().Sub(at)), nil
}

// overlay reads stored hashes: those just made, then the database's.
type overlay struct {
	ctx   context.Context
	log   Log
	fresh map[int64]tlog.Hash
}

// ReadHashes implements [tlog.HashReader].
func (o *overlay) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	var missing []int64
	var where []int
	for i, index := range indexes {
		if h, ok := o.fresh[index]; ok {
			out[i] = h
		} else {
			missing, where = append(missing, index), append(where, i)
		}
	}
	if len(missing) == 0 {
		return out, nil
	}
	read, err := o.log.Hashes(o.ctx, missing)
	if err != nil {
		return nil, err
	}
	for i, h := range read {
		out[where[i]] = h
		if o.fresh != nil {
			o.fresh[missing[i]] = h
		}
	}
	return out, nil
}
