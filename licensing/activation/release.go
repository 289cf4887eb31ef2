package activation

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
)

var errNotTaken = errors.New("activation: no seat taken or freed")

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// Deactivate gives the caller's own seat back. Asking again answers the same.
func (s *Service) Deactivate(ctx context.Context, r sdk.DeactivateRequest) (sdk.DeactivateResponse, error) {
	actor := licensing.ActorFrom(ctx)
	if actor.Kind != licensing.Device || actor.ID != r.ID {
		return sdk.DeactivateResponse{}, licensing.ErrNotFound
	}
	a, l, err := s.Store.Activation(ctx, r.ID)
	if err != nil {
		return sdk.DeactivateResponse{}, err
	}
	if a, err = s.release(ctx, a, l, actor.String(), ""); err != nil {
		return sdk.DeactivateResponse{}, err
	}
	return sdk.DeactivateResponse{Activation: a.ID, ReleasedAt: a.ReleasedAt.Unix()}, nil
}

// release gives a seat back with an audit row, or answers with what was released before.
func (s *Service) release(ctx context.Context, a Activation, l license.License, by, reason string) (Activation, error) {
	if a.State != Held {
		return a, nil
	}
	now := s.Clock.Now()
	r := Release{ID: a.ID, License: l.ID, To: Released, By: by, At: now, Event: licensing.Event{Action: "activation.release",
		Target: a.ID, Product: l.ProductID, Reason: reason, Detail: map[string]any{"license": l.ID}}}
	done, err := s.seat(ctx, func(ctx context.Context) (bool, error) { return s.Store.ReleaseSeat(ctx, r) })
	if err == nil && !done { // somebody else released it meanwhile
		a, _, err = s.Store.Activation(ctx, a.ID)
		return a, err
	}
	a.State, a.ReleasedAt, a.ReleasedBy = Released, now, by
	return a, err
}

// View is an activation as the license's owner and staff see it.
type View struct {
	ID          string     `json:"id" doc:"The activation."`
	License     string     `json:"license" doc:"The license."`
	State       string     `json:"state" doc:"Whether it holds a seat, and why not." enum:"held,released,replaced,dead,revoked"`
	Name        string     `json:"name" doc:"Name of the device, as the product gave it."`
	Seq         int64      `json:"seq" doc:"Seq of its newest lease."`
	ActivatedAt time.Time  `json:"activated_at" doc:"When it first took a seat."`
	LastSeenAt  time.Time  `json:"last_seen_at" doc:"Its last contact."`
	Borrowed    *time.Time `json:"borrowed_until,omitempty" doc:"Until when its seat is borrowed: kept for it, and free then without its doing."`
	User        string     `json:"user,omitempty" doc:"Digest of the user who holds the seat, where users take the seats."`
	Ahead       bool       `json:"ahead,omitempty" doc:"Whether its user was given the seat ahead and has not signed in yet."`
	OfflineTill *time.Time `json:"offline_until,omitempty" doc:"Until when the device may go on offline, even after a release; absent when its lease has no end or none was given."`
	Forked      bool       `json:"forked" doc:"Whether two machines were seen with its leases."`
	ReleasedAt  *time.Time `json:"released_at,omitempty" doc:"When its seat was given back."`
}

func (a *Activation) view() View {
	v := View{ID: a.ID, License: a.LicenseID, State: string(a.State), Name: a.Name, Seq: a.Seq, ActivatedAt: a.ActivatedAt,
		LastSeenAt: a.LastSeenAt, OfflineTill: optional(a.LeaseUntil), Forked: !a.ForkedAt.IsZero(), ReleasedAt: optional(a.ReleasedAt),
		Borrowed: optional(a.BorrowedUntil), User: a.User}
	if a.User != "" && a.Seq == 1 && a.LeaseUntil.Equal(a.ActivatedAt) { // no lease was given, so none can be in use
		v.Ahead, v.OfflineTill = true, nil
	}
	return v
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// ReleaseRequest names an activation whose seat is to be given back by its owner or by staff.
type ReleaseRequest struct {
	ID     string `path:"id" doc:"The activation."`
	Reason string `json:"reason,omitempty" doc:"Why, for the audit trail."`
}

// Validate implements the check of requests.
func (r ReleaseRequest) Validate() error { return licensing.CheckReason(r.Reason) }

// Release gives a seat back on behalf of the license's owner or of staff. The answer says until when the device may still run
// offline.
func (s *Service) Release(ctx context.Context, r ReleaseRequest) (View, error) {
	actor := licensing.ActorFrom(ctx)
	a, l, err := s.load(ctx, actor, r.ID)
	if err != nil {
		return View{}, err
	}
	if a.State != Held {
		return View{}, ErrReleased
	}
	if a, err = s.release(ctx, a, l, actor.String(), r.Reason); err != nil {
		return View{}, err
	}
	return a.view(), nil
}

// ReleaseAgain answers a replay of Release.
func (s *Service) ReleaseAgain(ctx context.Context, id, _ string) (View, error) {
	a, _, err := s.load(ctx, licensing.ActorFrom(ctx), id)
	return a.view(), err
}

// GetRequest names an activation.
type GetRequest struct {
	ID string `path:"id" doc:"The activation."`
}

// Get returns an activation of a license that the caller may see.
func (s *Service) Get(ctx context.Context, r GetRequest) (View, error) {
	a, _, err := s.load(ctx, licensing.ActorFrom(ctx), r.ID)
	if err != nil {
		return View{}, err
	}
	return a.view(), nil
}

func (s *Service) load(ctx context.Context, actor licensing.Actor, id string) (Activation, license.License, error) {
	switch actor.Kind {
	case licensing.Staff, licensing.CLI:
		return s.Store.Activation(ctx, id)
	case licensing.Machine:
		a, l, err := s.Store.Activation(ctx, id)
		if err == nil && (actor.Product != "" && actor.Product != l.ProductID || actor.Env != "" && actor.Env != l.Env) {
			err = licensing.ErrNotFound
		}
		return a, l, err
	case licensing.Customer:
		if actor.Owner != "" {
			return s.Store.ActivationOf(ctx, id, actor.Owner)
		}
	}
	return Activation{}, license.License{}, licensing.ErrNotFound
}

// ListRequest asks for the activations of a license.
type ListRequest struct {
	licensing.Page
	License  string `path:"id" doc:"The license."`
	State    State  `query:"state" doc:"Only those in this state." enum:"held,released,replaced,dead,revoked"`
	User     string `query:"user" doc:"Only that of the user with this digest, where users take the seats."`
	Borrowed bool   `query:"borrowed" doc:"Only those whose seat is borrowed now."`
}

// List returns the activations of a license that the caller may see, newest first.
func (s *Service) List(ctx context.Context, r ListRequest) (licensing.List[View], error) {
	reach, err := license.ReachOf(licensing.ActorFrom(ctx))
	if err != nil {
		return licensing.List[View]{}, err
	}
	some := Some{State: r.State}
	if r.User != "" {
		some.Subject = userKey(r.User)
	}
	if r.Borrowed {
		some.Borrowed = s.Clock.Now()
	}
	page, err := s.Store.ListActivations(ctx, reach, r.License, some, r.Page)
	if err != nil {
		return licensing.List[View]{}, err
	}
	out := licensing.List[View]{Items: make([]View, len(page.Items)), Next: page.Next}
	for i := range page.Items {
		out.Items[i] = page.Items[i].view()
	}
	return out, nil
}

// cullBatch is how many dead activations are freed at once.
const cullBatch = 200

// Cull frees the seats of all activations that were silent for longer than their policy's dead_after, and reports how many. A
// job runs it; it is safe to run anywhere, at once and again.
func (s *Service) Cull(ctx context.Context) (int, error) {
	total := 0
	for {
		n, err := s.cull(ctx, "")
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}

// cull frees a batch of dead activations, of one license or of all.
func (s *Service) cull(ctx context.Context, licenseID string) (int, error) {
	now := s.Clock.Now()
	dead, err := s.Store.DueToDie(ctx, licenseID, now, cullBatch)
	if err != nil || len(dead) == 0 {
		return 0, err
	}
	freed := 0
	for _, a := range dead {
		done, err := s.Store.ReleaseSeat(licensing.AsSystem(ctx, "activation.cull"), Release{ID: a.ID, License: a.LicenseID, To: Dead, By: "death",
			At: now, DeadOnly: true, Event: licensing.Event{Action: "activation.die", Target: a.ID, Detail: map[string]any{"license": a.LicenseID}}})
		if err != nil {
			return freed, err
		}
		if done {
			freed++
		}
	}
	return freed, nil
}
