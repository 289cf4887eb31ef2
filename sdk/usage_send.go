package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/spool"
)

// ledger is the note in the spool: how far the server has counted, and the batch that is on its way. A batch is in the note before
// it is first sent and until its receipt is there, so that after any crash the same one is sent again.
type ledger struct {
	Version int        `json:"v"`
	Nonce   string     `json:"nonce,omitempty"` // of the source that is asked for
	Source  string     `json:"source,omitempty"`
	Seq     int64      `json:"seq,omitempty"`     // of the last batch with a receipt
	Receipt string     `json:"receipt,omitempty"` // its receipt
	Pending []UsageRow `json:"pending,omitempty"` // batch Seq+1
}

// maxEvents bounds the events of one batch, so that one never takes long to make.
const maxEvents = 200_000

// errForked means that the source is not ours alone: the spool was copied, or set back to an earlier state.
var errForked = errors.New("the source of usage is used by two, or was set back")

// sendBatch sends one batch and reports whether there may be more.
func (c *Client) sendBatch(ctx context.Context) (more bool, err error) {
	if err := c.usage.sending.enter(ctx); err != nil {
		return false, err
	}
	defer c.usage.sending.Unlock()
	s, err := c.usageSpool()
	if err != nil {
		return false, err
	}
	d, err := s.Drain()
	if err != nil {
		return false, err
	}
	defer d.Close()
	l := ledger{Version: 1}
	if note := d.Note(); len(note) > 0 {
		if err := json.Unmarshal(note, &l); err != nil {
			return false, fmt.Errorf("the spool's note: %w", err)
		}
		if l.Version != 1 {
			return false, spool.ErrVersion
		}
	}
	c.usage.seen(&l)
	if len(l.Pending) == 0 {
		if l.Pending, err = gather(d); err != nil || len(l.Pending) == 0 {
			return false, err
		}
		if err := l.keep(d); err != nil {
			return false, err
		}
	}
	auth, err := c.usageCredential(ctx)
	if err != nil {
		return false, err
	}
	if err := c.send1(ctx, d, &l, auth); err != nil {
		return false, err
	}
	c.usage.seen(&l)
	return true, nil
}

// gather reads the next batch. An event that cannot be read costs itself alone; one of a later version stops the batch before it.
func gather(d *spool.Drain) ([]UsageRow, error) {
	var r rows
	for range maxEvents {
		record, err := d.Peek()
		if errors.Is(err, io.EOF) {
			return r.list, nil
		}
		if err != nil {
			return nil, err
		}
		e, err := decodeEvent(record)
		if errors.Is(err, errNewer) {
			if len(r.list) == 0 {
				return nil, spool.ErrVersion
			}
			return r.list, nil
		}
		if err == nil && !r.add(e) {
			return r.list, nil
		}
		d.Take()
	}
	return r.list, nil
}

func (l *ledger) keep(d *spool.Drain) error {
	note, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return d.Commit(note)
}

func (u *usage) seen(l *ledger) {
	u.mu.Lock()
	u.source, u.seq, u.receipt = l.Source, l.Seq, l.Receipt
	u.mu.Unlock()
}

// usageCredential is what usage is sent with: the lease, or the license where no activation is needed.
func (c *Client) usageCredential(ctx context.Context) (string, error) {
	if err := c.mu.enter(ctx); err != nil {
		return "", err
	}
	defer c.mu.Unlock()
	if err := c.loaded(ctx); err != nil {
		return "", err
	}
	switch {
	case c.state.Lease != "":
		return SchemeLease + " " + c.state.Lease, nil
	case c.license != nil && c.license.Pol.Activation != doc.ActivationRequired:
		return SchemeLicense + " " + c.state.License, nil
	}
	return "", errors.New("there is no license to count it for; activate one")
}

// send1 sends the pending batch, under a new source if there is none yet or the old one is lost, and keeps the receipt.
func (c *Client) send1(ctx context.Context, d *spool.Drain, l *ledger, auth string) error {
	for range 2 {
		if l.Source == "" {
			if err := c.newSource(ctx, d, l, auth); err != nil {
				return err
			}
		}
		err := c.sendPending(ctx, l, auth)
		var p *Problem
		switch {
		case err == nil:
			l.Seq, l.Pending = l.Seq+1, nil
			return l.keep(d)
		case errors.Is(err, errForked):
		case errors.As(err, &p) && (p.Code == CodeSourceForked || p.Code == CodeSourceUnknown || p.Code == CodeUsageGap):
		default:
			return err
		}
		c.log.Warn("usage goes on under a new source", "source", l.Source, "seq", l.Seq+1, "error", err)
		*l = ledger{Version: 1, Pending: l.Pending}
	}
	return errForked
}

// newSource asks for a source. The nonce is kept first, so that a lost answer is asked for again and no second source made.
func (c *Client) newSource(ctx context.Context, d *spool.Drain, l *ledger, auth string) error {
	if l.Nonce == "" {
		l.Nonce = random()
		if err := l.keep(d); err != nil {
			return err
		}
	}
	var res SourceResponse
	err := c.call(ctx, request{method: http.MethodPost, path: PathUsageSources, auth: auth, body: SourceRequest{Nonce: l.Nonce}}, &res)
	if err != nil {
		return err
	}
	if res.Source == "" {
		return fmt.Errorf("%w: no source", errAnswer)
	}
	l.Source, l.Nonce = res.Source, ""
	return l.keep(d)
}

// sendPending sends the pending batch and verifies its receipt.
func (c *Client) sendPending(ctx context.Context, l *ledger, auth string) error {
	req := UsageRequest{Source: l.Source, Seq: l.Seq + 1, Rows: l.Pending, Receipt: l.Receipt}
	var res UsageResponse
	if err := c.call(ctx, request{method: http.MethodPost, path: PathUsage, auth: auth, body: req}, &res); err != nil {
		return err
	}
	if res.LastSeq > req.Seq {
		return errForked
	}
	r, err := c.verifyReceipt(ctx, res.Receipt)
	if err != nil {
		return fmt.Errorf("receipt: %w", err)
	}
	if r.Source != req.Source || r.Seq != req.Seq || r.SHA != req.Digest() {
		return fmt.Errorf("%w: the receipt is of another batch", doc.ErrMismatch)
	}
	l.Receipt = res.Receipt
	return nil
}

func (c *Client) verifyReceipt(ctx context.Context, text string) (r *doc.Receipt, err error) {
	if err := c.mu.enter(ctx); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	if err := c.loaded(ctx); err != nil {
		return nil, err
	}
	err = c.withKeys(ctx, func() (err error) {
		r, err = c.verifier(c.now()).Receipt(text)
		return err
	})
	return r, err
}
