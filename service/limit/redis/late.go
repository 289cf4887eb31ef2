package redis

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/mintreu/mintreu/service/dial"
)

// fresh is for how long after an answer nobody looks whether a connection is still open.
const fresh = 5 * time.Millisecond

// late is by how much an end of a read may be noticed after its time before the machine counts as having been busy.
const late = time.Millisecond

// fair makes connections of a dialer whose reads do not blame the server for what the machine did: when the end of a read is noticed late,
// nobody was there to take an answer that had come, or the server had no processor to give one, so the read gets budget once more. Otherwise a
// pause of the machine that is longer than the budget would look like a server that is away.
func fair(d dial.Dialer, budget time.Duration) dial.Dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d(ctx, network, address)
		if err != nil {
			return nil, err
		}
		raw, ok := conn.(socket)
		if !ok {
			return conn, nil
		}
		return &fairConn{socket: raw, budget: budget}, nil
	}
}

// socket is a connection that go-redis can look at, to see whether it is still open.
type socket interface {
	net.Conn
	syscall.Conn
}

// fairConn is a connection of [fair]. As those of go-redis it has one reader, who sets the end of his reads himself.
type fairConn struct {
	socket
	budget time.Duration
	end    time.Time // of the read; zero for none
	read   time.Time // when something was read last
}

// SetDeadline implements [net.Conn].
func (c *fairConn) SetDeadline(t time.Time) error {
	c.end = t
	return c.socket.SetDeadline(t)
}

// SetReadDeadline implements [net.Conn].
func (c *fairConn) SetReadDeadline(t time.Time) error {
	c.end = t
	return c.socket.SetReadDeadline(t)
}

// Read implements [net.Conn].
func (c *fairConn) Read(p []byte) (int, error) {
	n, err := c.socket.Read(p)
	if n > 0 {
		c.read = time.Now()
	}
	if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || c.end.IsZero() || time.Since(c.end) < late {
		return n, err
	}
	if err := c.SetReadDeadline(time.Now().Add(c.budget)); err != nil {
		return 0, err
	}
	return c.socket.Read(p)
}

// SyscallConn implements [syscall.Conn], by which go-redis looks before each command whether the server has closed the connection while it lay
// idle. That is a system call; a connection of a moment ago is taken as it is.
func (c *fairConn) SyscallConn() (syscall.RawConn, error) {
	raw, err := c.socket.SyscallConn()
	if err == nil && time.Since(c.read) < fresh {
		raw = unseen{raw}
	}
	return raw, err
}

// unseen is a connection that is not looked at.
type unseen struct{ syscall.RawConn }

// Read implements [syscall.RawConn] and reads nothing.
func (unseen) Read(func(uintptr) bool) error { return nil }
