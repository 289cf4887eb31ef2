// Package island is the page for machines without a network: a person brings the request of such a machine, takes a license file back, and brings its
// return when it is no longer used there. Customers and staff have the same page, each in their own frame.
package island

import (
	"io"
	"strings"

	"github.com/a-h/templ"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// operations are what the page calls.
type operations struct {
	License kit.Op[license.GetRequest, license.View]                    `op:"license.get"`
	Answer  kit.Op[activation.AnswerRequest, activation.AnswerResponse] `op:"license.answer"`
	Return  kit.Op[activation.ReturnRequest, activation.View]           `op:"license.return"`
	File    kit.Op[activation.GetRequest, activation.AnswerResponse]    `op:"activation.file"`
}

// side is the page as customers or as staff have it.
type side struct {
	ops  *operations
	name string
	base string // of the pages of licenses
	who  site.Audience
	wrap func(ui.Frame) templ.Component
}

// Pages are the pages for machines without a network.
func Pages(s *site.Site) ([]site.Page, error) {
	ops := new(operations)
	var out []site.Page
	for _, p := range []side{{ops, "page.my_offline", "/account/licenses", site.Customers, ui.Account}, {ops, "page.admin_offline", "/admin/licenses", site.Staff, ui.Console}} {
		at := p.base + "/{id}/offline"
		out = append(out, site.Page{Name: p.name, Pattern: "GET " + at, For: p.who, Serve: p.show}, site.Page{Name: p.name + "_send", Pattern: "POST " + at, For: p.who, Serve: p.answer},
			site.Page{Name: p.name + "_return", Pattern: "POST " + at + "/return", For: p.who, Serve: p.back}, site.Page{Name: p.name + "_qr", Pattern: "POST " + at + "/qr", For: p.who, Serve: p.draw},
			site.Page{Name: p.name + "_file", Pattern: "GET " + at + "/{device}", For: p.who, Serve: p.file})
	}
	return out, kit.Fill(s.Routes, ops)
}

// crumbs lead back to the license.
func (p side) crumbs(id string) []ui.Link {
	return []ui.Link{{Href: p.base, Name: "Licenses"}, {Href: p.base + "/" + id, Name: "License"}}
}

func (p side) show(v *site.Visit) error {
	f := v.Form()
	return p.page(v, f, &ui.Form{Once: f.Once}, &ui.Form{Once: f.Once})
}

// page shows its forms, one of which may have been refused: to ask, to give back, to carry a text by telephone.
func (p side) page(v *site.Visit, ask, back, carry *ui.Form) error {
	l, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	return v.Show(page(v.Frame("A machine without a network", p.crumbs(l.ID)...), p.wrap, ask, back, carry, p.base+"/"+l.ID, l))
}

// answer takes a request, typed or as a file, and shows the license file.
func (p side) answer(v *site.Visit) error {
	f := v.Form()
	text, err := chosen(v, f.Text("request"))
	if err != nil {
		return err
	}
	out, err := p.ops.Answer.Call(v.Ctx(), activation.AnswerRequest{ID: v.Param("id"), Request: text, Name: f.Text("name")})
	if other := f.Refuse(err, map[string]string{"/device": "request", "/user": "request", "/nonce": "request"}); other != nil {
		return other
	}
	if err != nil {
		return p.page(v, f, &ui.Form{Once: f.Once}, &ui.Form{Once: f.Once})
	}
	parts, err := doc.FileParts(out.File, qrMost)
	if err != nil {
		return err
	}
	return v.Show(answered(v.Frame("License file", p.crumbs(out.License)...), p.wrap, p.base+"/"+out.License, out, parts))
}

// qrMost is how much a QR code holds that a camera reads from a screen.
const qrMost = 700

// chosen is the text of the file that was chosen, or else what was typed.
func chosen(v *site.Visit, typed string) (string, error) {
	content, _, err := v.File("file")
	if err != nil || content == nil {
		return typed, err
	}
	defer func() { _ = content.Close() }()
	text, err := io.ReadAll(io.LimitReader(content, 2*doc.MaxActivationRequest+1))
	return strings.ToValidUTF8(string(text), "?"), err
}

// draw shows the text of a machine as a QR code, from which a telephone takes it along. It keeps nothing.
func (p side) draw(v *site.Visit) error {
	f, id := v.Form(), v.Param("id")
	text := strings.Join(strings.Fields(f.Text("text")), "")
	switch {
	case !strings.HasPrefix(text, "MREQ1.") && !strings.HasPrefix(text, "MREL1."):
		f.Wrong("text", "begins with neither MREQ1. nor MREL1.")
	case !ui.FitsQR(text):
		f.Wrong("text", "is longer than a QR code takes; carry it as a file")
	}
	if !f.OK() {
		return p.page(v, &ui.Form{Once: f.Once}, &ui.Form{Once: f.Once}, f)
	}
	if _, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: id}); err != nil {
		return err
	}
	return v.Show(drawn(v.Frame("QR code", p.crumbs(id)...), p.wrap, p.base+"/"+id+"/offline", text))
}

// back takes the return of a machine.
func (p side) back(v *site.Visit) error {
	f, id := v.Form(), v.Param("id")
	out, err := p.ops.Return.Call(v.Ctx(), activation.ReturnRequest{ID: id, Return: f.Text("return")})
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	if err != nil {
		return p.page(v, &ui.Form{Once: f.Once}, f, &ui.Form{Once: f.Once})
	}
	name := out.Name
	if name == "" {
		name = "The machine"
	}
	return v.Go(p.base+"/"+id, "good", name+" gave its seat back. Another device can take it.")
}

// file hands out the license file that a machine was answered last.
func (p side) file(v *site.Visit) error {
	out, err := p.ops.File.Call(v.Ctx(), activation.GetRequest{ID: v.Param("device")})
	if err != nil {
		return err
	}
	if out.License != v.Param("id") {
		return licensing.ErrNotFound
	}
	_, err = io.WriteString(v.Attach(out.Name, "application/octet-stream"), out.File)
	return err
}
