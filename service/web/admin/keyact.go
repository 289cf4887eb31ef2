package admin

import (
	"fmt"
	"strings"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func keyStates() []ui.Option {
	return choices("Any state", "active", "disabled", "expired", "revoked")
}

// keySearchNames are what the list of keys can be narrowed by, as its address says.
var keySearchNames = [...]string{"owner", "member", "product", "plan", "env", "state", "name", "q"}

// keySearch is what the list of keys was narrowed to.
func keySearch(f *ui.Form) apikey.Search {
	return apikey.Search{Owner: licensing.Owner(f.Text("owner")), Member: f.Text("member"), Product: f.Text("product"), Plan: f.Text("plan"), Env: licensing.Env(f.Text("env")),
		State: apikey.State(f.Text("state")), Name: f.Text("name"), Query: f.Text("q")}
}

// keyPairs are the members of a search by name, for an address.
func keyPairs(q apikey.Search) []string {
	return []string{"owner", string(q.Owner), "member", q.Member, "product", q.Product, "plan", q.Plan, "env", string(q.Env), "state", string(q.State), "name", q.Name, "q", q.Query}
}

func keyActKinds() []ui.Option {
	return []ui.Option{{Value: "suspend", Name: "Suspend them"}, {Value: "reinstate", Name: "End their suspension"}, {Value: "revoke", Name: "Revoke them for good"}}
}

// actKeys does one thing to all API keys of a search: it says how many they are and, for what cannot be undone, wants that number typed.
func (p *pages) actKeys(v *site.Visit) error {
	f, frame := v.Form(), v.Frame("Change many API keys", ui.Link{Href: "/admin/keys", Name: "API keys"})
	if err := v.Ready(p.ops.ActKeys.Spec()); err != nil {
		return err
	}
	if !v.Posted() {
		for _, name := range keySearchNames {
			f.Default(name, v.Query(name))
		}
	}
	where := keySearch(f)
	look := kit.WithIdempotencyKey(v.Ctx(), "") // the form's token belongs to what is done in the end
	found, err := p.ops.ActKeys.Call(look, bulk.ActKeysRequest{Action: "suspend", Search: where, DryRun: true})
	if err != nil {
		return err
	}
	products, err := p.products(v)
	if err != nil {
		return err
	}
	show := func() error { return v.Show(actKeysPage(frame, f, found.Count, where, named(products, where.Product))) }
	if !v.Posted() {
		return show()
	}
	r := bulk.ActKeysRequest{Action: f.Text("action"), Search: where, Count: f.Int("seen", 0), Reason: f.Text("reason")}
	if typed := f.Text("count"); r.Action == "revoke" && typed != fmt.Sprint(r.Count) {
		f.Wrong("count", "type the number of keys, "+fmt.Sprint(found.Count)+", if you mean to revoke them")
	}
	if !f.OK() {
		return show()
	}
	out, err := p.ops.ActKeys.Call(v.Ctx(), r)
	if other := f.Refuse(err, map[string]string{"/count": "count"}); other != nil {
		return other
	}
	if err != nil {
		return show()
	}
	return v.Go("/admin/runs/"+out.Run.ID, "good", "It is under way; this page tells how far it is.")
}

// keySearchText says what a search is narrowed to.
func keySearchText(q apikey.Search, product string) string {
	var out []string
	for _, part := range []struct{ text, value string }{{"state", string(q.State)}, {"environment", string(q.Env)}, {"plan", q.Plan}, {"name", q.Name}, {"found by", q.Query}, {"owner", string(q.Owner)}, {"member", q.Member}} {
		if part.value != "" {
			out = append(out, part.text+" "+part.value)
		}
	}
	if q.Product != "" {
		out = append(out, "product "+product)
	}
	if len(out) == 0 {
		return "all API keys there are"
	}
	return strings.Join(out, ", ")
}
