package activation

import (
	"context"
	"unicode/utf8"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
)

var (
	// ErrNotNamed refuses to name users of a license whose seats devices take, or of a trial, which its users begin themselves.
	ErrNotNamed = licensing.Fail(licensing.Conflict, "license-not-named", "The seats of the license are not given to users by name: devices take them, or it is a trial.")
	// ErrNoUser answers for a user who holds no seat of the license.
	ErrNoUser = licensing.Fail(licensing.NotFound, "user-unknown", "No such user holds a seat of the license; it has to be written as the product has it.")

	errUserForm = licensing.Fail(licensing.Invalid, "user-form", "The user is not described well; see the fields.")
)

// AddUserRequest gives a user a seat before the first sign-in.
type AddUserRequest struct {
	License string `path:"id" doc:"The license; its seats are taken by users."`
	User    string `json:"user" doc:"The user as the product will name them to the letter: a sign-in name or address. Only its digest is kept."`
	Name    string `json:"name,omitempty" doc:"What to show them as; nothing of the user can be read without it."`
}

// Validate implements the check of requests.
func (r AddUserRequest) Validate() error {
	err, good := errUserForm, true
	for _, f := range []struct {
		name, text string
		least      int
	}{{"/user", r.User, 1}, {"/name", r.Name, 0}} {
		if len(f.text) < f.least || len(f.text) > 200 || !utf8.ValidString(f.text) {
			err, good = err.With(f.name, "must have %d to 200 bytes", f.least), false
		}
	}
	if good {
		return nil
	}
	return err
}

// AddUser gives a user a seat ahead of the first sign-in, on behalf of the license's owner or of staff: the user finds it then, on each
// device. It takes a seat as any other does, so it is refused with [ErrSeats] when all are taken; it replaces nobody, whatever the policy says
// of newer devices. One who holds a seat keeps it, and takes no second. The term of the license does not begin by it, and silence frees the
// seat, counted from now, where the policy says so.
func (s *Service) AddUser(ctx context.Context, r AddUserRequest) (View, error) {
	if err := r.Validate(); err != nil {
		return View{}, err
	}
	if _, err := s.Licenses.Get(ctx, license.GetRequest{ID: r.License}); err != nil { // whose license it is
		return View{}, err
	}
	for range attempts {
		out, done, err := s.addUser(ctx, &r)
		if err != nil || done {
			return out, err
		}
	}
	return View{}, errBusy
}

// addUser is one attempt: it reads, and takes a seat where the user has none. done is false when what it read was no longer so.
func (s *Service) addUser(ctx context.Context, r *AddUserRequest) (out View, done bool, err error) {
	seek := Seek{License: r.License}
	l, a, err := s.findUser(ctx, &seek, r.User)
	switch {
	case err != nil:
		return out, false, err
	case a != nil && a.State == Held:
		return a.view(), true, nil
	case l.State != license.Active:
		return out, false, license.ErrState
	}
	if err := s.Switches.Check(ctx, licensing.SwitchLicensing, l.ProductID); err != nil {
		return out, false, err
	}
	now := s.Clock.Now()
	t := Take{Seek: seek, Owner: l.Owner, ID: s.IDs.New("act"), Name: r.Name, Device: map[string]string{}, User: doc.UserDigest(l.ProductSlug, r.User), At: now,
		LeaseUntil: now, DiesAt: spanOf(&l.Terms, now).diesAt} // no lease was given: its end is the beginning
	t.Event = licensing.Event{Action: "activation.add", Target: t.ID, Product: l.ProductID, Detail: map[string]any{"license": l.ID}}
	taken, err := s.seat(ctx, func(ctx context.Context) (bool, error) { return s.Store.TakeSeat(ctx, t) })
	if err != nil {
		return out, false, err
	}
	if !taken {
		if err := s.whyNot(ctx, &l, seek); err != nil {
			return out, false, err
		}
		now, a, err := s.Store.Find(ctx, seek) // dead seats have been freed by now
		if err == nil && (a == nil || a.State != Held) && now.SeatsMax >= 0 && now.SeatsUsed >= now.SeatsMax && now.Terms.OverLimit == license.ReplaceOldest {
			err = ErrSeats
		}
		return out, false, err
	}
	made, _, err := s.Store.Activation(ctx, t.ID)
	return made.view(), err == nil, err
}

// findUser loads a license of named users and the activation of one of them, and completes seek.
func (s *Service) findUser(ctx context.Context, seek *Seek, user string) (license.License, *Activation, error) {
	l, _, err := s.Store.Find(ctx, *seek)
	if err != nil {
		return l, nil, err
	}
	if a := licensing.ActorFrom(ctx); a.Kind == licensing.Customer && a.Owner != l.Owner { // it changed hands since it was found to be theirs
		return l, nil, licensing.ErrNotFound
	}
	if l.Terms.Seats.By != doc.ByUser || l.Terms.Type == doc.Trial {
		return l, nil, ErrNotNamed
	}
	seek.User = userKey(doc.UserDigest(l.ProductSlug, user))
	seek.Subject = seek.User
	return s.Store.Find(ctx, *seek)
}

// RemoveUserRequest takes a user's seat back.
type RemoveUserRequest struct {
	License string `path:"id" doc:"The license; its seats are taken by users."`
	User    string `json:"user" doc:"The user as the product names them, to the letter."`
	Reason  string `json:"reason,omitempty" doc:"Why, for the audit trail."`
}

// Validate implements the check of requests.
func (r RemoveUserRequest) Validate() error {
	if r.User == "" {
		return errUserForm.With("/user", "is missing")
	}
	return licensing.CheckReason(r.Reason)
}

// RemoveUser gives the seat of a user back, on behalf of the license's owner or of staff, as [Service.Release] does by its id.
func (s *Service) RemoveUser(ctx context.Context, r RemoveUserRequest) (View, error) {
	if err := r.Validate(); err != nil {
		return View{}, err
	}
	if _, err := s.Licenses.Get(ctx, license.GetRequest{ID: r.License}); err != nil {
		return View{}, err
	}
	l, a, err := s.findUser(ctx, &Seek{License: r.License}, r.User)
	if err != nil {
		return View{}, err
	}
	if a == nil || a.State != Held {
		return View{}, ErrNoUser
	}
	out, err := s.release(ctx, *a, l, licensing.ActorFrom(ctx).String(), r.Reason)
	return out.view(), err
}
