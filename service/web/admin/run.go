package admin

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) runPages() []site.Page {
	back := to("/admin/runs/{id}", "Run")
	move := func(id, reason string) bulk.MoveRequest { return bulk.MoveRequest{ID: id, Reason: reason} }
	out := []site.Page{get("runs", "/admin/runs", p.runs), get("run", "/admin/runs/{id}", p.run), post("run_keys", "/admin/runs/{id}/keys", p.runKeys)}
	out = append(out, both("license_act", "/admin/licenses/act", p.actLicenses)...)
	out = append(out, both("license_issue", "/admin/licenses/new", p.issueLicense)...)
	imports := both("license_import", "/admin/licenses/import", p.importLicenses)
	for i := range imports {
		imports[i].Limit = maxLicenseFile + 1<<20
	}
	out = append(out, imports...)
	return append(out, p.asked(
		action{name: "run_cancel", path: "/admin/runs/{id}/cancel", spec: p.ops.CancelRun.Spec(), back: back,
			title: "Cancel the run", button: "Cancel it", done: "The run is cancelled.",
			what: "It stops within seconds. What is done stays done, and it can go on later where it stopped.",
			do:   plain(func() op[bulk.MoveRequest, bulk.RunView] { return p.ops.CancelRun }, move)},
		action{name: "run_resume", path: "/admin/runs/{id}/resume", spec: p.ops.ResumeRun.Spec(), calm: true, back: back,
			title: "Go on with the run", button: "Go on", done: "The run goes on.",
			what: "It goes on where it stopped. Nothing is done twice.",
			do:   plain(func() op[bulk.MoveRequest, bulk.RunView] { return p.ops.ResumeRun }, move)})...)
}

func runStates() []ui.Option { return choices("Any state", "running", "done", "cancelled") }

func runKinds() []ui.Option {
	return choices("Any kind", "issue", "import", "suspend", "reinstate", "revoke", "extend", "entitle")
}

// lookAgain is after how many seconds the page of a run that is under way is looked at again.
const lookAgain = 3

func (p *pages) runs(v *site.Visit) error {
	list, err := p.ops.Runs.Call(v.Ctx(), bulk.ListRequest{Page: page(v, 25), About: pick(v, "about", runAbouts()), Kind: pick(v, "kind", runKinds()), State: pick(v, "state", runStates())})
	if err != nil {
		return err
	}
	f := v.Frame("Runs")
	for _, r := range list.Items {
		if r.State == "running" {
			f.Refresh = lookAgain
		}
	}
	return v.Show(runsPage(f, v.Filter(), list, next(v, list.Next), filtered(v), may(v, p.ops.IssueMany.Spec())))
}

// runView is what the page of a run shows.
type runView struct {
	bulk.RunView
	Failures licensing.List[bulk.RowView]
	More     string
	Move     bool
	Keys     bool
}

func (p *pages) run(v *site.Visit) error {
	r, err := p.ops.Run.Call(v.Ctx(), bulk.RunRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	view := runView{RunView: r, Move: may(v, p.ops.CancelRun.Spec())}
	view.Keys = view.Move && r.Kind == "issue" && r.State != "running" && r.KeysTaken == nil && r.Done > 0
	if r.Failed > 0 {
		view.Failures, err = p.ops.RunRows.Call(v.Ctx(), bulk.RowsRequest{ID: r.ID, Outcome: "failed", Page: page(v, 50)})
		if err != nil {
			return err
		}
		view.More = next(v, view.Failures.Next)
	}
	f := v.Frame(runTitle(r), ui.Link{Href: "/admin/runs", Name: "Runs"})
	if r.State == "running" {
		f.Refresh = lookAgain
	}
	return v.Show(runPage(f, v.Form(), view))
}

// runTitle says what a run does.
func runTitle(r bulk.RunView) string {
	what := map[string]string{"issue": "Issue of", "import": "Import of", "suspend": "Suspension of", "reinstate": "Reinstatement of", "revoke": "Revocation of", "extend": "Extension of",
		"entitle": "Features for"}[r.Kind]
	if r.About == "key" {
		return what + " " + ui.Plural(r.Total, "API key", "API keys")
	}
	return what + " " + ui.Plural(r.Total, "license", "licenses")
}

func runAbouts() []ui.Option {
	return []ui.Option{{Name: "Licenses and API keys"}, {Value: "license", Name: "Licenses"}, {Value: "key", Name: "API keys"}}
}

// runKeys gives out the keys of a run, once, as the answer to the form.
func (p *pages) runKeys(v *site.Visit) error {
	id := v.Param("id")
	out, err := p.ops.RunKeys.Call(v.Ctx(), bulk.RunRequest{ID: id})
	if told := public(err); told != nil {
		return v.Go("/admin/runs/"+id, "bad", told.Text)
	} else if err != nil {
		return err
	}
	if _, err := io.WriteString(v.Attach("keys-"+out.ID+".csv", "text/csv; charset=utf-8"), out.CSV); err != nil {
		v.Log(err)
	}
	return nil
}

// search is what the list of licenses was narrowed to, as its address says.
func search(f *ui.Form) bulk.Search {
	return bulk.Search{Owner: f.Text("owner"), Product: f.Text("product"), State: f.Text("state"), Env: f.Text("env"), Query: f.Text("q")}
}

func actKinds() []ui.Option {
	return []ui.Option{{Value: "suspend", Name: "Suspend them"}, {Value: "reinstate", Name: "End their suspension"}, {Value: "extend", Name: "Extend them by days"},
		{Value: "entitle", Name: "Add or replace features"}, {Value: "revoke", Name: "Revoke them for good"}}
}

// actLicenses does one thing to all licenses of a search: it says how many they are and, for what cannot be undone, wants that number typed.
func (p *pages) actLicenses(v *site.Visit) error {
	f, frame := v.Form(), v.Frame("Change many licenses", ui.Link{Href: "/admin/licenses", Name: "Licenses"})
	if err := v.Ready(p.ops.ActMany.Spec()); err != nil {
		return err
	}
	if !v.Posted() {
		for _, name := range []string{"owner", "product", "state", "env", "q"} {
			f.Default(name, v.Query(name))
		}
	}
	where := search(f)
	found, err := p.ops.Count.Call(v.Ctx(), bulk.CountRequest(where))
	if err != nil {
		return err
	}
	products, err := p.products(v)
	if err != nil {
		return err
	}
	show := func() error { return v.Show(actPage(frame, f, found.Count, where, named(products, where.Product))) }
	if !v.Posted() {
		return show()
	}
	r := bulk.ActRequest{Action: f.Text("action"), Search: where, Count: f.Int("seen", 0), Reason: f.Text("reason")}
	if r.Action == "extend" {
		r.Days = f.Int("days", 0)
	}
	if r.Action == "entitle" {
		r.Entitlements = entitlements(f, "entitlements")
	}
	if typed := f.Text("count"); r.Action == "revoke" && typed != fmt.Sprint(r.Count) {
		f.Wrong("count", "type the number of licenses, "+fmt.Sprint(found.Count)+", if you mean to revoke them")
	}
	if !f.OK() {
		return show()
	}
	run, err := p.ops.ActMany.Call(v.Ctx(), r)
	if other := f.Refuse(err, map[string]string{"/count": "count"}); other != nil {
		return other
	}
	if err != nil {
		return show()
	}
	return v.Go("/admin/runs/"+run.ID, "good", "It is under way; this page tells how far it is.")
}

// issueLicense issues one license and shows its key, or starts a run that issues many.
func (p *pages) issueLicense(v *site.Visit) error {
	f, frame := v.Form(), v.Frame("Issue licenses", ui.Link{Href: "/admin/licenses", Name: "Licenses"})
	if err := v.Ready(p.ops.IssueOne.Spec()); err != nil {
		return err
	}
	policies, err := p.policyChoices(v)
	if err != nil {
		return err
	}
	f.Default("count", "1")
	f.Default("env", "live")
	if !v.Posted() {
		return v.Show(issuePage(frame, f, policies))
	}
	from := bulk.From{Policy: f.Text("policy"), Env: licensing.Env(f.Text("env")), Reason: f.Text("reason")}
	n := f.Int("count", 1)
	if !f.OK() {
		return v.Show(issuePage(frame, f, policies))
	}
	if n != 1 {
		run, err := p.ops.IssueMany.Call(v.Ctx(), bulk.IssueManyRequest{From: from, Whom: bulk.Whom{Email: f.Text("email")}, Count: n})
		if other := f.Refuse(err, nil); other != nil {
			return other
		}
		if err != nil {
			return v.Show(issuePage(frame, f, policies))
		}
		return v.Go("/admin/runs/"+run.ID, "good", "It is under way. When it is done, fetch the keys here, once.")
	}
	out, err := p.ops.IssueOne.Call(v.Ctx(), bulk.IssueRequest{From: from, Whom: bulk.Whom{Email: f.Text("email")}, What: bulk.What{Licensee: f.Text("licensee"), Reference: f.Text("reference")}})
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	if err != nil {
		return v.Show(issuePage(frame, f, policies))
	}
	back := ui.Link{Href: "/admin/licenses/" + out.ID, Name: "License"}
	if out.Key == "" {
		return v.Go(back.Href, "", "The reference has this license already; none was made.")
	}
	return v.Render(http.StatusOK, oncePage(v.Frame("License issued", back), "License issued", "Send the key to its owner.", "License key", out.Key, back))
}

// policyChoices are the policies of all products, to choose from.
func (p *pages) policyChoices(v *site.Visit) ([]ui.Option, error) {
	products, err := p.products(v)
	if err != nil {
		return nil, err
	}
	list, err := p.ops.Policies.Call(v.Ctx(), license.ListPoliciesRequest{Page: licensing.Page{Limit: 100}})
	if err != nil {
		return nil, err
	}
	out := []ui.Option{}
	for _, l := range list.Items {
		out = append(out, ui.Option{Value: l.ID, Name: named(products, l.ProductID) + ": " + l.Name})
	}
	return out, nil
}

// maxLicenseFile is the largest file of licenses or keys that a page takes; the operations take larger ones.
const maxLicenseFile = 8 << 20

func importSources() []ui.Option {
	return []ui.Option{{Value: "mintreu/csv", Name: "A CSV file of our own format"}, {Value: "mintreu/json", Name: "A JSON file of our own format"}, {Value: "keygen/json", Name: "keygen: licenses as JSON"},
		{Value: "gumroad/csv", Name: "Gumroad: sales export as CSV"}, {Value: "lemonsqueezy/json", Name: "Lemon Squeezy: license keys as JSON"}}
}

// importLicenses takes a file: first to check each row, which keeps nothing, then for good.
func (p *pages) importLicenses(v *site.Visit) error {
	f, frame := v.Form(), v.Frame("Import licenses", ui.Link{Href: "/admin/licenses", Name: "Licenses"})
	if err := v.Ready(p.ops.ImportLicenses.Spec()); err != nil {
		return err
	}
	policies, err := p.policyChoices(v)
	if err != nil {
		return err
	}
	f.Default("env", "live")
	show := func(report *bulk.ImportReport) error { return v.Show(importLicensesPage(frame, f, policies, report)) }
	if !v.Posted() {
		return show(nil)
	}
	if err := fileText(v, f); err != nil {
		f.Wrong("file", err.Error())
		return show(nil)
	}
	source, format, _ := strings.Cut(f.Text("source"), "/")
	r := bulk.ImportRequest{From: bulk.From{Policy: f.Text("policy"), Env: licensing.Env(f.Text("env")), Reason: f.Text("reason")}, Whom: bulk.Whom{Email: f.Text("email")},
		Source: source, Format: format, Only: f.Text("only"), Data: f.Get("data"), DryRun: !f.Has("go")}
	if strings.TrimSpace(r.Data) == "" {
		f.Wrong("file", "choose a file")
		return show(nil)
	}
	report, err := p.ops.ImportLicenses.Call(v.Ctx(), r)
	if other := f.Refuse(err, map[string]string{"/format": "source"}); other != nil {
		return other
	}
	if err != nil {
		return show(nil)
	}
	if report.Run != nil {
		return v.Go("/admin/runs/"+report.Run.ID, "good", "The import is under way; this page tells how far it is.")
	}
	v.Fresh() // the same text is sent again for good, which is no repetition of the trial
	return show(&report)
}

// fileText puts the text of the uploaded file into the form.
func fileText(v *site.Visit, f *ui.Form) error {
	if v.R.MultipartForm == nil || len(v.R.MultipartForm.File["file"]) == 0 || v.R.MultipartForm.File["file"][0].Size == 0 {
		return nil
	}
	file, err := v.R.MultipartForm.File["file"][0].Open()
	if err != nil {
		return errors.New("could not be read; choose it again")
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxLicenseFile+1))
	if err != nil || len(text) > maxLicenseFile {
		return errors.New("is too large or could not be read; a page takes 8 MiB, the command line more")
	}
	f.Values.Set("data", string(text))
	return nil
}

// rowTone is the tone of what becomes of a row.
func rowTone(outcome string) string {
	return map[string]string{"fresh": "good", "unchanged": "", "failed": "bad"}[outcome]
}

// problemsText is what is wrong with a row, as sentences.
func problemsText(problems []licensing.Field) string {
	out := make([]string, len(problems))
	for i, p := range problems {
		out[i] = ui.Sentence(p.Name + " " + p.Detail)
	}
	return strings.Join(out, " ")
}

// searchHref is the list of licenses that a search finds.
func searchHref(s bulk.Search) string {
	return link("/admin/licenses", "owner", s.Owner, "product", s.Product, "state", s.State, "env", s.Env, "q", s.Query)
}

// searchText says what a search is narrowed to.
func searchText(s bulk.Search, product string) string {
	var out []string
	for _, part := range []struct{ text, value string }{{"state", s.State}, {"environment", s.Env}, {"found by", s.Query}, {"owner", s.Owner}} {
		if part.value != "" {
			out = append(out, part.text+" "+part.value)
		}
	}
	if s.Product != "" {
		out = append(out, "product "+product)
	}
	if len(out) == 0 {
		return "all licenses there are"
	}
	return strings.Join(out, ", ")
}

// actHref leads to the page that changes all that the list's search finds.
func actHref(f *ui.Form) string {
	s := search(f)
	return link("/admin/licenses/act", "owner", s.Owner, "product", s.Product, "state", s.State, "env", s.Env, "q", s.Query)
}
