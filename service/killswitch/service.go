package killswitch

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Deps are what a [Service] needs. Product may be nil; it fails with [licensing.ErrNotFound] for a product id that does not exist.
type Deps struct {
	Store   Store
	Tx      licensing.Transactor
	Audit   licensing.Auditor
	Clock   licensing.Clock
	Product func(ctx context.Context, id string) error
}

// Service flips switches and lists them. Its operations never sit behind a switch.
type Service struct{ Deps }

// New makes a Service.
func New(d Deps) *Service { return &Service{d} }

// View is one switch as staff see it.
type View struct {
	Switch  string     `json:"switch" doc:"Name of the switch." enum:"payments,downloads,licensing,referrals,ai,support,signup,api,ads"`
	Product string     `json:"product_id" doc:"Id of the product it is for; empty for all products."`
	Off     bool       `json:"off" doc:"Whether what it names is stopped now."`
	Reason  string     `json:"reason" doc:"Why it was last flipped, empty when it never was."`
	Actor   string     `json:"actor" doc:"Who last flipped it, as kind:id, empty when nobody did."`
	At      *time.Time `json:"at" doc:"When it was last flipped, null when it never was."`
	Until   *time.Time `json:"until" doc:"When it comes on by itself, null when it stays off until someone releases it."`
}

// ListRequest asks for all switches.
type ListRequest struct{}

// ListResponse is all switches: the nine for all products, then those ever flipped for one product.
type ListResponse struct {
	Switches []View `json:"switches" doc:"The switches."`
}

// List returns all switches as the database has them. A machine token that is narrowed to a product sees those for all products and its own.
func (s *Service) List(ctx context.Context, _ ListRequest) (ListResponse, error) {
	states, err := s.Store.Switches(ctx)
	if err != nil {
		return ListResponse{}, err
	}
	now := s.Clock.Now()
	out := ListResponse{}
	for _, name := range licensing.AllSwitches() {
		i := slices.IndexFunc(states, func(st State) bool { return st.Switch == name && st.Product == "" })
		if i < 0 {
			out.Switches = append(out.Switches, View{Switch: string(name)})
		} else {
			out.Switches = append(out.Switches, view(states[i], now))
		}
	}
	actor := licensing.ActorFrom(ctx)
	for _, st := range states {
		if st.Product != "" && actor.Reaches(st.Product) {
			out.Switches = append(out.Switches, view(st, now))
		}
	}
	return out, nil
}

func view(st State, now time.Time) View {
	v := View{Switch: string(st.Switch), Product: st.Product, Off: st.IsOff(now), Reason: st.Reason, Actor: st.Actor, At: &st.At}
	if v.Off {
		v.Until = st.Until
	}
	return v
}

// FlipRequest switches something off or on.
type FlipRequest struct {
	Switch  string     `path:"switch" doc:"Name of the switch." enum:"payments,downloads,licensing,referrals,ai,support,signup,api,ads"`
	Product string     `json:"product_id,omitempty" doc:"Id of the product it is for; leave it out for all products."`
	Off     bool       `json:"off" doc:"True stops what the switch names, false lets it go on."`
	Reason  string     `json:"reason" doc:"Why, for the audit trail and for those on duty." example:"Chargebacks from one card range."`
	Until   *time.Time `json:"until,omitempty" doc:"When it comes on by itself; leave it out to keep it off until someone releases it."`
}

// maxReason is the longest reason in bytes.
const maxReason = 500

// Validate implements the operation layer's check.
func (r FlipRequest) Validate() error {
	bad := licensing.Fail(licensing.Invalid, "invalid-request", "The switch cannot be flipped like this.")
	switch {
	case !valid(licensing.Switch(r.Switch)):
		return bad.With("switch", "must be one of the nine switches")
	case strings.TrimSpace(r.Reason) == "":
		return bad.With("/reason", "must say why")
	case len(r.Reason) > maxReason:
		return bad.With("/reason", "must have %d bytes or fewer", maxReason)
	case r.Product != "" && !licensing.ValidID("prod", r.Product):
		return bad.With("/product_id", "must be the id of a product")
	case r.Until != nil && !r.Off:
		return bad.With("/until", "has a meaning only with off")
	}
	return nil
}

// Flip switches something off or on, for all products or for one. It is in force on every replica within two seconds. Flipping a
// switch to where it is renews its reason and its end.
func (s *Service) Flip(ctx context.Context, r FlipRequest) (View, error) {
	if err := r.Validate(); err != nil {
		return View{}, err
	}
	now := s.Clock.Now()
	if r.Until != nil && !r.Until.After(now) {
		return View{}, licensing.Fail(licensing.Invalid, "invalid-request", "The switch cannot be flipped like this.").With("/until", "must be in the future")
	}
	if r.Product != "" && s.Product != nil {
		if err := s.Product(ctx, r.Product); err != nil {
			return View{}, err
		}
	}
	st := State{
		Switch: licensing.Switch(r.Switch), Product: r.Product, Off: r.Off, Reason: strings.TrimSpace(r.Reason),
		Actor: licensing.ActorFrom(ctx).String(), At: now,
	}
	if r.Until != nil {
		until := r.Until.UTC().Truncate(time.Microsecond)
		st.Until = &until
	}
	action := "switch.release"
	if st.Off {
		action = "switch.press"
	}
	err := s.Tx.InTx(ctx, func(ctx context.Context) (err error) {
		if st, err = s.Store.FlipSwitch(ctx, st); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{
			Action: action, Target: Target(st.Switch, st.Product), Product: st.Product, Reason: st.Reason,
			Detail: map[string]any{"off": st.Off, "until": st.Until, "version": st.Version},
		})
	})
	if err != nil {
		return View{}, err
	}
	return view(st, now), nil
}

// Target is how the audit trail and the change feed name a switch: "payments" or "payments/prod_…".
func Target(s licensing.Switch, product string) string {
	if product == "" {
		return string(s)
	}
	return string(s) + "/" + product
}

// Again reads a switch by its [Target], for the replay of an Idempotency-Key.
func (s *Service) Again(ctx context.Context, target, _ string) (View, error) {
	states, err := s.Store.Switches(ctx)
	if err != nil {
		return View{}, err
	}
	for _, st := range states {
		if Target(st.Switch, st.Product) == target {
			return view(st, s.Clock.Now()), nil
		}
	}
	return View{}, licensing.ErrNotFound
}
