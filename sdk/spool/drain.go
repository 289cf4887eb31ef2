package spool

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"slices"
)

// Drain gives out records, oldest segments first. It is for one goroutine. After an error of Commit it must be closed; the
// next one begins with what the disk then says.
type Drain struct {
	s      *Spool
	lock   File
	cursor cursor
	left   []source // segments not read to their end yet; the first is open
	file   File
	reader *reader
	peeked []byte   // read and not taken
	spent  []string // segments of which nothing is left
	broken bool
}

// source is a segment to be read.
type source struct {
	name string
	at   int64
	end  int64
	live bool // we go on appending to it
}

// cursor is what has been given out for good, and the caller's note.
type cursor struct {
	Read    map[string]int64 `json:"read,omitempty"`
	Damaged int64            `json:"damaged,omitempty"`
	Note    []byte           `json:"note,omitempty"`
}

// Drain begins to take records over: what this process has appended, made durable first, and what processes that have ended
// left behind. While one is open others get ErrBusy.
func (s *Spool) Drain() (_ *Drain, err error) {
	if err := s.fs.Dir(s.opt.Dir); err != nil { // it may have been removed
		return nil, err
	}
	lock, err := s.fs.Open(filepath.Join(s.opt.Dir, drainName), ReadWrite)
	if err != nil {
		return nil, fmt.Errorf("spool: drain: %w", err)
	}
	d := &Drain{s: s, lock: lock}
	defer func() {
		if err != nil {
			_ = d.Close()
		}
	}()
	if ok, err := lock.Lock(false); err != nil {
		return nil, fmt.Errorf("spool: drain: %w", err)
	} else if !ok {
		return nil, ErrBusy
	}
	if d.cursor, err = s.readCursor(); err != nil {
		return nil, err
	}
	s.noteDamage(d.cursor.Damaged)
	if err := d.survey(); err != nil {
		return nil, fmt.Errorf("spool: drain: %w", err)
	}
	return d, nil
}

// survey finds what there is to read and forgets what is gone.
func (d *Drain) survey() error {
	s := d.s
	s.io.Lock()
	defer s.io.Unlock()
	if err := s.secure(); err != nil {
		return err
	}
	unlock, err := s.guard()
	if err != nil {
		return err
	}
	defer unlock()
	names, err := s.segments()
	if err != nil {
		return err
	}
	for _, name := range names {
		src := source{name: name, at: d.cursor.Read[name]}
		end, given := s.ends[name]
		switch {
		case s.active != nil && s.active.name == name:
			src.end, src.live = s.active.synced, true
		case given:
			src.end = end
		default:
			dead, size, err := s.left(name)
			if err != nil {
				return err
			}
			if !dead {
				continue // its process drains it, or leaves it to us when it ends
			}
			src.end = size
		}
		d.left = append(d.left, src)
	}
	gone := false
	for name := range d.cursor.Read {
		if !slices.Contains(names, name) {
			delete(d.cursor.Read, name)
			gone = true
		}
	}
	if gone { // the names must not come back once the cursor knows them no more
		return s.fs.SyncDir(s.opt.Dir)
	}
	return nil
}

// left reports whether a segment's process has ended, and then its size for good.
func (s *Spool) left(name string) (bool, int64, error) {
	f, err := s.fs.Open(filepath.Join(s.opt.Dir, name), ReadOnly)
	if err != nil {
		return false, 0, err
	}
	defer f.Close()
	if ok, err := f.Lock(false); err != nil || !ok {
		return false, 0, err
	}
	size, err := s.fs.Size(filepath.Join(s.opt.Dir, name))
	return true, size, err
}

// Note returns what the last Commit left, nil at first.
func (d *Drain) Note() []byte { return d.cursor.Note }

// Next returns the next record and takes it: Peek and Take in one.
func (d *Drain) Next() ([]byte, error) {
	record, err := d.Peek()
	d.Take()
	return record, err
}

// Peek returns the next record, which is good until the call after, or io.EOF when there is none for now. Until it is taken the
// next Peek returns it again, and Commit does not count it as taken over.
func (d *Drain) Peek() ([]byte, error) {
	if d.peeked != nil {
		return d.peeked, nil
	}
	for len(d.left) > 0 {
		src := &d.left[0]
		if d.reader == nil {
			if err := d.open(src); err != nil {
				return nil, err
			}
		}
		record, err := d.reader.next()
		if err == nil {
			d.peeked = record
			return record, nil
		}
		if !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("spool: read %s: %w", src.name, err)
		}
		d.finish(src)
	}
	return nil, io.EOF
}

// Take takes the record that Peek returned, if there is one.
func (d *Drain) Take() {
	if d.peeked != nil {
		d.peeked, d.left[0].at = nil, d.reader.at
	}
}

func (d *Drain) open(src *source) (err error) {
	if d.file, err = d.s.fs.Open(filepath.Join(d.s.opt.Dir, src.name), ReadOnly); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if d.reader, err = newReader(d.file, src.name, src.at, src.end); err != nil {
		_ = d.file.Close()
		d.file = nil
		return err
	}
	return nil
}

// finish leaves the first segment behind.
func (d *Drain) finish(src *source) {
	d.cursor.Damaged += d.reader.damaged
	if d.reader.skipped > 0 && !src.live { // a torn tail, or a damaged last record
		d.cursor.Damaged++
	}
	if d.read(src.name, src.end); !src.live {
		d.spent = append(d.spent, src.name)
	}
	_ = d.file.Close()
	d.file, d.reader, d.left = nil, nil, d.left[1:]
}

func (d *Drain) read(name string, at int64) {
	if d.cursor.Read == nil {
		d.cursor.Read = map[string]int64{}
	}
	if at > 0 {
		d.cursor.Read[name] = at
	}
}

// Commit keeps, as one durable step, that the records given out so far were taken over, and the note. Segments of which
// nothing is left are then removed.
func (d *Drain) Commit(note []byte) error {
	if d.broken {
		return errors.New("spool: commit after a failure")
	}
	next := d.cursor
	if d.reader != nil {
		d.read(d.left[0].name, d.left[0].at)
		next = d.cursor
		next.Damaged += d.reader.damaged
	}
	next.Note = append([]byte(nil), note...)
	if err := d.s.writeCursor(next); err != nil {
		d.broken = true
		return fmt.Errorf("spool: commit: %w", err)
	}
	d.cursor.Note = next.Note
	d.s.noteDamage(next.Damaged)
	return d.remove()
}

// remove removes spent segments. One that cannot be is removed by the next Drain: it stays in the cursor as read.
func (d *Drain) remove() error {
	s := d.s
	for _, name := range d.spent {
		_ = s.fs.Remove(filepath.Join(s.opt.Dir, name))
	}
	s.io.Lock()
	defer s.io.Unlock()
	for _, name := range d.spent {
		delete(s.ends, name)
	}
	if used, err := s.measure(); err == nil {
		s.used = used
	}
	d.spent = nil
	// A segment that we go on appending to takes its room although it was read. When room gets scarce that must not be what is full.
	if a := s.active; a != nil && s.used > s.opt.MaxBytes/2 && d.cursor.Read[a.name] == a.size && a.synced == a.size {
		_ = a.file.Close()
		_ = s.fs.Remove(filepath.Join(s.opt.Dir, a.name))
		s.active, s.used = nil, s.used-a.size
	}
	return nil
}

// Close ends the drain. What was given out since the last Commit will be given out again.
func (d *Drain) Close() error {
	if d.file != nil {
		_ = d.file.Close()
	}
	d.file, d.reader, d.left, d.peeked, d.broken = nil, nil, nil, nil, true
	return d.lock.Close()
}

func (s *Spool) noteDamage(n int64) {
	s.mu.Lock()
	s.damaged = n
	s.mu.Unlock()
}

// The cursor is in its file twice, so that one damaged byte costs nothing.
const (
	cursorMagic = "mintcur\n"
	cursorHead  = 20
	maxCursor   = 4 << 20
)

func encodeCursor(c cursor) ([]byte, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	one := append(make([]byte, 0, cursorHead+len(body)), cursorMagic...)
	one = binary.LittleEndian.AppendUint16(one, version)
	one = binary.LittleEndian.AppendUint16(one, 1)
	one = binary.LittleEndian.AppendUint32(one, uint32(len(body)))
	one = binary.LittleEndian.AppendUint32(one, crc32.Update(crc32.Checksum(one, castagnoli), castagnoli, body))
	one = append(one, body...)
	if len(one) > maxCursor/2 {
		return nil, errors.New("the note is too long")
	}
	return append(one, one...), nil
}

func decodeCursor(text []byte) (cursor, error) {
	for _, at := range []int{0, len(text) / 2} {
		one := text[at:]
		if len(one) < cursorHead || !bytes.HasPrefix(one, []byte(cursorMagic)) {
			continue
		}
		n := uint64(binary.LittleEndian.Uint32(one[12:]))
		if uint64(len(one)) < cursorHead+n {
			continue
		}
		body := one[cursorHead : cursorHead+n]
		if binary.LittleEndian.Uint32(one[16:]) != crc32.Update(crc32.Checksum(one[:16], castagnoli), castagnoli, body) {
			continue
		}
		if binary.LittleEndian.Uint16(one[10:]) > version {
			return cursor{}, ErrVersion
		}
		var c cursor
		if json.Unmarshal(body, &c) == nil {
			return c, nil
		}
	}
	return cursor{}, ErrDamaged
}

func (s *Spool) readCursor() (cursor, error) {
	names, err := s.fs.List(s.opt.Dir)
	if err != nil {
		return cursor{}, err
	}
	if !slices.Contains(names, cursorName) {
		return cursor{}, nil
	}
	f, err := s.fs.Open(filepath.Join(s.opt.Dir, cursorName), ReadOnly)
	if err != nil {
		return cursor{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, 0, maxCursor))
	if err != nil {
		return cursor{}, err
	}
	return decodeCursor(text)
}

// writeCursor replaces the cursor by a file that was made durable before it got the name.
func (s *Spool) writeCursor(c cursor) error {
	text, err := encodeCursor(c)
	if err != nil {
		return err
	}
	temp := filepath.Join(s.opt.Dir, cursorTemp)
	f, err := s.fs.Open(temp, Replace)
	if err != nil {
		return err
	}
	n, err := f.Write(text)
	if err == nil && n != len(text) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		_ = s.fs.Remove(temp)
		return err
	}
	if err := s.fs.Rename(temp, filepath.Join(s.opt.Dir, cursorName)); err != nil {
		return err
	}
	return s.fs.SyncDir(s.opt.Dir)
}
