package e2e_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing"
)

var onceField = regexp.MustCompile(`name="once" value="([^"]+)"`)

// send fills in the form of a page and sends it, as a person does: with the token that the page holds.
func (c *caller) send(t testing.TB, at string, form url.Values) page {
	t.Helper()
	shown := c.get(t, at)
	if m := onceField.FindStringSubmatch(shown.text); m != nil && form.Get("once") == "" {
		form.Set("once", m[1])
	}
	return c.post(t, at, form)
}

// done checks that a form did its work and led to a page.
func (p page) done(t testing.TB, what string) string {
	t.Helper()
	if p.status != http.StatusSeeOther {
		t.Fatalf("%s: answered %d\n%s", what, p.status, mainText(p.text))
	}
	return p.to
}

var tags = regexp.MustCompile(`(?s)<(script|style|nav|header).*?</(script|style|nav|header)>|<[^>]*>`)

// mainText is what a page says, without its frame.
func mainText(html string) string {
	if _, rest, ok := strings.Cut(html, `<main`); ok {
		html = rest
	}
	return strings.Join(strings.Fields(tags.ReplaceAllString(html, " ")), " ")
}

// TestConsole_FromNothingToSale: a founder makes, by pages alone, a product, a policy, a plan and its price, publishes them, and the shop
// sells it. Each form that is filled in wrongly comes back with what was typed and what is wrong.
func TestConsole_FromNothingToSale(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := s.as(t, owner)

	bad := c.send(t, "/admin/products/new", url.Values{"name": {"Brush & Co <b>"}, "slug": {"Not A Slug"}, "purpose": {"revenue"}, "key_prefix": {"BRUSH"}, "description": {"Paints."}})
	if bad.status != http.StatusUnprocessableEntity || !strings.Contains(bad.text, `value="Brush &amp; Co &lt;b&gt;"`) || !strings.Contains(bad.text, `aria-invalid="true"`) || !strings.Contains(bad.text, "Paints.") {
		t.Errorf("a wrong slug: %d\n%s", bad.status, mainText(bad.text))
	}
	product := c.send(t, "/admin/products/new", url.Values{"name": {"Brush"}, "slug": {"brush"}, "purpose": {"revenue"}, "key_prefix": {"brush"}, "description": {"Paints."}}).done(t, "the product")
	if said := c.get(t, product).text; !strings.Contains(said, "The product is made") || !strings.Contains(said, "BRUSH-") || !strings.Contains(said, "It has no plan yet") {
		t.Errorf("the new product says %s", mainText(said))
	}
	id := strings.TrimPrefix(product, "/admin/products/")

	terms := url.Values{"product": {id}, "code": {"standard"}, "name": {"Standard"}, "type": {"timed"}, "duration": {"a while"}, "expired": {"restrict"}, "seats": {"2"}, "by": {"device"},
		"over_limit": {"reject"}, "overage": {"0"}, "activation": {"yes"}, "recheck": {"1"}, "fresh": {"7"}, "stale": {"7"}, "grace": {"7"}, "then": {"stop"}, "entitlements": {"export\nprojects = 10\ntier = gold\n"}}
	if bad := c.send(t, "/admin/policies/new", terms); bad.status != http.StatusUnprocessableEntity || !strings.Contains(bad.text, `value="a while"`) || !strings.Contains(bad.text, "number of days") {
		t.Errorf("a wrong duration: %d\n%s", bad.status, mainText(bad.text))
	}
	terms.Set("duration", "")
	if bad := c.send(t, "/admin/policies/new", terms); bad.status != http.StatusUnprocessableEntity || !strings.Contains(bad.text, "f-duration-error") {
		t.Errorf("no duration: %d\n%s", bad.status, mainText(bad.text))
	}
	terms.Set("duration", "365")
	policy := c.send(t, "/admin/policies/new", terms).done(t, "the policy")
	if shown := c.get(t, policy).text; !strings.Contains(shown, "projects = 10\ntier = gold") || !strings.Contains(shown, `value="365"`) {
		t.Errorf("the policy shows %s", mainText(shown))
	}

	plan := url.Values{"type": {"timed"}, "code": {"pro"}, "name": {"Pro"}, "policy": {""}, "period": {"60"}}
	if bad := c.send(t, product+"/plans/new", plan); bad.status != http.StatusUnprocessableEntity || !strings.Contains(bad.text, "Must give something") {
		t.Errorf("a plan that gives nothing: %d\n%s", bad.status, mainText(bad.text))
	}
	plan.Set("policy", "standard")
	plan.Set("api_key", "yes")
	plan.Set("count", "0")
	if bad := c.send(t, product+"/plans/new", plan); bad.status != http.StatusUnprocessableEntity || !strings.Contains(bad.text, `value="Pro"`) {
		t.Errorf("a key without calls: %d\n%s", bad.status, mainText(bad.text))
	}
	plan.Set("count", "100")
	at := c.send(t, product+"/plans/new", plan).done(t, "the plan")
	if bad := c.send(t, at, url.Values{"amount": {"12,5x"}, "currency": {"EUR"}}); bad.status != http.StatusUnprocessableEntity || !strings.Contains(bad.text, `value="12,5x"`) {
		t.Errorf("a wrong amount: %d\n%s", bad.status, mainText(bad.text))
	}
	c.send(t, at, url.Values{"amount": {"12,50"}, "currency": {"eur"}}).done(t, "the price")
	c.send(t, at+"/publish", url.Values{}).done(t, "publishing the plan")
	c.send(t, product+"/publish", url.Values{}).done(t, "publishing the product")
	if shop := s.as(t, visitor).get(t, "/catalogue/brush"); shop.status != http.StatusOK || !strings.Contains(shop.text, "12.50 EUR") {
		t.Errorf("the shop says %d %s", shop.status, mainText(shop.text))
	}
	if to := c.send(t, at, url.Values{"amount": {"15"}, "currency": {"EUR"}}).done(t, "a changed price"); !strings.Contains(c.get(t, to).text, "The new price is proposed") {
		t.Error("a changed price is no proposal")
	}
}

// TestConsole_AsksFirst: what cannot be undone is asked about on a page of its own, needs its reason, happens once however often the form
// is sent, and says what happened; afterwards it is not offered again.
func TestConsole_AsksFirst(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := s.as(t, owner)
	at := "/admin/licenses/" + s.ids["license"]
	ask := c.get(t, at+"/revoke")
	if ask.status != http.StatusOK || !strings.Contains(ask.text, "cannot be undone") {
		t.Fatalf("the question: %d %s", ask.status, mainText(ask.text))
	}
	if bad := c.send(t, at+"/revoke", url.Values{"reason": {" "}}); bad.status != http.StatusUnprocessableEntity || !strings.Contains(bad.text, "Please say why") {
		t.Errorf("without a reason: %d %s", bad.status, mainText(bad.text))
	}
	form := url.Values{"reason": {"charged back"}, "once": {onceField.FindStringSubmatch(ask.text)[1]}}
	for range 2 {
		c.post(t, at+"/revoke", form).done(t, "revoking")
	}
	shown := c.get(t, at).text
	if !strings.Contains(shown, "The license is revoked.") || !strings.Contains(shown, "charged back") || strings.Contains(shown, at+"/revoke") {
		t.Errorf("the revoked license shows %s", mainText(shown))
	}
	var trail licensing.List[struct{ Action string }]
	s.must(t, http.MethodGet, "/v1/audit?action=license.revoke&target="+s.ids["license"], nil, &trail)
	if len(trail.Items) != 1 {
		t.Errorf("the license was revoked %d times", len(trail.Items))
	}
	if again := c.send(t, at+"/revoke", url.Values{"reason": {"once more"}}); again.status != http.StatusUnprocessableEntity {
		t.Errorf("revoking what is revoked answered %d", again.status)
	}
}

// TestConsole_ShownOnce: a new key is the answer to the form that made it, and no address shows it again.
func TestConsole_ShownOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := s.as(t, owner)
	p := c.send(t, "/admin/keys/new", url.Values{"owner": {s.ids[customer]}, "product": {s.ids["product"]}, "name": {"By hand"}, "count": {"10"}, "seconds": {"60"}, "env": {"test"}, "scopes": {"quill:read"}})
	key := regexp.MustCompile(`mtr_test_[A-Za-z0-9_]+`).FindString(p.text)
	if p.status != http.StatusOK || key == "" || !strings.Contains(p.text, "not shown again") {
		t.Fatalf("issuing: %d %s", p.status, mainText(p.text))
	}
	if list := c.get(t, "/admin/keys?q="+stageEmail(customer)); !strings.Contains(list.text, "By hand") || strings.Contains(list.text, key) {
		t.Errorf("the list shows %s", mainText(list.text))
	}
	reveal := c.post(t, "/admin/licenses/"+s.ids["license"]+"/reveal", url.Values{})
	if reveal.status != http.StatusOK || !strings.Contains(reveal.text, s.ids["license-key"]) {
		t.Errorf("revealing: %d %s", reveal.status, mainText(reveal.text))
	}
}

// TestConsole_Upload: a file is uploaded by the page's form alone, streamed under the name it has, and stands in the release; one without a
// file, under a bad name, or by a form of another site is refused, and the page says why.
func TestConsole_Upload(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := s.as(t, owner)
	at := "/admin/releases/" + s.ids["draft-release"]
	send := func(from, name string, content []byte) page {
		t.Helper()
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		_ = form.WriteField("platform", "windows-x64")
		if name != "" {
			part, err := form.CreateFormFile("file", name)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = part.Write(content)
		}
		_ = form.Close()
		return c.do(t, http.MethodPost, at+"/files", http.Header{"Sec-Fetch-Site": {from}, "Content-Type": {form.FormDataContentType()}}, &body)
	}
	send("same-origin", "quill-1.3.0.exe", bytes.Repeat([]byte("x"), 300_000)).done(t, "the upload")
	if shown := c.get(t, at).text; !strings.Contains(shown, "The file is stored") || !strings.Contains(shown, "quill-1.3.0.exe") || !strings.Contains(shown, "windows-x64") || !strings.Contains(shown, "293.0 KiB") {
		t.Errorf("the release shows %s", mainText(shown))
	}
	for what, c2 := range map[string]struct {
		name    string
		content []byte
		says    string
	}{"no file": {"", nil, "No file arrived whole"}, "empty": {"a.zip", nil, "choose a file"}, "bad name": {".hidden", []byte("x"), "starting with a letter or digit"}} {
		send("same-origin", c2.name, c2.content).done(t, what)
		if shown := c.get(t, at).text; !strings.Contains(mainText(shown), c2.says) {
			t.Errorf("%s: the page says %s", what, mainText(shown))
		}
	}
	if p := send("cross-site", "evil.zip", []byte("x")); p.status != http.StatusForbidden {
		t.Errorf("a form of another site answered %d", p.status)
	}
}

// TestConsole_Import: a file is tried first, which keeps nothing and names each row; with an error nothing can be kept; without one the
// same text is imported by one more press.
func TestConsole_Import(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := s.as(t, owner)
	wrong := `{"products":[{"slug":"ruler","name":"","purpose":"revenue","key_prefix":"RULER"}]}`
	p := c.send(t, "/admin/import", url.Values{"format": {"json"}, "data": {wrong}})
	if !strings.Contains(mainText(p.text), "Nothing was imported: 1 row with an error") || !strings.Contains(p.text, `&#34;ruler&#34;`) {
		t.Errorf("a wrong file: %d %s", p.status, mainText(p.text))
	}
	right := strings.Replace(wrong, `"name":""`, `"name":"Ruler"`, 1)
	p = c.send(t, "/admin/import", url.Values{"format": {"json"}, "data": {right}})
	if !strings.Contains(mainText(p.text), "Tried, nothing kept yet: 1 new") || strings.Contains(c.get(t, "/admin/products").text, "Ruler") {
		t.Errorf("a trial: %d %s", p.status, mainText(p.text))
	}
	p = c.post(t, "/admin/import", url.Values{"format": {"json"}, "data": {right}, "go": {"yes"}, "once": {onceField.FindStringSubmatch(p.text)[1]}})
	if p.status != http.StatusOK || !strings.Contains(p.text, "Imported") || !strings.Contains(c.get(t, "/admin/products").text, "Ruler") {
		t.Errorf("the import: %d %s", p.status, mainText(p.text))
	}
	if p := c.send(t, "/admin/import", url.Values{"format": {"csv"}, "data": {" "}}); p.status != http.StatusUnprocessableEntity {
		t.Errorf("nothing to import answered %d", p.status)
	}
}

// TestConsole_Roles: each role is shown what it may do and refused the rest, by a page; a role that may not read the trail gets no row of it.
func TestConsole_Roles(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.must(t, http.MethodPost, "/v1/staff", object{"email": stageEmail("auditor"), "role": "auditor", "password": password}, nil)
	s.must(t, http.MethodPost, "/v1/staff", object{"email": stageEmail("catalogue"), "role": "catalogue", "password": password}, nil)
	for who, want := range map[string]map[string]int{
		"auditor":   {"/admin": 200, "/admin/audit": 200, "/admin/jobs": 200, "/admin/licenses/" + s.ids["license"]: 200, "/admin/mail/kept": 403},
		"catalogue": {"/admin": 200, "/admin/audit": 403, "/admin/audit.csv": 403, "/admin/orders": 403, "/admin/products": 200, "/admin/files": 200, "/admin/mail": 403},
	} {
		s.tokens[who] = s.signIn(t, who)
		c := s.as(t, who)
		for at, status := range want {
			p := c.get(t, at)
			if p.status != status {
				t.Errorf("%s at %s: %d, want %d", who, at, p.status, status)
			}
			if who == "auditor" && strings.Contains(p.text, "/revoke") {
				t.Errorf("%s offers the auditor to revoke", at)
			}
		}
		if p := c.send(t, "/admin/licenses/"+s.ids["license"]+"/suspend", url.Values{"reason": {"because"}}); p.status != http.StatusForbidden {
			t.Errorf("%s suspends a license: %d", who, p.status)
		}
	}
}

// TestConsole_AuditFile: the trail as CSV has a row for each change, and no text in it begins as a formula does.
func TestConsole_AuditFile(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := s.as(t, owner)
	c.send(t, "/admin/licenses/"+s.ids["license"]+"/suspend", url.Values{"reason": {`=HYPERLINK("http://evil.example","x")`}}).done(t, "suspending")
	file := c.get(t, "/admin/audit.csv?target="+s.ids["license"])
	if file.status != http.StatusOK || !strings.HasPrefix(file.header.Get("Content-Type"), "text/csv") || !strings.Contains(file.text, "license.suspend") {
		t.Fatalf("the file: %d %s", file.status, file.text)
	}
	if strings.Contains(file.text, `,"=HYPERLINK`) || strings.Contains(file.text, ",=HYPERLINK") || !strings.Contains(file.text, "'=HYPERLINK") {
		t.Errorf("a formula stands in %s", file.text)
	}
}

// TestConsole_Switch: a switch is flipped with its reason, says what it stops, and its end is kept; the overview and the shop know at once.
func TestConsole_Switch(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := s.as(t, owner)
	at := "/admin/switches/signup?off=yes"
	if bad := c.send(t, at, url.Values{"off": {"yes"}, "product": {""}, "reason": {"robots"}, "until": {"tomorrow"}}); bad.status != http.StatusUnprocessableEntity || !strings.Contains(bad.text, "robots") {
		t.Errorf("a wrong end: %d %s", bad.status, mainText(bad.text))
	}
	c.send(t, at, url.Values{"off": {"yes"}, "product": {""}, "reason": {"robots sign up"}, "until": {"2099-01-02T03:04"}}).done(t, "switching off")
	if shown := mainText(c.get(t, "/admin/switches").text); !strings.Contains(shown, "robots sign up") || !strings.Contains(shown, "2099") {
		t.Errorf("the switches show %s", shown)
	}
	c.send(t, "/admin/switches/signup?off=no", url.Values{"off": {"no"}, "product": {""}, "reason": {"they are gone"}}).done(t, "switching on")
	if p := c.get(t, "/admin/switches/nothing"); p.status != http.StatusNotFound {
		t.Errorf("a switch that is none answered %d", p.status)
	}
}

// TestR10_LookingAtAnAccount: staff who look at a customer's account say why, see what the customer sees under a banner on every page, change
// nothing, are shown no key and have no console meanwhile; that they looked is audited.
func TestR10_LookingAtAnAccount(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := s.as(t, owner)
	at := "/admin/customers/" + s.ids[customer]
	if bad := c.send(t, at+"/look", url.Values{"reason": {""}}); bad.status != http.StatusUnprocessableEntity {
		t.Errorf("without a reason: %d", bad.status)
	}
	if p := c.send(t, at+"/look", url.Values{"reason": {"ticket 7"}}); p.status != http.StatusOK || !strings.Contains(p.text, "You look at a customer") {
		t.Fatalf("looking: %d %s", p.status, mainText(p.text))
	}
	for _, where := range []string{"/account", "/account/licenses", "/account/orders", "/"} {
		if p := c.get(t, where); p.status != http.StatusOK || !strings.Contains(p.text, `class="banner"`) || strings.Contains(p.text, s.ids["license-key"]) {
			t.Errorf("%s: %d, banner %t, key %t", where, p.status, strings.Contains(p.text, `class="banner"`), strings.Contains(p.text, s.ids["license-key"]))
		}
	}
	if p := c.get(t, at); p.status != http.StatusNotFound {
		t.Errorf("the console answered %d", p.status)
	}
	if p := c.post(t, "/buy/quill?plan=pro&currency=EUR", url.Values{"quantity": {"1"}, "terms": {"yes"}, "delivery": {"yes"}}); p.status < 400 {
		t.Errorf("buying as the customer answered %d %s", p.status, p.to)
	}
	var trail licensing.List[struct{ Action, Reason string }]
	s.must(t, http.MethodGet, "/v1/audit?action=customer.impersonate", nil, &trail)
	if len(trail.Items) != 1 || trail.Items[0].Reason != "ticket 7" {
		t.Errorf("the trail has %+v", trail.Items)
	}
}

// TestConsole_Customers: a customer is found by the start of the address, kept from signing in with a reason, and let in again.
func TestConsole_Customers(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := s.as(t, owner)
	at := "/admin/customers/" + s.ids[customer]
	if p := c.get(t, "/admin/customers?q=cust"); !strings.Contains(p.text, at) || strings.Contains(p.text, s.ids[other]) {
		t.Errorf("the search shows %s", mainText(p.text))
	}
	if p := c.get(t, at); !strings.Contains(p.text, s.ids["order"]) || !strings.Contains(p.text, s.ids["license"]) {
		t.Errorf("the customer shows %s", mainText(p.text))
	}
	c.send(t, at+"/disable", url.Values{"reason": {"asked for it"}}).done(t, "disabling")
	if p := s.as(t, customer).get(t, "/account"); p.status != http.StatusSeeOther {
		t.Errorf("a disabled customer's page answered %d", p.status)
	}
	c.send(t, at+"/enable", url.Values{"reason": {"asked again"}}).done(t, "enabling")
}
