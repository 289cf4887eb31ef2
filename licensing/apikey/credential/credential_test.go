package credential_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

var format = credential.Format{Prefix: "mtr"}

// TestFormat: every text has the one length, matches the scanners' expression, parses, and carries its environment.
func TestFormat(t *testing.T) {
	t.Parallel()
	pattern := regexp.MustCompile("^" + format.Pattern() + "$")
	seen := map[string]bool{}
	for i := range 1000 {
		env := licensing.Live
		if i%2 == 1 {
			env = licensing.Test
		}
		text, err := format.New(env, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(text.Full) != 48 || len(text.Full) != format.Len() || !pattern.MatchString(text.Full) || seen[text.Full] {
			t.Fatalf("text %q", text.Full)
		}
		seen[text.Full] = true
		got, ok := format.Parse(text.Full)
		if !ok || got.Env != env || got.Hint != text.Hint || !strings.HasPrefix(text.Full, "mtr_"+string(env)+"_"+text.Hint+"_") {
			t.Fatalf("parsed %#v from %q", got, text.Full)
		}
		if strings.Contains(fmt.Sprintf("%v %+v %#v", text, text, text), text.Full) {
			t.Fatal("a printed text shows the secret")
		}
	}
}

// TestChecksum: the last six characters are CRC-32/IEEE over all before them, in base 62, big-endian, padded with zeros.
func TestChecksum(t *testing.T) {
	t.Parallel()
	text, err := format.New(licensing.Live, bytes.NewReader(make([]byte, 4096)))
	if err != nil {
		t.Fatal(err)
	}
	body, sum := text.Full[:42], text.Full[42:]
	if body != "mtr_live_"+strings.Repeat("0", 10)+"_"+strings.Repeat("0", 22) {
		t.Fatalf("zeros drew %q", body)
	}
	var v uint64
	for _, c := range sum {
		v = v*62 + uint64(strings.IndexRune("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", c))
	}
	if v != uint64(crc32.ChecksumIEEE([]byte(body))) {
		t.Errorf("checksum %q is %d", sum, v)
	}
}

// TestA06_AnyTypoDiesBeforeALookup: no text that differs from a good one in one place, or in length, prefix or environment, parses.
func TestA06_AnyTypoDiesBeforeALookup(t *testing.T) {
	t.Parallel()
	text, err := format.New(licensing.Live, nil)
	if err != nil {
		t.Fatal(err)
	}
	bad := []string{"", "mtr", text.Full + "0", text.Full[1:], text.Full[:47], " " + text.Full[:47], "mtx" + text.Full[3:],
		strings.Replace(text.Full, "live", "test", 1), strings.Replace(text.Full, "live", "prod", 1), strings.ToUpper(text.Full), text.Full[:47] + "\x00"}
	for i := range text.Full {
		for _, c := range []byte("0aZ_-\n\xff") {
			if text.Full[i] != c {
				bad = append(bad, text.Full[:i]+string([]byte{c})+text.Full[i+1:])
			}
		}
	}
	for _, s := range bad {
		if _, ok := format.Parse(s); ok {
			t.Errorf("%q parses", s)
		}
	}
}

// TestPrefix: a prefix is 2 to 8 of a-z and 0-9.
func TestPrefix(t *testing.T) {
	t.Parallel()
	for prefix, good := range map[string]bool{"mtr": true, "a1": true, "abcdefgh": true, "": false, "a": false, "abcdefghi": false, "Ab": false, "a_b": false, "a b": false} {
		if err := (credential.Format{Prefix: prefix}).Validate(); (err == nil) != good {
			t.Errorf("prefix %q: %v", prefix, err)
		}
	}
}

// FuzzParse: whatever parses is exactly the form, byte for byte.
func FuzzParse(f *testing.F) {
	text, err := format.New(licensing.Test, bytes.NewReader(make([]byte, 4096)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text.Full)
	f.Add("mtr_live_")
	pattern := regexp.MustCompile("^" + format.Pattern() + "$")
	f.Fuzz(func(t *testing.T, s string) {
		if _, ok := format.Parse(s); ok && !pattern.MatchString(s) {
			t.Errorf("%q parses", s)
		}
	})
}

// clock is a settable clock.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func loader(reads *int, value string, err error) func(context.Context) (string, []string, error) {
	return func(context.Context) (string, []string, error) { *reads++; return value, []string{"id-" + value}, err }
}

// TestCache: a record is read once until it is invalidated by an id it depends on or its time is over; unknown ones are remembered
// for a short while; other failures are not remembered.
func TestCache(t *testing.T) {
	t.Parallel()
	now := &clock{now: time.Unix(1_700_000_000, 0)}
	c := credential.NewCache[string](credential.CacheConfig{Clock: now.Now})
	good, unknown, broken := credential.Sum("good"), credential.Sum("unknown"), credential.Sum("broken")
	var reads int
	read := func(d credential.Digest, value string, err error) {
		t.Helper()
		if got, _ := c.Load(t.Context(), d, loader(&reads, value, err)); err == nil && got != value {
			t.Fatalf("got %q", got)
		}
	}
	expect := func(what string, want int) {
		t.Helper()
		if reads != want {
			t.Fatalf("%s: %d reads, want %d", what, reads, want)
		}
		reads = 0
	}
	read(good, "a", nil)
	read(good, "a", nil)
	expect("twice the same", 1)
	c.Invalidate("id-other")
	read(good, "a", nil)
	expect("something else changed", 0)
	c.Invalidate("id-a")
	read(good, "b", nil)
	expect("it changed", 1)
	now.add(61 * time.Second)
	read(good, "b", nil)
	expect("its time is over", 1)
	c.Reset()
	read(good, "b", nil)
	expect("everything changed", 1)
	read(unknown, "", licensing.ErrNotFound)
	read(unknown, "", licensing.ErrNotFound)
	expect("unknown twice", 1)
	now.add(6 * time.Second)
	read(unknown, "", licensing.ErrNotFound)
	expect("unknown later", 1)
	read(broken, "", errors.New("away"))
	read(broken, "", errors.New("away"))
	expect("failing twice", 2)
}

// TestCacheForgetsWhatChangedWhileItWasRead: a record whose id is invalidated between its read and its keeping is not kept.
func TestCacheForgetsWhatChangedWhileItWasRead(t *testing.T) {
	t.Parallel()
	c := credential.NewCache[string](credential.CacheConfig{Clock: time.Now})
	d := credential.Sum("x")
	_, err := c.Load(t.Context(), d, func(context.Context) (string, []string, error) {
		c.Invalidate("id")
		return "old", []string{"id"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Load(t.Context(), d, func(context.Context) (string, []string, error) { return "new", []string{"id"}, nil })
	if err != nil || got != "new" {
		t.Fatalf("got %q, %v", got, err)
	}
}

// TestCacheWithoutAFeedReadsThrough: while changes do not arrive nothing is believed and nothing is kept.
func TestCacheWithoutAFeedReadsThrough(t *testing.T) {
	t.Parallel()
	trusted := true
	c := credential.NewCache[string](credential.CacheConfig{Clock: time.Now, Trusted: func() bool { return trusted }})
	var reads int
	for _, step := range []struct {
		trusted bool
		want    int
	}{{true, 1}, {true, 1}, {false, 2}, {false, 3}} {
		trusted = step.trusted
		if _, err := c.Load(t.Context(), credential.Sum("x"), loader(&reads, "v", nil)); err != nil || reads != step.want {
			t.Fatalf("trusted %v: %d reads, want %d, %v", step.trusted, reads, step.want, err)
		}
	}
}

// TestCacheIsBounded: neither records nor misses grow past their bounds, and a flood of unknown digests leaves records alone.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := credential.NewCache[string](credential.CacheConfig{Clock: time.Now, Records: 160, Misses: 160})
	var reads int
	known := credential.Sum("known")
	if _, err := c.Load(t.Context(), known, loader(&reads, "v", nil)); err != nil {
		t.Fatal(err)
	}
	for i := range 10_000 {
		_, _ = c.Load(t.Context(), credential.Sum(fmt.Sprint(i)), loader(&reads, "", licensing.ErrNotFound))
	}
	reads = 0
	if _, err := c.Load(t.Context(), known, loader(&reads, "v", nil)); err != nil || reads != 0 {
		t.Errorf("a flood of unknown digests pushed out a record: %d reads, %v", reads, err)
	}
	for i := range 10_000 {
		if _, err := c.Load(t.Context(), credential.Sum(fmt.Sprint("r", i)), loader(&reads, fmt.Sprint(i), nil)); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.Len(); n > 160 {
		t.Errorf("%d records held, at most 160", n)
	}
}
