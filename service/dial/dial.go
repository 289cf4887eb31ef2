// Package dial is the one way out. Every connection that the program opens to another machine is made by a dialer of this package,
// so that nothing else has to be trusted with where it goes:
//
//   - [Guarded] is for addresses that customers gave (webhook receivers). It connects to public unicast addresses only, on ports 80
//     and 443, and looks at the address that is being connected to, after resolution: a name that resolves to a private
//     address, however it is spelled and whenever it changes, is refused at the socket.
//   - [Trusted] is for hosts that the operator configured (Stripe, the mail server, a collector); it connects anywhere.
//
// Clients made of either use no proxy from the environment, follow no redirect, demand TLS 1.2 or better with a good
// certificate, and give up in bounded time.
package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// The limits of every client.
const (
	ConnectTimeout = 5 * time.Second
	Timeout        = 10 * time.Second // of a guarded exchange as a whole
	TrustedTimeout = 80 * time.Second // of an exchange with a configured host, unless its context ends sooner
	MaxBody        = 64 << 10         // bytes that are read of a guarded response
	maxHeaders     = 32 << 10
)

// ErrRefused says that an address may not be connected to.
var ErrRefused = errors.New("dial: this address may not be connected to")

// Dialer opens connections.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Guarded connects to public addresses on ports 80 and 443 only.
func Guarded() Dialer {
	guard := ssrf.New(ssrf.WithPorts(80, 443), ssrf.WithDeniedV6Prefixes(translated()...))
	return dialer(&net.Dialer{Timeout: ConnectTimeout, ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
		if err := guard.Safe(network, address, nil); err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return nil
	}})
}

// GuardedOrLoopback is [Guarded], and this machine on any port: for development, with receivers on the same machine.
func GuardedOrLoopback() Dialer {
	guarded, local := Guarded(), dialer(&net.Dialer{Timeout: ConnectTimeout, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		if at, err := netip.ParseAddrPort(address); err != nil || !at.Addr().Unmap().IsLoopback() {
			return ErrRefused
		}
		return nil
	}})
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := local(ctx, network, address)
		if errors.Is(err, ErrRefused) {
			return guarded(ctx, network, address)
		}
		return conn, err
	}
}

// translated are IPv6 ranges in which an IPv4 address of any kind may hide.
func translated() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("64:ff9b::/96"),    // NAT64
		netip.MustParsePrefix("64:ff9b:1::/48"),  // local NAT64
		netip.MustParsePrefix("2002::/16"),       // 6to4
		netip.MustParsePrefix("2001::/32"),       // Teredo
		netip.MustParsePrefix("::/96"),           // IPv4-compatible
		netip.MustParsePrefix("::ffff:0:0:0/96"), // IPv4-translated
	}
}

// Trusted connects to whatever the operator configured.
func Trusted() Dialer {
	return dialer(&net.Dialer{Timeout: ConnectTimeout})
}

func dialer(d *net.Dialer) Dialer {
	d.KeepAliveConfig = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}
	return d.DialContext
}

// OverTLS makes a dialer of d whose connections have done their TLS handshake, for protocols that start with one (smtps, rediss). The
// configuration must name the server.
func OverTLS(d Dialer, config *tls.Config) Dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d(ctx, network, address)
		if err != nil {
			return nil, err
		}
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return secured, nil
	}
}

// Within makes a dialer of d that gives up after some time, the handshake included.
func Within(d Dialer, limit time.Duration) Dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return d(ctx, network, address)
	}
}

// Transport makes a transport of a dialer. It is safe for concurrent use and keeps connections open for a while.
func Transport(d Dialer) *http.Transport {
	return &http.Transport{
		Proxy: nil, DialContext: d, ForceAttemptHTTP2: true,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: ConnectTimeout, ExpectContinueTimeout: time.Second,
		MaxIdleConns: 64, MaxIdleConnsPerHost: 16, IdleConnTimeout: 60 * time.Second,
		MaxResponseHeaderBytes: maxHeaders,
	}
}

// Client makes a client for addresses that customers gave. Responses end after [MaxBody] bytes of decoded body, which is no
// error; nothing is decompressed.
func Client() *http.Client { return ClientOf(Guarded()) }

// ClientOf is [Client] over another dialer.
func ClientOf(d Dialer) *http.Client {
	t := Transport(d)
	t.DisableCompression = true
	t.DisableKeepAlives = true
	return &http.Client{Transport: capped{t}, Timeout: Timeout, CheckRedirect: noRedirect}
}

// TrustedClient makes a client for a host that the operator configured.
func TrustedClient() *http.Client {
	return &http.Client{Transport: Transport(Trusted()), Timeout: TrustedTimeout, CheckRedirect: noRedirect}
}

// noRedirect hands the redirect itself to the caller.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// capped ends each response body after MaxBody bytes.
type capped struct{ next http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (c capped) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, MaxBody), resp.Body}
	return resp, nil
}
