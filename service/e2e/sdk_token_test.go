package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/eval"
)

// A product whose policy needs no activation and that has nothing but a token installed is renewed by that token, also though the token has ended
// and though licensing is switched off; no other operation takes one that has ended. Once the license has a new key the old token is told so by the
// status list and fetches nothing.
func TestSDK_RenewsByTokenAtTheService(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{}, func(t *testing.T, s *site) {
		var owned, policy struct{ ID string }
		l := s.sells(t, 1)[0]
		var sample struct{ Owner, Env string }
		s.must(t, http.MethodGet, "/v1/licenses/"+l.id, nil, &sample)
		const day = 24 * 3600
		s.must(t, http.MethodPost, "/v1/policies", object{"product_id": s.product.product, "code": "file", "name": "By file", "terms": object{"type": "timed", "duration": 30 * day,
			"activation": "none", "status": "require", "status_max_age": 40 * day, "seats": object{"n": 1, "by": "device"}, "entitlements": object{"export": true}}}, &policy)
		s.must(t, http.MethodPost, "/v1/licenses", object{"policy": policy.ID, "plan": "file", "env": sample.Env, "owner": sample.Owner, "reason": "test", "reference": "1"}, &owned)
		l.id = owned.ID
		token := func() string {
			var out struct{ Token string }
			s.must(t, http.MethodGet, "/v1/licenses/"+l.id+"/token", nil, &out)
			return out.Token
		}
		asks := func(path, credential string) int {
			status, _, err := fetch(t.Context(), http.MethodGet, l.url+path, http.Header{"Authorization": {sdk.SchemeLicense + " " + credential}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			return status
		}
		first, c := token(), l.on(t, "a")
		if err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		d, err := c.Install(t.Context(), first)
		says(t, "install", d, err, eval.Valid)
		checks(t, c, eval.Valid)
		for range 2 {
			l.does(t, "renew")
			l.clock.Forward(25 * time.Hour)
			was := c.License().TokenID
			checks(t, c, eval.Valid)
			if c.License().TokenID == was {
				t.Error("the renewed token was not fetched")
			}
		}
		if got := l.held(t); got != 0 {
			t.Errorf("%d seats are held", got)
		}
		s.flip(t, "licensing", "", true)
		if status := asks(sdk.PathToken, first); status != http.StatusOK {
			t.Errorf("with licensing off the first token is answered %d", status)
		}
		s.flip(t, "licensing", "", false)
		if status := asks("/v1/licenses/"+l.id+"/token", first); status != http.StatusNotFound {
			t.Errorf("another operation answers a token that has ended with %d", status)
		}
		l.does(t, "reissue")
		for _, credential := range []string{first, "MINT-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA", "a.b.c"} {
			if status := asks(sdk.PathToken, credential); status != http.StatusUnauthorized {
				t.Errorf("%.12s is answered %d", credential, status)
			}
		}
		l.clock.Forward(25 * time.Hour)
		checks(t, c, eval.Revoked)
		s.sound(t)
	})
}
