package admin

import (
	"cmp"
	"strings"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// keyImportPages are those that import API keys; their forms carry whole files.
func (p *pages) keyImportPages() []site.Page {
	out := both("key_import", "/admin/keys/import", p.importKeys)
	for i := range out {
		out[i].Limit = maxLicenseFile + 1<<20
	}
	return out
}

// importKeys takes the hashes of API keys, as a file or pasted: each row is checked first, which keeps nothing, and the same text is imported by
// one more press. What is wrong is told of every row, also when it went wrong only since the check.
func (p *pages) importKeys(v *site.Visit) error {
	f, frame := v.Form(), v.Frame("Import API keys", ui.Link{Href: "/admin/keys", Name: "API keys"})
	if err := v.Ready(p.ops.ImportKeys.Spec()); err != nil {
		return err
	}
	products, err := p.products(v)
	if err != nil {
		return err
	}
	f.Default("env", string(licensing.Live))
	f.Default("source", "import")
	show := func(report *bulk.ImportReport) error { return v.Show(importKeysPage(frame, f, products, report)) }
	if !v.Posted() {
		return show(nil)
	}
	if err := fileText(v, f); err != nil {
		f.Wrong("file", err.Error())
		return show(nil)
	}
	r := keyImport(f)
	if strings.TrimSpace(r.Data) == "" {
		f.Wrong("file", "choose a file, or paste its text below")
		return show(nil)
	}
	names := map[string]string{"/owner": "for", "/email": "for", "/data": "file"}
	if f.Has("go") && r.Reason == "" {
		f.Wrong("reason", "please say why; it is kept in the audit trail")
	} else if f.Has("go") {
		done, err := p.ops.ImportKeys.Call(v.Ctx(), r)
		if err == nil {
			return v.Go("/admin/runs/"+done.Run.ID, "good", "The import is under way; this page tells how far it is.")
		}
		if other := f.Refuse(err, names); other != nil {
			return other
		}
	}
	r.DryRun = true
	report, err := p.ops.ImportKeys.Call(kit.WithIdempotencyKey(v.Ctx(), ""), r) // the form's token belongs to the import itself
	if other := f.Refuse(err, names); other != nil {
		return other
	}
	if err != nil {
		return show(nil)
	}
	return show(&report)
}

// keyImport is what a form asks for. Who gets keys that name nobody is told by address or, an organisation, by id; a text that begins like JSON is.
func keyImport(f *ui.Form) bulk.ImportKeysRequest {
	r := bulk.ImportKeysRequest{Product: f.Text("product"), Plan: f.Text("plan"), Env: licensing.Env(f.Text("env")), Source: f.Text("source"), Format: "csv",
		Data: cmp.Or(f.Get("data"), f.Get("text")), Reason: f.Text("reason")}
	if text := strings.TrimLeft(r.Data, "\ufeff \t\r\n"); text != "" && strings.ContainsRune("[{", rune(text[0])) {
		r.Format = "json"
	}
	if whom := f.Text("for"); strings.Contains(whom, "@") {
		r.Email = whom
	} else {
		r.Owner = whom
	}
	return r
}

// keyImportExamples show what a file has in it, as CSV and as JSON.
const (
	keyImportCSV = `reference,hash,hint,email,name,scopes,limits,expires_at
key_1,9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08,sk_live_9f,ada@example.com,Night build,notes:read notes:write,calls=600/60,2028-01-01
key_2,60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752,sk_live_60,grace@example.com,,,monthly=10000/month,
`
	keyImportJSON = `{"keys": [
  {"reference": "key_1", "email": "ada@example.com", "hint": "sk_live_9f",
   "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
   "scopes": ["notes:read"], "limits": [{"name": "calls", "count": 600, "seconds": 60}]}
]}
`
	keyHashCommand = `printf %s "$KEY" | sha256sum`
)

// problemRows are the rows of a report that have problems, or the others.
func problemRows(r *bulk.ImportReport, wrong bool) []bulk.ImportRow {
	var out []bulk.ImportRow
	for _, row := range r.Rows {
		if (len(row.Problems) > 0) == wrong {
			out = append(out, row)
		}
	}
	return out
}

// rowFate says what becomes of a row.
func rowFate(outcome string) string {
	return map[string]string{"fresh": "Is imported", "unchanged": "Imported before", "failed": "Has a problem"}[outcome]
}
