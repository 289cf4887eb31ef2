package redis_test

import (
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/limit/limittest"
	"github.com/mintreu/mintreu/service/limit/redis"
)

// fault is what is wrong with a [line].
type fault int

const (
	well   fault = iota
	cut          // nothing comes through, either way, and nobody is told
	late         // each answer is late by 300 ms
	resets       // every connection is reset
	deaf         // what is asked comes through; instead of the answer the connection is reset
)

// line is a way to Redis of which something can be wrong.
type line struct {
	URL string

	to    string
	mu    sync.Mutex
	fault fault
	conns []net.Conn
}

// newLine lays a line to a server.
func newLine(t *testing.T, to string) *line {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &line{to: u.Host}
	u.Host = l.Addr().String()
	n.URL = u.String()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { n.carry(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		n.set(well)
		wg.Wait()
	})
	return n
}

// set has something be wrong from now on, also with connections that there are, which end when all is well again.
func (n *line) set(f fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fault = f
	if f == well || f == resets {
		for _, c := range n.conns {
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		}
		n.conns = nil
	}
}

func (n *line) now() fault {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fault
}

// carry serves one connection.
func (n *line) carry(c net.Conn) {
	server, err := net.Dial("tcp", n.to)
	if err != nil || n.now() == resets {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
		if err == nil {
			_ = server.Close()
		}
		return
	}
	n.mu.Lock()
	n.conns = append(n.conns, c, server)
	n.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { n.copy(server, c, false) })
	n.copy(c, server, true)
	_, _ = c.Close(), server.Close()
	wg.Wait()
}

// copy hands on what comes in, as far as nothing is wrong.
func (n *line) copy(to, from net.Conn, answers bool) {
	buf := make([]byte, 64<<10)
	for {
		size, err := from.Read(buf)
		if err != nil {
			_ = to.Close()
			return
		}
		switch f := n.now(); {
		case f == cut:
			continue
		case f == deaf && answers:
			_ = to.(*net.TCPConn).SetLinger(0)
			_ = to.Close()
			return
		case f == late && answers:
			time.Sleep(300 * time.Millisecond) // how late the answer is
		}
		if _, err := to.Write(buf[:size]); err != nil {
			_, _ = io.Copy(io.Discard, from)
			return
		}
	}
}

// TestF28_OneOfTwoReplicasIsCutOff: while one of two replicas cannot reach Redis it admits its share of what it last saw left of an open limit and nothing of a closed one,
// and the other goes on exactly; together they stay below twice the limit. When the line is back what was admitted without Redis counts
// there, and no more than the limit is admitted.
func TestF28_OneOfTwoReplicasIsCutOff(t *testing.T) {
	t.Parallel()
	url, prefix := limittest.Redis(t), "cut-"+strconv.Itoa(rand.Int())
	way := newLine(t, url)
	replica := func(url string, budget time.Duration) *redis.Limiter {
		return open(t, redis.Config{URL: url, Prefix: prefix, Budget: budget, Replicas: func() int64 { return 2 }})
	}
	off, other := replica(way.URL, time.Second), replica(url, 20*time.Second) // a loaded machine is not a line that is cut
	const most = 20
	checks := map[string]limit.Check{
		"rate":   {Key: "rate", Rate: slow(most), Cost: 1, Degraded: apikey.Open},
		"quota":  {Key: "quota", Quota: month(most), Cost: 1, Degraded: apikey.Open},
		"closed": {Key: "closed", Rate: slow(most), Cost: 1, Degraded: apikey.Closed},
	}
	ask := func(l limit.Limiter, name string, times int) (admitted int) {
		t.Helper()
		for range times {
			out := take(t, l, checks[name])
			if out.Degraded != (l == off && way.now() == cut) {
				t.Fatalf("%s: degraded %v with the line %d", name, out.Degraded, way.now())
			}
			if out.Allowed {
				admitted++
			}
		}
		return admitted
	}
	if !limittest.Eventually(time.Minute, func() bool { return healthy(t, off) }) {
		t.Fatal("Redis never answered")
	}
	for name := range checks {
		if n := ask(other, name, 5) + ask(off, name, 5); n != 10 {
			t.Fatalf("%s: %d of 10 admitted before", name, n)
		}
	}
	way.set(cut)
	for name, share := range map[string]int{"rate": (most - 10) / 2, "quota": (most - 10) / 2, "closed": 0} {
		if got := ask(off, name, 2*most); got != share {
			t.Errorf("%s: %d admitted while cut off, want the share of %d", name, got, share)
		}
		if got := ask(other, name, 2*most); got != most-10 {
			t.Errorf("%s: %d admitted by the other, want %d", name, got, most-10)
		}
	}
	way.set(well)
	if !limittest.Eventually(time.Minute, func() bool { return healthy(t, off) }) {
		t.Fatal("never back")
	}
	fresh := replica(url, 20*time.Second) // remembers nothing, so it asks
	for name := range checks {
		for who, l := range map[string]limit.Limiter{"cut off": off, "fresh": fresh} {
			if n := ask(l, name, 3); n != 0 {
				t.Errorf("%s: %d admitted beyond the limit by the one %s", name, n, who)
			}
		}
	}
}

// TestF27_LateAndReset: while answers of Redis come 300 ms late, or its connections are reset, a check costs its budget at most and soon nothing, and
// follows its degraded mode; an answer that got lost never makes a check be sent twice. Counting goes on there when all is well again.
func TestF27_LateAndReset(t *testing.T) {
	t.Parallel()
	url, prefix := limittest.Redis(t), "late-"+strconv.Itoa(rand.Int())
	way := newLine(t, url)
	l := open(t, redis.Config{URL: way.URL, Prefix: prefix, Budget: 10 * time.Millisecond})
	direct := open(t, redis.Config{URL: url, Prefix: prefix, Budget: 20 * time.Second})
	for name, f := range map[string]fault{"late": late, "reset": resets, "deaf": deaf} {
		if !limittest.Eventually(time.Minute, func() bool { return healthy(t, l) }) {
			t.Fatalf("%s: Redis never answered", name)
		}
		closed := limit.Check{Key: "closed " + name, Rate: slow(1000), Cost: 1}
		way.set(f)
		before := trips(l)
		var took []time.Duration
		for range 100 {
			start := time.Now()
			out := take(t, l, limit.Check{Key: "open " + name, Rate: slow(1000), Cost: 1, Degraded: apikey.Open})
			took = append(took, time.Since(start))
			if !out.Degraded || !out.Allowed {
				t.Fatalf("%s: %+v", name, out)
			}
			if out := take(t, l, closed); out.Allowed || !out.Degraded {
				t.Fatalf("%s: %+v", name, out)
			}
		}
		slices.Sort(took)
		if took[50] > 50*time.Millisecond {
			t.Errorf("%s: the median check took %s", name, took[50])
		}
		sent := trips(l) - before
		way.set(well)
		out, err := direct.Look(t.Context(), [][]limit.Check{{closed}})
		if err != nil {
			t.Fatal(err)
		}
		if spent := 1000 - out[0][0].Remaining; spent > sent {
			t.Errorf("%s: %d units are spent by %d scripts", name, spent, sent)
		}
	}
	if !limittest.Eventually(time.Minute, func() bool { return healthy(t, l) }) {
		t.Error("never back")
	}
}

// TestF27_SlowForAMoment: a Redis that answered a moment ago and is slower than the budget now is waited for, and no closed limit refuses anybody. One
// that did not answer has its budget and no more.
func TestF27_SlowForAMoment(t *testing.T) {
	t.Parallel()
	way := newLine(t, limittest.Redis(t))
	l := open(t, redis.Config{URL: way.URL, Prefix: "slow-" + strconv.Itoa(rand.Int()), Budget: 120 * time.Millisecond})
	c := limit.Check{Key: "closed", Rate: slow(1000), Cost: 1}
	if !limittest.Eventually(time.Minute, func() bool { return healthy(t, l) }) {
		t.Fatal("Redis never answered")
	}
	way.set(late)
	for range 3 {
		if out := take(t, l, c); !out.Allowed || out.Degraded {
			t.Fatalf("a Redis that takes 300 ms of 120 for a moment: %+v", out)
		}
	}
	way.set(cut)
	if out := take(t, l, c); out.Allowed || !out.Degraded {
		t.Fatalf("a Redis that is away: %+v", out)
	}
	way.set(late)
	if out := take(t, l, c); out.Allowed || !out.Degraded {
		t.Errorf("a Redis that was away and takes 300 ms of 120: %+v", out)
	}
}
