package redis

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// pair is a connection that fair made, as naive a one, and what they are connected to.
func pair(t *testing.T, budget time.Duration, naive bool) (ours, theirs net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	dial := (&net.Dialer{}).DialContext
	if !naive {
		dial = fair(dial, budget)
	}
	if ours, err = dial(context.Background(), "tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if theirs, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	return ours, theirs
}

// TestF27_PauseOfTheMachine reads after the end of the read has passed by more than a machine that is awake would let it: an answer that has come
// by then, or comes within the budget, is taken. A plain connection says that the server is too slow.
func TestF27_PauseOfTheMachine(t *testing.T) {
	for _, tc := range []struct {
		name  string
		naive bool
		after time.Duration
		want  error
	}{
		{"an answer that lies there", false, 0, nil},
		{"one that is still to come", false, 50 * time.Millisecond, nil},
		{"a plain connection", true, 0, os.ErrDeadlineExceeded},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ours, theirs := pair(t, 30*time.Second, tc.naive)
			if err := ours.SetReadDeadline(time.Now().Add(-time.Minute)); err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(tc.after, func() { _, _ = theirs.Write([]byte("+PONG\r\n")) })
			answer := make([]byte, 16)
			n, err := ours.Read(answer)
			if !errors.Is(err, tc.want) || tc.want == nil && string(answer[:n]) != "+PONG\r\n" {
				t.Fatalf("%q, %v, want %v", answer[:n], err, tc.want)
			}
		})
	}
}

// never is a connection on which no answer comes, which counts reads and keeps the ends that are set for them.
type never struct {
	socket
	reads int
	ends  []time.Time
}

func (n *never) Read([]byte) (int, error) {
	n.reads++
	return 0, os.ErrDeadlineExceeded
}

func (n *never) SetReadDeadline(t time.Time) error {
	n.ends = append(n.ends, t)
	return nil
}

// TestF27_SlowServerHasItsBudgetTwiceAtMost reads from a server that never answers: where the end is noticed late the read has the budget once more and
// no third time, where it is noticed in time, or nobody set one, it is over.
func TestF27_SlowServerHasItsBudgetTwiceAtMost(t *testing.T) {
	const budget = 10 * time.Second
	for name, tc := range map[string]struct {
		end   time.Time
		reads int
	}{
		"late":    {time.Now().Add(-time.Minute), 2},
		"in time": {time.Now().Add(time.Hour), 1},
		"no end":  {time.Time{}, 1},
	} {
		n := &never{}
		c := &fairConn{socket: n, budget: budget}
		if err := c.SetReadDeadline(tc.end); err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		if _, err := c.Read(nil); !errors.Is(err, os.ErrDeadlineExceeded) || n.reads != tc.reads {
			t.Errorf("%s: %d reads, %v, want the end after %d", name, n.reads, err, tc.reads)
		}
		if again := n.ends[1:]; len(again) != tc.reads-1 || len(again) == 1 && (again[0].Before(before.Add(budget)) || again[0].After(time.Now().Add(budget))) {
			t.Errorf("%s: the read was given the ends %v", name, again)
		}
	}
}

// TestF27_TroubleCostsAsLongAsItLasts: after one failure the counters are asked again at once, after further ones they are left alone for longer and
// longer, up to a fifth of a second, and an answer ends that.
func TestF27_TroubleCostsAsLongAsItLasts(t *testing.T) {
	l, err := New(Config{URL: "redis://127.0.0.1:1", Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	alone := func(want time.Duration) {
		t.Helper()
		before := time.Since(l.start)
		l.health(0, os.ErrDeadlineExceeded)
		until := time.Duration(l.buckets[0].downUntil.Load())
		if want == 0 && until > before || want > 0 && (until < before+want || until > time.Since(l.start)+want) {
			t.Errorf("left alone until %v, asked at %v, want %v", until, before, want)
		}
	}
	for range 2 {
		for _, want := range []time.Duration{0, 25, 50, 100, 200, 200, 200} {
			alone(want * time.Millisecond)
		}
		for range 100 { // however long it lasts
			alone(longPause)
		}
		l.health(0, nil)
		for time.Duration(l.buckets[0].downUntil.Load()) > time.Since(l.start) {
			time.Sleep(time.Millisecond)
		}
	}
}

// TestConnectionOfAMomentAgo: a connection is looked at before it is used again, but not just after it was read from.
func TestConnectionOfAMomentAgo(t *testing.T) {
	ours, theirs := pair(t, time.Second, false)
	looked := func() (yes bool) {
		raw, err := ours.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Read(func(uintptr) bool { yes = true; return true }); err != nil {
			t.Fatal(err)
		}
		return yes
	}
	if !looked() {
		t.Error("one that was never read from is taken as it is")
	}
	c := ours.(*fairConn)
	if _, err := theirs.Write([]byte("+PONG\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	c.read = c.read.Add(time.Hour)
	if looked() {
		t.Error("one of just now is looked at")
	}
	c.read = time.Now().Add(-fresh)
	if !looked() {
		t.Error("one that lay idle is taken as it is")
	}
}
