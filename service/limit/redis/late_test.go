package redis

import (
	"context"
	"errors"
	"net"
	"os"
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

// TestF27_SlowServerHasItsBudgetTwiceAtMost reads from a server that never answers: the end comes, and where it was noticed late, after the budget once more.
func TestF27_SlowServerHasItsBudgetTwiceAtMost(t *testing.T) {
	const budget = 20 * time.Millisecond
	ours, _ := pair(t, budget, false)
	for range 3 { // each read has a time of its own
		begin := time.Now()
		if err := ours.SetReadDeadline(begin.Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		if n, err := ours.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) < budget {
			t.Fatalf("%d bytes, %v after %v, want the end after the budget", n, err, time.Since(begin))
		}
	}
	if err := ours.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := ours.SetReadDeadline(time.Now().Add(budget)); err != nil {
		t.Fatal(err)
	}
	if n, err := ours.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d bytes, %v, want the end", n, err)
	}
}
