// Package spool keeps small records on disk until somebody has taken them over: an append-only queue that survives a crash of
// the process and of the machine, a full disk, a damaged file, and several processes at once.
//
//	s, err := spool.Open(spool.Options{Dir: dir})
//	err = s.Append([]byte("export 1")) // nil: it is on disk
//	d, err := s.Drain()                // ErrBusy while another process drains
//	for record, err := d.Next(); err == nil; record, err = d.Next() { … }
//	err = d.Commit(note)               // these records are never given out again
//
// A directory holds segments, a cursor and two lock files. A segment belongs to the one process that made it, which holds a
// lock on it and alone appends; once that process closes it or dies, nobody appends to it ever again and whoever drains next reads
// it. So writers of several processes never wait for each other, and a torn tail is the trace of an append that was never
// acknowledged. Drain gives out what this process appended and what ended processes left.
//
// Each record has its length and a checksum that covers the segment's own random number. Bytes that are no record are stepped
// over and counted, up to the next ones that are: damage costs what it hits and nothing after it.
//
// Commit replaces the cursor, which says how far all segments were read, together with a note of the caller's, as one durable
// step. A caller that keeps there what it is about to send can send the same bytes again after any crash.
//
// Nothing is opened through a symbolic link, belongs to another user or is open to others: Open refuses such a directory and
// such a file. The package uses the standard library alone, starts no goroutine and is safe for concurrent use.
package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Why the spool refuses.
var (
	// ErrFull refuses a record because the spool has reached its cap. The oldest records are kept; what is refused is counted
	// in Stats.Dropped.
	ErrFull = errors.New("spool: full")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("spool: closed")
	// ErrBusy means that another process, or another Drain of this one, is draining.
	ErrBusy = errors.New("spool: somebody else is draining")
	// ErrSize refuses a record that is empty or longer than MaxRecord.
	ErrSize = errors.New("spool: a record is empty or too long")
	// ErrVersion means that a newer version of this package wrote what is there and says that this one cannot read it. It is
	// left as it is; appending goes on.
	ErrVersion = errors.New("spool: written by a newer version")
	// ErrUnsafe refuses a directory or a file that is a symbolic link, belongs to another user, or is open to others.
	ErrUnsafe = errors.New("spool: not private to this user")
	// ErrDamaged means that both copies of the cursor are damaged, so nobody knows what was already taken over. It is left to
	// a person, because going on could give out records twice.
	ErrDamaged = errors.New("spool: the cursor is damaged")
)

// MaxRecord is the length in bytes of the longest record.
const MaxRecord = 1024

// Options say where a spool is and how it behaves. Only Dir is required.
type Options struct {
	Dir string // made if it is not there, for this user alone

	// MaxBytes caps the segments together, 64 MiB unless said otherwise. At the cap new records are refused and old ones kept.
	// Each further process may overshoot by one segment.
	MaxBytes int64
	// SegmentBytes is where a segment ends and the next begins, an eighth of MaxBytes but at most 4 MiB unless said otherwise.
	SegmentBytes int64
	// Sync is how long an appended record may be in the kernel's hands alone: 0 makes each durable before Append returns,
	// many at once when many append. With more, a crash of the process still loses nothing; a crash of the machine loses at
	// most what was appended within that time, or since the last append if none came after.
	Sync time.Duration

	FS  FS               // the file system; nil means the real one
	Now func() time.Time // for Sync and the names of segments; nil means time.Now
}

// Stats counts what became of records.
type Stats struct {
	Bytes   int64 // in segments, as far as this process knows
	Dropped int64 // records refused with ErrFull since Open
	Damaged int64 // stretches of bytes that were no record, since the spool was made
}

// Spool is an open spool. Make it with Open.
type Spool struct {
	opt Options
	fs  FS

	mu      sync.Mutex // guards what is queued and the counters
	queued  *group
	closed  bool
	dropped int64
	damaged int64

	io       sync.Mutex // held while files are written; taken before mu
	active   *segment
	used     int64
	unsynced [][]byte         // acknowledged, written, not yet durable
	owed     [][]byte         // acknowledged, not in any segment: a failed sync took them out of one
	syncedAt time.Time        // when the active segment was last made durable
	ends     map[string]int64 // where own segments that were given up end, whatever lies behind
}

// group is what is appended in one write.
type group struct {
	records [][]byte
	bytes   int64
	done    bool
	err     error
}

// Open opens the spool in a directory. It reads no record, so it is as fast with ten million of them as with none.
func Open(o Options) (*Spool, error) {
	if o.Dir == "" {
		return nil, errors.New("spool: no directory")
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 64 << 20
	}
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = min(4<<20, max(4<<10, o.MaxBytes/8))
	}
	if o.FS == nil {
		o.FS = osFS{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Spool{opt: o, fs: o.FS, queued: new(group), ends: map[string]int64{}}
	if err := s.fs.Dir(o.Dir); err != nil {
		return nil, err
	}
	used, err := s.measure()
	if err != nil {
		return nil, err
	}
	s.used = used
	return s, nil
}

// Append adds a record and returns nil once it is safe as Options.Sync says. An error means that it is not acknowledged and
// will not be given out; only if the disk fails twice over, so that what was written cannot be taken back, and the process
// dies then, may it be.
func (s *Spool) Append(record []byte) error {
	if len(record) == 0 || len(record) > MaxRecord {
		return ErrSize
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	g := s.queued
	g.records = append(g.records, append([]byte(nil), record...))
	g.bytes += int64(len(record)) + recordHead
	s.mu.Unlock()

	s.io.Lock() // whoever comes first writes for all that are queued by then
	defer s.io.Unlock()
	if !g.done {
		s.mu.Lock()
		s.queued = new(group)
		s.mu.Unlock()
		g.done, g.err = true, s.write(g)
	}
	return g.err
}

// write puts a group into the active segment. Needs s.io.
func (s *Spool) write(g *group) error {
	if s.used+g.bytes > s.opt.MaxBytes {
		used, err := s.measure()
		if err != nil {
			return err
		}
		if s.used = used; used+g.bytes > s.opt.MaxBytes {
			s.mu.Lock()
			s.dropped += int64(len(g.records))
			s.mu.Unlock()
			return ErrFull
		}
	}
	if err := s.settle(); err != nil {
		return err
	}
	if s.active != nil && s.active.size >= s.opt.SegmentBytes {
		if err := s.seal(); err != nil {
			return err
		}
	}
	if err := s.put(g.records); err != nil {
		return err
	}
	if s.opt.Sync <= 0 {
		err := s.sync()
		if errors.Is(err, errGone) {
			if err = s.put(g.records); err == nil {
				err = s.sync()
			}
		}
		return err
	}
	s.unsynced = append(s.unsynced, g.records...)
	if now := s.opt.Now(); now.Sub(s.syncedAt) >= s.opt.Sync || now.Before(s.syncedAt) {
		// The records are acknowledged whatever comes of it: if it fails they are owed, and written anew.
		_ = s.secure()
	}
	return nil
}

// put writes records behind the end of the active segment, or leaves it as it was. Needs s.io.
func (s *Spool) put(records [][]byte) error {
	if s.active == nil {
		if err := s.begin(); err != nil {
			return err
		}
	}
	a := s.active
	buf := make([]byte, 0, 64*len(records))
	for _, r := range records {
		buf = appendRecord(buf, a.salt, r)
	}
	if n, err := a.file.Write(buf); err != nil || n != len(buf) {
		if err == nil {
			err = errors.New("short write")
		}
		if e := a.file.Truncate(a.size); e != nil {
			s.giveUp(a.size)
		}
		return fmt.Errorf("spool: write: %w", err)
	}
	a.size += int64(len(buf))
	s.used += int64(len(buf))
	return nil
}

// errGone means that the active segment was removed by somebody: what is in it is nowhere once it is closed.
var errGone = fmt.Errorf("the segment was removed: %w", fs.ErrNotExist)

// sync makes the active segment durable. A failed sync is never followed by a second one on the same file, because the
// kernel may by then have forgotten what it could not write: the segment is cut back to what is known to be durable and given
// up, and what had been acknowledged behind that is owed. Needs s.io.
func (s *Spool) sync() error {
	a := s.active
	if a == nil || a.synced == a.size {
		return nil
	}
	err := a.file.Sync()
	if err == nil && !a.named {
		err = s.fs.SyncDir(s.opt.Dir)
	}
	if _, e := s.fs.Size(filepath.Join(s.opt.Dir, a.name)); errors.Is(e, fs.ErrNotExist) {
		err = errGone
	}
	if err != nil {
		_ = a.file.Truncate(a.synced)
		s.giveUp(a.synced)
		s.owed, s.unsynced = append(s.owed, s.unsynced...), nil
		return fmt.Errorf("spool: sync: %w", err)
	}
	a.named, a.synced, s.unsynced, s.syncedAt = true, a.size, nil, s.opt.Now()
	return nil
}

// settle writes what is owed to a segment and makes it durable. Needs s.io.
func (s *Spool) settle() error {
	if len(s.owed) == 0 {
		return nil
	}
	owed := s.owed
	if err := s.put(owed); err != nil {
		return err
	}
	s.owed = nil
	s.unsynced = append(s.unsynced, owed...)
	return s.sync() // a failure makes them owed again
}

// secure makes durable all that was acknowledged; what was in a segment that somebody removed, in another one. Needs s.io.
func (s *Spool) secure() error {
	err := s.settle()
	if err == nil {
		err = s.sync()
	}
	if errors.Is(err, errGone) {
		err = s.settle()
	}
	return err
}

// giveUp leaves the active segment for good; whatever lies behind end is none of it. Needs s.io.
func (s *Spool) giveUp(end int64) {
	s.ends[s.active.name] = end
	s.used -= s.active.size - end
	_ = s.active.file.Close()
	s.active = nil
}

// seal ends the active segment, so that the next append begins another. Needs s.io.
func (s *Spool) seal() error {
	if err := s.sync(); err != nil || s.active == nil {
		return err
	}
	err := s.active.file.Close()
	s.active = nil
	return err
}

// begin makes a segment of our own. A drainer must not take it for one left behind in the moment before it is locked, hence
// the lock around. Needs s.io.
func (s *Spool) begin() error {
	if err := s.fs.Dir(s.opt.Dir); err != nil { // it may have been removed
		return err
	}
	unlock, err := s.guard()
	if err != nil {
		return err
	}
	defer unlock()
	a, err := newSegment(s.fs, s.opt.Dir, s.opt.Now())
	if err != nil {
		return err
	}
	s.active, s.syncedAt = a, s.opt.Now()
	s.used += a.size
	return nil
}

// guard takes the lock under which segments are made, told live from left, and removed.
func (s *Spool) guard() (unlock func(), err error) {
	f, err := s.fs.Open(filepath.Join(s.opt.Dir, guardName), ReadWrite)
	if err != nil {
		return nil, err
	}
	if _, err := f.Lock(true); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("spool: lock: %w", err)
	}
	return func() { _ = f.Close() }, nil
}

// Sync makes durable all that was acknowledged.
func (s *Spool) Sync() error {
	s.io.Lock()
	defer s.io.Unlock()
	return s.secure()
}

// Close makes durable what was acknowledged and ends the spool. Appends after it fail with ErrClosed.
func (s *Spool) Close() error {
	s.mu.Lock()
	was := s.closed
	s.closed = true
	s.mu.Unlock()
	if was {
		return nil
	}
	s.io.Lock()
	defer s.io.Unlock()
	err := s.secure()
	if e := s.seal(); err == nil {
		err = e
	}
	return err
}

// Stats returns the counters.
func (s *Spool) Stats() Stats {
	s.io.Lock()
	defer s.io.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Bytes: s.used, Dropped: s.dropped, Damaged: s.damaged}
}

// measure adds up the segments of all processes.
func (s *Spool) measure() (int64, error) {
	names, err := s.segments()
	if err != nil {
		return 0, err
	}
	total := int64(0)
	for _, name := range names {
		n, err := s.fs.Size(filepath.Join(s.opt.Dir, name))
		if err != nil {
			continue // drained in the meantime
		}
		total += n
	}
	return total, nil
}

// segments lists the names of the segments, oldest first.
func (s *Spool) segments() ([]string, error) {
	all, err := s.fs.List(s.opt.Dir)
	if err != nil {
		return nil, err
	}
	names := all[:0]
	for _, name := range all {
		if _, ok := saltOf(name); ok && strings.HasSuffix(name, segmentEnd) {
			names = append(names, name)
		}
	}
	return names, nil
}
