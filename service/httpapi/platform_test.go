package httpapi_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/blob"
	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/killswitch"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
	"github.com/mintreu/mintreu/service/mail"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// platform serves the platform's operations on a real database, their exchanges checked against the OpenAPI document.
type platform struct {
	http.Handler
	fixture   *kittest.Fixture
	sequencer *audit.Sequencer
	mails     mail.Store
}

func newPlatform(t *testing.T, e storetest.Env) platform {
	t.Helper()
	key, err := seal.New(make([]byte, seal.Size))
	if err != nil {
		t.Fatal(err)
	}
	files, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = files.Close() })
	st := e.Store.WithSeal(key)
	p := platform{fixture: kittest.NewFixture(t), mails: st.Mails()}
	p.sequencer, err = audit.NewSequencer(t.Context(), audit.SequencerDeps{Tx: st, Log: st.Audit(), Settings: st, Seal: key, Blobs: files, Clock: e.Clock.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	routes := httpapi.PlatformRoutes(httpapi.Platform{
		Switches: killswitch.New(killswitch.Deps{Store: st.Switches(), Tx: st, Clock: e.Clock.Now, Product: st.ProductExists,
			Audit: audit.New(audit.Deps{Store: st.Audit(), Clock: e.Clock.Now, IDs: e.IDs})}),
		Audit: audit.NewService(audit.ServiceDeps{Store: st.Audit(), Key: p.sequencer.VerifierKey(), Anchor: audit.AnchorIn(files)}),
		Mail:  &mail.Service{Store: st.Mails()},
	})
	document, err := kit.Document(kit.Info{Title: "t", Version: "1"}, routes)
	if err != nil {
		t.Fatal(err)
	}
	h, err := httpapi.Handler(httpapi.Deps{Stack: p.fixture.Stack, Routes: routes, Readiness: httpapi.NewReadiness()})
	if err != nil {
		t.Fatal(err)
	}
	p.Handler = kittest.Validate(t, document, h)
	return p
}

// do calls as the actor and decodes the answer into out; it returns the status.
func (p platform) do(t *testing.T, actor licensing.Actor, method, path, body string, out any) int {
	t.Helper()
	credential := "credential-of-" + string(actor.Role) + "-" + actor.ID
	p.fixture.Actors.Know("Bearer "+credential, actor)
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+credential)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if out != nil && w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, w.Body)
		}
	}
	return w.Code
}

// An owner who signed in a short while ago presses a switch with a reason; nobody else does. The press is in the trail, which
// verifies against the copy of its head kept outside. Mail is read by owners alone.
func TestM12_FlipNeedsOwnerFreshAndReason(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		p := newPlatform(t, e)
		owner := licensing.Actor{Kind: licensing.Staff, ID: "cus_1", Role: licensing.RoleOwner, Fresh: true}
		stale, admin := owner, owner
		stale.ID, stale.Fresh = "cus_2", false
		admin.ID, admin.Role = "cus_3", licensing.RoleAdmin
		const press = `{"off":true,"reason":"drill"}`
		for name, c := range map[string]struct {
			actor licensing.Actor
			path  string
			body  string
			want  int
		}{
			"stale":           {stale, "payments", press, http.StatusForbidden},
			"admin":           {admin, "payments", press, http.StatusForbidden},
			"no reason":       {owner, "payments", `{"off":true,"reason":" "}`, http.StatusBadRequest},
			"no such switch":  {owner, "everything", press, http.StatusBadRequest},
			"no such product": {owner, "payments", `{"off":true,"reason":"x","product_id":"prod_0190a1b2c3d47e5f8a9b0c1d2e3f4a5b"}`, http.StatusNotFound},
			"good":            {owner, "payments", press, http.StatusOK},
		} {
			if got := p.do(t, c.actor, http.MethodPut, "/v1/switches/"+c.path, c.body, nil); got != c.want {
				t.Errorf("%s: %d, want %d", name, got, c.want)
			}
		}
		var switches killswitch.ListResponse
		if p.do(t, admin, http.MethodGet, "/v1/switches", "", &switches); len(switches.Switches) != 9 || !switches.Switches[0].Off {
			t.Errorf("switches %+v", switches)
		}
		if _, err := p.sequencer.Sequence(t.Context()); err != nil {
			t.Fatal(err)
		}
		var trail licensing.List[audit.View]
		if p.do(t, admin, http.MethodGet, "/v1/audit?action=switch.press", "", &trail); len(trail.Items) != 1 || trail.Items[0].Num == nil || trail.Items[0].Reason != "drill" || trail.Items[0].Actor != "staff:cus_1" || trail.Items[0].Operation != "switch.flip" {
			t.Errorf("trail %+v", trail)
		}
		var head audit.CheckpointResponse
		p.do(t, admin, http.MethodGet, "/v1/audit/checkpoint", "", &head)
		anchors, _ := json.Marshal(audit.VerifyRequest{Anchors: []string{head.Note}})
		var verified audit.VerifyResponse
		if p.do(t, admin, http.MethodPost, "/v1/audit/verify", string(anchors), &verified); !verified.OK || verified.Size != 1 || head.Size != 1 {
			t.Errorf("verified %+v, head %+v", verified, head)
		}
		if err := p.mails.KeepMail(context.WithoutCancel(t.Context()), notice.Mail{ID: "ntc_1", MessageID: "m", From: "a@example.com", To: "b@example.com", Subject: "s", Text: "text", HTML: "<p>", At: e.Clock.Now()}); err != nil {
			t.Fatal(err)
		}
		var mails licensing.List[mail.View]
		if p.do(t, owner, http.MethodGet, "/v1/mails?to=b@example.com", "", &mails); len(mails.Items) != 1 || mails.Items[0].Text != "text" {
			t.Errorf("mails %+v", mails)
		}
		if got := p.do(t, admin, http.MethodGet, "/v1/mails", "", nil); got != http.StatusForbidden {
			t.Errorf("an admin reads mail: %d", got)
		}
	})
}
