package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

func open(t testing.TB, o Options) *Spool {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s *Spool, records ...string) {
	t.Helper()
	for _, r := range records {
		if err := s.Append([]byte(r)); err != nil {
			t.Fatal(err)
		}
	}
}

// take drains all that is there and commits it with a note.
func take(t testing.TB, s *Spool, note string) (records []string) {
	t.Helper()
	d, err := s.Drain()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for {
		r, err := d.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, string(r))
	}
	if err := d.Commit([]byte(note)); err != nil {
		t.Fatal(err)
	}
	return records
}

func numbered(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("record %d", i))
	}
	return list
}

func same(t testing.TB, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %d records %.300q, want %d %.300q", len(got), got, len(want), want)
	}
}

// What was appended comes out once, in order, over many segments and reopenings; the note comes back; what was not committed
// comes again; spent segments are removed.
func TestSpool_InOrderAndOnce(t *testing.T) {
	t.Parallel()
	o := Options{Dir: filepath.Join(t.TempDir(), "a", "b"), SegmentBytes: 256, Sync: time.Hour}
	s := open(t, o)
	want := numbered(100)
	put(t, s, want[:60]...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Append([]byte("x")); !errors.Is(err, ErrClosed) {
		t.Fatalf("append after close: %v", err)
	}
	s = open(t, o)
	put(t, s, want[60:]...)
	d, err := s.Drain()
	if err != nil {
		t.Fatal(err)
	}
	if d.Note() != nil {
		t.Fatal("a note before the first commit")
	}
	for i := range 70 {
		if r, err := d.Next(); err != nil || string(r) != want[i] {
			t.Fatalf("%d: %q, %v", i, r, err)
		}
		if i == 49 {
			if err := d.Commit([]byte("fifty")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := s.Drain(); !errors.Is(err, ErrBusy) {
		t.Fatalf("a second drain: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d, err = s.Drain()
	if err != nil || string(d.Note()) != "fifty" {
		t.Fatalf("%v, note %q", err, d.Note())
	}
	d.Close()
	same(t, take(t, s, "all"), want[50:])
	same(t, take(t, s, "all"), nil)
	put(t, s, "one more")
	same(t, take(t, s, "all"), []string{"one more"})
	names, err := s.segments()
	if err != nil || len(names) != 1 {
		t.Fatalf("segments left: %v, %v", names, err)
	}
	for _, bad := range []string{"", string(make([]byte, MaxRecord+1))} {
		if err := s.Append([]byte(bad)); !errors.Is(err, ErrSize) {
			t.Fatalf("a record of %d bytes: %v", len(bad), err)
		}
	}
}

// Many goroutines append while another drains: each record comes out once.
func TestSpool_ManyAppendAndOneDrains(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Dir: fastDir(t), SegmentBytes: 4 << 10})
	const writers, each = 50, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				if err := s.Append(fmt.Appendf(nil, "%d/%d", w, i)); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	seen := map[string]int{}
	for done := false; !done; {
		select {
		case <-ended:
			done = true
		default:
		}
		for _, r := range take(t, s, "") {
			seen[r]++
		}
	}
	for r, n := range seen {
		if n != 1 {
			t.Fatalf("%s came out %d times", r, n)
		}
	}
	if len(seen) != writers*each {
		t.Fatalf("%d of %d came out", len(seen), writers*each)
	}
}

// Two spools on one directory, as two processes have, and drained by both in turns: no loss and no duplicate. While one is
// open, the other leaves its live segment alone.
func TestL12_TwoShareOneSpool(t *testing.T) {
	t.Parallel()
	o := Options{Dir: fastDir(t), SegmentBytes: 512, Sync: time.Hour}
	a, b := open(t, o), open(t, o)
	seen := map[string]int{}
	gather := func(s *Spool) {
		for _, r := range take(t, s, "") {
			seen[r]++
		}
	}
	for i := range 200 {
		put(t, a, fmt.Sprintf("a%d", i))
		put(t, b, fmt.Sprintf("b%d", i))
		if i%7 == 0 {
			gather(a)
		}
		if i%11 == 0 {
			gather(b)
		}
	}
	a.Close()
	gather(b)
	if len(seen) != 400 {
		t.Fatalf("%d of 400 came out", len(seen))
	}
	for r, n := range seen {
		if n != 1 {
			t.Fatalf("%s came out %d times", r, n)
		}
	}
}

// onlySegment returns the path of the one segment in a directory.
func onlySegment(t testing.TB, dir string) string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*"+segmentEnd))
	if err != nil || len(list) != 1 {
		t.Fatalf("segments %v, %v", list, err)
	}
	return list[0]
}

// A segment cut at any length gives out every record that is whole, and no other; the spool goes on.
func TestL13_TornAtEveryLength(t *testing.T) {
	t.Parallel()
	from := fastDir(t)
	s := open(t, Options{Dir: from})
	want := numbered(5)
	put(t, s, want...)
	s.Close()
	path := onlySegment(t, from)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) + 1 {
		dir := fastDir(t)
		s := open(t, Options{Dir: dir})
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		put(t, s, "later")
		each := (len(whole) - headerLen) / 5
		n := max(0, cut-headerLen) / each
		same(t, take(t, s, ""), append(slices.Clone(want[:n]), "later"))
		torn := cut > headerLen && (cut-headerLen)%each != 0
		if got := s.Stats().Damaged; (got == 1) != torn {
			t.Fatalf("cut at %d: %d stretches damaged, torn %v", cut, got, torn)
		}
		same(t, take(t, s, ""), nil)
		s.Close()
	}
}

// Each byte of a segment flipped, in each of several ways: at most the record that it hits is lost, all others are given out,
// and the damage is counted. The same for each byte of the cursor, which then costs nothing at all.
func TestL14_EachByteFlipped(t *testing.T) {
	t.Parallel()
	from := fastDir(t)
	s := open(t, Options{Dir: from})
	want := numbered(5)
	put(t, s, want...)
	s.Close()
	path := onlySegment(t, from)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	each := (len(whole) - headerLen) / 5
	dir := fastDir(t)
	for i := range whole {
		for _, with := range []byte{0x01, 0x80, 0xff} {
			bad := slices.Clone(whole)
			bad[i] ^= with
			s := open(t, Options{Dir: dir})
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), bad, 0o600); err != nil {
				t.Fatal(err)
			}
			rest := slices.Clone(want)
			if i >= headerLen {
				rest = slices.Delete(rest, (i-headerLen)/each, (i-headerLen)/each+1)
			}
			same(t, take(t, s, ""), rest)
			if s.Stats().Damaged != 1 {
				t.Fatalf("byte %d: %d stretches damaged", i, s.Stats().Damaged)
			}
			s.Close()
			os.RemoveAll(dir)
		}
	}
	text, err := encodeCursor(cursor{Read: map[string]int64{"x": 1}, Note: []byte("the note")})
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		bad := slices.Clone(text)
		bad[i] ^= 0x41
		if c, err := decodeCursor(bad); err != nil || string(c.Note) != "the note" || c.Read["x"] != 1 {
			t.Fatalf("byte %d of the cursor: %v", i, err)
		}
	}
	bad := slices.Clone(text)
	bad[30] ^= 1
	bad[30+len(text)/2] ^= 1
	if _, err := decodeCursor(bad); !errors.Is(err, ErrDamaged) {
		t.Fatalf("both copies damaged: %v", err)
	}
}

// At the cap the oldest records are kept, new ones are refused with ErrFull and counted, and room comes back with draining.
func TestL18_CapKeepsTheOldest(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Dir: fastDir(t), MaxBytes: 1 << 10, SegmentBytes: 128, Sync: time.Hour})
	var kept []string
	refused := int64(0)
	for i, r := range numbered(200) {
		switch err := s.Append([]byte(r)); {
		case err == nil && refused > 0:
			t.Fatalf("record %d was taken after one was refused", i)
		case err == nil:
			kept = append(kept, r)
		case errors.Is(err, ErrFull):
			refused++
		default:
			t.Fatal(err)
		}
	}
	if st := s.Stats(); refused == 0 || st.Dropped != refused || st.Bytes > 1<<10 {
		t.Fatalf("%d refused, %+v", refused, st)
	}
	same(t, take(t, s, ""), kept)
	put(t, s, "room again")
	same(t, take(t, s, ""), []string{"room again"})
}

// A spool that is a symbolic link, open to others, or another user's is refused; so is such a file in it. A pipe in a file's
// place holds nobody up.
func TestL22_NotPrivateIsRefused(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	refuse := func(dir, why string) {
		t.Helper()
		if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrUnsafe) {
			t.Errorf("%s: %v", why, err)
		}
	}
	good := filepath.Join(top, "good")
	s := open(t, Options{Dir: good})
	put(t, s, "x")
	s.Close()
	if err := os.Symlink(good, filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	refuse(filepath.Join(top, "link"), "a link")
	for _, mode := range []os.FileMode{0o777, 0o750, 0o704, 0o720} {
		if err := os.Chmod(good, mode); err != nil {
			t.Fatal(err)
		}
		refuse(good, mode.String())
	}
	if err := os.Chmod(good, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(top, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: filepath.Join(top, "file")}); err == nil {
		t.Error("a file was opened as a directory")
	}
	s = open(t, Options{Dir: good})
	segment := onlySegment(t, good)
	drained := func(why string) {
		t.Helper()
		d, err := s.Drain()
		if err == nil {
			_, err = d.Next()
			d.Close()
		}
		if !errors.Is(err, ErrUnsafe) {
			t.Errorf("%s: %v", why, err)
		}
	}
	if err := os.Chmod(segment, 0o644); err != nil {
		t.Fatal(err)
	}
	drained("a segment open to others")
	aside := filepath.Join(top, "aside")
	if err := os.Rename(segment, aside); err != nil {
		t.Fatal(err)
	}
	os.Chmod(aside, 0o600)
	os.Symlink(aside, segment)
	drained("a linked segment")
	os.Remove(segment)
	if err := syscall.Mkfifo(segment, 0o600); err != nil {
		t.Fatal(err)
	}
	drained("a pipe")
	if os.Geteuid() == 0 { // only root can give files away
		os.Remove(segment)
		os.Rename(aside, segment)
		if err := os.Chown(segment, 1, 1); err != nil {
			t.Fatal(err)
		}
		drained("a segment of another user")
		if err := os.Chown(good, 1, 1); err != nil {
			t.Fatal(err)
		}
		refuse(good, "another user's directory")
	}
}

// A segment or a cursor of a newer version that older ones cannot read stops draining, touches nothing, and lets appending go
// on; one that older ones can read is read.
func TestL24_NewerVersion(t *testing.T) {
	t.Parallel()
	dir := fastDir(t)
	s := open(t, Options{Dir: dir})
	put(t, s, "old and new")
	s.Close()
	path := onlySegment(t, dir)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	as := func(version, needs byte) {
		b := slices.Clone(whole)
		b[8], b[10] = version, needs
		if err := os.WriteFile(path, sealed(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, Options{Dir: dir})
	as(2, 2)
	d, err := s.Drain()
	if err == nil {
		_, err = d.Next()
		d.Close()
	}
	if !errors.Is(err, ErrVersion) {
		t.Fatalf("a newer segment: %v", err)
	}
	put(t, s, "meanwhile")
	as(2, 1)
	same(t, take(t, s, ""), []string{"old and new", "meanwhile"})
	cursor, err := os.ReadFile(filepath.Join(dir, cursorName))
	if err != nil {
		t.Fatal(err)
	}
	half := len(cursor) / 2
	for i := range 2 {
		one := cursor[i*half : (i+1)*half]
		one[10] = 9
		sealCursor(one)
	}
	if err := os.WriteFile(filepath.Join(dir, cursorName), cursor, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Drain(); !errors.Is(err, ErrVersion) {
		t.Fatalf("a newer cursor: %v", err)
	}
	put(t, s, "still")
}
