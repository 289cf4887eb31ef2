package sdk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/mintreu/mintreu/sdk/doc"
)

// ErrNoAnswer is returned by Return when this machine holds no lease that came
// with a license file in answer to its request; one got online is given back by
// Deactivate.
var ErrNoAnswer = errors.New("sdk: no lease from a license file on this machine")

// OfflineRequest returns the text, beginning with MREQ1., with which this
// machine asks for a license file without a network of its own. A person carries
// it to the vendor's page, or shows it as a QR code, and brings the file back to
// Install. The request is good for 30 days and for this machine alone; asking
// again meanwhile gives the same text. The license key itself is not in it.
func (c *Client) OfflineRequest(ctx context.Context, key string) (string, error) {
	if err := c.mu.enter(ctx); err != nil {
		return "", fmt.Errorf("sdk: request of this machine: %w", err)
	}
	defer c.mu.Unlock()
	if err := c.latest(ctx); err != nil {
		return "", err
	}
	if key = strings.TrimSpace(key); !visible(key) {
		return "", errors.New("sdk: this is not a license key")
	}
	dev, err := c.fingerprint()
	if err != nil {
		return "", err
	}
	now := c.now()
	r := doc.OfflineRequest{Key: doc.KeyDigest(c.cfg.Product, key), Product: c.cfg.Product, Device: dev, User: c.user(), At: now, SDK: "mintreu-sdk-go/" + Version}
	if had, err := doc.DecodeOfflineRequest(c.state.Asked); err == nil && had.Key == r.Key && had.User == r.User && maps.Equal(had.Device, dev) &&
		now >= had.At && now < had.At+doc.OfflineRequestLife/2 {
		return c.state.Asked, nil
	}
	r.Nonce = random()
	text, err := doc.EncodeOfflineRequest(r)
	if err != nil {
		return "", fmt.Errorf("sdk: request of this machine: %w", err)
	}
	before := c.state.Asked
	c.state.Asked = text
	if err := c.keep(ctx); err != nil { // the answer fits only a machine that remembers its request
		c.state.Asked = before
		return "", err
	}
	return text, nil
}

// answers checks that a lease with a nonce answers the request of this machine,
// so that a file used before cannot be used once more after Return. Needs c.mu.
func (c *Client) answers(les *doc.Lease) error {
	if les.Nonce == "" || c.lease != nil && c.lease.Activation == les.Activation && c.lease.Seq >= les.Seq {
		return nil // no answer, the lease at hand, or an older one, which is refused as such
	}
	if asked, err := doc.DecodeOfflineRequest(c.state.Asked); err != nil || asked.Nonce != les.Nonce {
		return fmt.Errorf("%w: the license file does not answer the request of this machine", doc.ErrMismatch)
	}
	return nil
}

// Return forgets the license that a license file brought, so that the product
// stops, and returns the text, beginning with MREL1., that frees its seat before
// the lease ends. Asking again gives the same text. Nothing is forgotten and
// there is an error if the state cannot be written.
func (c *Client) Return(ctx context.Context) (string, error) {
	if err := c.mu.enter(ctx); err != nil {
		return "", fmt.Errorf("sdk: return: %w", err)
	}
	defer c.mu.Unlock()
	if err := c.latest(ctx); err != nil {
		return "", err
	}
	if c.lease == nil && c.state.Returned != "" {
		return c.state.Returned, nil
	}
	if c.lease == nil || c.lease.Nonce == "" || c.lease.Nonce == c.state.Online {
		return "", ErrNoAnswer
	}
	text, err := doc.NewOfflineReturn(c.lease, c.state.Lease)
	if err != nil {
		return "", fmt.Errorf("sdk: return: %w", err)
	}
	before := c.state
	c.state = &state{Install: before.Install, Marks: before.Marks, Keyset: before.Keyset, KeysAt: before.KeysAt, RootChain: before.RootChain, Returned: text}
	if err := c.keep(ctx); err != nil {
		c.state = before
		return "", err
	}
	c.reread(c.now())
	c.publish(c.now())
	return text, nil
}

// keep writes the state where going on without it would do harm. Needs c.mu.
func (c *Client) keep(ctx context.Context) error {
	text, err := c.state.encode(c.cfg.Product)
	if err == nil {
		err = c.store.Save(context.WithoutCancel(ctx), text)
	}
	if err != nil {
		return fmt.Errorf("sdk: write the license state: %w", err)
	}
	c.saved, c.text = c.state.Marks.Own, text
	return nil
}
