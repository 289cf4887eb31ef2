package admin

import (
	"net/http"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// tryKey asks whether a key is good for a use, as a product's back end does. The key that was typed is not shown again.
func (p *pages) tryKey(v *site.Visit) error {
	if err := v.Ready(p.ops.VerifyKey.Spec()); err != nil {
		return err
	}
	products, err := p.products(v)
	if err != nil {
		return err
	}
	f, frame := v.Form(), v.Frame("Try an API key", ui.Link{Href: "/admin/keys", Name: "API keys"})
	f.Default("cost", "1")
	if !v.Posted() {
		return v.Show(tryKeyPage(frame, f, products, nil))
	}
	cost := f.Int("cost", 1)
	check := apikey.VerifyCheck{Key: f.Text("key"), Cost: &cost, Scopes: words(f.Get("scopes")), IP: f.Text("ip"), Product: f.Text("product"), Env: licensing.Env(f.Text("env"))}
	if check.Key == "" {
		f.Wrong("key", "must be the whole text of a key")
	}
	if !f.OK() {
		return v.Show(tryKeyPage(frame, f, products, nil))
	}
	out, err := p.ops.VerifyKey.Call(v.Ctx(), apikey.VerifyRequest{VerifyCheck: check})
	if other := f.Refuse(err, map[string]string{"/key": "key", "/cost": "cost", "/scopes": "scopes", "/ip": "ip", "cost": "cost"}); other != nil {
		return other
	}
	if err != nil {
		return v.Show(tryKeyPage(frame, f, products, nil))
	}
	return v.Render(http.StatusOK, tryKeyPage(frame, f, products, &out.VerifyResult))
}
