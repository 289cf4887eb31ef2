package admin

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) auditPages() []site.Page {
	return []site.Page{get("audit", "/admin/audit", p.audit), get("audit_csv", "/admin/audit.csv", p.auditFile), post("audit_verify", "/admin/audit/verify", p.verify)}
}

// auditRequest is what the address asks for.
func auditRequest(v *site.Visit, f *ui.Form) audit.ListRequest {
	r := audit.ListRequest{Page: page(v, 50), Target: v.Query("target"), Actor: v.Query("actor"), Action: v.Query("action"), Product: v.Query("product")}
	if since := date(f, "since"); since != nil {
		r.Since = since.Truncate(24 * time.Hour)
	}
	if until := date(f, "until"); until != nil {
		r.Until = until.Truncate(24 * time.Hour).Add(24 * time.Hour)
	}
	return r
}

func (p *pages) audit(v *site.Visit) error {
	f := v.Filter()
	r := auditRequest(v, f)
	list, err := p.ops.Audit.Call(v.Ctx(), r)
	if err != nil {
		return err
	}
	head, err := p.ops.Checkpoint.Call(v.Ctx(), audit.CheckpointRequest{})
	if err != nil {
		return err
	}
	q := v.R.URL.Query()
	q.Del("cursor")
	return v.Show(auditPage(v.Frame("Audit"), f, v.Form(), list, head, next(v, list.Next), "/admin/audit.csv?"+q.Encode(), filtered(v)))
}

func (p *pages) verify(v *site.Visit) error {
	report, err := p.ops.Verify.Call(v.Ctx(), audit.VerifyRequest{})
	if err != nil {
		return err
	}
	return v.Render(http.StatusOK, verifiedPage(v.Frame("Verified", ui.Link{Href: "/admin/audit", Name: "Audit"}), report))
}

// maxExport is how many rows a file has.
const maxExport = 10_000

// auditFile answers with the trail as CSV, the newest row first, as it is narrowed by the address.
func (p *pages) auditFile(v *site.Visit) error {
	r := auditRequest(v, v.Filter())
	r.Page = licensing.Page{Limit: 100}
	list, err := p.ops.Audit.Call(v.Ctx(), r)
	if err != nil {
		return err
	}
	out := v.Table("audit.csv")
	_ = out.Write([]string{"number", "at", "actor", "action", "target", "product", "reason", "operation", "request", "detail", "id"})
	for n := 0; n < maxExport; {
		for _, e := range list.Items {
			number := ""
			if e.Num != nil {
				number = fmt.Sprint(*e.Num)
			}
			row := []string{number, e.At.UTC().Format(time.RFC3339Nano), e.Actor, e.Action, e.Target, e.Product, e.Reason, e.Operation, e.Request, string(e.Detail), e.ID}
			_ = out.Write(licensing.Inert(row))
			n++
		}
		if list.Next == "" {
			break
		}
		r.Cursor = list.Next
		if list, err = p.ops.Audit.Call(v.Ctx(), r); err != nil {
			v.Log(err) // the file ends here; its reader sees fewer rows than there are
			break
		}
	}
	out.Flush()
	return nil
}

// targetHref is the page of what a row is about, "" when there is none.
func targetHref(id string) string {
	kind, _, ok := strings.Cut(id, "_")
	at := map[string]string{"ord": "/admin/orders/", "lic": "/admin/licenses/", "key": "/admin/keys/", "prod": "/admin/products/", "plan": "/admin/plans/", "pol": "/admin/policies/",
		"rel": "/admin/releases/", "cus": "/admin/customers/", "evt": "/admin/payments/", "tkt": "/admin/tickets/", "run": "/admin/runs/"}[kind]
	if !ok || at == "" {
		return ""
	}
	return at + id
}
