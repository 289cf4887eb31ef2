package e2e_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/e2e/browsertest"
	"github.com/mintreu/mintreu/service/limit/limittest"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// street is a shop whose replicas are processes of their own behind one address, as its founder starts them.
type street struct {
	url   string
	first *process // the replica that prints the owner's link
	desk  *plant   // the operator's socket of the first replica
	file  []byte   // what is sold
}

// openStreet starts the shop: one process on SQLite, or two on PostgreSQL and Redis, each request at the other than the one before.
func openStreet(t *testing.T, engine string) *street {
	t.Helper()
	b := newBalancer(t)
	s := &street{url: b.url, file: []byte(strings.Repeat("golden ", 30_000))}
	args, replicas := []string{"--base-url", b.url}, 1
	if engine == "postgres" {
		shared := shortDir(t)
		args = append(args, "--postgres-url", storetest.PostgresURL(t), "--redis-url", limittest.Redis(t), "--redis-budget", "5s",
			"--master-key-file", filepath.Join(shared, "master.key"), "--files", "file:"+filepath.Join(shared, "files"))
		replicas = 2
	}
	for i := range replicas {
		dir := shortDir(t)
		p, err := serve(t.Context(), mintreu(t), nil, append([]string{"--data-dir", dir}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			p.kill()
			if t.Failed() {
				t.Logf("replica %d said:\n%s", i, p.out.tail())
			}
		})
		if i == 0 {
			s.first, s.desk = p, &plant{t: t, config: app.Config{DataDir: dir}}
		}
		b.add(p.url)
	}
	return s
}

// call calls an operation as the person at the machine.
func (s *street) call(t *testing.T, method, at string, in, out any) {
	t.Helper()
	if err := s.desk.operator(t.Context(), method, at, in, out); err != nil {
		t.Fatal(err)
	}
}

// mailed is the newest link to a page that was mailed to somebody. It is waited for.
func (s *street) mailed(t *testing.T, to, page string) string {
	t.Helper()
	link, found := regexp.MustCompile(regexp.QuoteMeta(s.url+page)+`[^\s"<>]+`), ""
	eventually(t, "a mail to "+to+" with a link to "+page, 2*time.Minute, func() bool {
		var list licensing.List[struct{ Text string }]
		s.call(t, http.MethodGet, "/v1/mails?to="+url.QueryEscape(to), nil, &list)
		for _, m := range list.Items {
			if found = link.FindString(m.Text); found != "" {
				return true
			}
		}
		return false
	})
	return found
}

// claims has a guest who bought open the mailed link at another machine, make an account there with the same address, and find in it what
// was bought: the order, the license with its key, the API key and the download.
func (w *person) claims(order, key string, elsewhere *browsertest.Page) {
	w.t.Helper()
	w.p, w.guest = elsewhere, false
	w.goes("/checkout/"+order, "Thank you") // without the link nothing is told
	w.goes(w.s.mailed(w.t, w.email, "/checkout/"), "Your order is complete", key, "Make an account with the address you ordered with")
	w.signsUp()
	w.goes("/account", "Editor", "49.00 EUR")
	w.goes("/account/orders", "Editor")
	w.p.Submit(w.t, `main a[href="/account/orders/`+order+`"]`)
	w.says("You have everything that you ordered", "49.00 EUR", w.email)
	w.goes("/account/licenses", "Editor")
	w.p.Submit(w.t, `main a[href^="/account/licenses/lic_"]`)
	w.says("No device")
	w.p.Submit(w.t, `main form[action^="/account/licenses/lic_"] button`)
	w.says("License key")
	if shown := w.p.Text(w.t, `code[aria-label="License key"]`); shown != key {
		w.t.Errorf("the account shows the key %.6q…, bought was %.6q…", shown, key)
	}
	w.goes("/account/keys", "Editor", "Active")
	w.downloads()
}
