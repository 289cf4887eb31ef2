package notice_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/mail"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store"
	"github.com/mintreu/mintreu/service/store/storetest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// outbox takes jobs and hands them out.
type outbox struct{ jobs []licensing.Job }

func (o *outbox) Enqueue(_ context.Context, j licensing.Job) error {
	o.jobs = append(o.jobs, j)
	return nil
}

// sender takes mail, or fails with err.
type sender struct {
	sent []notice.Mail
	err  error
}

func (s *sender) Send(_ context.Context, m notice.Mail) error {
	if s.err != nil {
		return s.err
	}
	s.sent = append(s.sent, m)
	return nil
}

type rig struct {
	*notice.Service
	store  *store.Store
	outbox *outbox
	sender *sender
}

func newRig(t *testing.T, e storetest.Env, change func(*notice.Deps)) rig {
	t.Helper()
	key, err := seal.New(make([]byte, seal.Size))
	if err != nil {
		t.Fatal(err)
	}
	r := rig{store: e.Store.WithSeal(key), outbox: &outbox{}, sender: &sender{}}
	d := notice.Deps{
		Store: e.Store.Notices(), Jobs: r.outbox, Seal: key, Sender: r.sender, Clock: e.Clock.Now, IDs: e.IDs, Logger: slog.New(slog.DiscardHandler),
		From: "Example <shop@example.com>", Shop: "Example", BaseURL: "https://shop.example.com",
	}
	if change != nil {
		change(&d)
	}
	if r.Service, err = notice.New(d); err != nil {
		t.Fatal(err)
	}
	return r
}

func purchase() notice.Message {
	return notice.Message{Template: notice.Purchase, Subject: "ord_1", Epoch: 1, To: "ada@example.com", Data: notice.Data{
		Order: "ord_1", Total: "12.00 EUR", Receipt: "2026-000001", Link: "https://shop.example.com/orders/ord_1#s=token&x=1",
		Items: []notice.Item{{Name: "Editor, yearly", Kind: "license", Key: "EDIT-AAAAA-BBBBB"}, {Name: "API", Kind: "apikey", Note: "The key is shown on the order's page."}},
	}}
}

func (r rig) queue(t *testing.T, m notice.Message) {
	t.Helper()
	if err := r.store.InTx(t.Context(), func(ctx context.Context) error { return r.Queue(ctx, m) }); err != nil {
		t.Fatal(err)
	}
}

// A message is queued once for its template, subject and epoch however often the change is replayed, goes with its transaction, is
// sent once, and is sent again with the same Message-ID when the first time was not noted.
func TestINV10_OnceAndSameMessageID(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e, nil)
		stop := errors.New("stop")
		if err := r.store.InTx(t.Context(), func(ctx context.Context) error {
			return errors.Join(r.Queue(ctx, purchase()), stop)
		}); !errors.Is(err, stop) {
			t.Fatal(err)
		}
		r.outbox.jobs = nil
		for range 3 {
			r.queue(t, purchase())
		}
		again := purchase()
		again.Epoch = 2
		r.queue(t, again)
		if len(r.outbox.jobs) != 2 {
			t.Fatalf("%d jobs", len(r.outbox.jobs))
		}
		id := r.outbox.jobs[0].Args.(notice.JobArgs).ID
		r.sender.err = errors.New("421 busy")
		if err := r.Handle(t.Context(), []byte(`{"id":"`+id+`"}`)); err == nil {
			t.Error("a failure was not told to the queue")
		}
		r.sender.err = nil
		first, err := e.Store.Notices().Notice(t.Context(), id)
		if err != nil || first.State != notice.Pending || first.Attempts != 1 || !strings.Contains(first.LastError, "421") {
			t.Fatalf("%+v, %v", first, err)
		}
		for range 2 {
			if err := r.Send(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		if len(r.sender.sent) != 1 || r.sender.sent[0].MessageID != id+"@example.com" {
			t.Fatalf("sent %+v", r.sender.sent)
		}
		// The process died after the hand-over and before the note: the row is pending as it was.
		if _, err := e.DB.Exec(t.Context(), `UPDATE notice SET state = 'pending', data = $2 WHERE id = $1`, id, first.Data); err != nil {
			t.Fatal(err)
		}
		if err := r.Send(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if len(r.sender.sent) != 2 || r.sender.sent[1].MessageID != r.sender.sent[0].MessageID || r.sender.sent[1].Text != r.sender.sent[0].Text {
			t.Error("the second copy is another mail")
		}
	})
}

// A mail refused for good is not tried again; one whose job was lost gets a new one; both are told apart by the store's state.
func TestF33_RefusedForGoodAndLostJobs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e, nil)
		r.queue(t, purchase())
		id := r.outbox.jobs[0].Args.(notice.JobArgs).ID
		r.outbox.jobs = nil
		if err := r.Sweep(t.Context()); err != nil || len(r.outbox.jobs) != 0 {
			t.Fatalf("%d jobs at once, %v", len(r.outbox.jobs), err)
		}
		e.Clock.Advance(time.Hour)
		if err := r.Sweep(t.Context()); err != nil || len(r.outbox.jobs) != 1 || r.outbox.jobs[0].Unique != id {
			t.Fatalf("jobs %v, %v", r.outbox.jobs, err)
		}
		r.sender.err = errors.Join(notice.ErrRefused, errors.New("550 no such user"))
		if err := r.Send(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		n, err := e.Store.Notices().Notice(t.Context(), id)
		if err != nil || n.State != notice.Failed || !strings.Contains(n.LastError, "550") {
			t.Errorf("%+v, %v", n, err)
		}
		e.Clock.Advance(time.Hour)
		r.outbox.jobs = nil
		if err := r.Sweep(t.Context()); err != nil || len(r.outbox.jobs) != 0 {
			t.Error("a failed notice was queued again")
		}
	})
}

// No key and no link of a message can be read from the database, before it is sent, after, and when mail is kept there.
func TestQ01_NoSecretsInTheDump(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		var kept *store.Store
		r := newRig(t, e, func(d *notice.Deps) {
			kept = e.Store.WithSeal(d.Seal)
			d.Sender = mail.Kept{Store: kept.Mails()}
			d.Expand = map[string]notice.Expand{notice.Purchase: func(_ context.Context, subject string, data notice.Data) (notice.Data, error) {
				data.Items[0].Key = "EDIT-" + subject
				return data, nil
			}}
		})
		r.queue(t, purchase())
		dump := func() string {
			var b bytes.Buffer
			for _, q := range []string{`SELECT data FROM notice`, `SELECT body FROM mail`} {
				rows, err := e.DB.Query(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				for rows.Next() {
					var v []byte
					if err := rows.Scan(&v); err != nil {
						t.Fatal(err)
					}
					b.Write(v)
				}
				rows.Close()
			}
			return b.String()
		}
		before := dump()
		for range 2 {
			if err := r.Send(t.Context(), r.outbox.jobs[0].Args.(notice.JobArgs).ID); err != nil {
				t.Fatal(err)
			}
		}
		for _, text := range []string{before, dump()} {
			if text == "" || strings.Contains(text, "EDIT-") || strings.Contains(text, "token") || strings.Contains(text, "12.00") {
				t.Errorf("the dump shows %q", text)
			}
		}
		list, err := (&mail.Service{Store: kept.Mails()}).List(t.Context(), mail.ListRequest{To: "ada@example.com"})
		if err != nil || len(list.Items) != 1 || !strings.Contains(list.Items[0].Text, "EDIT-ord_1") || !strings.Contains(list.Items[0].HTML, "EDIT-ord_1") {
			t.Errorf("kept %+v, %v", list, err)
		}
	})
}

// Nobody's name, product or address adds a header, a recipient, a line or markup of its own; template syntax is shown as it is.
func TestI14_I15_InjectionIsText(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	r := newRig(t, e, func(d *notice.Deps) { d.Shop = "Evil\r\nBcc: all@example.com" })
	for _, to := range []string{"", "nobody", "a@example.com\r\nBcc: b@example.com", "a@example.com, b@example.com", "A <a@example.com>", "a@example.com\x00", " a@example.com"} {
		m := purchase()
		m.To = to
		if err := r.store.InTx(t.Context(), func(ctx context.Context) error { return r.Queue(ctx, m) }); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%q: %v", to, err)
		}
	}
	m := purchase()
	m.Data.Name = "<script>alert(1)</script>\r\n.\r\n{{.Order}} ${7*7} %s%n \u202egpj"
	m.Data.Link = "javascript:alert(1)"
	r.queue(t, m)
	if err := r.Send(t.Context(), r.outbox.jobs[0].Args.(notice.JobArgs).ID); err != nil {
		t.Fatal(err)
	}
	got := r.sender.sent[0]
	if strings.ContainsAny(got.Subject, "\r\n") || !strings.Contains(got.Subject, "Evil  Bcc:") {
		t.Errorf("subject %q", got.Subject)
	}
	if strings.Contains(got.HTML, "<script>") || strings.Contains(got.HTML, `"javascript:`) || strings.Contains(got.HTML, "\u202e") {
		t.Errorf("markup came through: %s", got.HTML)
	}
	if strings.Contains(got.Text, "\r") || strings.Contains(got.Text, "\n.\n") || !strings.Contains(got.Text, "{{.Order}} ${7*7} %s%n") {
		t.Errorf("text %q", got.Text)
	}
}

// Every template in both forms looks as it did when a person last looked at it.
func TestTemplatesGolden(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	r := newRig(t, e, nil)
	data := purchase().Data
	data.Name, data.Until, data.Note = "Ada & Søn", "2026-03-02 12:00 UTC", "The password was changed."
	for i := range data.Items {
		data.Items[i].Link = "https://shop.example/checkout/ord_1?access=secret"
	}
	data.Organisation, data.Role = "Møller & Søn A/S", "an admin"
	data.Ticket, data.Topic, data.Lines = "7K2M9QXD", "The export <stops>", []string{"Hello Ada,", "", "it is in the menu: {{.Link}}", "> quoted & \"more\""}
	for _, name := range []string{notice.Purchase, notice.Receipt, notice.AwaitingFunds, notice.OrderParked, notice.AccountConfirm, notice.AccountExists, notice.AccountReset, notice.EmailChange, notice.Security, notice.License, notice.OrganisationInvite,
		notice.TicketReceived, notice.TicketReply, notice.TicketCustomerReplied, notice.TicketAssigned, notice.TicketSolved, notice.LicenseStuffing, notice.TransferOffer, notice.Transfer, notice.WebhookDisabled, notice.UsageThreshold} {
		r.queue(t, notice.Message{Template: name, Subject: "x", To: "ada@example.com", Data: data})
		if err := r.Send(t.Context(), r.outbox.jobs[len(r.outbox.jobs)-1].Args.(notice.JobArgs).ID); err != nil {
			t.Fatal(name, err)
		}
		m := r.sender.sent[len(r.sender.sent)-1]
		golden(t, name+".txt", "Subject: "+m.Subject+"\n\n"+m.Text)
		golden(t, name+".html", m.HTML)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run with -update and look at it:\n%s", name, got)
	}
}

// TestQ11_NobodyWritesToErasedPeople guarantees that what is told of the licenses and orders of somebody who was erased, which go on, queues no mail to the pseudonym.
func TestQ11_NobodyWritesToErasedPeople(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	r := newRig(t, e, nil)
	for to, want := range map[string]int{account.Pseudonym("cus_1"): 0, "ada@example.com": 1} {
		m := purchase()
		m.To = to
		if err := r.store.InTx(licensing.AsSystem(t.Context(), "test"), func(ctx context.Context) error { return r.Queue(ctx, m) }); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := e.DB.QueryRow(t.Context(), `SELECT COUNT(*) FROM notice WHERE recipient = $1`, to).Scan(&n); err != nil || n != want {
			t.Errorf("%d mails to %s, want %d (%v)", n, to, want, err)
		}
	}
}
