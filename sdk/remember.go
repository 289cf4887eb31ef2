package sdk

import (
	"bytes"
	"context"
	"errors"
)

// latest is loaded, with what another process of the product has written since: for what changes the state and saves it. Needs c.mu.
func (c *Client) latest(ctx context.Context) error {
	if err := c.loaded(ctx); err != nil {
		return err
	}
	c.sync(ctx, c.now())
	return nil
}

// loaded reads the state on first use. Needs c.mu.
func (c *Client) loaded(ctx context.Context) error {
	if c.closed.Load() {
		return ErrClosed
	}
	if c.state != nil {
		return nil
	}
	text, err := c.store.Load(ctx)
	if err != nil {
		return errors.Join(errors.New("sdk: read the license state"), err)
	}
	s, ok := decodeState(c.cfg.Product, text)
	if !ok && len(text) > 0 {
		c.log.Warn("license state is unreadable and counts as absent")
	}
	c.state, c.saved, c.text = s, s.Marks.Own, text
	now := max(c.now(), s.Marks.high())
	if c.roots != nil && s.Keyset != "" {
		if err := c.adoptKeys(s.Keyset, now); err != nil {
			c.log.Warn("stored keyset is not good", "error", err)
			s.Keyset, s.RootChain = "", nil
		}
	}
	c.reread(now)
	c.publish(c.now()) // before a contact, for which those who ask for features do not wait
	return nil
}

// sync takes over what another process of the product has written since, unless
// its lease is older than the one at hand, or without leases its license is. Needs c.mu.
func (c *Client) sync(ctx context.Context, now int64) {
	text, err := c.store.Load(ctx)
	if err != nil || bytes.Equal(text, c.text) {
		return
	}
	s, ok := decodeState(c.cfg.Product, text)
	if !ok {
		return
	}
	mine, lease, license := c.state, c.lease, c.license
	s.Marks.Signed = max(s.Marks.Signed, mine.Marks.Signed)
	c.state = s
	c.reread(now)
	older := lease != nil && c.lease != nil && c.lease.Activation == lease.Activation && c.lease.Seq < lease.Seq
	if lease == nil && c.lease == nil && license != nil && c.license != nil {
		older = c.license.ID == license.ID && c.license.IssuedAt < license.IssuedAt
	}
	if older {
		c.state = mine
		c.reread(now)
		return
	}
	if keys := c.trust.Load().keys; c.roots != nil && s.Keyset != mine.Keyset {
		if err := c.adoptKeys(s.Keyset, now); err != nil && keys != nil {
			s.Keyset, s.RootChain, s.KeysAt = mine.Keyset, mine.RootChain, mine.KeysAt
		}
		c.reread(now)
	}
	c.text, c.saved = text, s.Marks.Own
}

// reread verifies the stored documents under the current keys. Their ends are
// left to eval. Needs c.mu.
func (c *Client) reread(now int64) {
	c.license, c.lease, c.status, c.broken = nil, nil, nil, nil
	now = max(now, c.state.Marks.high())
	v := c.verifier(now)
	v.Expired = true
	if c.state.License == "" {
		return
	}
	l, err := v.License(c.state.License)
	if err != nil {
		c.broken = err
		return
	}
	c.license = l
	if c.state.Lease != "" {
		if c.lease, err = v.Lease(c.state.Lease); err != nil {
			c.log.Warn("stored lease is not good", "error", err)
		}
	}
	c.rereadStatus(v)
}

// yield takes over what another process of the product wrote while this one was in contact, if that has a newer lease of the same seat. Written over
// it, ours would be shown next, beside that of the process that has the newer one, as if two machines had the seat. Needs c.mu.
func (c *Client) yield(ctx context.Context) {
	if c.lease == nil {
		return
	}
	text, err := c.store.Load(ctx)
	if err != nil || bytes.Equal(text, c.text) {
		return
	}
	s, ok := decodeState(c.cfg.Product, text)
	if !ok || s.Activation != c.state.Activation || s.Lease == c.state.Lease {
		return
	}
	v := c.verifier(max(c.now(), c.state.Marks.high()))
	v.Expired = true
	if l, err := v.Lease(s.Lease); err == nil && l.Activation == c.lease.Activation && l.Seq > c.lease.Seq {
		c.sync(ctx, c.now())
	}
}

// save writes the state; a failure is logged, since losing the state does no
// harm. Needs c.mu.
func (c *Client) save(ctx context.Context) {
	c.yield(context.WithoutCancel(ctx))
	text, err := c.state.encode(c.cfg.Product)
	if err == nil {
		err = c.store.Save(context.WithoutCancel(ctx), text)
	}
	if err != nil {
		c.log.Warn("license state could not be saved", "error", err)
		return
	}
	c.saved, c.text = c.state.Marks.Own, text
}
