package account_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/feed"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// mailbox is an account.Notices that keeps what was mailed.
type mailbox struct {
	mu    sync.Mutex
	mails []mail
}

type mail struct {
	to     string
	exists bool
	token  string
	note   string
	reset  bool
}

func (m *mailbox) AccountConfirm(_ context.Context, to account.Person, token string, _ time.Time) error {
	return m.put(mail{to: to.Email, token: token})
}

func (m *mailbox) AccountExists(_ context.Context, to account.Person, token string, _ time.Time) error {
	return m.put(mail{to: to.Email, exists: true, token: token})
}

func (m *mailbox) AccountReset(_ context.Context, to account.Person, token string, _ time.Time) error {
	if strings.HasSuffix(to.Email, "@invalid") {
		return nil // work for nobody, which is undone
	}
	return m.put(mail{to: to.Email, reset: true, token: token})
}

func (m *mailbox) EmailChange(_ context.Context, _ account.Person, mailbox, email, token string, _ time.Time) error {
	return m.put(mail{to: mailbox, note: email, token: token})
}

func (m *mailbox) Security(_ context.Context, to account.Person, note string, _ time.Time) error {
	return m.put(mail{to: to.Email, note: note})
}

func (m *mailbox) OrganisationInvite(_ context.Context, i account.InviteMail, token string) error {
	return m.put(mail{to: i.To, token: token, note: i.Organisation + " by " + i.By + " as " + string(i.Role)})
}

func (m *mailbox) put(one mail) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mails = append(m.mails, one)
	return nil
}

// lastTo is the last mail with a token to an address.
func (m *mailbox) lastTo(t *testing.T, to string) mail {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range slices.Backward(m.mails) {
		if one.to == to && one.token != "" {
			return one
		}
	}
	t.Fatalf("no mail to %s", to)
	return mail{}
}

func (m *mailbox) last(t *testing.T) mail {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.mails) == 0 {
		t.Fatal("no mail")
	}
	return m.mails[len(m.mails)-1]
}

// rig is one replica on the test's database.
type rig struct {
	storetest.Env
	*account.Service
	mail *mailbox
	feed *feed.Feed
	from string
	// agent is what the client calls itself.
	agent string
}

func newRig(t *testing.T, e storetest.Env) *rig {
	t.Helper()
	r := &rig{Env: e, mail: &mailbox{}}
	r.feed = feed.New(feed.Deps{Store: e.Store.Changes(), Clock: e.Clock.Now, Logger: slog.New(slog.DiscardHandler)})
	key, err := seal.New(make([]byte, seal.Size))
	if err != nil {
		t.Fatal(err)
	}
	s, err := account.New(account.Deps{
		Settings: e.Store, Seal: key, BaseURL: "https://shop.example.com",
		People: e.Store.People(), Tokens: e.Store.Tokens(), Factors: e.Store.Factors(), Customers: e.Store.Customers(), Personal: e.Store.Personal(), Sessions: e.Store.Sessions(), Renewals: e.Store.Renewals(), Machines: e.Store.Machines(), Notices: r.mail,
		Organisations: e.Store.Organisations(), Members: e.Store.Members(), Invites: e.Store.Invites(),
		Throttle: limit.Throttle{Limiter: limit.NewLocal(e.Clock.Now)}, Clock: e.Clock.Now, IDs: e.IDs, Tx: e.Store,
		Audit:     audit.New(audit.Deps{Store: e.Store.Audit(), Clock: e.Clock.Now, IDs: e.IDs}),
		FeedAlive: r.feed.Fresh, From: func(context.Context) string { return r.from }, Agent: func(context.Context) string { return r.agent },
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Service = s
	for _, kind := range []string{"customer", "session", "machine_token", "organisation"} {
		r.feed.Subscribe(kind, func(_ context.Context, id string) { s.Invalidate(id) })
	}
	r.poll(t)
	return r
}

func (r *rig) poll(t *testing.T) {
	t.Helper()
	if err := r.feed.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// as is a context in which an actor runs a mutating operation.
func as(t *testing.T, a licensing.Actor) context.Context {
	t.Helper()
	return licensing.WithCall(t.Context(), &licensing.Call{Operation: "test", Actor: a, Mutating: true})
}

var (
	nobody   = licensing.Actor{Kind: licensing.Anonymous}
	operator = licensing.Actor{Kind: licensing.CLI, ID: "root"}
)

const password = "correct horse battery"

// staff makes a confirmed person with a role.
func (r *rig) staff(t *testing.T, email string, role licensing.Role) (id string) {
	t.Helper()
	out, err := r.CreateStaff(as(t, operator), account.CreateStaffRequest{Email: email, Role: role, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	return out.ID
}

// signUp makes a confirmed customer.
func (r *rig) signUp(t *testing.T, email string) (id string) {
	t.Helper()
	if _, err := r.SignUp(as(t, nobody), account.SignUpRequest{Email: email}); err != nil {
		t.Fatal(err)
	}
	out, err := r.Confirm(as(t, nobody), account.ConfirmRequest{Token: r.mail.last(t).token, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	return out.ID
}

func (r *rig) signIn(t *testing.T, email string) account.SignInResponse {
	t.Helper()
	out, err := r.SignIn(as(t, nobody), account.SignInRequest{Email: email, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (r *rig) actor(t *testing.T, text string) licensing.Actor {
	t.Helper()
	a, err := r.ByBearer(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// dead checks that a text is refused in the one way.
func (r *rig) dead(t *testing.T, what, text string) {
	t.Helper()
	a, err := r.ByBearer(t.Context(), text)
	var told *licensing.Error
	if !errors.As(err, &told) || told.Code != account.ErrCredential.Code || told.Text != account.ErrCredential.Text || a.Kind != "" {
		t.Errorf("%s: %+v, %v", what, a, err)
	}
}

func fails(t *testing.T, what string, err error, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func ptr[T any](v T) *T { return &v }

// changing is an account.People where something happens after a person was read by address.
type changing struct {
	account.People
	then func()
}

func (c *changing) PersonByEmail(ctx context.Context, email string) (account.Person, error) {
	p, err := c.People.PersonByEmail(ctx, email)
	c.then()
	return p, err
}
