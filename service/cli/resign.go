package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/mintreu/mintreu/service/app"
)

type keyringCompromise struct {
	output
	consent
	KID    string `arg:"" help:"Thumbprint of the key, as \"mintreu keyring list\" shows it."`
	Reason string `required:"" help:"Why, for the audit trail." placeholder:"TEXT"`
	Detach bool   `help:"Do not wait until everything is signed again; the service goes on with it."`
}

// Run revokes the key and follows what comes of it.
func (c *keyringCompromise) Run(ctx context.Context, cfg app.Config, s streams) error {
	if err := c.ask(ctx, s, "Revoke "+c.KID+" for good? Products refuse whatever it signed as soon as they see the new keyset;\nevery license that is still good is signed again with the next key."); err != nil {
		return err
	}
	return with(ctx, cfg, func(o *operator) error {
		var work resigning
		if err := o.call(ctx, http.MethodPost, "/v1/signing-keys/"+url.PathEscape(c.KID)+"/compromise", map[string]any{"reason": c.Reason}, &work); err != nil {
			return err
		}
		if !c.JSON {
			_, _ = fmt.Fprintf(s.out, "%s is revoked in keyset %d.\n", work.KID, work.Keyset)
		}
		if !c.Detach {
			var err error
			if work, err = o.follow(ctx, s, work.ID); err != nil {
				return fmt.Errorf("%w\nthe key is revoked, and the signing goes on with the service; \"mintreu keyring status\" shows how far it is", err)
			}
		}
		if c.JSON {
			return c.value(s.out, work)
		}
		_, err := fmt.Fprintln(s.out, work.sentence())
		return err
	})
}

// resigning is work of signing again as the API shows it.
type resigning struct {
	ID         string     `json:"id"`
	KID        string     `json:"kid"`
	Keyset     int64      `json:"keyset"`
	Reason     string     `json:"reason"`
	Total      int64      `json:"total"`
	Done       int64      `json:"done"`
	Failed     int64      `json:"failed"`
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
}

func (r *resigning) sentence() string {
	text := fmt.Sprintf("%d of %d documents are signed again.", r.Done, r.Total)
	switch {
	case r.Total < 0:
		text = "The documents to be signed again are being counted."
	case r.FinishedAt != nil:
		text = fmt.Sprintf("%d documents were signed again in %s; nothing that the key signed is left.", r.Done, r.FinishedAt.Sub(r.StartedAt).Round(time.Second))
	}
	if r.Failed > 0 {
		text += fmt.Sprintf(" %d could not be signed: the log says why.", r.Failed)
	}
	return text
}

func (o *operator) resignings(ctx context.Context) ([]resigning, error) {
	var list struct {
		Items []resigning `json:"items"`
	}
	return list.Items, o.call(ctx, http.MethodGet, "/v1/resignings", nil, &list)
}

// follow shows the progress of work on the error stream until it is done. Where no service runs it does the work.
func (o *operator) follow(ctx context.Context, s streams, id string) (resigning, error) {
	ended := make(chan error, 1)
	if o.resign != nil {
		var wg sync.WaitGroup
		defer wg.Wait()
		working, cancel := context.WithCancel(ctx)
		defer cancel()
		wg.Go(func() { ended <- o.resign(working) })
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for last := int64(-1); ; {
		list, err := o.resignings(ctx)
		if err != nil {
			return resigning{}, err
		}
		for _, w := range list {
			if w.ID != id {
				continue
			}
			if w.FinishedAt != nil {
				return w, nil
			}
			if w.Done != last {
				_, _ = fmt.Fprintln(s.err, w.sentence())
				last = w.Done
			}
		}
		select {
		case <-ctx.Done():
			return resigning{}, errors.New("interrupted")
		case err := <-ended:
			if err != nil {
				return resigning{}, err
			}
		case <-tick.C:
		}
	}
}

type keyringStatus struct{ output }

// Run shows the state of the keyring.
func (c *keyringStatus) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		keys, _, err := o.keys(ctx)
		if err != nil {
			return err
		}
		work, err := o.resignings(ctx)
		if err != nil {
			return err
		}
		online, standby := false, 0
		for _, k := range keys {
			switch {
			case k["role"] == "root" && k["state"] == "active":
				online = k["online"] == true
			case k["role"] == "signing" && k["state"] == "standby":
				standby++
			}
		}
		if c.JSON {
			if work == nil {
				work = []resigning{}
			}
			return c.value(s.out, map[string]any{"root_online": online, "standby": standby, "resignings": work})
		}
		root := "Root online: its private part is in this installation. \"mintreu keyring root export\" moves it offline."
		if !online {
			root = "Root offline: keysets are signed elsewhere, from \"mintreu keyring root request\"."
		}
		_, _ = fmt.Fprintf(s.out, "%s\n%d keys stand by for planned rotation.\n", root, standby)
		for i := range work {
			_, _ = fmt.Fprintf(s.out, "%s, revoked %s: %s\n", work[i].KID, work[i].StartedAt.UTC().Format("2006-01-02 15:04:05Z"), work[i].sentence())
		}
		return nil
	})
}
