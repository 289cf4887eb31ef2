package spool

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A segment is a header and records, all numbers little-endian:
//
//	header  "mintspl\n" · version u16 · lowest version that can read it u16 · salt u64 · CRC-32C of these 20 bytes u32
//	record  0xA6 · length u16 · CRC-32C of salt, length and payload u32 · payload
//
// The name of the file, <nanoseconds>-<salt>.seg in hex, gives the order and the salt once more, should the header be damaged.
const (
	magic      = "mintspl\n"
	version    = 1
	headerLen  = 24
	recordHead = 7
	mark       = 0xA6
	segmentEnd = ".seg"
	guardName  = "lock"
	drainName  = "drain"
	cursorName = "cursor"
	cursorTemp = "cursor.new"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segment is a file of records that this process appends to.
type segment struct {
	name   string
	file   File
	salt   uint64
	size   int64 // the end of what was written whole
	synced int64 // the end of what is durable
	named  bool  // its name is durable too
}

// newSegment makes, locks and begins a segment, or leaves nothing.
func newSegment(fs FS, dir string, now time.Time) (*segment, error) {
	var b [8]byte
	rand.Read(b[:]) // never fails
	a := &segment{salt: binary.LittleEndian.Uint64(b[:]), size: headerLen}
	a.name = fmt.Sprintf("%016x-%016x%s", now.UnixNano(), a.salt, segmentEnd)
	path := filepath.Join(dir, a.name)
	f, err := fs.Open(path, Create)
	if err != nil {
		return nil, fmt.Errorf("spool: new segment: %w", err)
	}
	if _, err = f.Lock(false); err == nil {
		_, err = f.Write(header(a.salt))
	}
	if err != nil {
		_ = f.Close()
		_ = fs.Remove(path)
		return nil, fmt.Errorf("spool: new segment: %w", err)
	}
	a.file = f
	return a, nil
}

func header(salt uint64) []byte {
	h := append(make([]byte, 0, headerLen), magic...)
	h = binary.LittleEndian.AppendUint16(h, version)
	h = binary.LittleEndian.AppendUint16(h, 1)
	h = binary.LittleEndian.AppendUint64(h, salt)
	return binary.LittleEndian.AppendUint32(h, crc32.Checksum(h, castagnoli))
}

// saltOf reads the salt in the name of a segment.
func saltOf(name string) (uint64, bool) {
	at, rest, ok := strings.Cut(strings.TrimSuffix(name, segmentEnd), "-")
	if !ok || len(at) != 16 || len(rest) != 16 {
		return 0, false
	}
	salt, err := strconv.ParseUint(rest, 16, 64)
	return salt, err == nil
}

// appendRecord appends the form of a record in a segment.
func appendRecord(buf []byte, salt uint64, payload []byte) []byte {
	n := len(payload)
	buf = append(buf, mark, byte(n), byte(n>>8))
	buf = binary.LittleEndian.AppendUint32(buf, checksum(salted(salt), buf[len(buf)-2:], payload))
	return append(buf, payload...)
}

// checksum is that of a record: its segment's salt, its length as it is written, and its payload.
func checksum(salted uint32, length, payload []byte) uint32 {
	return crc32.Update(crc32.Update(salted, castagnoli, length), castagnoli, payload)
}

func salted(salt uint64) uint32 {
	return crc32.Checksum(binary.LittleEndian.AppendUint64(nil, salt), castagnoli)
}

// reader reads the records of a segment.
type reader struct {
	in      *bufio.Reader
	salt    uint32 // its checksum, with which that of each record begins
	at      int64  // behind the last record that was read, or what was stepped over before it
	skipped int64  // bytes since then that are no record
	damaged int64  // stretches of such bytes with a record behind them
}

// newReader reads from at to end; at 0 means behind the header.
func newReader(f io.ReaderAt, name string, at, end int64) (*reader, error) {
	salt, _ := saltOf(name)
	r := &reader{salt: salted(salt), at: at}
	head := make([]byte, headerLen)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if int64(n) > end {
		head = head[:end]
	} else {
		head = head[:n]
	}
	switch {
	case len(head) < headerLen: // its maker died at once
		r.at = max(end, at)
	case binary.LittleEndian.Uint32(head[20:]) != crc32.Checksum(head[:20], castagnoli) || string(head[:8]) != magic:
		if at == 0 {
			r.damaged++
		}
	case binary.LittleEndian.Uint16(head[10:]) > version:
		return nil, ErrVersion
	default:
		r.salt = salted(binary.LittleEndian.Uint64(head[12:]))
	}
	if r.at == 0 {
		r.at = headerLen
	}
	r.in = bufio.NewReaderSize(io.NewSectionReader(f, r.at, max(0, end-r.at)), 64<<10)
	return r, nil
}

// next returns the next record, which is good until the call after, or io.EOF.
func (r *reader) next() ([]byte, error) {
	for {
		head, err := r.in.Peek(recordHead)
		if len(head) < recordHead {
			r.skipped += int64(len(head))
			_, _ = r.in.Discard(len(head))
			return nil, ended(err)
		}
		if head[0] == mark {
			n := int(binary.LittleEndian.Uint16(head[1:]))
			if n > 0 && n <= MaxRecord {
				whole, err := r.in.Peek(recordHead + n)
				if err != nil && !errors.Is(err, io.EOF) {
					return nil, err
				}
				if len(whole) == recordHead+n && binary.LittleEndian.Uint32(whole[3:]) == checksum(r.salt, whole[1:3], whole[recordHead:]) {
					_, _ = r.in.Discard(len(whole))
					if r.skipped > 0 {
						r.damaged++
					}
					r.at += r.skipped + int64(len(whole))
					r.skipped = 0
					return whole[recordHead:], nil
				}
			}
		}
		_, _ = r.in.Discard(1)
		r.skipped++
	}
}

// ended tells the end of the segment from a failure to read it.
func ended(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.EOF
	}
	return err
}
