package keyring

import (
	"context"
	"slices"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// CompromiseRequest names a signing key that somebody else may have.
type CompromiseRequest struct {
	KID    string `path:"kid" doc:"Thumbprint of the key."`
	Reason string `json:"reason" doc:"Why, for the audit trail."`
}

// Validate demands a reason.
func (r CompromiseRequest) Validate() error { return demand(r.Reason) }

// Compromise revokes a signing key in a new keyset, lets the next key sign if it was the active one, makes standby keys anew, and opens
// the re-signing of everything that the key signed. It needs the root here; with an offline root the same is a request that revokes
// the key ([Service.Request]).
func (s *Service) Compromise(ctx context.Context, r CompromiseRequest) (Resigning, error) {
	p, err := s.plan(ctx, wish{revoke: r.KID})
	if err != nil {
		return Resigning{}, err
	}
	if err := s.signed(p); err != nil {
		return Resigning{}, err
	}
	w := s.workOf(p, r.Reason)
	err = s.apply(ctx, p.Change, licensing.Event{Action: "keyring.compromise", Target: w.ID, Reason: r.Reason,
		Detail: p.told(map[string]any{"revoked": p.Revoke, "active": p.Activate, "keyset": p.num()})}, func(ctx context.Context) error {
		if err := s.renew(ctx, p); err != nil {
			return err
		}
		return s.begin(ctx, w)
	})
	return w.view(), err
}

// workOf is what a plan that revokes a key leads to.
func (s *Service) workOf(p *plan, reason string) Work {
	return Work{ID: s.IDs.New("rsg"), KID: p.Revoke, Keyset: p.num(), Reason: reason, Total: -1, StartedAt: p.At}
}

// renew opens the signing again of what keys signed that were retired and that the plan's keyset names no more.
func (s *Service) renew(ctx context.Context, p *plan) error {
	for _, kid := range p.Drop {
		i := slices.IndexFunc(p.ring.keys, func(k Key) bool { return k.KID == kid })
		if p.ring.keys[i].State != Retired {
			continue
		}
		w := Work{ID: s.IDs.New("rsg"), KID: kid, Keyset: p.num(), Reason: "The keyset had no room for the key any more.", Total: -1, StartedAt: p.At}
		if err := s.begin(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// begin stores the work and nudges whoever does it.
func (s *Service) begin(ctx context.Context, w Work) error {
	if err := s.Works.AddWork(ctx, w); err != nil {
		return err
	}
	return s.Jobs.Enqueue(ctx, licensing.Job{Kind: JobResign, Unique: w.ID, Args: map[string]string{"id": w.ID}})
}

// Resigning is the work of signing again what a revoked key signed.
type Resigning struct {
	ID         string     `json:"id" doc:"Id of the work."`
	KID        string     `json:"kid" doc:"The key that was revoked, or that the keyset had no room for any more."`
	Keyset     int64      `json:"keyset" doc:"Number of the keyset that revokes it or leaves it out."`
	Reason     string     `json:"reason" doc:"Why."`
	Total      int64      `json:"total" doc:"How many documents it had signed that are still good; -1 until they are counted."`
	Done       int64      `json:"done" doc:"How many were signed again by this work. What products fetch meanwhile is signed at once, and not counted here."`
	Failed     int64      `json:"failed" doc:"How many could not be signed; the log says why."`
	StartedAt  time.Time  `json:"started_at" doc:"When the key was revoked or left out."`
	FinishedAt *time.Time `json:"finished_at,omitempty" doc:"When nothing was left that the key signed; absent while the work goes on."`
}

func (w *Work) view() Resigning {
	return Resigning{ID: w.ID, KID: w.KID, Keyset: w.Keyset, Reason: w.Reason, Total: w.Total, Done: w.Done, Failed: w.Failed,
		StartedAt: w.StartedAt, FinishedAt: optional(w.FinishedAt)}
}

// ResigningsRequest asks for the work that followed revocations.
type ResigningsRequest struct{}

// Resignings is the work that followed revocations.
type Resignings struct {
	Items []Resigning `json:"items" doc:"What followed each revoked key, newest first."`
}

// Resignings lists the work that followed revocations.
func (s *Service) Resignings(ctx context.Context, _ ResigningsRequest) (Resignings, error) {
	list, err := s.Works.ListWork(ctx)
	out := Resignings{Items: make([]Resigning, len(list))}
	for i := range list {
		out.Items[i] = list[i].view()
	}
	return out, err
}

// CompromiseAgain answers a replay of a revocation.
func (s *Service) CompromiseAgain(ctx context.Context, id, _ string) (Resigning, error) {
	list, err := s.Works.ListWork(ctx)
	if err != nil {
		return Resigning{}, err
	}
	for i := range list {
		if list[i].ID == id {
			return list[i].view(), nil
		}
	}
	return Resigning{}, licensing.ErrNotFound
}
