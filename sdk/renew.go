package sdk

import (
	"context"
	"errors"
	"net/http"

	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// renew sends a heartbeat; if the seat is gone it asks for one again. Needs c.mu.
func (c *Client) renew(ctx context.Context) error {
	if c.license == nil && c.state.Lease == "" && errors.Is(c.broken, doc.ErrKeyRevoked) { // signed again it is good, and may need no seat
		if err := c.fetchLicense(ctx); err != nil {
			return err
		}
	}
	if c.license != nil && c.license.Pol.Activation != doc.ActivationRequired {
		return c.renewFree(ctx)
	}
	if c.state.Activation == "" || c.state.Lease == "" {
		return c.reactivate(ctx)
	}
	err := c.heartbeat(ctx)
	if gone(err) {
		c.log.Info("activation is gone, asking for a seat again", "error", err)
		return c.reactivate(ctx)
	}
	return err
}

// gone reports whether an error of a heartbeat says that there is no such seat any more.
func gone(err error) bool {
	var p *Problem
	return errors.As(err, &p) && (p.Code == CodeActivationReleased || p.Status == http.StatusUnauthorized || p.Status == http.StatusNotFound)
}

// renewFree is renew of a license that rests on no seat but on its status list. A renewal, like every change, gives a license another token and
// makes the one at hand invalid. A client that has a seat all the same gets the new one by its heartbeat, any other by the one at hand. That the
// seat is gone is no reason to stop. Needs c.mu.
func (c *Client) renewFree(ctx context.Context) error {
	now, watched := c.now(), c.license.Pol.Status != doc.StatusOff
	if c.lease == nil && (c.state.Refused != nil || c.state.Marks.rolledBack(now)) || watched && (c.lease != nil || c.statusDue(now)) {
		if err := c.fetchStatus(ctx); err != nil {
			return err
		}
		c.state.Refused = nil
	}
	if c.lease != nil {
		if d, err := c.decide(now, "", 0); err != nil || d.Allowed && d.Code == eval.Valid && now < c.lease.RecheckAt {
			return err
		}
		was := c.license
		err := c.heartbeat(ctx)
		if err == nil {
			return c.follow(ctx, was)
		}
		if !gone(err) {
			return err
		}
		c.log.Info("activation is gone; the license needs none", "error", err)
		c.state.Activation, c.state.Lease, c.lease = "", "", nil
	}
	if !c.tokenDue(now) {
		return nil
	}
	was := c.license
	if err := c.fetchLicense(ctx); err != nil {
		return err
	}
	return c.follow(ctx, was)
}

// follow fetches the status list of a license that took the place of another one, if it is in another list. Needs c.mu.
func (c *Client) follow(ctx context.Context, was *doc.License) error {
	if c.license.TokenID == was.TokenID {
		return nil
	}
	c.save(ctx) // whatever becomes of the list
	if c.license.Pol.Status == doc.StatusOff || c.license.Status.List.URI == was.Status.List.URI {
		return nil
	}
	return c.fetchStatus(ctx)
}

// Waiting times in seconds before the current token of a license is asked for again while the one at hand still allows.
const (
	shortestAsk = 3600
	longestAsk  = 24 * 3600
)

// tokenAt returns when to ask for the current token of a license that rests on no lease: 0, never, while nothing is wrong with the one at hand.
// As long as that one allows, several processes of the product, or one run after the other, ask no oftener than one. Needs c.mu.
func (c *Client) tokenAt(now int64) int64 {
	if c.license == nil || c.lease != nil || c.license.Pol.Activation == doc.ActivationRequired {
		return 0
	}
	d, err := c.decide(now, "", 0)
	if err != nil || d.Allowed && d.Code == eval.Valid {
		return 0
	}
	at := max(c.askAt, 1)
	if d.Allowed && c.state.TokenAt != 0 {
		at = max(at, c.state.TokenAt+c.askEvery())
	}
	return at
}

// tokenDue reports whether to ask for the current token now. Needs c.mu.
func (c *Client) tokenDue(now int64) bool {
	at := c.tokenAt(now)
	return at > 0 && (now >= at || now < c.state.TokenAt)
}

func (c *Client) askEvery() int64 { return min(max(c.license.Pol.Recheck, shortestAsk), longestAsk) }

// fetchLicense asks for the current token of the license with the one at hand, which may have ended, and adopts it if it is no older. That there
// is none for us says nothing of the one at hand; we ask again later. Needs c.mu.
func (c *Client) fetchLicense(ctx context.Context) error {
	var res TokenResponse
	err := c.call(ctx, request{method: http.MethodGet, path: PathToken, auth: SchemeLicense + " " + c.state.License}, &res)
	was, now := c.license, c.now()
	var p *Problem
	if errors.As(err, &p) {
		switch p.Status {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed: // the last of a server that does not know the question
			c.log.Info("no newer license was answered", "code", p.Code)
			c.asked(now)
			return nil
		}
	}
	if err == nil {
		err = c.adopt(ctx, reply{license: res.License, since: was})
	}
	if err != nil {
		return err
	}
	if was == nil || was.TokenID != c.license.TokenID {
		c.log.Info("license was changed; its current token is adopted")
		c.asks = 0
	}
	c.asked(now)
	return nil
}

// asked notes that the current token was asked for, and how long to wait before the next time: ever longer while the one at hand does not allow.
// Needs c.mu.
func (c *Client) asked(now int64) {
	wait := min(int64(refusedRetry)<<min(c.asks, 4), lastRetry)
	if c.license != nil {
		if d, err := c.decide(now, "", 0); err == nil && d.Allowed {
			wait = c.askEvery()
		}
	}
	c.asks++
	c.state.TokenAt, c.askAt = now, now+jitter(wait)
}
