// Package admin is the console of the staff: how the shop goes, what is sold, what was sold and to whom, and what keeps it running. A page
// shows what its operation returns and nothing else, so what a role may not see or do here is what the operation refuses it.
//
// What cannot be undone is asked about first, on a page of its own ([action]), so that it works without JavaScript. Texts that are shown
// once (a key, a token) are the answer to the form that made them; no address holds them.
package admin

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// pages are the pages of the console, each group over the operations it calls.
type pages struct {
	site   *site.Site
	ops    operations
	moves  transferOps
	meters meterOps
	terms  termOps
	roots  rootOps
	hooks  webhookOps
}

// Pages are the pages of the console.
func Pages(s *site.Site) ([]site.Page, error) {
	p := &pages{site: s}
	err := errors.Join(kit.Fill(s.Routes, &p.ops), kit.Fill(s.Routes, &p.moves), kit.Fill(s.Routes, &p.meters), kit.Fill(s.Routes, &p.terms), kit.Fill(s.Routes, &p.roots), kit.Fill(s.Routes, &p.hooks))
	return slices.Concat(p.overviewPages(), p.orderPages(), p.customerPages(), p.organisationPages(), p.licensePages(), p.transferPages(), p.meterPages(), p.termPages(), p.rootPages(), p.runPages(), p.keyPages(), p.policyPages(), p.productPages(), p.planPages(), p.filePages(),
		p.switchPages(), p.paymentPages(), p.mailPages(), p.jobPages(), p.signingPages(), p.auditPages(), p.teamPages(), p.webhookPages()), err
}

// get is a page that shows, post one that takes a form, both a page that does one or the other.
func get(name, path string, serve func(*site.Visit) error) site.Page {
	return site.Page{Name: "page.admin_" + name, Pattern: "GET " + path, For: site.Staff, Serve: serve}
}

func post(name, path string, serve func(*site.Visit) error) site.Page {
	return site.Page{Name: "page.admin_" + name, Pattern: "POST " + path, For: site.Staff, Serve: serve}
}

func both(name, path string, serve func(*site.Visit) error) []site.Page {
	return []site.Page{get(name, path, serve), post(name+"_send", path, serve)}
}

// may reports whether the visitor may call an operation, so that a page offers nothing that would be refused.
func may(v *site.Visit, spec kit.Spec) bool { return spec.Access.Permits(v.Actor) }

// page is the part of a list that the address asks for.
func page(v *site.Visit, limit int) licensing.Page {
	return licensing.Page{Cursor: v.Query("cursor"), Limit: limit}
}

// next is the address of the following part of the list that is shown, "" when there is none.
func next(v *site.Visit, cursor string) string {
	if cursor == "" {
		return ""
	}
	q := v.R.URL.Query()
	q.Set("cursor", cursor)
	return v.R.URL.Path + "?" + q.Encode()
}

// pick is a parameter of the address if it is one of the choices, and "" otherwise, which means all.
func pick(v *site.Visit, name string, choices []ui.Option) string {
	asked := v.Query(name)
	if slices.ContainsFunc(choices, func(o ui.Option) bool { return o.Value == asked }) {
		return asked
	}
	return ""
}

// choices are the options of a filter, the first of which is no filter.
func choices(all string, values ...string) []ui.Option {
	return append([]ui.Option{{Value: "", Name: all}}, ui.Options(values...)...)
}

// link is an address with parameters.
func link(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return path + "?" + q.Encode()
}

// filtered reports whether the address narrows a list.
func filtered(v *site.Visit) bool {
	for name, values := range v.R.URL.Query() {
		if name != "cursor" && strings.Join(values, "") != "" {
			return true
		}
	}
	return false
}

// products are the products by id, for their names and for choices; the first hundred.
func (p *pages) products(v *site.Visit) ([]catalog.ProductView, error) {
	list, err := p.ops.Products.Call(v.Ctx(), catalog.ListProductsRequest{Page: licensing.Page{Limit: 100}})
	return list.Items, err
}

// named is the name of a product, or its id.
func named(products []catalog.ProductView, id string) string {
	for _, p := range products {
		if p.ID == id {
			return p.Name
		}
	}
	return id
}

// productChoices are the products to choose from.
func productChoices(first string, products []catalog.ProductView) []ui.Option {
	out := []ui.Option{}
	if first != "" {
		out = append(out, ui.Option{Value: "", Name: first})
	}
	for _, p := range products {
		out = append(out, ui.Option{Value: p.ID, Name: p.Name})
	}
	return out
}

// action is something done to one object.
type action struct {
	name, path string // "license_suspend", "/admin/licenses/{id}/suspend"
	spec       kit.Spec
	title      string
	what       string // what happens, and whether it can be undone
	// told adds what this one is about, where what alone does not say it.
	told   func(v *site.Visit, id string) (string, error)
	button string
	calm   bool // nothing is lost by it
	reason bool // a reason must be given; otherwise it may be
	silent bool // no reason is kept
	back   func(id string) ui.Link
	done   string
	// do does it. A component that it returns is the answer; without one the visitor is led back, and told that it is done.
	do func(v *site.Visit, id, reason string) (templ.Component, error)
}

// asked makes the pages of actions: each asks first, says what will happen, and does it when the form comes back.
func (p *pages) asked(actions ...action) []site.Page {
	var out []site.Page
	for _, a := range actions {
		out = append(out, both(a.name, a.path, func(v *site.Visit) error { return p.act(v, a) })...)
	}
	return out
}

func (p *pages) act(v *site.Visit, a action) error {
	f, id := v.Form(), v.Param("id")
	if err := v.Ready(a.spec); err != nil {
		return err
	}
	back := a.back(id)
	frame := v.Frame(a.title, back)
	if a.told != nil {
		told, err := a.told(v, id)
		if err != nil {
			return err
		}
		a.what = strings.TrimSpace(told + " " + a.what)
	}
	if !v.Posted() {
		return v.Show(askPage(frame, f, a, back))
	}
	reason := f.Text("reason")
	if a.reason && reason == "" {
		f.Wrong("reason", "please say why; it is kept in the audit trail")
		return v.Show(askPage(frame, f, a, back))
	}
	answer, err := a.do(v, id, reason)
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	if err != nil {
		return v.Show(askPage(frame, f, a, back))
	}
	if answer != nil {
		return v.Render(http.StatusOK, answer)
	}
	return v.Go(back.Href, "good", a.done)
}

// plain makes the do of an action from an operation whose answer is not shown.
func plain[Req, Resp any](op func() kit.Op[Req, Resp], request func(id, reason string) Req) func(*site.Visit, string, string) (templ.Component, error) {
	return func(v *site.Visit, id, reason string) (templ.Component, error) {
		_, err := op().Call(v.Ctx(), request(id, reason))
		return nil, err
	}
}

// to is the link back to an object's page.
func to(path, name string) func(id string) ui.Link {
	return func(id string) ui.Link {
		return ui.Link{Href: strings.ReplaceAll(path, "{id}", url.PathEscape(id)), Name: name}
	}
}

// who is an actor's name as people read it.
func who(actor string) string {
	kind, id, _ := strings.Cut(actor, ":")
	switch {
	case id == "":
		return kind
	case kind == "system":
		return "the service (" + id + ")"
	case kind == "cli":
		return id + " at the machine"
	}
	return kind + " " + ui.Short(id)
}

// whoOf is [who] of somebody who did something to an order, told from its buyer.
func whoOf(actor string, o order.View) string {
	if o.Owner != "" && actor == "customer:"+string(o.Owner) {
		return "the buyer"
	}
	return who(actor)
}

// op is an operation.
type op[Req, Resp any] = kit.Op[Req, Resp]

// public is what may be told of a failure that is about what was sent; nil for any other.
func public(err error) *licensing.Error {
	f := &ui.Form{}
	if err == nil || f.Refuse(err, nil) != nil {
		return nil
	}
	return kit.Public(err)
}

// fieldsText is what is wrong with each field, as sentences.
func fieldsText(e *licensing.Error) string {
	var b strings.Builder
	for _, field := range e.Fields {
		b.WriteString(" " + ui.Sentence(strings.TrimPrefix(field.Name, "/")+" "+field.Detail))
	}
	return b.String()
}
