package httpapi_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/download"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/blob"
	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// shelf is the downloads of a product over a real database, a directory of files and a listener, with a license of Ada's.
type shelf struct {
	storetest.Env
	*kittest.Fixture
	*httptest.Server
	t        *testing.T
	service  *download.Service
	licenses *license.Service
	keys     *keyring.Service
	off      *productOff
	dir      string
	product  string
	lic      string // Ada's license

	mu     sync.Mutex
	alerts []string
}

// productOff is the downloads switch, for one product.
type productOff struct{ product sync.Map }

// Check implements [licensing.Switches].
func (o *productOff) Check(_ context.Context, s licensing.Switch, product string) error {
	if _, off := o.product.Load(product); off && s == licensing.SwitchDownloads {
		return licensing.Fail(licensing.Unavailable, "switched-off", "Downloads are switched off.").After(time.Minute)
	}
	return nil
}

func newShelf(t *testing.T, e storetest.Env, terms license.Terms) *shelf {
	t.Helper()
	dir := t.TempDir()
	files, err := blob.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = files.Close() })
	return newShelfOn(t, e, terms, files, dir)
}

// newShelfOn makes a shelf whose files are in a store; dir is where they are on disk, "" when they are elsewhere.
func newShelfOn(t *testing.T, e storetest.Env, terms license.Terms, files blob.Store, dir string) *shelf {
	t.Helper()
	key, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	st := e.Store.WithSeal(key)
	s := &shelf{Env: e, Fixture: kittest.NewFixture(t), t: t, off: &productOff{}, dir: dir, product: e.IDs.New("prod")}
	trail := audit.New(audit.Deps{Store: st.Audit(), Clock: e.Clock.Now, IDs: e.IDs})
	s.keys = keyring.New(keyring.Deps{Store: st.Keyring(), Seal: key, Clock: e.Clock.Now, Tx: st, Audit: trail})
	if err := s.keys.Ensure(t.Context(), "https://shop.example.com"); err != nil {
		t.Fatal(err)
	}
	s.licenses = license.New(license.Deps{Store: st.Licenses(), Policies: st.Policies(), Tokens: st.LicenseTokens(), Renewals: st.LicenseRenewals(), Seating: st.LicenseSeats(), Transfers: st.LicenseOwners(), Trials: st.LicenseOwners(), Env: licensing.Live, Signer: s.keys, Verifier: s.keys, Seal: key,
		Clock: e.Clock.Now, IDs: e.IDs, Tx: st, Audit: trail, Switches: s.Off})
	s.service = download.New(download.Deps{Store: st.Downloads(), Links: st.DownloadLinks(), Blobs: blob.Sized{Store: files}, Signer: s.keys, Seal: key,
		Throttle: limit.Throttle{Limiter: limit.NewLocal(e.Clock.Now)}, Clock: e.Clock.Now, IDs: e.IDs, Tx: st, Audit: trail, Switches: s.off, BaseURL: "",
		Product: func(_ context.Context, id string) (string, error) {
			if id != s.product {
				return "", licensing.ErrNotFound
			}
			return "editor", nil
		},
		Alert: func(_ context.Context, code, _ string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.alerts = append(s.alerts, code)
		},
		From: func(ctx context.Context) string { return kit.ClientIP(ctx).String() }, MaxFile: 4 << 20, PerOwner: 64})
	s.Stack.Replays, s.Stack.Clock, s.Stack.IDs, s.Stack.Switches = st, e.Clock.Now, e.IDs, s.off
	s.people()
	s.serve()
	s.lic = s.issue("cus_ada", terms)
	return s
}

func (s *shelf) people() {
	s.Actors.Know("Bearer admin", licensing.Actor{Kind: licensing.Staff, ID: "cus_admin", Role: licensing.RoleAdmin})
	s.Actors.Know("Bearer support", licensing.Actor{Kind: licensing.Staff, ID: "cus_support", Role: licensing.RoleSupport})
	s.Actors.Know("Bearer ci", licensing.Actor{Kind: licensing.Machine, ID: "mtk_ci", Scopes: []string{"downloads:write"}})
	s.Actors.Know("Bearer other-ci", licensing.Actor{Kind: licensing.Machine, ID: "mtk_other", Scopes: []string{"downloads:write"}, Product: "prod_other"})
	s.Actors.Know("Bearer read-ci", licensing.Actor{Kind: licensing.Machine, ID: "mtk_read", Scopes: []string{"downloads:read"}})
	for _, name := range []string{"ada", "bob"} {
		s.Actors.Know("Bearer "+name, licensing.Actor{Kind: licensing.Customer, ID: "cus_" + name, Owner: licensing.Owner("cus_" + name)})
	}
}

func (s *shelf) serve() {
	s.t.Helper()
	mux, err := kit.NewMux(s.Stack, httpapi.DownloadRoutes(s.service)...)
	if err != nil {
		s.t.Fatal(err)
	}
	raws, err := httpapi.DownloadRaws(httpapi.Downloads{Service: s.service, Stack: s.Stack, Metrics: s.Registry, Page: plainPage, Patience: 400 * time.Millisecond})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, raw := range raws {
		if err := mux.Handle(raw.Name, raw.Pattern, raw.Handler); err != nil {
			s.t.Fatal(err)
		}
	}
	s.Server = httptest.NewServer(mux)
	s.t.Cleanup(s.Close)
}

// issue issues a license to an owner.
func (s *shelf) issue(owner licensing.Owner, terms license.Terms) string {
	s.t.Helper()
	ctx := licensing.AsSystem(s.t.Context(), "test")
	p, err := s.licenses.CreatePolicy(ctx, license.CreatePolicyRequest{ProductID: s.product, Code: strings.ToLower(s.IDs.New("p"))[:20] + string(owner[4:]), Name: "S", Terms: terms})
	if err != nil {
		s.t.Fatal(err)
	}
	d, err := s.licenses.Draft(ctx, license.IssueSpec{Source: license.Source{Kind: license.FromGrant, ID: s.IDs.New("g")}, ProductID: s.product, ProductSlug: "editor",
		PolicyID: p.ID, PlanCode: "pro", Owner: owner, Env: licensing.Live})
	if err == nil {
		err = s.Store.InTx(ctx, func(ctx context.Context) error {
			_, err := s.licenses.Issue(ctx, d)
			return err
		})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.Actors.Know("License "+d.License.ID, licensing.Actor{Kind: licensing.Holder, ID: d.License.ID, License: d.License.ID, Owner: owner})
	return d.License.ID
}

func perpetual() license.Terms {
	return license.Terms{Type: doc.Perpetual, Seats: license.Seats{N: 2, By: doc.ByDevice}}
}

// answer is what came back, read to its end; err is how reading ended.
type answer struct {
	*http.Response
	body []byte
	err  error
}

func (a answer) code() string {
	var p struct{ Code string }
	_ = json.Unmarshal(a.body, &p)
	return p.Code
}

// do sends a request; a header is "Name: value". Redirects are not followed.
func (s *shelf) do(method, path, body string, headers ...string) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if strings.HasPrefix(path, "/v1") && method != "PUT" && body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		if name, value, ok := strings.Cut(h, ": "); ok {
			r.Header.Set(name, value)
		}
	}
	res, err := s.client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	return answer{res, got, err}
}

func (s *shelf) client() *http.Client {
	return &http.Client{Transport: s.Server.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// ok sends a request as somebody and decodes the answer, which must be a success.
func (s *shelf) ok(method, path, as, body string, out any) {
	s.t.Helper()
	a := s.do(method, path, body, "Authorization: "+as)
	if a.StatusCode > 299 {
		s.t.Fatalf("%s %s: %d %s", method, path, a.StatusCode, a.body)
	}
	if out != nil {
		if err := json.Unmarshal(a.body, out); err != nil {
			s.t.Fatal(err)
		}
	}
}

// release publishes a release with one file and returns the file.
func (s *shelf) release(body string, content []byte) download.FileView {
	s.t.Helper()
	var rel download.View
	s.ok("POST", "/v1/products/"+s.product+"/releases", "Bearer admin", body, &rel)
	var f download.FileView
	s.ok("PUT", "/v1/releases/"+rel.ID+"/files/setup.bin?platform=linux-amd64", "Bearer ci", string(content), &f)
	s.ok("POST", "/v1/releases/"+rel.ID+"/publish", "Bearer admin", "{}", nil)
	return f
}

// link asks for a link and returns the path of its page.
func (s *shelf) link(as, file string) string {
	s.t.Helper()
	var l download.LinkResponse
	s.ok("POST", "/v1/downloads/"+file+"/links", as, "{}", &l)
	return l.URL
}

// press presses the page's button and returns the path of the bytes.
func (s *shelf) press(page string) string {
	s.t.Helper()
	a := s.do("POST", page, "")
	if a.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("POST of the page: %d %s", a.StatusCode, a.body)
	}
	return a.Header.Get("Location")
}

// used is how many uses of a file the grants have spent.
func (s *shelf) used(file string) (n int64) {
	s.t.Helper()
	if err := s.DB.QueryRow(s.t.Context(), `SELECT CAST(COALESCE(SUM(used), 0) AS bigint) FROM download_use WHERE file_id = $1`, file).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// moved is how many links have moved bytes.
func (s *shelf) moved() (n int64) {
	s.t.Helper()
	if err := s.DB.QueryRow(s.t.Context(), `SELECT count(*) FROM download_link WHERE requests > 0`).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// audited counts the audit rows of an action.
func (s *shelf) audited(action string) (n int64) {
	s.t.Helper()
	if err := s.DB.QueryRow(s.t.Context(), `SELECT count(*) FROM audit WHERE action = $1`, action).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// eventually waits until what a handler does after its answer has happened.
func (s *shelf) eventually(what string, so func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); !so(); {
		if time.Now().After(end) {
			s.t.Fatalf("never: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// blobs are the stored files of releases.
func (s *shelf) blobs() (paths []string) {
	s.t.Helper()
	_ = filepath.WalkDir(s.dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			paths = append(paths, p)
		}
		return err
	})
	return paths
}

// noise is n bytes that do not compress and are the same each time.
func noise(n int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	out := make([]byte, n)
	_, _ = r.Read(out)
	return out
}

func digestOf(content []byte) (hexed, header string) {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:]), "Repr-Digest: sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// plainPage shows the page of a link as text.
func plainPage(w http.ResponseWriter, _ *http.Request, status int, v httpapi.DownloadView) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
