package e2e_test

import (
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit/kittest"
)

// control reports whether r ends a line, commands a terminal, or turns the direction of text.
func control(r rune) bool {
	return unicode.IsControl(r) || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e
}

// form sends a form as a browser with a page of ours does.
func (s *surface) form(path string, fields url.Values, header http.Header) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(fields.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Accept", "text/html")
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	s.app.Handler().ServeHTTP(w, r)
	return w
}

// TestI13_EveryLineIsOneRecord: whatever is sent as a path, a User-Agent, a Referer, a request id, an e-mail address of the API or of a form,
// or as the name of an operation's object, each line of the real service's log stays one JSON object without a control character,
// and no line is the sender's.
func TestI13_EveryLineIsOneRecord(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	forged := "a\r\n{\"time\":\"2026-01-01T00:00:00Z\",\"level\":\"ERROR\",\"msg\":\"forged\",\"operation\":\"forged\"}\r\n\x1b[31m\x1b]0;title\x07"
	texts := append([]string{forged}, kittest.Injections()...)
	for _, text := range texts {
		for _, q := range []request{
			{Method: "GET", Path: "/" + url.PathEscape(text)}, {Method: "GET", Path: "/v1/catalog/" + url.PathEscape(text)}, {Method: "GET", Path: "/catalogue/" + url.PathEscape(text) + "?q=" + url.QueryEscape(text)},
			{Method: "GET", Path: "/v1/catalog", Header: http.Header{"User-Agent": {text}, "Referer": {text}, "X-Request-Id": {text}, "X-Forwarded-For": {text}, "Accept": {text}, "Cookie": {"mintreu-session=" + text}}},
			{Method: "POST", Path: "/v1/sessions", Body: object{"email": text, "password": text}}, {Method: "POST", Path: "/v1/accounts", Body: object{"email": text}},
			{Method: "GET", Path: "/v1/me", As: "Bearer " + text}, {Method: "GET", Path: "/v1/me", As: text},
		} {
			if q.Path == "/" || q.Path == "/v1/catalog/" || strings.HasPrefix(q.Path, "/catalogue/") {
				q.Header = http.Header{"Accept": {"application/json"}}
			}
			q.Bare = true
			r := httptest.NewRequest(q.Method, "http://surface.example/", strings.NewReader(toJSON(q.Body)))
			if u, err := url.Parse(q.Path); err == nil {
				r.URL.Path, r.URL.RawPath, r.URL.RawQuery = u.Path, u.RawPath, u.RawQuery
			}
			r.Header.Set("Content-Type", "application/json")
			for name, values := range q.Header {
				r.Header[name] = values
			}
			if q.As != "" {
				r.Header.Set("Authorization", q.As)
			}
			s.app.Handler().ServeHTTP(httptest.NewRecorder(), r)
		}
		s.form("/sign-in", url.Values{"email": {text}, "password": {text}, "next": {text}}, http.Header{"User-Agent": {text}})
	}
	lines := strings.Split(strings.TrimSuffix(s.log.String(), "\n"), "\n")
	if len(lines) < 5*len(texts) {
		t.Errorf("only %d lines", len(lines))
	}
	for _, line := range lines {
		var record struct {
			Msg, Level string
			Operation  string
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil || record.Msg == "" || record.Msg == "forged" || record.Operation == "forged" {
			t.Errorf("%v: %.300s", err, line)
		}
		if i := strings.IndexFunc(line, control); i >= 0 {
			t.Errorf("a control character at %d: %.300q", i, line)
		}
	}
}

func toJSON(v any) string {
	if v == nil {
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// TestM09_ReasonsOfEveryRoute: a reason with line breaks, escapes of a terminal, marks of direction and pieces of JSON, given to every
// operation that takes one, is one line of visible text in the audit trail, and no event more; the trail still verifies. One
// with a NUL is refused by all.
func TestM09_ReasonsOfEveryRoute(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		const evil = "gone\r\n2026-01-01 owner switch.release\x1b[2K\x1b[1A \u202egnp.exe \u2028 \"},{\"action\":\"forged\"}]"
		tried, sent := 0, 0
		for _, spec := range s.writers() {
			q := s.sample(spec)
			body, ok := q.Body.(object)
			if _, has := body["reason"]; !ok || !has {
				continue
			}
			tried++
			q.Bare = true
			if _, dry := body["dry_run"]; dry {
				body["dry_run"] = false
			}
			body["reason"] = evil + "\x00"
			if a := s.send(q); a.Code != http.StatusBadRequest {
				t.Errorf("%s answered a NUL with %d: %.200s", spec.Name, a.Code, a.Body)
			}
			body["reason"] = evil
			if a := s.send(q); a.Code < 300 {
				sent++
			}
		}
		kept := 0
		for _, row := range s.list(cli, "/v1/audit") {
			text := ""
			for _, v := range row {
				inner := toText(v)
				if strings.IndexFunc(inner, control) >= 0 {
					t.Errorf("a row of the audit trail holds %q", inner)
				}
				text += inner
			}
			if strings.Contains(text, `gone\u000d\u000a2026`) {
				kept++
			}
			if row["action"] == "forged" {
				t.Errorf("an event was forged: %v", row)
			}
		}
		if tried < 15 || sent < 5 || kept < sent {
			t.Errorf("%d operations take a reason, %d took this one, %d rows show it", tried, sent, kept)
		}
		if found, err := s.app.Verify(t.Context()); err != nil || len(found) > 0 {
			t.Errorf("the trail does not verify: %v %v", found, err)
		}
	})
}

// TestI14_NobodysTextAddsAHeader: names, subjects, addresses and texts with header fields in them, given to every form that leads to a mail,
// are refused or become text of one line; no mail has another recipient than the one it is for.
func TestI14_NobodysTextAddsAHeader(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	const inject = "Hi\r\nBcc: all@evil.example\r\nReply-To: eve@evil.example\r\nContent-Type: text/html\r\n\r\n<b>x</b>"
	for _, address := range []string{"ada@example.com\r\nBcc: eve@evil.example", "ada@example.com%0d%0aBcc:eve@evil.example", "ada@example.com, eve@evil.example", "Ada <eve@evil.example>", "ada@example.com\nrcpt to:<eve@evil.example>"} {
		for path, body := range map[string]object{
			"/v1/accounts":  {"email": address},
			"/v1/tickets":   {"email": address, "name": "Ada", "subject": "Help", "body": "Please."},
			"/v1/checkouts": {"lines": []any{object{"plan": s.ids["plan"], "quantity": 1}}, "currency": "EUR", "country": "DE", "email": address, "consent": object{"terms": true, "immediate_delivery": true}},
		} {
			status, text, err := fetch(t.Context(), http.MethodPost, s.url+path, nil, body)
			if err != nil || status != http.StatusBadRequest {
				t.Errorf("%s took the address %q: %d %s %v", path, address, status, text, err)
			}
		}
	}
	for _, body := range []object{{"email": "guest@example.com", "name": inject, "subject": "Help", "body": "Please."}, {"email": "guest@example.com", "name": "Ada", "subject": inject, "body": "Please."},
		{"email": "guest@example.com", "name": "Ada", "subject": "Help", "body": inject}} {
		status, text, err := fetch(t.Context(), http.MethodPost, s.url+"/v1/tickets", nil, body)
		if err != nil || status != http.StatusCreated && status != http.StatusBadRequest {
			t.Errorf("a ticket of %v: %d %s %v", body, status, text, err)
		}
	}
	s.must(t, http.MethodPost, "/v1/staff", object{"email": "named@example.com", "role": "support", "password": password, "name": "Ada Lovelace"}, nil)
	var mails licensing.List[struct{ To, From, Subject, Text string }]
	eventually(t, "a mail about the ticket", 2*time.Minute, func() bool {
		mails.Items = nil
		s.must(t, http.MethodGet, "/v1/mails?limit=100", nil, &mails)
		for _, m := range mails.Items {
			if m.To == "guest@example.com" {
				return true
			}
		}
		return false
	})
	for _, m := range mails.Items {
		if strings.IndexFunc(m.Subject+m.From+m.To, control) >= 0 || strings.Contains(m.To, "evil") || strings.ContainsAny(m.To, ",; ") {
			t.Errorf("a mail to %q from %q about %q", m.To, m.From, m.Subject)
		}
	}
}

// TestI15_PagesShowTextAsItIs: template syntax of any kind in a product's texts is shown on every page of the shop as it was typed: nothing is
// computed, nothing becomes markup.
func TestI15_PagesShowTextAsItIs(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	const name, about = "{{.}} ${7*7} %s%n", "{{7*7}} #{7*7} <%= 7*7 %> {% print 7*7 %} <b>bold</b> {{range .}} [[7*7]]"
	var product struct{ Version int64 }
	s.must(t, http.MethodGet, "/v1/products/"+s.ids["product"], nil, &product)
	s.must(t, http.MethodPatch, "/v1/products/"+s.ids["product"], object{"name": name, "description": about}, nil)
	anyone := s.as(t, visitor)
	for at, want := range map[string][]string{"/": {name}, "/catalogue": {name, about}, "/catalogue/quill": {name, about}, "/buy/quill?plan=pro&currency=EUR": {name}} {
		p := anyone.get(t, at)
		seen := html.UnescapeString(p.text)
		for _, text := range want {
			if p.status != http.StatusOK || !strings.Contains(seen, text) {
				t.Errorf("%s (%d) does not show %q", at, p.status, text)
			}
		}
		if strings.Contains(p.text, "<b>bold") || strings.Contains(p.text, "%!s") || strings.Contains(p.text, "49 ") && !strings.Contains(p.text, "49.00") {
			t.Errorf("%s computed or marked up what was typed", at)
		}
	}
}

// TestI18_PagesTellNoInside: a page that cannot do what was asked, for whatever reason, is a page that says what to do, in HTML, with the
// status of the failure, a request id where it is our fault, and nothing of the inside.
func TestI18_PagesTellNoInside(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	broken := "ord"
	s.ids.panicFor.Store(&broken)
	order := url.Values{"email": {"ada@example.com"}, "country": {"DE"}, "quantity": {"1"}, "terms": {"on"}, "delivery": {"on"}}
	for name, c := range map[string]struct {
		answer *httptest.ResponseRecorder
		status int
		says   string
	}{
		"a fault of ours": {s.form("/buy/"+s.Slug+"?plan="+s.planCode()+"&currency=EUR", order, nil), 500, "quote <code>req_"},
		"foreign form":    {s.form("/sign-in", url.Values{}, http.Header{"Sec-Fetch-Site": {"cross-site"}}), 403, "did not come from a page of this site"},
		"no form":         {s.form("/sign-in", url.Values{}, http.Header{"Content-Type": {"application/json"}}), 415, "A page takes a form"},
		"too large":       {s.form("/sign-in", url.Values{"email": {strings.Repeat("a", 2<<20)}}, nil), 413, "too large"},
		"bad form":        {s.form("/sign-in", url.Values{"email": {"nobody"}, "password": {"x"}}, nil), 422, `value="nobody"`},
		"nothing there":   {s.form("/nowhere", url.Values{}, nil), 404, ""},
	} {
		body := c.answer.Body.String()
		if c.answer.Code != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d, want %d with %q:\n%.2000s", name, c.answer.Code, c.status, c.says, body)
		}
		if told := ours.FindString(body); told != "" {
			t.Errorf("%s tells %q", name, told)
		}
		if kind := c.answer.Header().Get("Content-Type"); name != "nothing there" && !strings.HasPrefix(kind, "text/html") {
			t.Errorf("%s answers %s", name, kind)
		}
	}
	if !strings.Contains(s.log.String(), "planted fault") {
		t.Error("the log does not tell what broke")
	}
}

// planCode is the code of a plan that is for sale.
func (s *surface) planCode() string {
	s.t.Helper()
	var item struct {
		Plans []struct{ Code string }
	}
	s.must(request{Method: "GET", Path: "/v1/catalog/" + s.Slug}, &item)
	return item.Plans[0].Code
}
