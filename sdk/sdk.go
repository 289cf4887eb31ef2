// Package sdk lets a product check its license: offline first, against documents
// that the vendor's Mintreu signed, and with the server when contact is due.
//
//	client, err := sdk.New(sdk.Config{
//		BaseURL: "https://licenses.example.com",
//		Product: "editor",
//		Roots:   []string{"VOFz5u…"}, // what `mintreu keyring roots` prints
//	})
//	defer client.Close()
//	decision, err := client.Activate(ctx, keyTypedByTheUser) // once
//	decision, err = client.Check(ctx)                        // at start and now and then
//	if client.Allowed("export") { … }                        // anywhere, as often as wanted
//
// An error means that nothing could be decided; a Decision says yes or no, and
// why. Check needs no network as long as the last contact is recent enough for
// the license's policy; how long that is, the vendor decides.
//
// What offline checks cannot do: they cannot stop somebody who patches the
// product, they cannot notice a deleted state file before the lease ends, and
// they cannot learn of a revocation before the policy's freshness limit.
//
// The package uses the standard library alone, has no global state, starts no
// goroutine that outlives Close, writes only to the logger it is given, and is
// safe for concurrent use.
package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"

	"github.com/mintreu/mintreu/sdk/device"
	"github.com/mintreu/mintreu/sdk/doc"
)

// Version is the version of this SDK, sent with each request.
const Version = "0.1.0"

// Config says which product this is and whom it trusts.
type Config struct {
	// BaseURL is the address of the vendor's Mintreu: https, or http to the
	// machine itself.
	BaseURL string
	// Product is the product's slug.
	Product string
	// Env is the environment whose licenses are accepted: "" or "live", or
	// "test" in a build for trying things out.
	Env string

	// Roots are the vendor's root public keys, as `mintreu keyring roots` prints
	// them. The signing keys are then fetched, and may change.
	Roots []string
	// Keys are signing keys pinned directly, instead of Roots. Simpler, but a
	// key can then only be replaced by a new release of the product.
	Keys []string
	// Issuer is the expected iss of documents. "" takes it from the keyset that a
	// root signed, or with pinned Keys, the BaseURL.
	Issuer string

	// Version is the product's own version, such as "2.1.0", for licenses that
	// cover versions up to some limit.
	Version string
	// User is who uses the product, for licenses whose seats are taken by users:
	// any stable name. Only its digest leaves the device.
	User string
}

// Option changes a detail of a Client.
type Option func(*Client)

// WithStore keeps the state elsewhere than in the user's directory for
// configuration.
func WithStore(s Store) Option { return func(c *Client) { c.store = s } }

// WithClock replaces the clock, for tests.
func WithClock(k Clock) Option { return func(c *Client) { c.clock = k } }

// WithHTTPClient replaces the HTTP client, for proxies or special transports.
// It is copied; redirects to other hosts stay forbidden, and one without a
// Timeout gets one of 15 seconds.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.given = h } }

// WithLogger has the client log what it does. Keys and tokens are never logged.
func WithLogger(l *slog.Logger) Option { return func(c *Client) { c.log = l } }

// WithDevice replaces the device's fingerprint. A product that runs in
// containers must give an id that it knows to be unique, as in
// WithDevice(device.Named(id)).
func WithDevice(f device.Fingerprint) Option { return func(c *Client) { c.device = f } }

// WithDeviceName names the device in the customer's list of devices; without it
// the list shows none.
func WithDeviceName(name string) Option { return func(c *Client) { c.name = name } }

// Client checks the license of one product on one device. Make it with New.
type Client struct {
	cfg    Config
	base   *url.URL
	given  *http.Client
	http   *http.Client
	store  Store
	clock  Clock
	log    *slog.Logger
	device device.Fingerprint
	name   string
	usage  usage
	roots  *doc.Keys // pinned; nil with pinned signing keys
	pinned *doc.Keys

	ticking *coarse // the default clock, or nil
	trust   atomic.Pointer[trust]
	snap    atomic.Pointer[snapshot]
	closed  atomic.Bool
	ready   chan struct{}   // closed when there is a snapshot
	life    context.Context // ends with Close
	end     context.CancelFunc

	mu      gate // guards what follows, and the order of contacts
	state   *state
	text    []byte // the state as last read or written
	saved   int64  // own mark when the state was last saved
	license *doc.License
	lease   *doc.Lease
	status  *statusOf
	broken  error // why the stored license could not be read
	triedAt int64 // last contact that failed
	retryAt int64 // no contact between the two
	fails   int
	askAt   int64 // when to ask again for the current token of a license that rests on no lease
	asks    int   // how often none newer was answered
}

// ErrClosed is returned by a Client after Close.
var ErrClosed = errors.New("sdk: client is closed")

// New makes a client. It reads nothing and calls nobody; bad keys, a base URL
// that is not https, a key for tests together with a server that is not on this
// machine and other mistakes of configuration are errors.
func New(cfg Config, options ...Option) (*Client, error) {
	c := &Client{cfg: cfg, ready: make(chan struct{}), mu: newGate()}
	c.usage.sending = newGate()
	c.life, c.end = context.WithCancel(context.Background())
	for _, o := range options {
		o(c)
	}
	if err := c.configure(); err != nil {
		return nil, fmt.Errorf("sdk: %w", err)
	}
	if c.clock == nil {
		c.ticking = newCoarse()
		c.clock = c.ticking
	}
	c.http = newHTTPClient(c.given)
	return c, nil
}

func (c *Client) configure() (err error) {
	if c.cfg.Product == "" {
		return errors.New("Config.Product is empty: name the product by its slug")
	}
	switch c.cfg.Env {
	case "":
		c.cfg.Env = doc.EnvLive
	case doc.EnvLive, doc.EnvTest:
	default:
		return fmt.Errorf("environment %q is neither live nor test", c.cfg.Env)
	}
	if c.base, err = parseBase(c.cfg.BaseURL); err != nil {
		return err
	}
	switch roots, keys := len(c.cfg.Roots), len(c.cfg.Keys); {
	case roots == 0 && keys == 0:
		return errors.New("Config.Roots is empty: pin what `mintreu keyring roots` prints")
	case roots > 0 && keys > 0:
		return errors.New("Config has both Roots and Keys: pin one kind")
	}
	if len(c.cfg.Roots) > 0 {
		c.roots, err = pinAll(c.cfg.Roots, doc.PinRoots)
	} else {
		c.pinned, err = pinAll(c.cfg.Keys, doc.Pin)
		if c.cfg.Issuer == "" {
			c.cfg.Issuer = c.base.String()
		}
	}
	if err == nil && !loopback(c.base.Hostname()) {
		err = refuseTestKeys(slices.Concat(c.cfg.Roots, c.cfg.Keys))
	}
	if err != nil {
		return err
	}
	if c.store == nil {
		path, err := DefaultPath(c.cfg.Product)
		if err != nil {
			return err
		}
		c.store = NewFileStore(path)
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.setTrust(c.pinned)
	return nil
}

// Close ends the client. Calls after it fail with ErrClosed, and so do those that
// wait for the server; Allowed says no.
// Usage that was reported stays in the spool; the error is for what of it could
// not be made durable.
func (c *Client) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.end()
	c.mu.Lock() // wait for a contact under way to end, which it now does
	defer c.mu.Unlock()
	c.snap.Store(new(snapshot))
	err := c.usage.close()
	if c.ticking != nil {
		c.ticking.close()
	}
	if c.given == nil {
		c.http.CloseIdleConnections()
	}
	return err
}

// now returns the exact time in seconds.
func (c *Client) now() int64 { return c.clock.Now().Unix() }

// fingerprint returns the digests of this device.
func (c *Client) fingerprint() (map[string]string, error) {
	f := c.device
	if f == nil {
		var err error
		if f, err = device.Read(); err != nil {
			return nil, fmt.Errorf("sdk: device: %w", err)
		}
	}
	return f.Digests(c.cfg.Product), nil
}

// user returns the digest of the user, or "".
func (c *Client) user() string {
	if c.cfg.User == "" {
		return ""
	}
	return doc.UserDigest(c.cfg.Product, c.cfg.User)
}
