package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestStaffWithoutCodesReachTheirAccountOnly: where the shop asks its staff for one-time codes, who has none reads and changes their own
// account and is told of everything else what to do first.
func TestStaffWithoutCodesReachTheirAccountOnly(t *testing.T) {
	t.Parallel()
	p := newPeople(t, storetest.SQLite(t))
	key, err := seal.New(make([]byte, seal.Size))
	if err != nil {
		t.Fatal(err)
	}
	p.accounts.RequireTOTP, p.accounts.Seal = true, key
	session := p.owner(t)
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/v1/me", "", http.StatusOK}, {"GET", "/v1/sessions", "", http.StatusOK}, {"PATCH", "/v1/account", `{"name":"Grace"}`, http.StatusOK},
		{"POST", "/v1/account/totp", "{}", http.StatusCreated}, {"GET", "/v1/staff", "", http.StatusForbidden}, {"GET", "/v1/keys", "", http.StatusForbidden},
		{"POST", "/v1/machine-tokens", `{"name":"n","scopes":["a:b"]}`, http.StatusForbidden},
	} {
		w := p.call(t, c.method, c.path, session, c.body, nil)
		if w.Code != c.want || c.want == http.StatusForbidden && !strings.Contains(w.Body.String(), `"totp-required"`) {
			t.Errorf("%s %s answered %d %s", c.method, c.path, w.Code, w.Body)
		}
	}
}

// TestU01_APresetTextIsNotAdopted: whoever signs in with a bearer text or a cookie already set gets texts of the service's own making.
func TestU01_APresetTextIsNotAdopted(t *testing.T) {
	t.Parallel()
	p := newPeople(t, storetest.SQLite(t))
	p.owner(t)
	preset := "mts_" + strings.Repeat("p", 43)
	body := `{"email":"owner@example.com","password":"correct horse battery"}`
	if w := p.call(t, "POST", "/v1/sessions", preset, body, nil); w.Code != http.StatusUnauthorized {
		t.Errorf("a preset bearer was taken: %d", w.Code)
	}
	var in struct{ Token, Renewal string }
	if w := p.call(t, "POST", "/v1/sessions", "", body, &in, "Cookie", "session="+preset); w.Code != http.StatusCreated || in.Token == preset || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("%d %+v %v", w.Code, in, w.Header())
	}
	if w := p.call(t, "GET", "/v1/me", preset, "", nil); w.Code != http.StatusUnauthorized {
		t.Errorf("the preset text opens %d", w.Code)
	}
}
