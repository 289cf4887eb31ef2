package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// filled makes a spool of n records of 20 bytes, as ended processes leave it.
func filled(t testing.TB, dir string, n int) {
	t.Helper()
	if err := OS().Dir(dir); err != nil {
		t.Fatal(err)
	}
	const each = 150_000 // about 4 MiB
	for first := 0; first < n; first += each {
		salt := uint64(first + 1)
		buf := header(salt)
		for i := first; i < min(n, first+each); i++ {
			buf = appendRecord(buf, salt, fmt.Appendf(nil, "record %013d", i))
		}
		name := fmt.Sprintf("%016x-%016x%s", first, salt, segmentEnd)
		if err := os.WriteFile(filepath.Join(dir, name), buf, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// readAll opens a spool and reads all of it, and says how long each took and how much was allocated.
func readAll(t testing.TB, dir string) (n int, opened, read time.Duration, allocated uint64) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	s, err := Open(Options{Dir: dir, MaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	d, err := s.Drain()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Next(); err != nil {
		t.Fatal(err)
	}
	opened, start = time.Since(start), time.Now()
	for n = 1; ; n++ {
		if _, err := d.Next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	read = time.Since(start)
	runtime.ReadMemStats(&after)
	return n, opened, read, after.TotalAlloc - before.TotalAlloc
}

// A spool of many records is opened, up to its first record, in time that does not depend on them, and read to its end in
// memory that does not: less is allocated in all than the 32 MiB that may be held. The benchmark does the same with ten million. Not
// parallel, for what others allocate would count.
func TestL21_ManyRecords(t *testing.T) {
	const records = 600_000
	dir := fastDir(t)
	filled(t, dir, records)
	n, opened, read, allocated := readAll(t, dir)
	if n != records || opened > 2*time.Second || allocated > 32<<20 {
		t.Fatalf("%d of %d records, opened in %v, read in %v, %d KiB allocated", n, records, opened, read, allocated>>10)
	}
}

// BenchmarkL21_Open10M opens a spool of ten million records and reads it to its end.
func BenchmarkL21_Open10M(b *testing.B) {
	dir := b.TempDir() + "/s"
	filled(b, dir, 10_000_000)
	for b.Loop() {
		n, opened, read, allocated := readAll(b, dir)
		if n != 10_000_000 || opened > 2*time.Second || allocated > 32<<20 {
			b.Fatalf("%d records, opened in %v, %d KiB allocated", n, opened, allocated>>10)
		}
		b.ReportMetric(float64(opened.Microseconds())/1000, "ms-to-open")
		b.ReportMetric(read.Seconds(), "s-to-read-all")
		b.ReportMetric(float64(allocated)/(1<<20), "MiB-allocated")
	}
}

// BenchmarkAppend appends one record, durable at once and with the kernel alone.
func BenchmarkAppend(b *testing.B) {
	for name, sync := range map[string]time.Duration{"durable": 0, "written": time.Hour} {
		b.Run(name, func(b *testing.B) {
			s := open(b, Options{Dir: b.TempDir() + "/s", MaxBytes: 1 << 40, Sync: sync})
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if err := s.Append([]byte("record of 20 bytes..")); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// FuzzSegment reads any bytes as a segment: it neither panics nor reads behind the end, and a good record behind them is found.
func FuzzSegment(f *testing.F) {
	good := header(7)
	for _, r := range numbered(3) {
		good = appendRecord(good, 7, []byte(r))
	}
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add(good[:10])
	f.Add([]byte{})
	f.Add(append(header(7), mark, 0xff, 0xff, 1, 2, 3, 4))
	name := fmt.Sprintf("%016x-%016x%s", 1, 7, segmentEnd)
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := fastDir(t)
		s := open(t, Options{Dir: dir, Sync: time.Hour})
		if len(text) < headerLen || saltIn(text) != salted(7) {
			text = append(header(7), text...)
		}
		text = appendRecord(text, 7, []byte("the last"))
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := s.Drain()
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		last, total := "", 0
		for {
			r, err := d.Next()
			if errors.Is(err, ErrVersion) {
				return
			}
			if err != nil {
				break
			}
			last, total = string(r), total+len(r)+recordHead
		}
		if last != "the last" || total > len(text) {
			t.Fatalf("the last record is %q, %d of %d bytes read", last, total, len(text))
		}
	})
}

func saltIn(text []byte) uint32 {
	r, err := newReader(asFile(text), fmt.Sprintf("%016x-%016x%s", 1, 7, segmentEnd), 0, int64(len(text)))
	if err != nil {
		return salted(7)
	}
	return r.salt
}

// asFile is a file in memory.
type asFile []byte

func (f asFile) ReadAt(b []byte, at int64) (int, error) {
	if at >= int64(len(f)) {
		return 0, io.EOF
	}
	n := copy(b, f[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// FuzzCursor reads any bytes as a cursor: it neither panics nor takes for good what was not written whole.
func FuzzCursor(f *testing.F) {
	good, err := encodeCursor(cursor{Read: map[string]int64{"a": 7}, Note: []byte("note")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(good[:11])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := decodeCursor(text)
		if err != nil {
			return
		}
		again, err := encodeCursor(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeCursor(again); err != nil {
			t.Fatal(err)
		}
	})
}
