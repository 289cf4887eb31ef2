package e2e_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/limit/limittest"
)

// keyLines are rows of a file of keys, as CSV: one that may be imported for each text, and one that may not when it is empty.
func keyLines(texts ...string) string {
	out := "reference,hash,hint,email\n"
	for i, text := range texts {
		hash := "no-hash"
		if text != "" {
			hash = fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
		}
		out += fmt.Sprintf("old-%d,%s,old_%d,ada%d@example.com\n", i+1, hash, i+1, i+1)
	}
	return out
}

// TestConsole_ImportKeys: the hashes of API keys are checked first, which keeps nothing and names each bad row with the reason; without one they
// are imported by one more press, with a reason, once however often it is pressed; a file that was imported before changes nothing. Whoever may
// not import finds no way there.
func TestConsole_ImportKeys(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	const at = "/admin/keys/import"
	c := s.as(t, owner)
	c.get(t, "/admin/keys").shows(t, "the list of keys", 200, `href="`+at+`"`)
	c.get(t, at).shows(t, "the page", 200, "What a file looks like", "reference,hash,hint", "sha256sum", "{&#34;keys&#34;")
	file := func(text string, more ...string) url.Values {
		f := url.Values{"product": {s.ids["product"]}, "source": {"old-shop"}, "env": {"test"}, "text": {text}}
		for i := 0; i < len(more); i += 2 {
			f.Set(more[i], more[i+1])
		}
		return f
	}
	imported := func() (n int) {
		var list licensing.List[struct{ ID string }]
		for i := range 3 {
			s.must(t, http.MethodGet, fmt.Sprintf("/v1/keys?env=test&q=old_%d", i+1), nil, &list)
			n += len(list.Items)
		}
		return n
	}
	c.send(t, at, file(" ")).shows(t, "no file", 422, "Choose a file, or paste its text below")
	c.send(t, at, file("colour\nred\n")).shows(t, "no file of keys", 422, "is not known", `>colour`)
	c.send(t, at, file(keyLines("first of the old texts"), "for", "nobody's id")).shows(t, "an owner who is nobody", 422, "nobody", `value="nobody&#39;s id"`)
	bad := c.send(t, at, file(keyLines("first of the old texts", "", "first of the old texts")))
	bad.shows(t, "a file with bad rows", 200, "Nothing was imported: 2 keys have problems", "old-2", "must be the SHA-256", "old-3", "is that of line 2 too", "1 row without a problem")
	if strings.Contains(bad.text, `name="go"`) || imported() != 0 {
		t.Fatal("a file with bad rows can be imported, or was")
	}
	good := keyLines("first of the old texts", "second of the old texts")
	checked := c.send(t, at, file(good))
	checked.shows(t, "a good file", 200, "Checked, nothing kept yet: 2 keys to import", "Import 2 keys", "old-1", "ada1@example.com", "Is imported")
	if imported() != 0 {
		t.Fatal("the check imported keys")
	}
	once := onceField.FindStringSubmatch(checked.text)[1]
	press := func(reason string) page {
		return c.post(t, at, file("", "data", good, "go", "yes", "reason", reason, "once", once))
	}
	press("").shows(t, "no reason", 422, "Please say why", "Import 2 keys", "nothing kept yet")
	to := press("they moved here").done(t, "the import")
	if again := press("they moved here").done(t, "the import, pressed again"); again != to || !strings.HasPrefix(to, "/admin/runs/run_") {
		t.Fatalf("pressed twice it leads to %s and %s", to, again)
	}
	if !limittest.Eventually(time.Minute, func() bool { return strings.Contains(c.get(t, to).text, ">Done<") && imported() == 2 }) {
		t.Fatalf("the run never ended: %s", mainText(c.get(t, to).text))
	}
	c.send(t, at, file(good)).shows(t, "the same file again", 200, "Nothing to import: all 2 were imported before")
	as := strings.NewReplacer("one", fmt.Sprintf("%x", sha256.Sum256([]byte("third of the old texts"))))
	c.send(t, at, file(as.Replace(`{"keys":[{"reference":"old-3","hash":"one","colour":"red"}]}`), "for", s.ids["organisation"])).shows(t, "JSON with a member too many", 200, "Nothing was imported: 1 key has a problem", "Colour is not known")
	json := c.send(t, at, file(as.Replace(`{"keys":[{"reference":"old-3","hash":"one","hint":"old_3"}]}`), "for", s.ids["organisation"]))
	json.shows(t, "JSON", 200, "1 key to import")
	// what somebody else imported meanwhile is told at the press
	s.must(t, http.MethodPost, "/v1/keys/import", object{"product": s.ids["product"], "source": "another", "env": "test", "format": "csv", "reason": "meanwhile", "data": strings.ReplaceAll(keyLines("third of the old texts"), "old-1", "x")}, nil)
	late := func() page {
		return c.post(t, at, file("", "data", as.Replace(`{"keys":[{"reference":"old-3","hash":"one","hint":"old_3"}]}`), "for", s.ids["organisation"], "go", "yes", "reason", "late", "once", onceField.FindStringSubmatch(json.text)[1]))
	}
	if !limittest.Eventually(time.Minute, func() bool {
		var list licensing.List[struct{ State string }]
		s.must(t, http.MethodGet, "/v1/runs?about=key&state=running", nil, &list)
		return len(list.Items) == 0
	}) {
		t.Fatal("the other import never ended")
	}
	late().shows(t, "a hash that is taken by now", 422, "Nothing was imported: 1 key has a problem", "is that of key_")
	s.must(t, http.MethodPost, "/v1/staff", object{"email": stageEmail("support"), "role": "support", "password": password}, nil)
	s.tokens["support"] = s.signIn(t, "support")
	if p := s.as(t, "support").get(t, "/admin/keys"); p.status != 200 || strings.Contains(p.text, at) {
		t.Errorf("support is led to the import (%d)", p.status)
	}
	s.as(t, "support").get(t, at).shows(t, "for support", 403)
	s.as(t, customer).get(t, at).shows(t, "for a customer", 404)
}
