package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sealed gives a changed header of a segment its checksum.
func sealed(b []byte) []byte {
	binary.LittleEndian.PutUint32(b[20:], crc32.Checksum(b[:20], castagnoli))
	return b
}

// sealCursor gives a changed copy of a cursor its checksum.
func sealCursor(one []byte) {
	binary.LittleEndian.PutUint32(one[16:], crc32.Update(crc32.Checksum(one[:16], castagnoli), castagnoli, one[cursorHead:]))
}

const rounds = 6 // of the work that is disturbed at every step

// work appends and drains in turns, and calls acked for each record acknowledged and send for each batch that is handed over.
// What it cannot do it goes on without.
func work(s *Spool, name string, acked func(int), send func(batch string)) (failures int) {
	for i := range rounds {
		if s.Append([]byte(name+strconv.Itoa(i))) == nil {
			acked(i)
		} else {
			failures++
		}
		if i%3 == 2 {
			if err := handOver(s, send); err != nil && !errors.Is(err, ErrBusy) {
				failures++
			}
		}
	}
	return failures
}

// handOver sends what is there as a sender does: the batch, with its number, is in the note before it is sent and until it is
// known to have arrived, so that the same batch is sent again after anything that goes wrong.
func handOver(s *Spool, send func(batch string)) error {
	d, err := s.Drain()
	if err != nil {
		return err
	}
	defer d.Close()
	seq, pending, _ := strings.Cut(string(d.Note()), ":")
	n, _ := strconv.Atoi(seq)
	for {
		if pending != "" {
			send(fmt.Sprintf("%d:%s", n, pending))
			pending = ""
			if err := d.Commit(fmt.Appendf(nil, "%d:", n)); err != nil {
				return err
			}
		}
		for {
			r, err := d.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			pending += " " + string(r)
		}
		if pending == "" {
			return nil
		}
		n++
		if err := d.Commit(fmt.Appendf(nil, "%d:%s", n, pending)); err != nil {
			return err
		}
	}
}

// ledger counts what batches bring, each batch once.
type ledger struct {
	batches map[string]string
	out     map[string]int
	forked  string
}

func (l *ledger) take(batch string) {
	if l.batches == nil {
		l.batches, l.out = map[string]string{}, map[string]int{}
	}
	n, records, _ := strings.Cut(batch, ":")
	if had, ok := l.batches[n]; ok {
		if had != records {
			l.forked = fmt.Sprintf("batch %s was sent as %q and as %q", n, had, records)
		}
		return
	}
	l.batches[n] = records
	for _, r := range strings.Fields(records) {
		l.out[r]++
	}
}

// check fails unless each acknowledged record was counted once, and with only, no other.
func (l *ledger) check(t *testing.T, where string, acked map[string]bool, only bool) {
	t.Helper()
	if l.forked != "" {
		t.Fatalf("%s: %s", where, l.forked)
	}
	for r := range acked {
		if l.out[r] == 0 {
			t.Fatalf("%s: %s was acknowledged and is lost", where, r)
		}
	}
	for r, n := range l.out {
		if n > 1 {
			t.Fatalf("%s: %s was counted %d times", where, r, n)
		}
		if only && !acked[r] {
			t.Fatalf("%s: %s was refused and counted", where, r)
		}
	}
}

// With every operation on the file system failing in turn, by a full disk or a broken one, for once or for good: nothing
// panics, nothing acknowledged is lost, nothing comes out twice, and what was refused does not come out.
func TestL15_EachOperationFails(t *testing.T) {
	t.Parallel()
	for _, sync := range []time.Duration{0, time.Nanosecond, time.Hour} {
		for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
			for _, lasting := range []int{1, 3, 1 << 30} {
				failEach(t, sync, cause, lasting)
			}
		}
	}
}

func failEach(t *testing.T, sync time.Duration, cause error, lasting int) {
	for at := 1; ; at++ {
		fs := &faultFS{FS: OS(), err: cause}
		dir := fastDir(t)
		s, err := Open(Options{Dir: dir, FS: fs, SegmentBytes: 40, Sync: sync})
		if err != nil {
			t.Fatal(err)
		}
		fs.n, fs.at, fs.last = 0, at, at+min(lasting, 1<<20)-1
		acked, got := map[string]bool{}, new(ledger)
		failures := work(s, "", func(i int) { acked[strconv.Itoa(i)] = true }, got.take)
		reached := fs.n >= at
		where := fmt.Sprintf("sync %v, %v at %d for %d (%.60s)", sync, cause, at, lasting, strings.Join(fs.hits, " "))
		fs.at = 0 // the disk is well again
		if err := s.Append([]byte("after")); err != nil {
			t.Fatalf("%s: the spool did not recover: %v", where, err)
		}
		acked["after"] = true
		if err := handOver(s, got.take); err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		got.check(t, where, acked, true)
		s.Close()
		if !reached {
			if failures > 0 {
				t.Fatalf("%d failures without a cause", failures)
			}
			if at < 40 {
				t.Fatalf("only %d operations were disturbed", at)
			}
			return
		}
	}
}

// After a sync that failed, the next that succeeds is not taken for proof: the record is refused, the segment is never synced
// again, and what had been acknowledged without a sync is written anew elsewhere.
func TestL17_FailedSyncIsNotForgotten(t *testing.T) {
	t.Parallel()
	fs := &faultFS{FS: OS(), only: "sync", at: 2, err: syscall.EIO}
	s := open(t, Options{Dir: fastDir(t), FS: fs})
	put(t, s, "durable")
	if err := s.Append([]byte("doubtful")); !errors.Is(err, syscall.EIO) {
		t.Fatalf("a failed sync: %v", err)
	}
	put(t, s, "later")
	if names, _ := s.segments(); len(names) != 2 {
		t.Fatalf("the doubtful segment is still in use: %v", names)
	}
	same(t, take(t, s, ""), []string{"durable", "later"})

	fs = &faultFS{FS: OS(), only: "sync", at: 1, last: 2, err: syscall.EIO}
	s = open(t, Options{Dir: fastDir(t), FS: fs, Sync: time.Hour})
	put(t, s, "one", "two")
	for range 2 {
		if err := s.Sync(); !errors.Is(err, syscall.EIO) {
			t.Fatalf("a failed sync: %v", err)
		}
	}
	if _, err := s.Drain(); err != nil {
		t.Fatal(err)
	}
	if s.active == nil || s.active.synced != s.active.size || len(s.owed) != 0 {
		t.Fatal("not durable after the drain")
	}
}

// worker is the process that is killed: it says on its standard output what was acknowledged and handed over.
func worker() {
	at, _ := strconv.Atoi(os.Getenv("SPOOL_KILL_AT"))
	fs := &faultFS{FS: OS(), at: at, kill: true}
	sync, _ := time.ParseDuration(os.Getenv("SPOOL_SYNC"))
	var files FS = fs
	if os.Getenv("SPOOL_REAL") != "" {
		files = OS()
	}
	s, err := Open(Options{Dir: os.Getenv("SPOOL_DIR"), FS: files, SegmentBytes: 40, Sync: sync})
	name := os.Getenv("SPOOL_NAME")
	if err == nil && work(s, name, func(i int) { fmt.Println("acked", name+strconv.Itoa(i)) }, func(batch string) { fmt.Println("sent", batch) }) == 0 {
		err = s.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ended")
}

func TestMain(m *testing.M) {
	if os.Getenv("SPOOL_DIR") != "" {
		worker()
		return
	}
	os.Exit(m.Run())
}

// A forked child holds locks until it runs its program, so these two tests run beside no other.
//
// A real process is killed with SIGKILL at each of its operations on files, a write after half of its bytes: whatever it had
// acknowledged is there once when the spool is opened again.
func TestL16_KilledAtEveryOperation(t *testing.T) {
	for _, sync := range []string{"0s", "1h"} {
		n := killEach(t, 1, func(at int, dir string) *exec.Cmd {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "SPOOL_DIR="+dir, "SPOOL_SYNC="+sync, "SPOOL_KILL_AT="+strconv.Itoa(at))
			return cmd
		})
		if n < 40 {
			t.Fatalf("killed at only %d operations", n)
		}
	}
}

// Two processes share one spool, each appending and draining as it can: each record is counted once.
func TestL12_TwoProcesses(t *testing.T) {
	for range 5 {
		dir := fastDir(t)
		got, acked, said := new(ledger), map[string]bool{}, make(chan []byte)
		for _, name := range []string{"a", "b"} {
			go func() {
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), "SPOOL_DIR="+dir, "SPOOL_NAME="+name, "SPOOL_REAL=1")
				out, err := cmd.Output()
				if err != nil {
					t.Errorf("process %s: %v", name, err)
				}
				said <- out
			}()
		}
		for range 2 {
			heard(string(<-said), acked, got)
		}
		s := open(t, Options{Dir: dir})
		if err := handOver(s, got.take); err != nil {
			t.Fatal(err)
		}
		if got.check(t, "two processes", acked, true); len(acked) != 2*rounds {
			t.Fatalf("%d of %d records", len(acked), 2*rounds)
		}
	}
}

// heard reads what a worker said and reports whether it came to its end.
func heard(out string, acked map[string]bool, got *ledger) (ended bool) {
	for line := range strings.Lines(out) {
		switch what, r, _ := strings.Cut(strings.TrimSpace(line), " "); what {
		case "acked":
			acked[r] = true
		case "sent":
			got.take(r)
		case "ended":
			ended = true
		}
	}
	return ended
}

// The same from outside, at each system call that touches a file, where the tracer is installed.
func TestL16_KilledAtEverySystemCall(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Log("strace is not installed: the test above stands alone")
		return
	}
	for _, call := range []string{"write", "fsync", "renameat", "unlinkat", "ftruncate", "flock", "openat"} {
		n := killEach(t, killStride, func(at int, dir string) *exec.Cmd {
			cmd := exec.Command(strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace="+call,
				"-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", call, at), os.Args[0])
			cmd.Env = append(os.Environ(), "SPOOL_DIR="+dir, "SPOOL_SYNC=0s", "SPOOL_REAL=1")
			return cmd
		})
		if n == 0 {
			t.Errorf("never killed at %s", call)
		}
	}
}

// killStride is how many system calls are between those that the short form kills at.
const killStride = 1

// killEach runs a process that is killed at its first operation, its second and so on, until one runs through, and looks at
// what each left. It returns how many were killed.
func killEach(t *testing.T, stride int, command func(at int, dir string) *exec.Cmd) (killed int) {
	t.Helper()
	for at := 1; ; at += stride {
		dir := fastDir(t)
		out, err := command(at, dir).Output()
		acked, got := map[string]bool{}, new(ledger)
		ended := heard(string(out), acked, got)
		if ended != (err == nil) {
			t.Fatalf("at %d: %v, output %q", at, err, out)
		}
		s := open(t, Options{Dir: dir})
		if err := handOver(s, got.take); err != nil {
			t.Fatalf("killed at %d: %v", at, err)
		}
		got.check(t, fmt.Sprintf("killed at %d", at), acked, false)
		put(t, s, "the spool goes on")
		same(t, take(t, s, ""), []string{"the spool goes on"})
		s.Close()
		if ended {
			return killed
		}
		killed++
	}
}
