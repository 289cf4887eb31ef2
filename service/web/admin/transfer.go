package admin

import (
	"strings"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/transfer"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// transferOps are the operations of licenses that change hands.
type transferOps struct {
	List     kit.Op[transfer.ListRequest, licensing.List[transfer.View]] `op:"transfer.list"`
	Get      kit.Op[transfer.GetRequest, transfer.View]                  `op:"transfer.get"`
	Approve  kit.Op[transfer.DecideRequest, transfer.View]               `op:"transfer.approve"`
	Decline  kit.Op[transfer.DecideRequest, transfer.View]               `op:"transfer.decline"`
	Transfer kit.Op[license.TransferRequest, license.View]               `op:"license.transfer"`
}

func (p *pages) transferPages() []site.Page {
	back := to("/admin/transfers/{id}", "Transfer")
	decide := func(id, reason string) transfer.DecideRequest {
		return transfer.DecideRequest{ID: id, Reason: reason}
	}
	out := append([]site.Page{get("transfers", "/admin/transfers", p.transferList), get("transfer", "/admin/transfers/{id}", p.transferShown)},
		both("license_transfer", "/admin/licenses/{id}/transfer", p.transferLicense)...)
	return append(out, p.asked(
		action{name: "transfer_approve", path: "/admin/transfers/{id}/approve", spec: p.moves.Approve.Spec(), reason: true, back: back,
			title: "Approve the transfer", button: "Approve it", done: "The license has changed hands. Both sides are told.",
			what: "The license goes to who accepted it, which cannot be undone: with a new key, and every seat given back. It counts among the transfers that its policy allows.",
			do:   plain(func() op[transfer.DecideRequest, transfer.View] { return p.moves.Approve }, decide)},
		action{name: "transfer_decline", path: "/admin/transfers/{id}/decline", spec: p.moves.Decline.Spec(), reason: true, back: back,
			title: "Decline the transfer", button: "Decline it", done: "The transfer is declined. Both sides are told why.",
			what: "The license stays where it is. Both sides read the reason that you give.",
			do:   plain(func() op[transfer.DecideRequest, transfer.View] { return p.moves.Decline }, decide)})...)
}

func transferStates() []ui.Option {
	return []ui.Option{{Value: "", Name: "Any state"}, {Value: "accepted", Name: "Waiting for approval"}, {Value: "offered", Name: "Offered"}, {Value: "done", Name: "Changed hands"},
		{Value: "declined", Name: "Declined"}, {Value: "cancelled", Name: "Taken back"}, {Value: "lapsed", Name: "Lapsed"}}
}

// transferWord is a state as the list of transfers has it.
func transferWord(state string) string {
	for _, o := range transferStates() {
		if o.Value == state {
			return o.Name
		}
	}
	return state
}

func (p *pages) transferList(v *site.Visit) error {
	list, err := p.moves.List.Call(v.Ctx(), transfer.ListRequest{Page: page(v, 25), State: pick(v, "state", transferStates()), License: v.Query("license")})
	if err != nil {
		return err
	}
	return v.Show(transfersPage(v.Frame("Transfers"), v.Filter(), list, next(v, list.Next), filtered(v)))
}

// transferShown shows a transfer with the names of its two sides.
func (p *pages) transferShown(v *site.Visit) error {
	q, err := p.moves.Get.Call(v.Ctx(), transfer.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	from, err := p.ownerName(v, licensing.Owner(q.From))
	if err != nil {
		return err
	}
	to, err := p.ownerName(v, licensing.Owner(q.To))
	if err != nil {
		return err
	}
	return v.Show(transferPage(v.Frame("Transfer "+ui.Short(q.ID), ui.Link{Href: "/admin/transfers", Name: "Transfers"}), q, from, to, may(v, p.moves.Approve.Spec())))
}

// transferLicense gives a license to another owner on the staff's own word.
func (p *pages) transferLicense(v *site.Visit) error {
	if err := v.Ready(p.moves.Transfer.Spec()); err != nil {
		return err
	}
	l, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	f, frame := v.Form(), licenseFrame(v, "Transfer the license", l.ID)
	from, err := p.ownerName(v, licensing.Owner(l.Owner))
	if err != nil {
		return err
	}
	if !v.Posted() {
		return v.Show(transferLicensePage(frame, f, l, from))
	}
	to, err := p.findOwner(v, f, "to")
	if err != nil {
		return err
	}
	if f.OK() {
		_, err := p.moves.Transfer.Call(v.Ctx(), license.TransferRequest{ID: l.ID, To: to, Reason: f.Text("reason")})
		if err == nil {
			return v.Go("/admin/licenses/"+l.ID, "good", "The license has changed hands. Its new owner finds the new key in their account.")
		}
		if other := f.Refuse(err, nil); other != nil {
			return other
		}
	}
	return v.Show(transferLicensePage(frame, f, l, from))
}

// findOwner finds whom a field of a form names: by e-mail address or id.
func (p *pages) findOwner(v *site.Visit, f *ui.Form, field string) (string, error) {
	text := strings.ToLower(f.Text(field))
	if !strings.Contains(text, "@") {
		return text, nil
	}
	list, err := p.ops.Customers.Call(v.Ctx(), account.ListCustomersRequest{Page: licensing.Page{Limit: 100}, Q: text})
	if err != nil {
		return "", err
	}
	for _, c := range list.Items {
		if c.Email == text {
			return c.ID, nil
		}
	}
	f.Wrong(field, "nobody has an account with this address")
	return "", nil
}

// transferTerms says how often a license may change hands.
func transferTerms(l license.View) string {
	if t := l.Terms.Transfer; t.Limit > 0 {
		return "Its terms let it change hands " + ui.Plural(t.Limit, "time", "times") + " in " + spanWords(t.Period) + "."
	}
	return "Its terms let it change hands as often as you like."
}
