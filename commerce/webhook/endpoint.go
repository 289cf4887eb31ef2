package webhook

import (
	"context"
	"crypto/rand"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/webhook"
)

// View is an endpoint as staff see it.
type View struct {
	ID           string        `json:"id" doc:"The endpoint."`
	URL          string        `json:"url" doc:"Where events are sent."`
	Description  string        `json:"description,omitempty" doc:"What it is for."`
	Env          licensing.Env `json:"env" doc:"Whose objects it hears of." enum:"live,test"`
	Types        []string      `json:"types" doc:"The types and families of events that it wants; none stands for all."`
	State        string        `json:"state" doc:"How it stands. Failing took nothing lately; it is asked ever more seldom." enum:"active,failing,disabled"`
	DisabledWhy  string        `json:"disabled_why,omitempty" doc:"Why nothing is sent: staff disabled it, it failed for three days, or it answered 410." enum:"staff,failing,gone"`
	DisabledAt   *time.Time    `json:"disabled_at,omitempty" doc:"Since when."`
	Failures     int64         `json:"failures" doc:"Attempts that failed since the last success."`
	FailingSince *time.Time    `json:"failing_since,omitempty" doc:"When the first of them was."`
	NextAt       *time.Time    `json:"next_at,omitempty" doc:"Before which nothing is sent, because it fails."`
	Version      int64         `json:"version" doc:"Grows with every change."`
	CreatedAt    time.Time     `json:"created_at" doc:"When it was made."`
	UpdatedAt    time.Time     `json:"updated_at" doc:"When it last changed."`
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (e *Endpoint) view(now time.Time) View {
	v := View{ID: e.ID, URL: e.URL, Description: e.Description, Env: e.Env, Types: append([]string{}, e.Types...), State: "active", DisabledWhy: e.DisabledWhy, DisabledAt: instant(e.DisabledAt),
		Failures: e.Failures, FailingSince: instant(e.FailingSince), Version: e.Version, CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt}
	if e.OpenUntil.After(now) {
		v.NextAt = instant(e.OpenUntil)
	}
	switch {
	case !e.DisabledAt.IsZero():
		v.State = "disabled"
	case e.Failures >= breaks:
		v.State = "failing"
	}
	return v
}

// CreateRequest asks for an endpoint.
type CreateRequest struct {
	URL         string        `json:"url" doc:"Where events are sent: https://, a public name, port 443." example:"https://hooks.example.com/mintreu"`
	Description string        `json:"description,omitempty" doc:"What it is for, up to 200 bytes."`
	Env         licensing.Env `json:"env,omitempty" doc:"Whose objects it hears of; live unless said." enum:"live,test"`
	Types       []string      `json:"types,omitempty" doc:"What it wants: types, or families such as license.*; all unless said."`
}

// CreateResponse shows an endpoint's secret once.
type CreateResponse struct {
	Endpoint View   `json:"endpoint" doc:"The endpoint."`
	Secret   string `json:"secret" doc:"What its messages are signed with. It is shown only now." secret:"once"`
}

const (
	maxURL         = 2000
	maxDescription = 200
	maxTypes       = 50
	keyLen         = 32
)

// Create makes an endpoint. It hears of what happens from now on.
func (s *Service) Create(ctx context.Context, r CreateRequest) (CreateResponse, error) {
	now := s.Clock.Now()
	if r.Env == "" {
		r.Env = licensing.Live
	}
	e := Endpoint{ID: s.IDs.New("wep"), URL: r.URL, Description: r.Description, Env: r.Env, Types: r.Types, Version: 1, CreatedAt: now, UpdatedAt: now}
	if err := s.check(&e); err != nil {
		return CreateResponse{}, err
	}
	text, secret, err := s.newSecret(now)
	if err != nil {
		return CreateResponse{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Endpoints.AddEndpoint(ctx, e, secret); err != nil {
			return err
		}
		licensing.KeepOnce(ctx, text)
		return s.Audit.Record(ctx, licensing.Event{Action: "webhook.create", Target: e.ID, Detail: map[string]any{"host": host(e.URL), "env": e.Env, "types": e.Types}})
	})
	if err != nil {
		return CreateResponse{}, err
	}
	return CreateResponse{Endpoint: e.view(now), Secret: text}, nil
}

// newSecret makes a secret, and its text.
func (s *Service) newSecret(now time.Time) (string, Secret, error) {
	key := make([]byte, keyLen)
	_, _ = rand.Read(key) // never fails
	secret := Secret{ID: s.IDs.New("whs"), CreatedAt: now}
	sealed, err := s.Seal.Seal(key, place(secret.ID))
	secret.Sealed = sealed
	return webhook.Secret(key), secret, err
}

// host names an endpoint in the trail, which should not hold what an address may say besides.
func host(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// check refuses an endpoint that breaks a rule of form. What its name resolves to is looked at whenever something is sent.
func (s *Service) check(e *Endpoint) error {
	bad := errForm
	if why := s.address(e.URL); why != "" {
		bad = bad.With("/url", "%s", why)
	}
	if len(e.Description) > maxDescription || strings.ContainsFunc(e.Description, unicode.IsControl) {
		bad = bad.With("/description", "must be a line of at most %d bytes", maxDescription)
	}
	if !e.Env.Valid() {
		bad = bad.With("/env", "must be live or test")
	}
	if len(e.Types) > maxTypes {
		bad = bad.With("/types", "must be at most %d", maxTypes)
	} else if i := slices.IndexFunc(e.Types, func(t string) bool { return !wantable(t) }); i >= 0 {
		bad = bad.With("/types", "there is no type or family of events of this name; ask for the list")
	}
	if len(bad.Fields) > 0 {
		return bad
	}
	return nil
}

// address says what is wrong with a URL, "" when nothing is.
func (s *Service) address(text string) string {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxURL || u.Host == "" || u.Opaque != "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "must be a URL of at most 2000 bytes such as https://hooks.example.com/mintreu"
	}
	if u.User != nil || u.Fragment != "" || strings.Contains(text, "#") {
		return "must have neither a user nor a fragment"
	}
	name := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	ip, isIP := netip.ParseAddr(name)
	if s.Loopback && (name == "localhost" || isIP == nil && ip.IsLoopback()) && (u.Scheme == "http" || u.Scheme == "https") {
		return ""
	}
	labels := strings.Split(name, ".")
	last := labels[len(labels)-1]
	switch {
	case u.Scheme != "https":
		return "must begin with https://"
	case u.Port() != "" && u.Port() != "443":
		return "must be on port 443"
	case isIP == nil || len(labels) < 2 || last == "" || strings.ContainsAny(last, "0123456789") && !strings.HasPrefix(last, "xn--") || last == "localhost" || last == "internal" || last == "local":
		return "must name a public host, not an address"
	}
	return ""
}

// EndpointRequest names an endpoint.
type EndpointRequest struct {
	ID string `path:"id" doc:"The endpoint."`
}

// ListRequest pages the endpoints.
type ListRequest struct{ licensing.Page }

// List returns endpoints, the newest first.
func (s *Service) List(ctx context.Context, r ListRequest) (licensing.List[View], error) {
	page, err := s.Endpoints.ListEndpoints(ctx, r.Page)
	out := licensing.List[View]{Items: make([]View, len(page.Items)), Next: page.Next}
	for i := range page.Items {
		out.Items[i] = page.Items[i].view(s.Clock.Now())
	}
	return out, err
}

// Get returns an endpoint.
func (s *Service) Get(ctx context.Context, r EndpointRequest) (View, error) {
	e, err := s.Endpoints.Endpoint(ctx, r.ID)
	if err != nil {
		return View{}, err
	}
	return e.view(s.Clock.Now()), nil
}

// Again answers a replay of an operation whose result is the endpoint with the given id.
func (s *Service) Again(ctx context.Context, id, _ string) (View, error) {
	return s.Get(ctx, EndpointRequest{ID: id})
}

// CreateAgain answers a replay of Create and Rotate.
func (s *Service) CreateAgain(ctx context.Context, id, secret string) (CreateResponse, error) {
	v, err := s.Get(ctx, EndpointRequest{ID: id})
	return CreateResponse{Endpoint: v, Secret: secret}, err
}

// ChangeRequest replaces what may change of an endpoint.
type ChangeRequest struct {
	ID          string   `path:"id" doc:"The endpoint."`
	Version     int64    `json:"version" doc:"The version that was looked at; another one refuses the change."`
	URL         string   `json:"url" doc:"Where events are sent."`
	Description string   `json:"description,omitempty" doc:"What it is for."`
	Types       []string `json:"types,omitempty" doc:"What it wants; all unless said."`
}

// Change changes an endpoint. What waits for it goes to the new address, at once: how the old one failed says nothing of it.
func (s *Service) Change(ctx context.Context, r ChangeRequest) (View, error) {
	var e Endpoint
	err := s.Tx.InTx(ctx, func(ctx context.Context) (err error) {
		if e, err = s.Endpoints.Endpoint(ctx, r.ID); err != nil {
			return err
		}
		moved := e.URL != r.URL
		if moved {
			e.Health = Health{}
		}
		e.URL, e.Description, e.Types, e.Version, e.UpdatedAt = r.URL, r.Description, r.Types, r.Version, s.Clock.Now()
		if err := s.check(&e); err != nil {
			return err
		}
		saved, err := s.Endpoints.SaveEndpoint(ctx, e)
		if err != nil {
			return err
		}
		if !saved {
			return errChanged
		}
		e.Version++
		if moved && e.live() {
			if err := s.hasten(ctx, &e, "moved"); err != nil {
				return err
			}
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "webhook.change", Target: e.ID, Detail: map[string]any{"host": host(e.URL), "types": e.Types}})
	})
	return e.view(s.Clock.Now()), err
}

// StateRequest disables or enables an endpoint.
type StateRequest struct {
	ID     string `path:"id" doc:"The endpoint."`
	Reason string `json:"reason,omitempty" doc:"Why, for the audit trail."`
}

// Validate implements the check of requests.
func (r StateRequest) Validate() error { return licensing.CheckReason(r.Reason) }

// Disable stops sending to an endpoint. Events are made for it no longer; what waits already is sent when it is enabled again.
func (s *Service) Disable(ctx context.Context, r StateRequest) (View, error) {
	return s.set(ctx, r, ByStaff, "webhook.disable")
}

// Enable sends to an endpoint again, what waits first, as if it had never failed.
func (s *Service) Enable(ctx context.Context, r StateRequest) (View, error) {
	return s.set(ctx, r, "", "webhook.enable")
}

func (s *Service) set(ctx context.Context, r StateRequest, why, action string) (View, error) {
	var e Endpoint
	err := s.Tx.InTx(ctx, func(ctx context.Context) (err error) {
		now := s.Clock.Now()
		changed, err := s.Endpoints.SetDisabled(ctx, r.ID, why, now)
		if err != nil {
			return err
		}
		if e, err = s.Endpoints.Endpoint(ctx, r.ID); err != nil {
			return err
		}
		if changed && why == "" {
			if err := s.hasten(ctx, &e, "enabled"); err != nil {
				return err
			}
		}
		return s.Audit.Record(ctx, licensing.Event{Action: action, Target: e.ID, Reason: r.Reason, Detail: map[string]any{"changed": changed}})
	})
	return e.view(s.Clock.Now()), err
}

// hasten has all that waits for an endpoint sent now, in the caller's transaction.
func (s *Service) hasten(ctx context.Context, e *Endpoint, why string) error {
	if err := s.Deliveries.Hasten(ctx, e.ID, e.UpdatedAt); err != nil {
		return err
	}
	return s.nudge(ctx, e, why+"/"+e.UpdatedAt.Format(time.RFC3339Nano), time.Time{})
}

// Removed answers for an endpoint that is gone.
type Removed struct{}

// Remove removes an endpoint and its secrets. What waits for it is not sent; what was sent stays in the log for a month.
func (s *Service) Remove(ctx context.Context, r EndpointRequest) (Removed, error) {
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		done, err := s.Endpoints.RemoveEndpoint(ctx, r.ID, s.Clock.Now())
		if err != nil {
			return err
		}
		if !done {
			return licensing.ErrNotFound
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "webhook.remove", Target: r.ID})
	})
	return Removed{}, err
}

// RotateRequest asks for a new secret.
type RotateRequest struct {
	ID      string `path:"id" doc:"The endpoint."`
	Overlap *int64 `json:"overlap_seconds,omitempty" doc:"How long messages are signed with old secrets too, at most: 0 to 604800 seconds (7 days); 86400 unless said. 0 ends all of them at once, however many there are."`
}

// Validate refuses an overlap out of bounds.
func (r RotateRequest) Validate() error {
	if r.Overlap != nil && (*r.Overlap < 0 || *r.Overlap > 7*24*3600) {
		return errForm.With("/overlap_seconds", "must be 0 to 604800")
	}
	return nil
}

// Rotate gives an endpoint a new secret. Until the overlap ends messages have a signature by the old one as well.
func (s *Service) Rotate(ctx context.Context, r RotateRequest) (CreateResponse, error) {
	if err := r.Validate(); err != nil {
		return CreateResponse{}, err
	}
	now := s.Clock.Now()
	text, secret, err := s.newSecret(now)
	if err != nil {
		return CreateResponse{}, err
	}
	overlap := 24 * time.Hour
	if r.Overlap != nil {
		overlap = time.Duration(*r.Overlap) * time.Second
	}
	var e Endpoint
	err = s.Tx.InTx(ctx, func(ctx context.Context) (err error) {
		if e, err = s.Endpoints.Endpoint(ctx, r.ID); err != nil {
			return err
		}
		if err := s.Endpoints.RotateSecret(ctx, e.ID, secret, now, now.Add(overlap)); err != nil {
			return err
		}
		licensing.KeepOnce(ctx, text)
		return s.Audit.Record(ctx, licensing.Event{Action: "webhook.rotate", Target: e.ID, Detail: map[string]any{"overlap_seconds": int64(overlap / time.Second)}})
	})
	if err != nil {
		return CreateResponse{}, err
	}
	return CreateResponse{Endpoint: e.view(now), Secret: text}, nil
}
