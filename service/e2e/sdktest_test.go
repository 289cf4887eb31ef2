package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/sdktest"
	"github.com/mintreu/mintreu/service/app"
)

// twin is one of two servers that are told the same: the service, or the one of package sdktest that stands for it in the tests of products.
type twin struct {
	url  string
	keys map[string]string // license keys by the name of the policy
	now  int64
	had  map[string]string // what answers said, by the name of the member
}

// say sends one request, with what was said before in place of {names}, and returns what a product acts upon: the status, the code of a problem or
// the names of the members of a good answer.
func (w *twin) say(t *testing.T, s phrase) string {
	t.Helper()
	var pairs []string
	for name, v := range w.had {
		pairs = append(pairs, "{"+name+"}", v)
	}
	for name, key := range w.keys {
		pairs = append(pairs, "{key "+name+"}", key)
	}
	pairs = append(pairs, "{tomorrow}", fmt.Sprint(w.now+86400), "{yesterday}", fmt.Sprint(w.now-86400), "{next year}", fmt.Sprint(w.now+365*86400), "{quarter}", fmt.Sprint(w.now-w.now%900))
	fill := strings.NewReplacer(pairs...)
	r, err := http.NewRequestWithContext(t.Context(), s.method, w.url+fill.Replace(s.path), strings.NewReader(fill.Replace(s.body)))
	if err != nil {
		t.Fatal(err)
	}
	if s.auth != "" {
		r.Header.Set("Authorization", fill.Replace(s.auth))
	}
	if s.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if s.media != "" {
		r.Header.Set("Content-Type", s.media)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return fmt.Sprintf("%d text of %d parts", res.StatusCode, bytes.Count(text, []byte("."))+1)
	}
	if res.StatusCode >= 300 {
		return fmt.Sprintf("%d %s", res.StatusCode, members["code"])
	}
	for name, v := range members {
		var text string
		if json.Unmarshal(v, &text) == nil && s.keep != "" {
			w.had[s.keep+" "+name] = text
		}
	}
	if parts := strings.Split(w.had[s.keep+" license"], "."); len(parts) == 3 {
		var claims struct {
			Status struct {
				List struct{ URI string } `json:"status_list"`
			}
		}
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err == nil {
			err = json.Unmarshal(payload, &claims)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, n, ok := strings.Cut(claims.Status.List.URI, sdk.PathStatus); ok {
			w.had[s.keep+" status"] = sdk.PathStatus + n
		}
	}
	delete(members, "decision")
	said := fmt.Sprintf("%d %v", res.StatusCode, slices.Sorted(maps.Keys(members)))
	if d, ok := decisionOf(text); ok {
		said += " " + d
	}
	return said
}

func decisionOf(text []byte) (string, bool) {
	var out struct {
		Decision *struct {
			Allowed bool
			Code    string
		}
	}
	if json.Unmarshal(text, &out) != nil || out.Decision == nil {
		return "", false
	}
	return fmt.Sprintf("allowed %t %s", out.Decision.Allowed, out.Decision.Code), true
}

// phrase is one request. What a good answer says is kept under keep.
type phrase struct {
	what               string
	method, path, auth string
	body, media, keep  string
}

const (
	deviceA   = `"device":{"machine":"AAAAAAAAAAAAAAAAAAAAAA","disk":"AAAAAAAAAAAAAAAAAAAAAB","network":"AAAAAAAAAAAAAAAAAAAAAC"}`
	deviceB   = `"device":{"machine":"BAAAAAAAAAAAAAAAAAAAAA","disk":"BAAAAAAAAAAAAAAAAAAAAB","network":"BAAAAAAAAAAAAAAAAAAAAC"}`
	deviceC   = `"device":{"machine":"CAAAAAAAAAAAAAAAAAAAAA","disk":"CAAAAAAAAAAAAAAAAAAAAB","network":"CAAAAAAAAAAAAAAAAAAAAC"}`
	quillTest = `{"product":"quill","env":"test",`
	theKey    = "License {key team}"
)

func takes(what, auth, body, keep string) phrase {
	return phrase{what: what, method: "POST", path: sdk.PathActivations, auth: auth, body: body, keep: keep}
}

func beats(what, id, auth, body, keep string) phrase {
	return phrase{what: what, method: "POST", path: sdk.PathActivations + "/" + id + sdk.PathHeartbeat, auth: auth, body: body, keep: keep}
}

func lends(what, verb, auth, body string) phrase {
	return phrase{what: what, method: "POST", path: sdk.PathActivations + "/{a activation}" + verb, auth: auth, body: body}
}

func asks(what, auth, body string) phrase {
	return phrase{what: what, method: "POST", path: sdk.PathValidate, auth: auth, body: body}
}

func opens(what, auth, body, keep string) phrase {
	return phrase{what: what, method: "POST", path: sdk.PathUsageSources, auth: auth, body: body, keep: keep}
}

func counts(what, source, seq, rows string) phrase {
	return phrase{what: what, method: "POST", path: sdk.PathUsage, auth: "Lease {a lease}", body: `{"source":"` + source + `","seq":` + seq + `,"rows":[` + rows + `]}`}
}

func row(events, sum, highest int, rest string) string {
	return fmt.Sprintf(`{"meter":"pages","at":{quarter},"events":%d,"sum":%d,"max":%d%s}`, events, sum, highest, rest)
}

var conversation = []phrase{
	takes("no credential", "", quillTest+deviceA+"}", ""),
	takes("wrong scheme", "Bearer {key team}", quillTest+deviceA+"}", ""),
	takes("unknown key", "License MINT-00000-00000-00000-00000-00000-00000", quillTest+deviceA+"}", ""),
	takes("no key", "License not a key", quillTest+deviceA+"}", ""),
	takes("no JSON", theKey, "no JSON", ""),
	takes("unknown member", theKey, quillTest+deviceA+`,"seats":9}`, ""),
	takes("a member twice", theKey, quillTest+deviceA+`,"product":"quill"}`, ""),
	takes("something behind", theKey, quillTest+deviceA+`} {}`, ""),
	{what: "wrong media", method: "POST", path: sdk.PathActivations, auth: theKey, body: quillTest + deviceA + "}", media: "text/plain"},
	takes("other product", theKey, `{"product":"pencil","env":"test",`+deviceA+"}", ""),
	takes("no product", theKey, `{"env":"test",`+deviceA+"}", ""),
	takes("other environment", theKey, `{"product":"quill","env":"live",`+deviceA+"}", ""),
	takes("default environment", theKey, `{"product":"quill",`+deviceA+"}", ""),
	takes("no environment", theKey, `{"product":"quill","env":"staging",`+deviceA+"}", ""),
	takes("no device", theKey, `{"product":"quill","env":"test"}`, ""),
	takes("too little of a device", theKey, quillTest+`"device":{"machine":"AAAAAAAAAAAAAAAAAAAAAA"}}`, ""),
	takes("a bad component", theKey, quillTest+`"device":{"Machine!":"AAAAAAAAAAAAAAAAAAAAAA","disk":"AAAAAAAAAAAAAAAAAAAAAB"}}`, ""),
	takes("a bad digest", theKey, quillTest+`"device":{"machine":"not base64url","disk":"AAAAAAAAAAAAAAAAAAAAAB"}}`, ""),
	takes("a long name", theKey, quillTest+deviceA+`,"name":"`+strings.Repeat("x", 201)+`"}`, ""),
	takes("a bad nonce", theKey, quillTest+deviceA+`,"nonce":"with space"}`, ""),
	takes("a long version", theKey, quillTest+deviceA+`,"version":"`+strings.Repeat("1", 65)+`"}`, ""),
	takes("a bad user", theKey, quillTest+deviceA+`,"user":"ada@example.com"}`, ""),
	takes("device A", theKey, quillTest+deviceA+"}", "a"),
	takes("device A again", theKey, quillTest+deviceA+"}", "a"),
	takes("device A with the token", "License {a license}", quillTest+deviceA+"}", "a"),
	takes("device B", theKey, quillTest+deviceB+`,"name":"Ada's laptop","nonce":"abc"}`, "b"),
	takes("device C", theKey, quillTest+deviceC+"}", ""),

	beats("without a lease", "{a activation}", "", `{"seq":1}`, ""),
	beats("with the key", "{a activation}", theKey, `{"seq":1}`, ""),
	beats("with the license for a lease", "{a activation}", "Lease {a license}", `{"seq":1}`, ""),
	beats("of another", "{b activation}", "Lease {a lease}", `{"seq":1}`, ""),
	beats("of nobody", "act_none", "Lease {a lease}", `{"seq":1}`, ""),
	beats("no JSON", "{a activation}", "Lease {a lease}", `no`, ""),
	beats("unknown member", "{a activation}", "Lease {a lease}", `{"seq":1,"x":1}`, ""),
	beats("from another device", "{a activation}", "Lease {a lease}", `{"seq":3,`+deviceB+`}`, ""),
	beats("from the device", "{a activation}", "Lease {a lease}", `{"seq":3,`+deviceA+`}`, "a"),
	beats("without the token", "{a activation}", "Lease {a lease}", `{"seq":4,"token":"none"}`, "a"),

	lends("in the past", sdk.PathBorrow, "Lease {a lease}", `{"until":{yesterday}}`),
	lends("for too long", sdk.PathBorrow, "Lease {a lease}", `{"until":{next year}}`),
	lends("until when", sdk.PathBorrow, "Lease {a lease}", `{}`),
	lends("with the key", sdk.PathBorrow, theKey, `{"until":{tomorrow}}`),
	lends("until tomorrow", sdk.PathBorrow, "Lease {a lease}", `{"until":{tomorrow}}`),
	lends("back", sdk.PathReturn, "Lease {a lease}", `{}`),
	lends("back again", sdk.PathReturn, "Lease {a lease}", `{}`),

	asks("no credential", "", quillTest+`"version":"1"}`),
	asks("unknown key", "License MINT-00000-00000-00000-00000-00000-00000", quillTest+`"version":"1"}`),
	asks("this device", theKey, quillTest+deviceA+`}`),
	asks("another device", theKey, quillTest+deviceC+`}`),
	asks("no device", theKey, `{"product":"quill","env":"test"}`),
	asks("a feature", theKey, quillTest+deviceA+`,"entitlement":"export"}`),
	asks("no feature", theKey, quillTest+deviceA+`,"entitlement":"import"}`),
	asks("too much of one", theKey, quillTest+deviceA+`,"entitlement":"projects","n":26}`),
	asks("other product", theKey, `{"product":"pencil","env":"test",`+deviceA+`}`),
	asks("other environment", theKey, `{"product":"quill",`+deviceA+`}`),
	asks("unknown member", theKey, quillTest+deviceA+`,"x":1}`),

	opens("no credential", "", `{"nonce":"0123456789abcdef"}`, ""),
	opens("short nonce", "Lease {a lease}", `{"nonce":"short"}`, ""),
	opens("long nonce", "Lease {a lease}", `{"nonce":"`+strings.Repeat("n", 65)+`"}`, ""),
	opens("a source", "Lease {a lease}", `{"nonce":"0123456789abcdef"}`, "u"),
	counts("unknown source", "src_none", "1", row(1, 2, 2, "")),
	counts("no rows", "{u source}", "1", ""),
	counts("no events", "{u source}", "1", row(0, 2, 2, "")),
	counts("more than the sum", "{u source}", "1", row(1, 2, 3, "")),
	counts("below nothing", "{u source}", "1", row(1, -2, 0, "")),
	counts("no meter", "{u source}", "1", `{"meter":"Pages!","at":{quarter},"events":1,"sum":1,"max":1}`),
	counts("between quarters", "{u source}", "1", `{"meter":"pages","at":{quarter}7,"events":1,"sum":1,"max":1}`),
	counts("a bad subject", "{u source}", "1", row(1, 1, 1, `,"subject":"Ada L."`)),
	counts("batch 0", "{u source}", "0", row(1, 1, 1, "")),
	counts("batch 2 before 1", "{u source}", "2", row(1, 1, 1, "")),
	counts("batch 1", "{u source}", "1", row(2, 5, 4, "")),
	counts("batch 1 again", "{u source}", "1", row(2, 5, 4, "")),
	counts("another batch 1", "{u source}", "1", row(2, 6, 4, "")),
	counts("batch 2", "{u source}", "2", row(1, 1, 1, `,"subject":"ada","group":"eu"`)),
	counts("batch 1 after 2", "{u source}", "1", row(2, 5, 4, "")),
	{what: "too many rows", method: "POST", path: sdk.PathUsage, auth: "Lease {a lease}", body: `{"source":"{u source}","seq":3,"rows":[` + strings.Repeat(row(1, 1, 1, "")+",", sdk.MaxUsageRows) + row(1, 1, 1, "") + `]}`},

	{what: "given back without a lease", method: "DELETE", path: sdk.PathActivations + "/{a activation}"},
	{what: "given back by another", method: "DELETE", path: sdk.PathActivations + "/{a activation}", auth: "Lease {b lease}"},
	{what: "given back", method: "DELETE", path: sdk.PathActivations + "/{a activation}", auth: "Lease {a lease}"},
	{what: "given back again", method: "DELETE", path: sdk.PathActivations + "/{a activation}", auth: "Lease {a lease}"},
	beats("after that", "{a activation}", "Lease {a lease}", `{"seq":9,`+deviceA+`}`, ""),
	lends("after that", sdk.PathBorrow, "Lease {a lease}", `{"until":{tomorrow}}`),
	takes("device C now", theKey, quillTest+deviceC+"}", "c"),
	takes("device A now", theKey, quillTest+deviceA+"}", ""),

	takes("no user", "License {key people}", quillTest+deviceA+"}", ""),
	takes("a user", "License {key people}", quillTest+deviceA+`,"user":"QWRh"}`, "p"),
	takes("the user elsewhere", "License {key people}", quillTest+deviceB+`,"user":"QWRh"}`, "p"),
	takes("another user", "License {key people}", quillTest+deviceB+`,"user":"R3JhY2U"}`, ""),
	{what: "not floating", method: "POST", path: sdk.PathActivations + "/{p activation}" + sdk.PathBorrow, auth: "Lease {p lease}", body: `{"until":{tomorrow}}`},

	takes("no version", "License {key two}", quillTest+deviceA+"}", ""),
	takes("a newer version", "License {key two}", quillTest+deviceA+`,"version":"3.0"}`, ""),
	takes("a version", "License {key two}", quillTest+deviceA+`,"version":"2.9"}`, "v"),

	{what: "current token, without a credential", method: "GET", path: sdk.PathToken},
	{what: "current token, by a lease", method: "GET", path: sdk.PathToken, auth: "Lease {c lease}"},
	{what: "current token, by the key", method: "GET", path: sdk.PathToken, auth: theKey},
	{what: "current token, by a token", method: "GET", path: sdk.PathToken, auth: "License {c license}"},
	{what: "current token, of nobody", method: "GET", path: sdk.PathToken, auth: "License MINT-00000-00000-00000-00000-00000-00000"},
	{what: "keyset", method: "GET", path: sdk.PathKeyset},
	{what: "roots", method: "GET", path: sdk.PathRoots},
	{what: "status list", method: "GET", path: "{v status}"},
	{what: "no status list", method: "GET", path: sdk.PathStatus + "999"},
	{what: "no number", method: "GET", path: sdk.PathStatus + "x"},
	{what: "no release", method: "GET", path: sdk.PathUpdates + "quill?from=1.0.0"},
	{what: "no such product", method: "GET", path: sdk.PathUpdates + "none?from=1.0.0"},
	{what: "no such operation", method: "GET", path: "/v1/none"},
}

// afterwards is what is said while a license is out of use, or in use again.
var afterwards = []phrase{
	takes("device C", theKey, quillTest+deviceC+"}", ""),
	takes("device D", theKey, strings.ReplaceAll(quillTest+deviceC+"}", `"CAAA`, `"DAAA`), ""),
	beats("device C", "{c activation}", "Lease {c lease}", `{"seq":1,`+deviceC+`}`, ""),
	beats("device A, which has no seat", "{a activation}", "Lease {a lease}", `{"seq":9}`, ""),
	{what: "device C", method: "POST", path: sdk.PathActivations + "/{c activation}" + sdk.PathBorrow, auth: "Lease {c lease}", body: `{"until":{tomorrow}}`},
	asks("device C", theKey, quillTest+deviceC+`}`),
	asks("device A", theKey, quillTest+deviceA+`}`),
	{what: "current token", method: "GET", path: sdk.PathToken, auth: "License {c license}"},
}

// sdktest is as strict as the service: whatever a product says, well or wrongly, both answer with the same status, the same code and the same members,
// so that a product whose tests pass against the one does not meet its first refusal at the other.
func TestSdktest_AnswersAsTheServiceDoes(t *testing.T) {
	t.Parallel()
	day := int64(86400)
	s := bareStage(t, app.Config{})
	s.plantShop(t)
	terms := func(more object) object {
		o := object{"type": "perpetual", "activation": "required", "recheck": day, "fresh": 7 * day, "stale": 4 * day, "grace": 3 * day}
		maps.Copy(o, more)
		return o
	}
	real := &twin{url: s.url, keys: map[string]string{}, had: map[string]string{}, now: time.Now().Unix()}
	for code, more := range map[string]object{
		"team":   {"seats": object{"n": 2, "by": "device", "floating": true}, "match": 2, "dead_after": 30 * day, "entitlements": object{"export": true, "projects": 25}},
		"people": {"seats": object{"n": 1, "by": "user"}},
		"two":    {"seats": object{"n": 1, "by": "device"}, "max_version": "2", "status": "warn", "status_max_age": 7 * day},
	} {
		id := s.made(t, code+"-policy", "/v1/policies", object{"product_id": s.ids["product"], "code": code, "name": code, "terms": terms(more)})
		var out struct{ ID, Key string }
		s.must(t, http.MethodPost, "/v1/licenses", object{"policy": id, "plan": "team", "env": "test", "email": "ada@example.com", "licensee": "Ada", "reason": "for the test", "reference": code}, &out)
		real.keys[code] = out.Key
		s.ids[code] = out.ID
	}

	fake := sdktest.NewServer()
	t.Cleanup(fake.Close)
	pol := sdktest.Policy()
	pol.Match = 2
	one := sdktest.Policy()
	listed := sdktest.Policy()
	listed.Status, listed.StatusMaxAge = doc.StatusWarn, 7*sdktest.Day
	double := &twin{url: fake.URL(), had: map[string]string{}, now: fake.Clock.Now().Unix(), keys: map[string]string{
		"team":   fake.Issue(sdktest.Spec{Product: "quill", Env: "test", Seats: 2, Floating: true, Policy: &pol, Ent: map[string]doc.Value{"export": doc.On(), "projects": doc.Int(25)}}),
		"people": fake.Issue(sdktest.Spec{Product: "quill", Env: "test", Seats: 1, By: doc.ByUser, Policy: &one}),
		"two":    fake.Issue(sdktest.Spec{Product: "quill", Env: "test", Seats: 1, MaxVersion: "2", Policy: &listed}),
	}}
	hold := func(when string, talk []phrase) {
		for i, p := range talk {
			if want, got := real.say(t, p), double.say(t, p); want != got {
				t.Errorf("%s%d: %s %s: %s\n\tthe service: %s\n\tsdktest:     %s", when, i, p.method, p.path, p.what, want, got)
			}
		}
	}
	hold("", conversation)
	does := func(verb string) {
		s.must(t, http.MethodPost, "/v1/licenses/"+s.ids["team"]+"/"+verb, object{"reason": "for the test"}, nil)
	}
	does("suspend")
	fake.Suspend(double.keys["team"])
	hold("suspended, ", afterwards)
	does("reinstate")
	fake.Reinstate(double.keys["team"])
	hold("reinstated, ", afterwards)
	does("revoke")
	fake.Revoke(double.keys["team"])
	hold("revoked, ", afterwards)
}
