package sdk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/mintreu/mintreu/sdk/eval"
)

// Borrow keeps this device's floating seat until a date, for a journey without
// a network, and returns what then holds. Nobody takes the seat before, and at
// the date it is free without the device's doing. The date lies no further away
// than the license's policy lets a device run offline. Borrowing again moves
// the date. A refusal of the server is a Decision that denies; what is stored
// stays. An error means that the server could not be asked, or that the license
// has no floating seats.
func (c *Client) Borrow(ctx context.Context, until time.Time) (eval.Decision, error) {
	return c.lend(ctx, PathBorrow, BorrowRequest{Until: until.Unix()})
}

// EndBorrow ends a borrowing before its date; the device keeps its seat as one of
// those in contact. To give the seat back as well, use Deactivate.
func (c *Client) EndBorrow(ctx context.Context) (eval.Decision, error) {
	return c.lend(ctx, PathReturn, struct{}{})
}

// lend posts a request about the seat at hand and adopts the lease that answers.
func (c *Client) lend(ctx context.Context, path string, body any) (eval.Decision, error) {
	if c.closed.Load() {
		return eval.Decision{}, ErrClosed
	}
	if err := c.mu.enter(ctx); err != nil {
		return eval.Decision{}, fmt.Errorf("sdk: %s: %w", path[1:], err)
	}
	defer c.mu.Unlock()
	if err := c.latest(ctx); err != nil {
		return eval.Decision{}, err
	}
	if c.state.Activation == "" || c.state.Lease == "" {
		return denied(eval.Finding{Code: eval.ActivationRequired, Effect: eval.Deny, Detail: "There is no seat on this device; activate it first."}), nil
	}
	var res HeartbeatResponse
	err := c.call(ctx, request{method: http.MethodPost, path: PathActivations + "/" + pathPart(c.state.Activation) + path,
		auth: SchemeLease + " " + c.state.Lease, body: body}, &res)
	if err == nil {
		err = c.renewed(ctx, &res)
	}
	if err == nil {
		c.save(ctx)
		// Showing the new lease tells the server that those before it are out of use, so that the seat is free at the date
		// and no later. That is a courtesy: without it the seat is only free when those have ended as well.
		if err := c.heartbeat(ctx); err != nil {
			c.log.Info("the new lease could not be confirmed", "error", err)
		}
		return c.settled(ctx)
	}
	var p *Problem
	if errors.As(err, &p) {
		if f := refusal(p); f != nil {
			return denied(*f), nil
		}
	}
	return eval.Decision{}, fmt.Errorf("sdk: %s: %w", path[1:], err)
}
