package sdk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// statusOf is a verified status list.
type statusOf struct {
	list *doc.StatusList
	bits *doc.StatusBits
}

// at returns what the list says of a license, or nil without a list for it.
func (s *statusOf) at(l *doc.License) *eval.Status {
	if s == nil || l == nil || s.list.URI != l.Status.List.URI {
		return nil
	}
	return &eval.Status{Value: s.bits.Get(l.Status.List.Index), IssuedAt: s.list.IssuedAt, Expires: s.list.Expires}
}

// statusDue reports whether a status list should be fetched. Needs c.mu.
func (c *Client) statusDue(now int64) bool {
	if c.license.Pol.Status == doc.StatusOff || c.license.Status.List.URI == "" {
		return false
	}
	s := c.status
	return s == nil || now >= s.list.Expires || now >= s.list.IssuedAt+max(60, min(s.list.TTL, c.license.Pol.StatusMaxAge))
}

// fetchStatus fetches the license's status list from the configured server,
// whatever host the list's own address names. Needs c.mu.
func (c *Client) fetchStatus(ctx context.Context) error {
	uri := c.license.Status.List.URI
	i := strings.LastIndex(uri, PathStatus)
	if i < 0 {
		return fmt.Errorf("%w: status list at %q", errAnswer, uri)
	}
	text, err := c.send(ctx, request{method: http.MethodGet, path: PathStatus + pathPart(uri[i+len(PathStatus):])})
	var p *Problem
	if errors.As(err, &p) { // that there is no list, or none for now, says nothing of the license
		return &Problem{Title: p.Title, Status: p.Status, Detail: p.Detail, ID: p.ID, Retry: p.Retry}
	}
	if err != nil {
		return err
	}
	return c.withKeys(ctx, func() error { return c.adoptStatus(c.verifier(c.now()), strings.TrimSpace(string(text))) })
}

// adoptStatus verifies a status list and keeps it, unless it is older than the
// one at hand. Needs c.mu.
func (c *Client) adoptStatus(v *doc.Verifier, text string) error {
	list, err := v.StatusList(text, c.license.Status.List.URI)
	if err != nil {
		return err
	}
	if c.status != nil && c.status.list.URI == list.URI && list.IssuedAt < c.status.list.IssuedAt {
		return fmt.Errorf("%w: status list", doc.ErrRollback)
	}
	bits, err := list.Bits()
	if err != nil {
		return err
	}
	c.status = &statusOf{list: list, bits: bits}
	c.state.StatusList = text
	c.state.Marks.contact(max(list.IssuedAt, c.state.Marks.Signed))
	return nil
}

// rereadStatus verifies the stored status list. Needs c.mu.
func (c *Client) rereadStatus(v *doc.Verifier) {
	if c.state.StatusList == "" || c.license == nil {
		return
	}
	list, err := v.StatusList(c.state.StatusList, c.license.Status.List.URI)
	if err != nil {
		return // of another license, or under another key: fetched anew when due
	}
	if bits, err := list.Bits(); err == nil {
		c.status = &statusOf{list: list, bits: bits}
	}
}
