package ui

import (
	"context"
	"strings"
)

// doors are the operations that pages stand on which not everybody may see, of the console's and of the account's, by the beginning of their addresses, a longer one before what it lies under; *
// is any one part. Whoever may not call the operation may not see the page. Where there is none, all of the staff may, and all customers.
func doors() []struct{ under, operation string } {
	return []struct{ under, operation string }{
		{"/admin/orders", "order.list"}, {"/admin/tickets", "ticket.queue"}, {"/admin/customers", "customer.list"}, {"/admin/organisations", "organisation.list"},
		{"/admin/access", "access.explain"}, {"/admin/transfers", "transfer.list"}, {"/admin/runs", "run.list"},
		{"/admin/licenses/*/history", "license.timeline"}, {"/admin/licenses/*/renew", "license.renew"}, {"/admin/licenses/*/repolicy", "license.repolicy-preview"}, {"/admin/licenses/*/ends", "license.change"},
		{"/admin/licenses/*/transfer", "license.transfer"}, {"/admin/licenses/*/users", "license.add_user"}, {"/admin/keys/new", "key.issue"}, {"/admin/keys/try", "key.verify"}, {"/admin/keys/import", "key.import"}, {"/admin/keys/act", "key.act_many"}, {"/admin/keys/*/limits", "key.limits"}, {"/admin/keys/*/reservations", "key.release"},
		{"/admin/products/new", "product.create"}, {"/admin/import", "catalog.import"}, {"/admin/files", "release.list"}, {"/admin/releases", "release.get"}, {"/admin/faq", "article.list"}, {"/admin/canned", "canned.list"},
		{"/admin/payments/*", "payment_event.inspect"}, {"/admin/payments", "payment_event.list"}, {"/admin/webhooks/new", "webhook.create"}, {"/admin/webhooks", "webhook.list"}, {"/admin/deliveries", "webhook.delivery"}, {"/admin/mail/kept", "mail.list"}, {"/admin/mail", "notice.list"}, {"/admin/jobs", "job.list"},
		{"/admin/signing-keys", "keyring.list"}, {"/admin/root-exports", "root_export.list"}, {"/admin/audit", "audit.list"}, {"/admin/staff/new", "staff.create"}, {"/admin/staff/*", "staff.role"}, {"/admin/staff", "staff.list"}, {"/admin/tokens", "machine.list"},
		{"/account/keys/new", "key.issue"}, {"/account/keys/*/rotate", "key.rotate"}, {"/account/keys/*/revoke", "key.revoke"}, {"/account/licenses/*/devices/*/release", "activation.release"},
		{"/admin/meters/*", "meter.change"}, {"/account/usage/*/*/alerts", "usage.set-thresholds"}, {"/admin/usage/*/*/alerts", "usage.set-thresholds"},
		{"/account/licenses/*/devices/*/borrow", "activation.lend"}, {"/account/transfers/*/cancel", "transfer.cancel"}, {"/account/settings/erase", "account.erase"},
	}
}

type asked struct{}

// WithMay returns ctx for rendering a page to somebody of whom may says which operations they may call; without it everything is shown.
func WithMay(ctx context.Context, may func(operation string) bool) context.Context {
	return context.WithValue(ctx, asked{}, may)
}

// May reports whether whoever looks may see the page at href, so that no link leads to a refusal.
func May(ctx context.Context, href string) bool {
	may, _ := ctx.Value(asked{}).(func(string) bool)
	if may == nil {
		return true
	}
	path, _, _ := strings.Cut(href, "?")
	for _, d := range doors() {
		if leads(path, d.under) {
			return may(d.operation)
		}
	}
	return true
}

// leads reports whether path begins with the parts of under.
func leads(path, under string) bool {
	for part := range strings.SplitSeq(under[1:], "/") {
		var here string
		if path == "" {
			return false
		}
		if here, path = path[1:], ""; strings.Contains(here, "/") {
			at := strings.IndexByte(here, '/')
			here, path = here[:at], here[at:]
		}
		if part != here && part != "*" {
			return false
		}
	}
	return true
}

// open are the links of those given that whoever looks may follow.
func open(ctx context.Context, links []Link) []Link {
	var out []Link
	for _, l := range links {
		if May(ctx, l.Href) {
			out = append(out, l)
		}
	}
	return out
}
