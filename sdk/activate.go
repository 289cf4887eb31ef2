package sdk

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"

	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// Activate takes a seat of the license with the given key (or license token)
// for this device and returns what then holds. Activating again, after a lost
// answer too, takes no second seat. A refusal of the server, such as an unknown
// key or no free seat, is a Decision that denies; what is stored stays. An
// error means that the server could not be asked.
func (c *Client) Activate(ctx context.Context, key string) (eval.Decision, error) {
	if c.closed.Load() {
		return eval.Decision{}, ErrClosed
	}
	if err := c.mu.enter(ctx); err != nil {
		return eval.Decision{}, fmt.Errorf("sdk: activate: %w", err)
	}
	defer c.mu.Unlock()
	if err := c.latest(ctx); err != nil {
		return eval.Decision{}, err
	}
	key = strings.TrimSpace(key)
	if normal, ok := doc.NormalizeLicenseKey(key); ok {
		key = normal
	}
	if !visible(key) {
		return denied(noKey), nil
	}
	err := c.activate(ctx, key)
	var p *Problem
	if errors.As(err, &p) {
		if f := refusal(p); f != nil {
			return denied(*f), nil
		}
	}
	if err != nil {
		return eval.Decision{}, fmt.Errorf("sdk: activate: %w", err)
	}
	c.retryAt, c.fails = 0, 0
	return c.settled(ctx)
}

// settled saves, publishes and decides after a change. Needs c.mu.
func (c *Client) settled(ctx context.Context) (eval.Decision, error) {
	now := c.now()
	c.save(ctx)
	c.publish(now)
	return c.decide(now, "", 0)
}

// noKey is found of a text that no license has for a key.
var noKey = eval.Finding{Code: eval.NotFound, Effect: eval.Deny, Detail: "This is not a license key."}

// denied is a decision with one finding.
func denied(f eval.Finding) eval.Decision {
	return eval.Evaluate(eval.Input{Known: []eval.Finding{f}})
}

// activate asks for a seat with a credential and adopts the answer. Needs c.mu.
func (c *Client) activate(ctx context.Context, credential string) error {
	dev, err := c.fingerprint()
	if err != nil {
		return err
	}
	req := ActivateRequest{Product: c.cfg.Product, Env: c.cfg.Env, Device: dev, User: c.user(), Name: c.name,
		Version: c.cfg.Version, Nonce: random()}
	var res ActivateResponse
	err = c.call(ctx, request{method: http.MethodPost, path: PathActivations, auth: SchemeLicense + " " + credential,
		body: req}, &res)
	if err != nil {
		return err
	}
	if res.License == "" || res.Lease == "" {
		return fmt.Errorf("%w: no lease", errAnswer)
	}
	if err := c.adopt(ctx, reply{license: res.License, lease: res.Lease, activation: res.Activation, nonce: req.Nonce}); err != nil {
		return err
	}
	c.state.Online = req.Nonce
	return nil
}

// reactivate asks for a seat again, with the license at hand, or, if another token took the place of that meanwhile, as with each renewal, with the
// one that is current. Needs c.mu.
func (c *Client) reactivate(ctx context.Context) error {
	err := c.activate(ctx, c.state.License)
	var p *Problem
	if !errors.As(err, &p) || p.Status != http.StatusUnauthorized {
		return err
	}
	var now TokenResponse
	if err := c.call(ctx, request{method: http.MethodGet, path: PathToken, auth: SchemeLicense + " " + c.state.License}, &now); err != nil {
		return err
	}
	if now.License == c.state.License {
		return err
	}
	return c.activate(ctx, now.License)
}

// Install takes a license that came by another way than the server: a license
// token, a license file or the parts of one, for machines without a network. It
// verifies all of it before anything is kept. A file with a lease that carries a
// nonce must answer the request that this machine made by OfflineRequest.
func (c *Client) Install(ctx context.Context, text string) (eval.Decision, error) {
	if c.closed.Load() {
		return eval.Decision{}, ErrClosed
	}
	if err := c.mu.enter(ctx); err != nil {
		return eval.Decision{}, fmt.Errorf("sdk: install: %w", err)
	}
	defer c.mu.Unlock()
	if err := c.latest(ctx); err != nil {
		return eval.Decision{}, err
	}
	f := doc.File{License: strings.TrimSpace(text)}
	if strings.HasPrefix(f.License, "-----BEGIN") || strings.HasPrefix(f.License, "MFIL1.") {
		var err error
		if f, err = doc.DecodeFile(text); err != nil {
			return eval.Decision{}, err
		}
	}
	if f.Keyset != "" && c.roots != nil {
		if err := c.adoptKeys(f.Keyset, c.now()); err != nil && !errors.Is(err, doc.ErrRollback) {
			return eval.Decision{}, fmt.Errorf("sdk: keyset of the license file: %w", err)
		}
	}
	v := c.verifier(c.now())
	lic, err := v.License(f.License)
	if err != nil {
		return eval.Decision{}, err
	}
	activation := ""
	if f.Lease != "" {
		les, err := v.Lease(f.Lease)
		if err != nil {
			return eval.Decision{}, err
		}
		if err := c.answers(les); err != nil {
			return eval.Decision{}, err
		}
		activation = les.Activation
	} else if c.license != nil && c.license.ID == lic.ID && c.license.TokenID == lic.TokenID {
		f.Lease, activation = c.state.Lease, c.state.Activation
	}
	own := c.state.Marks.Own // a file is no contact
	if err := c.adopt(ctx, reply{license: f.License, lease: f.Lease, activation: activation}); err != nil {
		return eval.Decision{}, err
	}
	if f.StatusList != "" {
		if err := c.adoptStatus(v, f.StatusList); err != nil {
			c.log.Warn("status list of the license file is not good", "error", err)
		}
	}
	if c.state.Marks.Own = max(own, c.state.Marks.Own); c.lease != nil && c.lease.Nonce != "" {
		c.state.Asked, c.state.Returned = "", ""
	}
	return c.settled(ctx)
}

// Deactivate gives the seat back and forgets the license. If the server cannot
// be asked nothing changes and the error says so. If the seat was given back and
// that cannot be written down the error says that: call again, or the product,
// started anew, takes the seat once more. Usage is sent before, because it
// counts for the license with which it is sent.
func (c *Client) Deactivate(ctx context.Context) error {
	if c.closed.Load() {
		return ErrClosed
	}
	if c.hasUsage() {
		if err := c.Flush(ctx); err != nil {
			c.log.Warn("usage could not be sent before the seat was given back", "error", err)
		}
	}
	if err := c.mu.enter(ctx); err != nil {
		return fmt.Errorf("sdk: deactivate: %w", err)
	}
	defer c.mu.Unlock()
	if err := c.latest(ctx); err != nil {
		return err
	}
	if c.state.Activation != "" && c.state.Lease != "" {
		var res DeactivateResponse
		err := c.call(ctx, request{method: http.MethodDelete, path: PathActivations + "/" + pathPart(c.state.Activation),
			auth: SchemeLease + " " + c.state.Lease}, &res)
		if err == nil && res.Activation != c.state.Activation {
			err = fmt.Errorf("%w: no seat given back", errAnswer)
		}
		var p *Problem
		gone := errors.As(err, &p) && (p.Code == CodeActivationReleased || p.Status == http.StatusNotFound ||
			p.Status == http.StatusUnauthorized || p.Status == http.StatusGone)
		if err != nil && !gone {
			return fmt.Errorf("sdk: deactivate: %w", err)
		}
	}
	c.state = &state{Install: c.state.Install, Marks: c.state.Marks, Keyset: c.state.Keyset, KeysAt: c.state.KeysAt,
		RootChain: c.state.RootChain}
	c.reread(c.now())
	c.publish(c.now())
	if err := c.keep(ctx); err != nil {
		return fmt.Errorf("sdk: deactivate: the seat is given back, but: %w", err)
	}
	return nil
}

// Validate asks the server for its decision with a license key or token, without
// taking a seat and without touching the state.
func (c *Client) Validate(ctx context.Context, key, feature string, n int64) (eval.Decision, error) {
	if c.closed.Load() {
		return eval.Decision{}, ErrClosed
	}
	key = strings.TrimSpace(key)
	if normal, ok := doc.NormalizeLicenseKey(key); ok {
		key = normal
	}
	if !visible(key) {
		return denied(noKey), nil
	}
	req := ValidateRequest{Product: c.cfg.Product, Env: c.cfg.Env, Version: c.cfg.Version, User: c.user(), Entitlement: feature, N: n}
	if dev, err := c.fingerprint(); err == nil {
		req.Device = dev
	}
	var res ValidateResponse
	err := c.call(ctx, request{method: http.MethodPost, path: PathValidate, auth: SchemeLicense + " " + key, body: req}, &res)
	var p *Problem
	if errors.As(err, &p) {
		if f := refusal(p); f != nil {
			return denied(*f), nil
		}
	}
	if err == nil && res.Decision.Code == "" {
		err = fmt.Errorf("%w: no decision", errAnswer)
	}
	if err != nil {
		return eval.Decision{}, fmt.Errorf("sdk: validate: %w", err)
	}
	return res.Decision, nil
}

// visible reports whether s can stand in a header: printable ASCII of a sane
// length.
func visible(s string) bool {
	if s == "" || len(s) > doc.MaxLicense {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func pathPart(s string) string { return url.PathEscape(s) }

// random returns 128 random bits in hex.
func random() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// jitter returns between half of n and n, so that many devices do not come back
// at once.
func jitter(n int64) int64 {
	r, err := rand.Int(rand.Reader, big.NewInt(n/2+1))
	if err != nil {
		return n
	}
	return n - r.Int64()
}
