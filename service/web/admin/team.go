package admin

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) teamPages() []site.Page {
	out := []site.Page{get("staff", "/admin/staff", p.staff), get("tokens", "/admin/tokens", p.tokens)}
	out = append(out, both("staff_new", "/admin/staff/new", p.newStaff)...)
	out = append(out, both("staff_role", "/admin/staff/{id}", p.role)...)
	out = append(out, both("token_new", "/admin/tokens/new", p.newToken)...)
	out = append(out, both("token_rotate", "/admin/tokens/{id}/rotate", p.rotateToken)...)
	return append(out, p.asked(action{name: "token_revoke", path: "/admin/tokens/{id}/revoke", spec: p.ops.RevokeMachine.Spec(), back: func(string) ui.Link { return ui.Link{Href: "/admin/tokens", Name: "Machine tokens"} },
		title: "Revoke the machine token", button: "Revoke it for good", done: "The token is revoked.",
		what: "This cannot be undone. Whatever uses it is refused everywhere within two seconds.",
		do: plain(func() op[account.RevokeMachineRequest, account.MachineView] { return p.ops.RevokeMachine }, func(id, reason string) account.RevokeMachineRequest {
			return account.RevokeMachineRequest{ID: id, Reason: reason}
		})})...)
}

// roles are the staff roles with what they are for.
func roles() []ui.Option {
	return []ui.Option{{Value: "owner", Name: "Owner: everything"}, {Value: "admin", Name: "Admin: everything but owners and switches"}, {Value: "finance", Name: "Finance: orders, payments, prices"},
		{Value: "support", Name: "Support: customers, licenses, keys"}, {Value: "catalogue", Name: "Catalogue: products, plans, files"}, {Value: "auditor", Name: "Auditor: looks, changes nothing"}}
}

func (p *pages) staff(v *site.Visit) error {
	list, err := p.ops.Staff.Call(v.Ctx(), account.ListStaffRequest{})
	if err != nil {
		return err
	}
	return v.Show(staffPage(v.Frame("Staff"), list.Items, v.Actor.ID, may(v, p.ops.CreateStaff.Spec())))
}

func (p *pages) newStaff(v *site.Visit) error {
	if err := v.Ready(p.ops.CreateStaff.Spec()); err != nil {
		return err
	}
	f, frame := v.Form(), v.Frame("Add a person", ui.Link{Href: "/admin/staff", Name: "Staff"})
	f.Default("role", "support")
	if !v.Posted() {
		return v.Show(newStaffPage(frame, f))
	}
	_, err := p.ops.CreateStaff.Call(v.Ctx(), account.CreateStaffRequest{Email: f.Text("email"), Name: f.Text("name"), Role: licensing.Role(f.Text("role"))})
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	if err != nil {
		return v.Show(newStaffPage(frame, f))
	}
	return v.Go("/admin/staff", "good", "A link to set a password is on its way to "+f.Text("email")+".")
}

func (p *pages) role(v *site.Visit) error {
	if err := v.Ready(p.ops.SetRole.Spec()); err != nil {
		return err
	}
	list, err := p.ops.Staff.Call(v.Ctx(), account.ListStaffRequest{})
	if err != nil {
		return err
	}
	at := slices.IndexFunc(list.Items, func(s account.StaffView) bool { return s.ID == v.Param("id") })
	if at < 0 {
		return licensing.ErrNotFound
	}
	person, f := list.Items[at], v.Form()
	frame := v.Frame("Role of "+person.Email, ui.Link{Href: "/admin/staff", Name: "Staff"})
	f.Default("role", string(person.Role))
	if !v.Posted() {
		return v.Show(rolePage(frame, f, person))
	}
	_, err = p.ops.SetRole.Call(v.Ctx(), account.SetRoleRequest{ID: person.ID, Role: licensing.Role(f.Text("role")), Reason: f.Text("reason")})
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	if err != nil {
		return v.Show(rolePage(frame, f, person))
	}
	return v.Go("/admin/staff", "good", "The role is changed, everywhere within two seconds.")
}

func (p *pages) tokens(v *site.Visit) error {
	list, err := p.ops.Machines.Call(v.Ctx(), account.ListMachinesRequest{Page: page(v, 25)})
	if err != nil {
		return err
	}
	return v.Show(tokensPage(v.Frame("Machine tokens"), list, next(v, list.Next), may(v, p.ops.CreateMachine.Spec()), p.site.Clock.Now()))
}

// scopes are what operations let machine tokens do, with the summaries of those operations.
func (p *pages) scopes() []ui.Option {
	byScope := map[string][]string{}
	for _, r := range p.site.Routes {
		spec := r.Spec()
		for _, scope := range spec.Access.MachineScopes() {
			byScope[scope] = append(byScope[scope], spec.Summary)
		}
	}
	var out []ui.Option
	for scope, summaries := range byScope {
		out = append(out, ui.Option{Value: scope, Name: strings.Join(summaries, "; ")})
	}
	slices.SortFunc(out, func(a, b ui.Option) int { return strings.Compare(a.Value, b.Value) })
	return out
}

func (p *pages) newToken(v *site.Visit) error {
	if err := v.Ready(p.ops.CreateMachine.Spec()); err != nil {
		return err
	}
	f, back := v.Form(), ui.Link{Href: "/admin/tokens", Name: "Machine tokens"}
	products, err := p.products(v)
	if err != nil {
		return err
	}
	frame := v.Frame("New machine token", back)
	if !v.Posted() {
		return v.Show(newTokenPage(frame, f, p.scopes(), products))
	}
	r := account.CreateMachineRequest{Name: f.Text("name"), Scopes: f.Values["scope"], Product: f.Text("product"), Env: licensing.Env(f.Text("env")), ExpiresAt: date(f, "expires_at")}
	if len(r.Scopes) == 0 {
		f.Wrong("scope", "choose at least one thing the token may do")
	}
	if !f.OK() {
		return v.Show(newTokenPage(frame, f, p.scopes(), products))
	}
	out, err := p.ops.CreateMachine.Call(v.Ctx(), r)
	if other := f.Refuse(err, map[string]string{"/scopes": "scope"}); other != nil {
		return other
	}
	if err != nil {
		return v.Show(newTokenPage(frame, f, p.scopes(), products))
	}
	return v.Render(http.StatusOK, oncePage(v.Frame("New machine token", back), "New machine token", "Programs send it as Authorization: Bearer.", "Machine token", out.Secret, back))
}

func (p *pages) rotateToken(v *site.Visit) error {
	if err := v.Ready(p.ops.RotateMachine.Spec()); err != nil {
		return err
	}
	f, back := v.Form(), ui.Link{Href: "/admin/tokens", Name: "Machine tokens"}
	frame := v.Frame("Give the token a new secret", back)
	f.Default("overlap", "86400")
	if !v.Posted() {
		return v.Show(rotatePage(frame, f, back))
	}
	overlap := f.Int("overlap", 86400)
	out, err := p.ops.RotateMachine.Call(v.Ctx(), account.RotateMachineRequest{ID: v.Param("id"), Overlap: &overlap})
	if other := f.Refuse(err, map[string]string{"/overlap_seconds": "overlap"}); other != nil {
		return other
	}
	if err != nil {
		return v.Show(rotatePage(frame, f, back))
	}
	return v.Render(http.StatusOK, oncePage(v.Frame("New secret", back), "New secret", "The old one works on for as long as you chose.", "Machine token", out.Secret, back))
}
