package support_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/blob"
	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// desk is the helpdesk over a real database, outbox, file store and listener, with customers ada and bob, agents sue and sam (support), the
// owner and an auditor.
type desk struct {
	storetest.Env
	*kittest.Fixture
	*httptest.Server
	t       *testing.T
	service *support.Service
	notices *notice.Service
	dir     string

	mu   sync.Mutex
	jobs []string
	sent []notice.Mail
}

// Enqueue implements [licensing.Enqueuer].
func (d *desk) Enqueue(_ context.Context, j licensing.Job) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.jobs = append(d.jobs, j.Args.(notice.JobArgs).ID)
	return nil
}

// Send implements [notice.Sender].
func (d *desk) Send(_ context.Context, m notice.Mail) error {
	d.sent = append(d.sent, m)
	return nil
}

// people is what the helpdesk asks about persons.
type people struct{ account.People }

func (p people) Contact(ctx context.Context, id string) (support.Contact, error) {
	one, err := p.PersonByID(ctx, id)
	return support.Contact{ID: one.ID, Email: one.Email, Name: one.Name, Role: one.Role}, err
}

func (p people) Agents(ctx context.Context) (out []support.Contact, err error) {
	staff, err := p.ListStaff(ctx)
	for _, one := range staff {
		if one.Role != licensing.RoleAuditor {
			out = append(out, support.Contact{ID: one.ID, Email: one.Email, Name: one.Name, Role: one.Role})
		}
	}
	return out, err
}

type mails struct{ *notice.Service }

func (m mails) Queue(ctx context.Context, o support.Mail) error {
	return m.Service.Queue(ctx, notice.Message{Template: o.Template, Subject: o.About, Epoch: o.Epoch, To: o.To,
		Data: notice.Data{Name: o.Name, Ticket: o.Number, Topic: o.Topic, Lines: o.Text, Link: o.Link, Note: o.Note}})
}

func (m mails) NoticeOf(id string) (string, bool) { return m.IDOf(id) }

func newDesk(t *testing.T, e storetest.Env) *desk {
	t.Helper()
	key, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	st := e.Store.WithSeal(key)
	d := &desk{Env: e, Fixture: kittest.NewFixture(t), t: t, dir: t.TempDir()}
	files, err := blob.OpenDir(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = files.Close() })
	if d.notices, err = notice.New(notice.Deps{Store: st.Notices(), Jobs: d, Seal: key, Sender: d, Clock: e.Clock.Now, IDs: e.IDs, Logger: slog.New(slog.DiscardHandler),
		From: "Shop <help@shop.example>", Shop: "Shop", BaseURL: "https://shop.example"}); err != nil {
		t.Fatal(err)
	}
	tickets := st.Tickets()
	d.service = support.New(support.Deps{Store: tickets, Threads: tickets, Files: tickets, Records: tickets, Library: st.SupportLibrary(), People: people{st.People()},
		Notices: mails{d.notices}, Blobs: blob.Sized{Store: files}, Seal: key, Throttle: limit.Throttle{Limiter: limit.NewLocal(e.Clock.Now)}, Clock: e.Clock.Now, IDs: e.IDs, Tx: st,
		Audit: audit.New(audit.Deps{Store: st.Audit(), Clock: e.Clock.Now, IDs: e.IDs}), Switches: d.Off, Normal: account.NormalEmail, BaseURL: "https://shop.example",
		Own: "help@shop.example", From: func(ctx context.Context) string { return kit.ClientIP(ctx).String() }})
	d.Stack.Replays, d.Stack.Clock, d.Stack.IDs = st, e.Clock.Now, e.IDs
	for name, role := range map[string]licensing.Role{"ada": "", "bob": "", "sue": licensing.RoleSupport, "sam": licensing.RoleSupport, "own": licensing.RoleOwner, "aud": licensing.RoleAuditor} {
		p := account.Person{ID: "cus_" + name, Email: name + "@example.com", Name: strings.ToUpper(name[:1]) + name[1:], Role: role, ConfirmedAt: e.Clock.Now(), CreatedAt: e.Clock.Now()}
		if _, err := st.People().AddPerson(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		a := licensing.Actor{Kind: licensing.Customer, ID: p.ID, Owner: licensing.Owner(p.ID)}
		if role != "" {
			a.Kind, a.Role = licensing.Staff, role
		}
		d.Actors.Know("Bearer "+name, a)
	}
	d.Actors.Know("Bearer mta", licensing.Actor{Kind: licensing.Machine, ID: "mtk_mta", Scopes: []string{"support:inbound"}})
	d.serve()
	return d
}

func (d *desk) serve() {
	mux, err := kit.NewMux(d.Stack, httpapi.SupportRoutes(d.service)...)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, raw := range httpapi.SupportRaws(httpapi.Support{Service: d.service, Stack: d.Stack}) {
		if err := mux.Handle(raw.Name, raw.Pattern, raw.Handler); err != nil {
			d.t.Fatal(err)
		}
	}
	d.Server = httptest.NewServer(mux)
	d.t.Cleanup(d.Close)
}

// answer is what came back, read to its end.
type answer struct {
	*http.Response
	body string
}

func (a answer) code() string {
	var p struct{ Code string }
	_ = json.Unmarshal([]byte(a.body), &p)
	return p.Code
}

type object = map[string]any

// do sends a request as somebody ("" for nobody). A body that is an object goes as JSON, a text as it is. A header is "Name: value".
func (d *desk) do(method, path, as string, body any, headers ...string) answer {
	d.t.Helper()
	var in io.Reader = http.NoBody
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			d.t.Fatal(err)
		}
		in = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.URL+path, in)
	if err != nil {
		d.t.Fatal(err)
	}
	if _, raw := body.(string); body != nil && !raw {
		r.Header.Set("Content-Type", "application/json")
	}
	if as != "" {
		r.Header.Set("Authorization", "Bearer "+as)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	res, err := d.Server.Client().Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return answer{res, string(text)}
}

// ok sends a request that must succeed, and decodes the answer.
func (d *desk) ok(method, path, as string, body, out any) answer {
	d.t.Helper()
	a := d.do(method, path, as, body)
	if a.StatusCode > 299 {
		d.t.Fatalf("%s %s as %s: %d %s", method, path, as, a.StatusCode, a.body)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(a.body), out); err != nil {
			d.t.Fatal(err)
		}
	}
	return a
}

// open opens a ticket and returns it as staff see it.
func (d *desk) open(as string, body object) support.Thread {
	d.t.Helper()
	if body["subject"] == nil {
		body["subject"] = "Help"
	}
	if body["body"] == nil {
		body["body"] = "It does not work."
	}
	var c support.Created
	d.ok("POST", "/v1/tickets", as, body, &c)
	return d.staff(c.ID)
}

func (d *desk) staff(id string) (th support.Thread) {
	d.t.Helper()
	d.ok("GET", "/v1/tickets/"+id, "sue", nil, &th)
	return th
}

// mail sends what is in the outbox and returns it.
func (d *desk) mail() []notice.Mail {
	d.t.Helper()
	d.mu.Lock()
	jobs := d.jobs
	d.jobs = nil
	d.mu.Unlock()
	d.sent = nil
	for _, id := range jobs {
		if err := d.notices.Send(d.t.Context(), id); err != nil {
			d.t.Fatal(err)
		}
	}
	return d.sent
}

// to picks the mails to an address.
func to(list []notice.Mail, address string) (out []notice.Mail) {
	for _, m := range list {
		if m.To == address {
			out = append(out, m)
		}
	}
	return out
}

var accessIn = regexp.MustCompile(`/tickets/(tkt_[0-9a-f]+)\?access=([\w-]+)`)

// access is the code of the link in a mail.
func access(t *testing.T, m notice.Mail) string {
	t.Helper()
	found := accessIn.FindStringSubmatch(m.Text)
	if found == nil {
		t.Fatalf("no link in %s", m.Text)
	}
	return found[2]
}

// count is a number from the database.
func (d *desk) count(sql string, args ...any) (n int64) {
	d.t.Helper()
	if err := d.DB.QueryRow(d.t.Context(), sql, args...).Scan(&n); err != nil {
		d.t.Fatal(err)
	}
	return n
}

// upload sends a file to a ticket.
func (d *desk) upload(ticket, as, code, name, content string) answer {
	d.t.Helper()
	return d.do("POST", "/v1/tickets/"+ticket+"/attachments?name="+url.QueryEscape(name)+"&access="+url.QueryEscape(code), as, content, "Content-Type: application/octet-stream")
}

// uploaded is upload that must succeed.
func (d *desk) uploaded(ticket, as, code, name, content string) (f support.FileView) {
	d.t.Helper()
	a := d.upload(ticket, as, code, name, content)
	if a.StatusCode != http.StatusCreated || json.Unmarshal([]byte(a.body), &f) != nil {
		d.t.Fatalf("upload of %s: %d %s", name, a.StatusCode, a.body)
	}
	return f
}

// blobs are the stored files.
func (d *desk) blobs() (paths []string) {
	_ = filepath.WalkDir(d.dir, func(p string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			paths = append(paths, p)
		}
		return err
	})
	return paths
}
