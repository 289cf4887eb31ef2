package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing"
)

// canaries are secrets that are alive in the service, by what they are.
func (s *surface) canaries() map[string]string {
	bare := func(as string) string { _, secret, _ := strings.Cut(as, " "); return secret }
	return map[string]string{"password": password, "license key": s.A.Key, "license token": s.A.Token, "lease": s.A.Lease, "API key": s.A.APIKey, "access code": s.A.Access,
		"session of a customer": bare(s.A.Session), "session of the owner": bare(s.Staff[licensing.RoleOwner]), "machine token": bare(s.Machine["licenses:read"]),
		"revoked machine token": bare(s.Dead["machine:revoked"]), "expired API key": bare(s.Dead["apikey:expired"])}
}

// TestM10_A05_SecretsReachNoLogAuditOrMetric: credentials that are used, and that are sent where they do not belong (in paths, queries,
// headers, other members, and bodies that are refused), are in no line of the log, no row of the audit trail and no metric.
func TestM10_A05_SecretsReachNoLogAuditOrMetric(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		for kind, secret := range s.canaries() {
			s.mislay(kind, secret)
		}
		s.must(request{Method: "POST", Path: "/v1/licenses/" + s.A.License + "/reveal", As: s.A.Session}, nil)
		s.must(request{Method: "GET", Path: "/v1/keys/authorize", As: "Bearer " + s.A.APIKey}, nil)
		outputs := s.outputs()
		for where, text := range outputs {
			if len(text) < 500 {
				t.Errorf("%s has %d bytes only", where, len(text))
			}
			for kind, secret := range s.canaries() {
				for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strings.ReplaceAll(secret, "-", ""), strings.ToLower(secret)} {
					if i := strings.Index(text, form); i >= 0 {
						t.Errorf("the %s is in %s: …%s…", kind, where, text[max(0, i-200):min(len(text), i+len(form)+40)])
						break
					}
				}
			}
		}
	})
}

// outputs are what the service tells operators.
func (s *surface) outputs() map[string]string {
	s.t.Helper()
	var trail strings.Builder
	for _, row := range s.list(cli, "/v1/audit") {
		for _, v := range row {
			trail.WriteString(toText(v) + "\n")
		}
	}
	return map[string]string{"the log": s.log.String(), "the metrics": s.metrics(), "the audit trail": trail.String()}
}

// personal are members that hold what is about a person, of the operations that people call about themselves.
var personal = regexp.MustCompile(`/(email|to|from|name|licensee|subject|body|text|vat_id|message|note|filename|legal_name|address|old_email|new_email)$`)

// TestM10_PersonalDataStaysOut: addresses, names, tax numbers and what people write, given to every operation that takes them, whether it
// refuses or keeps them, are in no line of the log, no metric and no row of the audit trail.
func TestM10_PersonalDataStaysOut(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		sent := map[string]string{}
		for _, spec := range s.writers() {
			tag, _, _ := strings.Cut(spec.Name, ".")
			if slices.Contains([]string{"product", "plan", "policy", "machine", "key", "catalog", "canned", "article", "release"}, tag) { // names of things
				continue
			}
			q := s.sample(spec)
			q.Bare = true
			for at, set := range texts(q.Body, "") {
				if !personal.MatchString(at) {
					continue
				}
				canary := fmt.Sprintf("canary%04d", len(sent))
				sent[canary] = spec.Name + at
				value := canary
				switch at[strings.LastIndex(at, "/")+1:] {
				case "email", "to", "from", "old_email", "new_email":
					value = canary + "@example.com"
				case "vat_id":
					value = "DE" + canary
				}
				undo := set(value)
				s.send(q)
				undo()
			}
		}
		if len(sent) < 12 {
			t.Errorf("only %d members were tried: %v", len(sent), sent)
		}
		for where, text := range s.outputs() {
			for canary, at := range sent {
				if i := strings.Index(strings.ToLower(text), canary); i >= 0 {
					t.Errorf("%s is in %s: …%s…", at, where, text[max(0, i-200):min(len(text), i+60)])
				}
			}
		}
	})
}

// mislay sends a secret to places where it does not belong.
func (s *surface) mislay(kind, secret string) {
	s.t.Helper()
	owner := s.Staff[licensing.RoleOwner]
	for _, spec := range s.routes {
		spec := spec.Spec()
		q := s.sample(spec)
		q.Bare = true
		if spec.Name == "session.end-current" {
			continue
		}
		path := q.Path
		if strings.Contains(spec.Path, "{") {
			q.Path = at(spec.Path, url.PathEscape(secret))
			s.send(q)
		}
		for _, param := range append(s.queryOf(spec.Name), "key", "token") {
			q.Path = path + "?" + param + "=" + url.QueryEscape(secret)
			if a := s.send(q); a.Code < 300 && kind != "password" && kind != "access code" && !strings.HasPrefix(kind, "session") {
				s.t.Errorf("%s with a %s as %s answered %d", spec.Name, kind, param, a.Code)
			}
		}
	}
	for name, q := range map[string]request{
		"unknown member":    {Method: "POST", Path: "/v1/keys/verify", As: owner, Body: object{secret: secret}},
		"broken JSON":       {Method: "POST", Path: "/v1/keys/verify", As: owner, Body: `{"key":"` + secret + `"`},
		"verified":          {Method: "POST", Path: "/v1/keys/verify", As: owner, Body: object{"key": secret}},
		"sign-in":           {Method: "POST", Path: "/v1/sessions", Body: object{"email": "nobody@example.com", "password": secret}},
		"confirmation":      {Method: "POST", Path: "/v1/accounts/confirm", Body: object{"token": secret, "password": secret}},
		"as a license key":  {Method: "POST", Path: "/v1/activations", As: "License " + secret, Body: object{"product": "none", "device": device("x")}},
		"as a lease":        {Method: "POST", Path: "/v1/activations/x/heartbeat", As: "Lease " + secret, Body: object{"seq": 1}},
		"as a bearer":       {Method: "GET", Path: "/v1/nowhere", As: "Bearer " + secret},
		"unknown scheme":    {Method: "GET", Path: "/v1/me", As: "Basic " + secret},
		"unknown path":      {Method: "GET", Path: "/" + url.PathEscape(secret)},
		"method":            {Method: "BREW", Path: "/v1/me?token=" + url.QueryEscape(secret)},
		"other headers":     {Method: "GET", Path: "/v1/me", Header: http.Header{"User-Agent": {secret}, "Referer": {"https://shop.example/?k=" + secret}, "Cookie": {"session=" + secret}, "X-Api-Key": {secret}, "X-Forwarded-For": {secret}}},
		"idempotency key":   {Method: "POST", Path: "/v1/checkouts", Body: s.basket(), Header: http.Header{"Idempotency-Key": {secret}}},
		"webhook":           {Method: "POST", Path: "/v1/webhooks/stripe", Body: object{"id": secret}, Header: http.Header{"Stripe-Signature": {"t=1,v1=" + secret}}},
		"receipt of orders": {Method: "GET", Path: "/v1/checkouts/" + s.B.Order + "/receipt.html?access=" + url.QueryEscape(secret)},
	} {
		q.Bare = true
		if a := s.send(q); a.Code >= 500 {
			s.t.Errorf("%s with a %s answered %d: %.200s", name, kind, a.Code, a.Body)
		}
	}
}

// metrics is what the operator's listener says.
func (s *surface) metrics() string {
	w := httptest.NewRecorder()
	s.app.OpsHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func toText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	var b strings.Builder
	if m, ok := v.(object); ok {
		for k, inner := range m {
			b.WriteString(k + "=" + toText(inner) + " ")
		}
	}
	return b.String()
}

// secretNames are names of members that hold what must not leave the service.
var secretNames = regexp.MustCompile(`(?i)seal|hash|digest|password|private|seed|secret|salt|cipher`)

// TestNoAnswerHoldsSealedOrHashed: no success of an operation that anybody may read has a member that is named as sealed, hashed or secret, but for those shown
// once, and no answer holds a password or somebody's digest.
func TestNoAnswerHoldsSealedOrHashed(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	read := 0
	for _, route := range s.routes {
		spec := route.Spec()
		if spec.Method != http.MethodGet {
			continue
		}
		a := s.send(s.sample(spec))
		if a.Code >= 300 {
			continue
		}
		read++
		for kind, secret := range s.canaries() {
			if strings.Contains(a.Body.String(), secret) && !(kind == "license token" && (spec.Name == "license.token" || spec.Name == "license.current")) {
				t.Errorf("%s shows the %s", spec.Name, kind)
			}
		}
		for _, name := range regexp.MustCompile(`"([A-Za-z_]+)":`).FindAllStringSubmatch(a.Body.String(), -1) {
			if secretNames.MatchString(name[1]) && name[1] != "root_hash" {
				t.Errorf("%s answers with %s", spec.Name, name[1])
			}
		}
	}
	if read < 25 {
		t.Errorf("only %d answers were read", read)
	}
}

// TestRespTypesHoldNoSealedBytes: none of the response types of the operations has a field of raw bytes named as, or of a type named as, something
// sealed or hashed.
func TestRespTypesHoldNoSealedBytes(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	seen := map[reflect.Type]bool{}
	var walk func(at string, typ reflect.Type)
	walk = func(at string, typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			walk(at, typ.Elem())
		case reflect.Struct:
			if seen[typ] || typ.PkgPath() == "time" {
				return
			}
			seen[typ] = true
			for i := range typ.NumField() {
				f := typ.Field(i)
				if f.Tag.Get("json") == "-" || !f.IsExported() {
					continue
				}
				if (secretNames.MatchString(f.Name) || secretNames.MatchString(f.Type.Name())) && f.Tag.Get("secret") != "once" && f.Type.Kind() != reflect.Bool {
					s.t.Errorf("%s has %s.%s of type %s", at, typ, f.Name, f.Type)
				}
				walk(at+"."+f.Name, f.Type)
			}
		}
	}
	for _, route := range s.routes {
		walk(route.Spec().Name, responseOf(route))
	}
	if len(seen) < 40 {
		t.Errorf("only %d types were walked", len(seen))
	}
}

// responseOf is the response type of an operation: the one that its method Call returns.
func responseOf(route any) reflect.Type {
	call, _ := reflect.TypeOf(route).MethodByName("Call")
	return call.Type.Out(0)
}

// TestX09_ForeignOriginsReadNothing: pages of origins that are not configured, of null, or of origins that only look like ours, get no CORS
// header from any path, preflight or not; the configured one gets the operations for storefronts and no credentials.
func TestX09_ForeignOriginsReadNothing(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	evil := []string{"https://evil.example", "null", "https://shop.example.evil", "https://evilshop.example", "http://shop.example", "https://shop.example:8443", "https://SHOP.example", "https://shop.example/", "https://a.shop.example", "https://shop.example,https://evil.example", "*", "file://", ""}
	for _, route := range s.routes {
		spec := route.Spec()
		for _, origin := range append(evil, "https://shop.example") {
			for _, q := range []request{s.sample(spec), {Method: http.MethodOptions, Path: s.sample(spec).Path, Header: http.Header{"Access-Control-Request-Method": {spec.Method}, "Access-Control-Request-Headers": {"authorization, content-type"}}}} {
				if q.Header == nil {
					q.Header, q.Body, q.As = http.Header{}, nil, ""
				}
				q.Header["Origin"], q.Bare = []string{origin}, true
				h := s.send(q).Header()
				want := ""
				if spec.CORS && origin == "https://shop.example" {
					want = origin
				}
				if got := h.Get("Access-Control-Allow-Origin"); got != want {
					t.Errorf("%s %s for origin %q allows %q, want %q", q.Method, spec.Name, origin, got, want)
				}
				if h.Get("Access-Control-Allow-Credentials") != "" || strings.Contains(strings.ToLower(h.Get("Access-Control-Allow-Headers")), "authorization") {
					t.Errorf("%s %s for origin %q admits credentials: %v", q.Method, spec.Name, origin, h)
				}
			}
		}
	}
}

// TestM14_OperatorsPathsAreNotPublic: metrics, profiles, alert rules and the sandbox's levers are at no address of the public listener,
// whoever asks and however it is spelled; the operator's listener has them.
func TestM14_OperatorsPathsAreNotPublic(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	for _, path := range []string{"/metrics", "/metrics/", "//metrics", "/v1/../metrics", "/%6detrics", "/debug/pprof", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/pprof/profile?seconds=1",
		"/debug/vars", "/alerts.yml", "/sandbox/control", "/sandbox/control/faults", "/sandbox//control/faults", "/sandbox/x/../control/faults", "/sandbox/%63ontrol/faults"} {
		for _, as := range []string{"", s.Staff[licensing.RoleOwner]} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				r, err := http.NewRequest(method, s.base+path, strings.NewReader("{}"))
				if err != nil {
					t.Fatal(err)
				}
				if as != "" {
					r.Header.Set("Authorization", as)
				}
				res, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				text, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if res.StatusCode < 400 || strings.Contains(string(text), "go_goroutines") {
					t.Errorf("%s %s answered %d: %.200s", method, path, res.StatusCode, text)
				}
			}
		}
	}
	if !strings.Contains(s.metrics(), "go_goroutines") {
		t.Error("the operator's listener has no metrics")
	}
}
