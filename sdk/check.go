package sdk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// Check decides whether the product may run now. It looks at the documents at
// hand and calls the server only when contact is due; a server that cannot be
// reached changes nothing before the policy's limits are. The error is for what
// keeps it from deciding at all: a closed client, a store or a device that
// cannot be read, a context that ends while another call waits for the server.
func (c *Client) Check(ctx context.Context) (eval.Decision, error) {
	if c.closed.Load() {
		return eval.Decision{}, ErrClosed
	}
	if err := c.mu.enter(ctx); err != nil {
		return eval.Decision{}, fmt.Errorf("sdk: check: %w", err)
	}
	defer c.mu.Unlock()
	if err := c.loaded(ctx); err != nil {
		return eval.Decision{}, err
	}
	now := c.now()
	if c.state.License == "" || max(now, c.state.Marks.Own)-c.saved >= 60 || c.state.Marks.Own < c.saved {
		c.sync(ctx, now) // what is saved below must not undo what another process wrote
	}
	if c.due(now) && (now >= c.retryAt || now < c.triedAt) {
		c.sync(ctx, now)
		if c.due(now) {
			c.contact(ctx, now)
			now = c.now()
		}
	}
	if !c.state.Marks.rolledBack(now) {
		c.state.Marks.ran(now)
	}
	if c.state.Marks.Own-c.saved >= 60 || c.state.Marks.Own < c.saved {
		c.save(ctx)
	}
	d, err := c.decide(now, "", 0)
	if err != nil {
		return eval.Decision{}, err
	}
	c.publish(now)
	return d, nil
}

// Evaluate decides offline about one feature: whether it is included, and, for
// a numeric one, whether n of it are. It never calls the server, and never waits
// for a call of it.
func (c *Client) Evaluate(ctx context.Context, feature string, n int64) (eval.Decision, error) {
	if c.closed.Load() {
		return eval.Decision{}, ErrClosed
	}
	if f := c.current().facts; f != nil {
		return f.decide(c.now(), feature, n), nil
	}
	if err := c.mu.enter(ctx); err != nil { // what there is cannot be read: say why
		return eval.Decision{}, fmt.Errorf("sdk: evaluate: %w", err)
	}
	defer c.mu.Unlock()
	if err := c.loaded(ctx); err != nil {
		return eval.Decision{}, err
	}
	return c.decide(c.now(), feature, n)
}

// License returns the license at hand, or nil. It must not be changed.
func (c *Client) License() *doc.License {
	if s := c.snap.Load(); s != nil && s.facts != nil {
		return s.facts.in.License
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.license
}

// Lease returns the lease at hand, or nil. It must not be changed.
func (c *Client) Lease() *doc.Lease {
	if s := c.snap.Load(); s != nil && s.facts != nil {
		return s.facts.in.Lease
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lease
}

// due reports whether the server should be asked. Needs c.mu.
func (c *Client) due(now int64) bool {
	switch {
	case c.state.License == "":
		return false
	case c.license == nil, c.state.Marks.rolledBack(now), c.state.Refused != nil:
		return true
	case c.license.Pol.Activation == doc.ActivationRequired:
		return c.lease == nil || c.lease.RestsOn(c.license) != nil || now >= c.lease.RecheckAt || c.proofStale(now)
	}
	return c.statusDue(now) || c.lease != nil && now >= c.lease.RecheckAt || c.tokenDue(now)
}

// proofStale reports whether the policy wants a newer proof that a license which
// rests on a lease is not revoked; renewing the lease is one. Needs c.mu.
func (c *Client) proofStale(now int64) bool {
	pol := &c.license.Pol
	return pol.Status != doc.StatusOff && now >= max(c.license.IssuedAt, c.lease.IssuedAt)+pol.StatusMaxAge
}

// Waiting times in seconds after a contact that failed.
const (
	firstRetry   = 30
	lastRetry    = 3600
	refusedRetry = 300
)

// backoff returns how long to wait after so many failures in a row before this one: twice as long each time, with jitter.
func backoff(fails int) int64 { return jitter(min(int64(firstRetry)<<min(fails, 7), lastRetry)) }

// contact renews what the license rests on. Needs c.mu.
func (c *Client) contact(ctx context.Context, now int64) {
	before := c.known()
	err := c.renew(ctx)
	if errors.Is(err, doc.ErrKeyRevoked) { // the keys were fetched for the answer, and the license at hand is good no more
		c.reread(now)
		err = c.renew(ctx)
	}
	var p *Problem
	if err == nil || errors.As(err, &p) && refusal(p) != nil { // somebody is there, and not only too busy
		c.keepKeys(ctx, now)
		if p == nil && !c.usable() { // the key of the license, or of the lease, turned out to be revoked
			err = c.renew(ctx)
		}
	}
	c.triedAt = now
	switch {
	case err == nil:
		c.retryAt, c.fails = 0, 0
	case errors.As(err, &p) && refusal(p) != nil:
		c.state.Refused = refusal(p)
		c.retryAt = now + max(refusedRetry, p.pause())
	case errors.Is(ctx.Err(), context.Canceled) || c.closed.Load(): // the caller gave up, which says nothing of the server
		c.forget(before, now)
		return
	default:
		c.log.Warn("license server could not be asked", "error", err)
		c.forget(before, now)
		c.retryAt = now + backoff(c.fails)
		c.fails++
		if p != nil {
			c.retryAt = max(c.retryAt, now+p.pause())
		}
		return
	}
	c.save(ctx)
}

// usable reports whether the documents at hand are good under the keys at hand: a license and, where it rests on one, a lease. Needs c.mu.
func (c *Client) usable() bool {
	return c.license != nil && (c.lease != nil || c.license.Pol.Activation != doc.ActivationRequired)
}

// known is what a client knows of keys, and whether its documents are good by it.
type known struct {
	trust  *trust
	keyset string
	chain  []string
	at     int64
	usable bool
}

// known returns what the client knows of keys now. Needs c.mu.
func (c *Client) known() known {
	return known{c.trust.Load(), c.state.Keyset, slices.Clone(c.state.RootChain), c.state.KeysAt, c.usable()}
}

// know makes k what the client knows of keys, and rereads its documents. Needs c.mu.
func (c *Client) know(k known, now int64) {
	c.trust.Store(k.trust)
	c.state.Keyset, c.state.RootChain, c.state.KeysAt = k.keyset, k.chain, k.at
	c.reread(now)
}

// forget takes back what a contact that failed half way taught of keys, if the documents at hand are good by what was known before and not by
// that: a key was revoked, and the server that could tell so could not give what the next key signs, or one that has not heard of it gave what
// the revoked one does. The next contact learns both. Needs c.mu.
func (c *Client) forget(before known, now int64) {
	if c.trust.Load() == before.trust || !before.usable {
		return
	}
	if c.reread(now); c.usable() {
		return
	}
	learned := c.known()
	if c.know(before, now); !c.usable() {
		c.know(learned, now)
	}
}

func (c *Client) heartbeat(ctx context.Context) error {
	dev, err := c.fingerprint()
	if err != nil {
		return err
	}
	req := HeartbeatRequest{Device: dev, User: c.user(), Version: c.cfg.Version}
	if c.lease != nil {
		req.Seq = c.lease.Seq
	}
	if req.Token = NoToken; c.license != nil {
		req.Token = c.license.TokenID
	}
	var res HeartbeatResponse
	err = c.call(ctx, request{method: http.MethodPost, path: PathActivations + "/" + pathPart(c.state.Activation) + PathHeartbeat,
		auth: SchemeLease + " " + c.state.Lease, body: req}, &res)
	if err != nil {
		return err
	}
	return c.renewed(ctx, &res)
}

// renewed adopts the answer to a heartbeat, or one like it. Needs c.mu.
func (c *Client) renewed(ctx context.Context, res *HeartbeatResponse) error {
	if res.Lease == "" {
		return fmt.Errorf("%w: no lease", errAnswer)
	}
	license := res.License
	if license == "" {
		license = c.state.License
	}
	return c.adopt(ctx, reply{license: license, lease: res.Lease, activation: c.state.Activation})
}

// reply is what the server sent, or a license file holds.
type reply struct {
	license, lease, activation string
	nonce                      string       // that the lease must carry, or ""
	since                      *doc.License // whose place the license takes, so that it must be the same and no older, or nil
}

// adopt verifies a reply and makes it the current state. An older lease never
// replaces a newer one of the same activation. Needs c.mu.
func (c *Client) adopt(ctx context.Context, r reply) error {
	now := c.now()
	var lic *doc.License
	var les *doc.Lease
	err := c.withKeys(ctx, func() (err error) {
		v := c.verifier(now)
		v.Expired = true // eval says what an end means
		if lic, err = v.License(r.license); err == nil {
			err = r.follows(lic)
		}
		if err != nil || r.lease == "" {
			return err
		}
		if les, err = v.Lease(r.lease); err == nil {
			err = c.fits(les, lic, r)
		}
		return err
	})
	if err != nil {
		return err
	}
	old := c.lease
	c.state.License, c.state.Lease, c.state.Activation = r.license, r.lease, r.activation
	c.state.Refused = nil
	c.license, c.lease, c.broken = lic, les, nil
	c.state.Marks.saw(lic.IssuedAt)
	switch {
	case les == nil:
	case old != nil && old.Activation == les.Activation && old.Seq == les.Seq: // an answer shown again is no contact
		c.state.Marks.saw(les.IssuedAt)
	default:
		c.state.Marks.contact(les.IssuedAt)
	}
	return nil
}

// follows checks that a license may take the place of the one at hand.
func (r *reply) follows(lic *doc.License) error {
	switch {
	case r.since == nil:
	case lic.ID != r.since.ID:
		return fmt.Errorf("%w: license is another one", doc.ErrMismatch)
	case lic.IssuedAt < r.since.IssuedAt:
		return fmt.Errorf("%w: license of %d, seen %d", doc.ErrRollback, lic.IssuedAt, r.since.IssuedAt)
	}
	return nil
}

// fits checks that a lease is what was asked for and no step back. Needs c.mu.
func (c *Client) fits(les *doc.Lease, lic *doc.License, r reply) error {
	switch old := c.lease; {
	case les.Activation != r.activation:
		return fmt.Errorf("%w: lease is of another activation", doc.ErrMismatch)
	case r.nonce != "" && les.Nonce != r.nonce:
		return fmt.Errorf("%w: lease does not answer this request", doc.ErrMismatch)
	case old != nil && old.Activation == les.Activation && les.Seq < old.Seq:
		return fmt.Errorf("%w: lease %d, seen %d", doc.ErrRollback, les.Seq, old.Seq)
	}
	return les.RestsOn(lic)
}
