package sdk

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mintreu/mintreu/sdk/doc"
)

// trust is a set of keys with the licenses verified under it. It is replaced as
// a whole when the keys change, so nothing verified under a revoked key stays.
type trust struct {
	keys  *doc.Keys // nil: none known yet
	mu    sync.Mutex
	known map[string]*doc.License
}

// maxKnown bounds the cache of verified tokens.
const maxKnown = 1024

func (c *Client) setTrust(keys *doc.Keys) {
	c.trust.Store(&trust{keys: keys, known: make(map[string]*doc.License)})
}

func pinAll(list []string, pin func(...ed25519.PublicKey) (*doc.Keys, error)) (*doc.Keys, error) {
	pubs := make([]ed25519.PublicKey, len(list))
	for i, s := range list {
		var err error
		if pubs[i], err = doc.ParsePublicKey(strings.TrimSpace(s)); err != nil {
			return nil, fmt.Errorf("the key %q to pin: %w", s, err)
		}
	}
	return pin(pubs...)
}

// testKeys are public keys whose private halves everybody has: those of sdktest, and of the examples in RFC 8032 and RFC 8037.
const testKeys = "7TGdLoD6E9f1ZcaRxGwVXPuV8wlUSUSIfC6jsTZPAGE cRUGLPbDrnKg8XxGef0iDSNewf5TbusnEzSOmGIqEHU OlcapEGRcZA6Rwox8bqmEgmbs3GMw2XaY405uABGVtQ " +
	"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw _FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU"

// refuseTestKeys refuses to trust a key that anybody could sign with. For tests, the server is on this machine.
func refuseTestKeys(list []string) error {
	for _, k := range list {
		if slices.Contains(strings.Fields(testKeys), strings.TrimSpace(k)) {
			return fmt.Errorf("%w: %s is a key for tests, which anybody can sign with", doc.ErrKey, k)
		}
	}
	return nil
}

// verifier reads documents at an instant under the current keys.
func (c *Client) verifier(now int64) *doc.Verifier {
	return &doc.Verifier{Keys: c.trust.Load().keys, Issuer: c.cfg.Issuer, Audience: c.cfg.Product, Env: c.cfg.Env,
		Now: func() time.Time { return time.Unix(now, 0) }}
}

// Verify reads a license token offline and says, with an error of package doc,
// whether it is authentic, for this product and environment, and within its
// times. Whether it permits something is for Check or eval.Evaluate to say. The
// license must not be changed. With pinned roots, signing keys are known after
// the first Activate, Check, Install or Refresh.
func (c *Client) Verify(token string) (*doc.License, error) {
	if c.closed.Load() {
		return nil, ErrClosed
	}
	if len(token) > doc.MaxLicense { // before it is looked up, which reads all of it
		return nil, doc.ErrTooLong
	}
	t := c.trust.Load()
	if t.keys == nil {
		c.mu.Lock()
		err := c.loaded(context.Background())
		c.mu.Unlock()
		if err != nil {
			return nil, err
		}
		t = c.trust.Load()
	}
	now := c.now()
	t.mu.Lock()
	l := t.known[token]
	t.mu.Unlock()
	if l != nil && now >= l.IssuedAt-doc.Skew && now >= l.NotBefore-doc.Skew && (l.Expires == 0 || now < l.Expires+doc.Skew) {
		return l, nil
	}
	v := c.verifier(now)
	v.Keys = t.keys
	l, err := v.License(token)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	if len(t.known) >= maxKnown {
		clear(t.known)
	}
	t.known[strings.Clone(token)] = l
	t.mu.Unlock()
	return l, nil
}

// Refresh fetches the vendor's current signing keys. The client does so by
// itself when it needs to; with pinned signing keys there is nothing to fetch.
func (c *Client) Refresh(ctx context.Context) error {
	if err := c.mu.enter(ctx); err != nil {
		return fmt.Errorf("sdk: fetch keyset: %w", err)
	}
	defer c.mu.Unlock()
	if err := c.latest(ctx); err != nil {
		return err
	}
	if err := c.fetchKeys(ctx); err != nil {
		return err
	}
	c.reread(c.now())
	c.publish(c.now())
	c.save(ctx)
	return nil
}

// fetchKeys fetches the keyset and adopts it. Needs c.mu.
func (c *Client) fetchKeys(ctx context.Context) error {
	if c.roots == nil {
		return nil
	}
	text, err := c.send(ctx, request{method: http.MethodGet, path: PathKeyset})
	if err != nil {
		return fmt.Errorf("sdk: fetch keyset: %w", err)
	}
	keyset := strings.TrimSpace(string(text))
	err = c.adoptKeys(keyset, c.now())
	if errors.Is(err, doc.ErrUnknownKey) && c.followRoots(ctx) { // signed by a root that took the place of ours
		err = c.adoptKeys(keyset, c.now())
	}
	if err != nil {
		return fmt.Errorf("sdk: keyset: %w", err)
	}
	c.state.KeysAt = c.now()
	return nil
}

// followRoots fetches the keysets that replaced the roots, oldest first, and
// keeps those that lead on from the roots at hand. It reports whether there was
// one: a product that was away while roots were replaced comes to those of today
// step by step, each signed by the one before. Needs c.mu.
func (c *Client) followRoots(ctx context.Context) bool {
	text, err := c.send(ctx, request{method: http.MethodGet, path: PathRoots})
	if err != nil {
		c.log.Warn("the way to the present root could not be fetched", "error", err)
		return false
	}
	found := false
	for link := range strings.FieldsSeq(string(text)) {
		roots, err := c.rootsFor("", c.now())
		if err != nil || slices.Contains(c.state.RootChain, link) {
			continue
		}
		v := &doc.Verifier{Keys: roots, Issuer: c.cfg.Issuer, Now: func() time.Time { return time.Unix(c.now(), 0) }}
		set, err := v.Keyset(link, c.chainNum())
		if err == nil && changes(set, roots) {
			c.state.RootChain = append(c.state.RootChain, link)
			found = true
		}
	}
	return found
}

// chainNum is the lowest number that a keyset which replaces the roots may have
// now: one that is older than the last link was overtaken. Needs c.mu.
func (c *Client) chainNum() int64 {
	if len(c.state.RootChain) == 0 {
		return 0
	}
	last := c.state.RootChain[len(c.state.RootChain)-1]
	roots, err := c.rootsFor(last, c.now())
	if err != nil {
		return 0
	}
	v := &doc.Verifier{Keys: roots, Issuer: c.cfg.Issuer, Now: func() time.Time { return time.Unix(c.now(), 0) }}
	set, err := v.Keyset(last, 0)
	if err != nil {
		return 0
	}
	return set.Num + 1
}

// refreshKeys is how often, in seconds, the signing keys are fetched anew when
// the server is asked anyway, so that a revoked key becomes known.
const refreshKeys = 24 * 3600

// keepKeys fetches the keyset when it is old and reads the documents at hand
// under it. Needs c.mu.
func (c *Client) keepKeys(ctx context.Context, now int64) {
	if c.roots == nil || now >= c.state.KeysAt && now < c.state.KeysAt+refreshKeys {
		return
	}
	before := c.trust.Load().keys
	if err := c.fetchKeys(ctx); err != nil {
		c.log.Warn("signing keys could not be fetched", "error", err)
		return
	}
	if after := c.trust.Load().keys; before == nil || before.Num() != after.Num() {
		c.reread(now)
	}
}

// adoptKeys verifies a keyset and makes it the current one, unless it is older
// than the current one. Needs c.mu.
func (c *Client) adoptKeys(text string, now int64) error {
	roots, err := c.rootsFor(text, now)
	if err != nil {
		return err
	}
	floor := int64(0)
	if keys := c.trust.Load().keys; keys != nil {
		floor = keys.Num()
	}
	v := &doc.Verifier{Keys: roots, Issuer: c.cfg.Issuer, Now: func() time.Time { return time.Unix(now, 0) }}
	set, err := v.Keyset(text, floor)
	if err != nil {
		return err
	}
	keys, err := set.Trust()
	if err != nil {
		return err
	}
	if changes(set, roots) && !slices.Contains(c.state.RootChain, text) {
		c.state.RootChain = append(c.state.RootChain, text)
	}
	c.state.Keyset = text
	c.state.Marks.saw(set.IssuedAt)
	c.setTrust(keys)
	return nil
}

// changes reports whether a keyset replaces the roots by others.
func changes(set *doc.Keyset, roots *doc.Keys) bool {
	if len(set.Roots) == 0 {
		return false
	}
	return len(set.Roots) != roots.Len() || slices.ContainsFunc(set.Roots, func(r doc.JWK) bool { return roots.Get(r.KID) == nil })
}

// rootsFor follows the chain of keysets that replaced the pinned roots, up to
// the given keyset if that is one of them. Needs c.mu.
func (c *Client) rootsFor(text string, now int64) (*doc.Keys, error) {
	roots, floor := c.roots, int64(0)
	for _, link := range c.state.RootChain {
		if link == text {
			break
		}
		v := &doc.Verifier{Keys: roots, Issuer: c.cfg.Issuer, Now: func() time.Time { return time.Unix(now, 0) }}
		set, err := v.Keyset(link, floor)
		if err != nil {
			return nil, err
		}
		if roots, err = set.TrustRoots(); err != nil {
			return nil, err
		}
		floor = set.Num
	}
	return roots, nil
}

// withKeys runs read, which verifies a document; if its key is unknown it
// fetches the keyset once and runs it again. Needs c.mu.
func (c *Client) withKeys(ctx context.Context, read func() error) error {
	if c.trust.Load().keys != nil {
		if err := read(); !errors.Is(err, doc.ErrUnknownKey) || c.roots == nil {
			return err
		}
	}
	if err := c.fetchKeys(ctx); err != nil {
		return err
	}
	return read()
}
