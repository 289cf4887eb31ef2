package e2e_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk"
	sdkdevice "github.com/mintreu/mintreu/sdk/device"
	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/limit/limittest"
)

// stage is a running service in process with people, sales and things of every kind in it, for those who look at its pages. What is on it
// has been made by operations and pages alone.
type stage struct {
	app *app.App
	url string
	ids map[string]string // things on the stage by name, for the addresses of pages: "license", "order", …
	// tokens are sessions by who holds them: "customer", "other" (a second customer, who has nothing), "owner".
	tokens map[string]string
	file   []byte // what was published as the product's download
}

// Who visits a page.
const (
	visitor  = ""         // nobody in particular
	customer = "customer" // who bought
	other    = "other"    // a customer who has nothing
	owner    = "owner"    // the founder
	// colleague is a member of the customer's organisation, and acts for it.
	colleague = "colleague"
	// invited is a customer who is invited to that organisation.
	invited = "invited"
	// careful is a customer whose sign-in asks for a one-time code; the stage has no session of theirs.
	careful = "careful"
)

// stageEmail is the address of somebody on the stage.
func stageEmail(who string) string { return who + "@example.com" }

// newStage starts a service and fills it.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := bareStage(t, app.Config{})
	s.plant(t)
	return s
}

// bareStage starts a service with nothing in it.
func bareStage(t testing.TB, c app.Config) *stage {
	t.Helper()
	c.DataDir, c.Addr, c.OpsAddr, c.ShopName, c.MailFrom, c.LogLevel = shortDir(t), "127.0.0.1:0", "off", "Quill & Ink", "Quill <shop@shop.example>", "warn"
	c.WebhookLoopback = true // a receiver of the stage is on this machine
	log := &journal{}
	a, err := app.New(t.Context(), c, app.Options{Log: log, Listen: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the service did not end cleanly: %v", err)
		}
		if err := a.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if t.Failed() {
			t.Logf("the service's log:\n%s", log.tail())
		}
	})
	<-a.Serving()
	return &stage{app: a, url: a.LocalURL(), ids: map[string]string{}, tokens: map[string]string{}}
}

// must calls an operation as the person at the machine.
func (s *stage) must(t testing.TB, method, at string, in, out any) {
	t.Helper()
	if err := operate(t.Context(), s.app, method, at, in, out); err != nil {
		t.Fatal(err)
	}
}

// made makes something as the person at the machine and notes its id by name.
func (s *stage) made(t testing.TB, name, at string, in any) string {
	t.Helper()
	var out struct{ ID string }
	s.must(t, http.MethodPost, at, in, &out)
	s.ids[name] = out.ID
	return out.ID
}

// plant fills the stage.
func (s *stage) plant(t testing.TB) {
	t.Helper()
	s.plantShop(t)
	s.plantPeople(t)
	s.plantRelease(t)
	s.plantSale(t)
	s.plantSupport(t)
	s.plantConsole(t)
	s.plantOrganisation(t)
	s.plantLicenses(t)
	s.plantUsage(t)
	s.ids["confirm"] = strings.Repeat("t", 43)
}

func (s *stage) plantShop(t testing.TB) {
	t.Helper()
	s.ids["slug"] = "quill"
	product := s.made(t, "product", "/v1/products", object{"slug": "quill", "name": "Quill", "purpose": "revenue", "key_prefix": "QUILL", "description": "Writes what you think.\nOn every machine you own."})
	s.made(t, "policy", "/v1/policies", object{"product_id": product, "code": "standard", "name": "Standard", "terms": object{"type": "perpetual",
		"seats": object{"n": 3, "by": "device"}, "activation": "required", "entitlements": object{"export": true}, "recheck": 86400, "fresh": 7 * 86400, "stale": 7 * 86400, "grace": 7 * 86400}})
	plan := s.made(t, "plan", "/v1/products/"+product+"/plans", object{"code": "pro", "name": "Pro", "type": "perpetual", "description": "For people who write.", "grants": []any{
		object{"license": object{"policy": "standard"}}, object{"api_key": object{"scopes": []string{"quill:read"}, "rate_count": 1000, "rate_period": 3600}}}})
	s.made(t, "price", "/v1/plans/"+plan+"/prices", object{"price": object{"amount": unitPrice, "currency": "EUR"}})
	s.made(t, "price-usd", "/v1/plans/"+plan+"/prices", object{"price": object{"amount": 5400, "currency": "USD"}})
	s.must(t, http.MethodPut, "/v1/plans/"+plan+"/key-template", object{"scopes": []string{"quill:read"}, "limits": []any{object{"name": "plan", "count": 600, "seconds": 60}}, "most": 3}, nil)
	s.must(t, http.MethodPost, "/v1/plans/"+plan+"/publish", nil, nil)
	s.must(t, http.MethodPost, "/v1/products/"+product+"/publish", nil, nil)
	s.made(t, "draft-product", "/v1/products", object{"slug": "pencil", "name": "Pencil", "purpose": "revenue", "key_prefix": "PENCIL"})
	s.made(t, "draft-plan", "/v1/products/"+s.ids["draft-product"]+"/plans", object{"code": "solo", "name": "Solo", "type": "perpetual", "grants": []any{object{"api_key": object{"rate_count": 1, "rate_period": 60}}}})
}

// plantPeople makes the founder and two customers, each with a session.
func (s *stage) plantPeople(t testing.TB) {
	t.Helper()
	for _, who := range []string{owner, customer, other, colleague, invited} {
		s.joins(t, who)
		s.signIn(t, who) // at another machine
		s.tokens[who] = s.signIn(t, who)
	}
	s.plantCareful(t)
	var machine struct{ Token struct{ ID string } }
	s.must(t, http.MethodPost, "/v1/machine-tokens", object{"name": "build server", "scopes": []string{"downloads:write"}}, &machine)
	s.ids["token"] = machine.Token.ID
}

// joins makes somebody with the usual password.
func (s *stage) joins(t testing.TB, who string) {
	t.Helper()
	role := "owner"
	if who != owner {
		role = "support"
	}
	id := s.made(t, who, "/v1/staff", object{"email": stageEmail(who), "role": role, "password": password, "name": strings.ToUpper(who[:1]) + who[1:]})
	if who != owner {
		s.must(t, http.MethodPut, "/v1/staff/"+id+"/role", object{"role": "", "reason": "a customer"}, nil)
	}
}

// signIn starts a session and returns its token.
func (s *stage) signIn(t testing.TB, who string) string {
	t.Helper()
	status, text, err := fetch(t.Context(), http.MethodPost, s.url+"/v1/sessions", nil, object{"email": stageEmail(who), "password": password})
	if err != nil || status != http.StatusCreated {
		t.Fatalf("signing in as %s answered %d %s (%v)", who, status, text, err)
	}
	var out struct{ Token string }
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out.Token
}

// plantRelease uploads and publishes what customers download, and leaves a draft beside it.
func (s *stage) plantRelease(t testing.TB) {
	t.Helper()
	s.file = bytes.Repeat([]byte("quill "), 20_000)
	release := s.made(t, "release", "/v1/products/"+s.ids["product"]+"/releases", object{"version": "1.2.0", "channel": "stable", "access": "license", "notes": "Writes faster."})
	s.ids["file"] = s.upload(t, release, "quill-1.2.0.zip", s.file)
	s.must(t, http.MethodPost, "/v1/releases/"+release+"/publish", object{}, nil)
	draft := s.made(t, "draft-release", "/v1/products/"+s.ids["product"]+"/releases", object{"version": "1.3.0", "channel": "beta", "access": "license", "notes": "Soon."})
	s.ids["draft-file"] = s.upload(t, draft, "quill-1.3.0.zip", s.file[:1000])
}

// upload adds a file to a release as the owner.
func (s *stage) upload(t testing.TB, release, name string, content []byte) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.url+"/v1/releases/"+release+"/files/"+url.PathEscape(name)+"?platform=linux-amd64", bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.tokens[owner])
	res, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusCreated {
		t.Fatalf("the upload answered %d %s (%v)", res.StatusCode, text, err)
	}
	var out struct{ ID, SHA256 string }
	if err := json.Unmarshal(text, &out); err != nil || out.SHA256 != fmt.Sprintf("%x", sha256.Sum256(content)) {
		t.Fatalf("the upload is %+v (%v)", out, err)
	}
	return out.ID
}

// plantSale has the customer buy, activate a device, and begin a second purchase.
func (s *stage) plantSale(t testing.TB) {
	t.Helper()
	as := http.Header{"Authorization": {"Bearer " + s.tokens[customer]}}
	basket := object{"lines": []any{object{"plan": s.ids["plan"], "quantity": 1}}, "currency": "EUR", "country": "DE", "consent": object{"terms": true, "immediate_delivery": true}}
	check := func() (id, page string) {
		t.Helper()
		status, text, err := fetch(t.Context(), http.MethodPost, s.url+"/v1/checkouts", as, basket)
		var out struct{ ID, URL string }
		if err == nil {
			err = json.Unmarshal([]byte(text), &out)
		}
		if err != nil || status != http.StatusCreated {
			t.Fatalf("the checkout answered %d %s (%v)", status, text, err)
		}
		return out.ID, out.URL
	}
	id, page := check()
	s.ids["order"] = id
	p := &purchase{base: s.url, email: stageEmail(customer), url: page}
	if err := p.pay(t.Context(), "4242424242424242"); err != nil {
		t.Fatal(err)
	}
	key := ""
	var order seen
	if !limittest.Eventually(time.Minute, func() bool {
		status, text, err := fetch(t.Context(), http.MethodGet, s.url+"/v1/checkouts/"+id, as, nil)
		return err == nil && status == http.StatusOK && json.Unmarshal([]byte(text), &order) == nil && order.State == "fulfilled"
	}) {
		t.Fatalf("the order is %s", order.State)
	}
	for _, g := range order.Grants {
		if g.Kind == "license" {
			s.ids["license"], key = g.ID, g.Key
		} else {
			s.ids["key"] = g.ID
		}
	}
	s.ids["license-key"] = key
	s.activate(t, key, "Ada's laptop")
	var seats licensing.List[struct{ ID string }]
	s.must(t, http.MethodGet, "/v1/licenses/"+s.ids["license"]+"/activations", nil, &seats)
	s.ids["activation"] = seats.Items[0].ID
	s.ids["pending-order"], _ = check()
	var second struct{ Key struct{ ID string } }
	s.must(t, http.MethodPost, "/v1/keys", object{"product": s.ids["product"], "owner": s.ids[customer], "env": "test", "name": "Night build"}, &second)
	s.ids["disabled-key"] = second.Key.ID
	s.say(t, customer, http.MethodPost, "/v1/keys/"+second.Key.ID+"/disable", object{"reason": "not needed by day"}, nil)
}

// activate takes a seat as the product does.
func (s *stage) activate(t testing.TB, key, name string) {
	t.Helper()
	roots, err := s.app.Roots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client, err := sdk.New(sdk.Config{BaseURL: s.url, Product: s.ids["slug"], Env: "test", Roots: roots}, sdk.WithStore(&sdk.MemoryStore{}), sdk.WithDeviceName(name),
		sdk.WithDevice(sdkdevice.Fingerprint{"machine": "m-" + name, "disk": "d-" + name, "mac": "02:42:ac:11:00:02"}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	if d, err := client.Activate(t.Context(), key); err != nil || !d.Allowed {
		t.Fatalf("the activation: %+v (%v)", d, err)
	}
}

// mailed is the first link of a kind in the newest mail to an address, which is waited for.
func (s *stage) mailed(t testing.TB, to, path string) string {
	t.Helper()
	link := regexp.MustCompile(regexp.QuoteMeta(s.app.BaseURL()+path) + `[^\s"<>]*`)
	found := ""
	if !limittest.Eventually(2*time.Minute, func() bool {
		var list licensing.List[struct{ Text string }]
		s.must(t, http.MethodGet, "/v1/mails?to="+url.QueryEscape(to), nil, &list)
		for _, m := range list.Items {
			if found = link.FindString(m.Text); found != "" {
				return true
			}
		}
		return false
	}) {
		t.Fatalf("no mail to %s has a link to %s", to, path)
	}
	return found
}

// caller is a browser without a window: it keeps cookies, sends forms as browsers do, and follows nothing.
type caller struct {
	base   string
	client *http.Client
}

// as is a caller with somebody's session.
func (s *stage) as(t testing.TB, who string) *caller {
	t.Helper()
	c := newCaller(t, s.url)
	if who != visitor {
		c.hold(t, "mintreu-session", s.tokens[who])
	}
	return c
}

func newCaller(t testing.TB, base string) *caller {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &caller{base: base, client: &http.Client{Timeout: patient, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// hold puts a cookie into the jar.
func (c *caller) hold(t testing.TB, name, value string) {
	t.Helper()
	u, err := url.Parse(c.base)
	if err != nil {
		t.Fatal(err)
	}
	c.client.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

// page is what came back.
type page struct {
	status int
	header http.Header
	text   string
	to     string // where it leads
}

// get asks for a page.
func (c *caller) get(t testing.TB, at string) page {
	t.Helper()
	return c.do(t, http.MethodGet, at, nil, nil)
}

// post sends a form, from a page of the site.
func (c *caller) post(t testing.TB, at string, form url.Values) page {
	t.Helper()
	return c.do(t, http.MethodPost, at, http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {c.base}, "Content-Type": {"application/x-www-form-urlencoded"}}, strings.NewReader(form.Encode()))
}

func (c *caller) do(t testing.TB, method, at string, h http.Header, body io.Reader) page {
	t.Helper()
	if strings.HasPrefix(at, "/") {
		at = c.base + at
	}
	r, err := http.NewRequestWithContext(t.Context(), method, at, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	for name, values := range h {
		r.Header[name] = values
	}
	res, err := c.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return page{res.StatusCode, res.Header, string(text), res.Header.Get("Location")}
}

// serveAt serves until the test ends and returns where.
func serveAt(t testing.TB, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}
