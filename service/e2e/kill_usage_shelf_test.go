//go:build failpoint

package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	sdkdevice "github.com/mintreu/mintreu/sdk/device"
	"github.com/mintreu/mintreu/sdk/spool"
)

// quota is how much of the meter the license may use in its whole term: far more than what the steps report.
const quota = 1_000_000

// issued is a license or API key.
type issued struct{ id, secret string }

// shelf has the service run with a product whose use is counted, and issues a license with a quota and an API key that may report.
func (k *killing) shelf(t *testing.T) (license, key issued) {
	t.Helper()
	k.begin(t)
	what := shelve(t, k.operator)
	make := func(at string, in map[string]any, out any) {
		t.Helper()
		if err := k.operator(t.Context(), http.MethodPost, at, in, out); err != nil {
			t.Fatal(err)
		}
	}
	var policy struct{ ID string }
	make("/v1/meters", map[string]any{"product_id": what.product, "code": "pages", "name": "Pages", "kind": "sum", "unit": "pages", "event": "rendered", "value": "pages"}, nil)
	make("/v1/policies", map[string]any{"product_id": what.product, "code": "metered", "name": "Metered", "terms": map[string]any{"type": "perpetual", "seats": map[string]any{"n": seats, "by": "device"},
		"activation": "required", "meters": map[string]any{"pages": map[string]any{"quota": quota, "period": "term"}}}}, &policy)
	var lic struct{ ID, Key string }
	make("/v1/licenses", map[string]any{"policy": policy.ID, "plan": "metered", "env": "test", "email": "ada@example.com", "licensee": "Ada", "reason": "drill", "reference": "metered"}, &lic)
	return issued{lic.ID, lic.Key}, k.key(t, what.product)
}

// key makes an API key that may report, for the owner of the license.
func (k *killing) key(t *testing.T, product string) issued {
	t.Helper()
	var owner string
	if err := k.rows.QueryRow(t.Context(), `SELECT owner FROM license WHERE product_id = $1`, product).Scan(&owner); err != nil {
		t.Fatal(err)
	}
	var out struct {
		Key    struct{ ID string }
		Secret string
	}
	if err := k.operator(t.Context(), http.MethodPost, "/v1/keys", map[string]any{"owner": owner, "product": product, "env": "test", "name": "counting", "scopes": []string{"usage:write"}}, &out); err != nil {
		t.Fatal(err)
	}
	return issued{out.Key.ID, out.Secret}
}

// spoolReporter sends what a product on an activated device reports: so many events at a time.
func (k *killing) spoolReporter(t *testing.T, license issued, events int64) *reporter {
	t.Helper()
	client, err := sdk.New(sdk.Config{BaseURL: k.balancer.url, Product: "quill", Env: "test", Roots: []string{k.running.root(t)}}, sdk.WithStore(&sdk.MemoryStore{}),
		sdk.WithDevice(sdkdevice.Fingerprint{"machine": "4c4c4544-0043", "disk": "S4EWNX0M", "mac": "02:42:ac:11:00:02"}),
		sdk.WithSpool(spool.Options{Dir: filepath.Join(t.TempDir(), "usage")}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if d, err := client.Activate(t.Context(), license.secret); err != nil || !d.Allowed {
		t.Fatalf("activate: %+v, %v", d, err)
	}
	k.report = func(n int64) error { return client.Report("pages", n) }
	return &reporter{name: "spool", carrier: license.id, send: client.Flush, make: func() (u used, err error) {
		for n := range events {
			if err := k.report(n); err != nil {
				return u, err
			}
			u = u.plus(used{1, n})
		}
		return u, nil
	}}
}

// asks asks the service what was counted for a carrier, which its account must say too.
func (k *killing) asks(t *testing.T, carrier string) (u used) {
	t.Helper()
	today := time.Now().UTC().Truncate(24 * time.Hour)
	q := url.Values{"carrier": {carrier}, "meter": {"pages"}, "from": {today.AddDate(0, 0, -2).Format(time.RFC3339)}, "to": {today.AddDate(0, 0, 2).Format(time.RFC3339)}}
	var sums struct {
		Windows []struct{ Events, Sum int64 }
	}
	var account struct{ Closing struct{ Events, Sum int64 } }
	for at, out := range map[string]any{"/v1/usage": &sums, "/v1/usage/explain": &account} {
		if err := k.operator(t.Context(), http.MethodGet, at+"?"+q.Encode(), nil, out); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range sums.Windows {
		u = u.plus(used{w.Events, w.Sum})
	}
	if fmt.Sprint(account.Closing) != fmt.Sprint(u) {
		t.Errorf("the account of %s closes with %+v, and %+v is counted", carrier, account.Closing, u)
	}
	return u
}
