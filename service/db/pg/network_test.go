package pg_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/db/dbtest"
	"github.com/mintreu/mintreu/service/db/pg"
)

// proxy passes connections on to a server until it is told to swallow everything or to break them.
type proxy struct {
	listener net.Listener
	mu       sync.Mutex
	silent   chan struct{} // closed when bytes flow
	conns    []net.Conn
}

// newProxy puts a proxy before the server of a URL and returns the URL that leads through it.
func newProxy(t *testing.T, address string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, silent: make(chan struct{})}
	close(p.silent)
	target := u.Host
	u.Host = l.Addr().String()
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				_ = in.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.mu.Unlock()
			go p.pass(in, out)
			go p.pass(out, in)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		p.flow()
		p.reset()
	})
	return p, u.String()
}

// pass copies one direction, and waits while the proxy swallows.
func (p *proxy) pass(to io.WriteCloser, from io.Reader) {
	defer to.Close()
	buf := make([]byte, 8192)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		gate := p.silent
		p.mu.Unlock()
		<-gate
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// swallow stops all bytes without closing anything, as a network that drops packets does.
func (p *proxy) swallow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = make(chan struct{})
}

// flow lets bytes pass again.
func (p *proxy) flow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.silent:
	default:
		close(p.silent)
	}
}

// reset breaks every connection.
func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
	p.conns = nil
}

// F23: a server that went silent, or whose connections were reset, is unavailability after a bounded wait even for callers
// without a deadline, inside and outside a transaction, and the pool recovers when the network does.
func TestF23_SilentAndResetConnections(t *testing.T) {
	t.Parallel()
	p, address := newProxy(t, dbtest.PostgresDatabase(t, ""))
	d := open(t, pg.Config{URL: address + "&connect_timeout=1", MaxConns: 2, StatementTimeout: 200 * time.Millisecond, AcquireTimeout: 300 * time.Millisecond})
	exec(t, d, `CREATE TABLE t (a bigint)`)
	const bound = 10 * time.Second
	insert := func(ctx context.Context) error { _, err := d.Exec(ctx, `INSERT INTO t VALUES (1)`); return err }
	for name, fault := range map[string]struct{ begin, end func() }{
		"silent": {p.swallow, func() { p.flow(); p.reset() }},
		"reset":  {p.reset, func() {}},
	} {
		began := time.Now()
		err := d.InTx(t.Context(), func(ctx context.Context) error {
			if err := insert(ctx); err != nil {
				t.Errorf("%s: before the fault: %v", name, err)
			}
			fault.begin()
			return insert(ctx)
		})
		if !errors.Is(err, db.ErrUnavailable) || time.Since(began) > bound {
			t.Errorf("%s in a transaction: %v after %v", name, err, time.Since(began))
		}
		if name == "silent" {
			began = time.Now()
			if err := insert(t.Context()); !errors.Is(err, db.ErrUnavailable) || time.Since(began) > bound {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
			began = time.Now()
			if err := d.InTx(t.Context(), insert); !errors.Is(err, db.ErrUnavailable) || time.Since(began) > bound {
				t.Errorf("%s at the start of a transaction: %v after %v", name, err, time.Since(began))
			}
		}
		fault.end()
		for deadline := time.Now().Add(bound); d.InTx(t.Context(), insert) != nil; {
			if time.Now().After(deadline) {
				t.Fatalf("%s: no recovery", name)
			}
		}
	}
	var n int
	if err := d.QueryRow(t.Context(), `SELECT count(*) FROM t`).Scan(&n); err != nil || n < 2 {
		t.Errorf("%d rows, %v", n, err)
	}
}
