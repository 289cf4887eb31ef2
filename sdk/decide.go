package sdk

import (
	"context"
	"slices"
	"strings"

	"github.com/mintreu/mintreu/sdk/device"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// facts are what a decision rests on besides the time. They are never changed.
type facts struct {
	in    eval.Input
	marks marks
}

// facts gathers what is known. Needs c.mu.
func (c *Client) facts() (*facts, error) {
	f := &facts{marks: c.state.Marks, in: eval.Input{License: c.license, Lease: c.lease, Status: c.status.at(c.license),
		Request: eval.Request{Product: c.cfg.Product, Env: c.cfg.Env, Version: c.cfg.Version, User: c.user()}}}
	if c.state.Refused != nil {
		f.in.Known = append(f.in.Known, *c.state.Refused)
	}
	if c.license == nil {
		detail := "There is no license on this device; activate one."
		if c.broken != nil {
			detail = "The stored license cannot be used: " + c.broken.Error() + "."
		}
		f.in.Known = append(f.in.Known, eval.Finding{Code: eval.ActivationRequired, Effect: eval.Deny, Detail: detail})
		return f, nil
	}
	if c.license.Pol.Activation == doc.ActivationRequired {
		var err error
		if f.in.Request.Device, err = c.fingerprint(); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// decide evaluates the facts at an instant.
func (f *facts) decide(now int64, feature string, n int64) eval.Decision {
	in := f.in
	in.Now, in.Request.Entitlement, in.Request.N = now, feature, n
	if f.marks.rolledBack(now) {
		in.Known = append(slices.Clone(in.Known), eval.Finding{Code: eval.ClockRollback, Effect: eval.Deny,
			Detail: "The clock was set back; it heals at the next contact with the license server."})
	}
	return eval.Evaluate(in)
}

// decide evaluates offline. Needs c.mu.
func (c *Client) decide(now int64, feature string, n int64) (eval.Decision, error) {
	f, err := c.facts()
	if err != nil {
		return eval.Decision{}, err
	}
	return f.decide(now, feature, n), nil
}

// refusal turns a server's refusal into a finding, or returns nil when it says
// nothing about the license.
func refusal(p *Problem) *eval.Finding {
	var code eval.Code
	switch p.Code {
	case CodeSeatsExhausted:
		code = eval.TooManySeats
	case CodeActivationReleased:
		code = eval.ActivationReleased
	case CodeLicenseRevoked:
		code = eval.Revoked
	case CodeLicenseSuspended:
		code = eval.Suspended
	case CodeLicenseExpired:
		code = eval.Expired
	case CodeDeviceMismatch:
		code = eval.DeviceMismatch
	case CodeProductMismatch:
		code = eval.ProductMismatch
	case CodeEnvironment:
		code = eval.EnvironmentMismatch
	case CodeVersionNotCovered:
		code = eval.VersionNotCovered
	case CodeUserRequired:
		code = eval.UserRequired
	case CodeUnauthorized, CodeNotFound: // the server tells programs of a header; this is read by who typed a key
		return &eval.Finding{Code: eval.NotFound, Effect: eval.Deny, Detail: "There is no license with this key for this product; check the key for typing mistakes."}
	case CodeTrialUsed:
		code = eval.NotFound
	default:
		return nil
	}
	detail := p.Detail
	if detail == "" {
		detail = p.Title
	}
	return &eval.Finding{Code: code, Effect: eval.Deny, Detail: strings.TrimSpace(detail)}
}

// DeviceChanges returns the components, sorted, in which this device is not the one that its lease was made for, and how many must
// agree: what to show beside a refusal of code DEVICE_MISMATCH, or before there is one. Without a lease there are none.
func (c *Client) DeviceChanges() (changed []string, match int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.loaded(context.Background()); err != nil {
		return nil, 0, err
	}
	if c.lease == nil {
		return nil, 0, nil
	}
	now, err := c.fingerprint()
	if err != nil {
		return nil, 0, err
	}
	return device.Changed(c.lease.Device, now), c.lease.Match, nil
}
