package account

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// machineFormat is the form of machine tokens: "mtk_live_…". A token for both environments says live.
var machineFormat = credential.Format{Prefix: "mtk"}

var scopeForm = regexp.MustCompile(`^[a-z0-9_-]{1,40}:[a-z0-9_-]{1,40}$`)

// MachineView is a machine token as staff see it.
type MachineView struct {
	ID        string        `json:"id" doc:"Id of the token." example:"mtk_0198c5f27d7c7c3c8f5c7f1d2a3b4c5d"`
	Name      string        `json:"name" doc:"Name of the token."`
	Scopes    []string      `json:"scopes" doc:"What the token may do."`
	Product   string        `json:"product,omitempty" doc:"Id of the one product it reaches; absent when it reaches all."`
	Env       licensing.Env `json:"env,omitempty" doc:"The one environment it reaches; absent when it reaches both." enum:"live,test"`
	CreatedBy string        `json:"created_by" doc:"Who made it."`
	CreatedAt time.Time     `json:"created_at" doc:"When it was made."`
	ExpiresAt *time.Time    `json:"expires_at,omitempty" doc:"When it ends; absent when it does not."`
	RevokedAt *time.Time    `json:"revoked_at,omitempty" doc:"When it was revoked."`
}

func machineView(m *Machine) MachineView {
	return MachineView{
		ID: m.ID, Name: m.Name, Scopes: append([]string{}, m.Scopes...), Product: m.ProductID, Env: m.Env, CreatedBy: m.CreatedBy,
		CreatedAt: m.CreatedAt, ExpiresAt: instant(m.ExpiresAt), RevokedAt: instant(m.RevokedAt),
	}
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// CreateMachineRequest asks for a machine token.
type CreateMachineRequest struct {
	Name      string        `json:"name" doc:"Name of the token, 1 to 100 bytes."`
	Scopes    []string      `json:"scopes" doc:"What the token may do, like keys:verify: scopes that operations ask for, 1 to 32."`
	Product   string        `json:"product,omitempty" doc:"Id of the one product it reaches; all unless said."`
	Env       licensing.Env `json:"env,omitempty" doc:"The one environment it reaches; both unless said." enum:"live,test"`
	ExpiresAt *time.Time    `json:"expires_at,omitempty" doc:"When it ends."`
}

// CreateMachineResponse shows a machine token once.
type CreateMachineResponse struct {
	Token  MachineView `json:"token" doc:"The token without its secret."`
	Secret string      `json:"secret" doc:"The token's text. It is shown only now." secret:"once"`
}

var errMachine = licensing.Fail(licensing.Invalid, "invalid", "The token cannot be made as described.")

func (r *CreateMachineRequest) check(now time.Time) error {
	e := errMachine
	if len(r.Name) == 0 || len(r.Name) > 100 {
		e = e.With("/name", "must have 1 to 100 bytes")
	}
	if len(r.Scopes) == 0 || len(r.Scopes) > 32 || slices.ContainsFunc(r.Scopes, func(sc string) bool { return !scopeForm.MatchString(sc) }) {
		e = e.With("/scopes", "must be 1 to 32 of the form noun:verb")
	}
	if r.Env != "" && !r.Env.Valid() {
		e = e.With("/env", "must be live or test")
	}
	if r.ExpiresAt != nil && !r.ExpiresAt.After(now) {
		e = e.With("/expires_at", "must lie in the future")
	}
	if len(e.Fields) > 0 {
		return e
	}
	return nil
}

// ErrScope refuses a machine token that is to do what no operation asks for: it would be good for nothing, and whoever mistyped a scope would not know.
var ErrScope = licensing.Fail(licensing.Invalid, "scope-unknown", "No operation asks for one of the scopes. Choose among those that there are.")

// asked refuses scopes that no operation asks for, each by its place.
func (s *Service) asked(scopes []string) error {
	e := ErrScope
	for i, scope := range scopes {
		if s.Scopes != nil && !slices.Contains(s.Scopes, scope) {
			e = e.With("/scopes/"+strconv.Itoa(i), "nothing asks for %s; there are %s", scope, strings.Join(s.Scopes, ", "))
		}
	}
	if len(e.Fields) > 0 {
		return e
	}
	return nil
}

// CreateMachine makes a machine token.
func (s *Service) CreateMachine(ctx context.Context, r CreateMachineRequest) (CreateMachineResponse, error) {
	now := s.Clock.Now()
	if err := r.check(now); err != nil {
		return CreateMachineResponse{}, err
	}
	if err := s.asked(r.Scopes); err != nil {
		return CreateMachineResponse{}, err
	}
	if r.Product != "" && s.Product != nil {
		if there, err := s.Product(ctx, r.Product); err != nil {
			return CreateMachineResponse{}, err
		} else if !there {
			return CreateMachineResponse{}, errMachine.With("/product", "is no product's id")
		}
	}
	m := Machine{
		ID: s.IDs.New("mtk"), Name: r.Name, Scopes: r.Scopes, ProductID: r.Product, Env: r.Env,
		CreatedBy: licensing.ActorFrom(ctx).String(), CreatedAt: now,
	}
	if r.ExpiresAt != nil {
		m.ExpiresAt = r.ExpiresAt.UTC().Truncate(time.Microsecond)
	}
	text, secret, err := s.newMachineSecret(m.Env)
	if err != nil {
		return CreateMachineResponse{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Machines.AddMachine(ctx, m, secret); err != nil {
			return err
		}
		licensing.KeepOnce(ctx, text)
		return s.Audit.Record(ctx, licensing.Event{
			Action: "machine.create", Target: m.ID, Product: m.ProductID, Detail: map[string]any{"name": m.Name, "scopes": m.Scopes, "env": m.Env},
		})
	})
	if err != nil {
		return CreateMachineResponse{}, err
	}
	return CreateMachineResponse{Token: machineView(&m), Secret: text}, nil
}

func (s *Service) newMachineSecret(env licensing.Env) (string, MachineSecret, error) {
	if env == "" {
		env = licensing.Live
	}
	text, err := machineFormat.New(env, s.Random)
	if err != nil {
		return "", MachineSecret{}, err
	}
	return text.Full, MachineSecret{ID: s.IDs.New("sec"), Hint: text.Hint, Digest: credential.Sum(text.Full), CreatedAt: s.Clock.Now()}, nil
}

// CreateMachineAgain answers a replay of CreateMachine or RotateMachine.
func (s *Service) CreateMachineAgain(ctx context.Context, id, secret string) (CreateMachineResponse, error) {
	m, err := s.Machines.Machine(ctx, id)
	return CreateMachineResponse{Token: machineView(&m), Secret: secret}, err
}

// byMachine authenticates a machine token.
func (s *Service) byMachine(ctx context.Context, text string) (licensing.Actor, error) {
	if _, ok := machineFormat.Parse(text); !ok {
		return licensing.Actor{}, ErrCredential.Because(errors.New("checksum"))
	}
	digest := credential.Sum(text)
	rec, err := s.machines.Load(ctx, digest, func(ctx context.Context) (*MachineRecord, []string, error) {
		rec, err := sought(ctx, s, false, func() (MachineRecord, error) { return s.Machines.MachineByDigest(ctx, digest.Head()) })
		return &rec, []string{rec.Machine.ID}, err
	})
	if errors.Is(err, licensing.ErrNotFound) {
		return licensing.Actor{}, ErrCredential.Because(err)
	}
	if err != nil {
		return licensing.Actor{}, err
	}
	now, m := s.Clock.Now(), &rec.Machine
	switch {
	case !digest.Equal(rec.Secret.Digest[:]):
		return licensing.Actor{}, ErrCredential.Because(errors.New("digest differs"))
	case !m.RevokedAt.IsZero():
		return licensing.Actor{}, ErrCredential.Because(errors.New(m.ID + " is revoked"))
	case over(m.ExpiresAt, now) || over(rec.Secret.ExpiresAt, now):
		return licensing.Actor{}, ErrCredential.Because(errors.New(m.ID + " is over"))
	}
	return licensing.Actor{Kind: licensing.Machine, ID: m.ID, Scopes: slices.Clone(m.Scopes), Product: m.ProductID, Env: m.Env}, nil
}

func over(end, now time.Time) bool { return !end.IsZero() && !now.Before(end) }

// ListMachinesRequest asks for machine tokens, newest first.
type ListMachinesRequest struct{ licensing.Page }

// ListMachines returns machine tokens without their secrets.
func (s *Service) ListMachines(ctx context.Context, r ListMachinesRequest) (licensing.List[MachineView], error) {
	limit := 20
	if r.Limit > 0 {
		limit = min(r.Limit, 100)
	}
	machines, err := s.Machines.ListMachines(ctx, r.Cursor, limit+1)
	if err != nil {
		return licensing.List[MachineView]{}, err
	}
	out := licensing.List[MachineView]{Items: []MachineView{}}
	for i := range machines {
		if i == limit {
			out.Next = machines[i-1].ID
			break
		}
		out.Items = append(out.Items, machineView(&machines[i]))
	}
	return out, nil
}

// RevokeMachineRequest ends a machine token.
type RevokeMachineRequest struct {
	ID     string `path:"id" doc:"Id of the token."`
	Reason string `json:"reason,omitempty" doc:"Why, for the audit trail."`
}

// Validate implements the check of requests.
func (r RevokeMachineRequest) Validate() error { return licensing.CheckReason(r.Reason) }

// RevokeMachine ends a machine token for good, within two seconds everywhere. Revoking it again changes nothing.
func (s *Service) RevokeMachine(ctx context.Context, r RevokeMachineRequest) (MachineView, error) {
	var m Machine
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		changed, err := s.Machines.RevokeMachine(ctx, r.ID, s.Clock.Now())
		if err != nil {
			return err
		}
		if m, err = s.Machines.Machine(ctx, r.ID); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "machine.revoke", Target: r.ID, Product: m.ProductID, Reason: r.Reason, Detail: map[string]any{"changed": changed}})
	})
	if err != nil {
		return MachineView{}, err
	}
	s.Invalidate(r.ID)
	return machineView(&m), nil
}

// RevokeMachineAgain answers a replay of RevokeMachine.
func (s *Service) RevokeMachineAgain(ctx context.Context, id, _ string) (MachineView, error) {
	m, err := s.Machines.Machine(ctx, id)
	return machineView(&m), err
}

// RotateMachineRequest asks for a new secret.
type RotateMachineRequest struct {
	ID      string `path:"id" doc:"Id of the token."`
	Overlap *int64 `json:"overlap_seconds,omitempty" doc:"How long old secrets still work at most: 0 to 2592000 seconds (30 days); 86400 unless said. 0 ends all of them at once, however many there are."`
}

// Validate refuses an overlap out of bounds.
func (r RotateMachineRequest) Validate() error {
	if r.Overlap != nil && (*r.Overlap < 0 || *r.Overlap > 30*24*3600) {
		return licensing.Fail(licensing.Invalid, "invalid", "The overlap is out of bounds.").With("/overlap_seconds", "must be 0 to 2592000")
	}
	return nil
}

// ErrTokenOver refuses a new secret to a token that has ended: it would be good for nothing.
var ErrTokenOver = licensing.Fail(licensing.Conflict, "machine-token-over", "The token has ended. Make another one.")

// RotateMachine gives a machine token a new secret; the old one works until the overlap ends.
func (s *Service) RotateMachine(ctx context.Context, r RotateMachineRequest) (CreateMachineResponse, error) {
	if err := r.Validate(); err != nil {
		return CreateMachineResponse{}, err
	}
	m, err := s.Machines.Machine(ctx, r.ID)
	if err != nil {
		return CreateMachineResponse{}, err
	}
	if over(m.ExpiresAt, s.Clock.Now()) {
		return CreateMachineResponse{}, ErrTokenOver
	}
	text, secret, err := s.newMachineSecret(m.Env)
	if err != nil {
		return CreateMachineResponse{}, err
	}
	overlap := 24 * time.Hour
	if r.Overlap != nil {
		overlap = time.Duration(*r.Overlap) * time.Second
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		now := s.Clock.Now()
		if err := s.Machines.RotateMachine(ctx, m.ID, secret, now, now.Add(overlap)); err != nil {
			return err
		}
		licensing.KeepOnce(ctx, text)
		return s.Audit.Record(ctx, licensing.Event{
			Action: "machine.rotate", Target: m.ID, Product: m.ProductID, Detail: map[string]any{"overlap_seconds": int64(overlap / time.Second), "hint": secret.Hint},
		})
	})
	if err != nil {
		return CreateMachineResponse{}, err
	}
	s.Invalidate(m.ID)
	return CreateMachineResponse{Token: machineView(&m), Secret: text}, nil
}
