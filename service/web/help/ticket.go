package help

import (
	"context"
	"net/http"
	"net/url"

	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/web/site"
)

func (p *pages) faq(v *site.Visit) error {
	f := v.Filter()
	r := support.FAQRequest{Q: v.Query("q"), Page: licensing.Page{Cursor: v.Query("cursor"), Limit: 50}}
	list, err := p.ops.FAQ.Call(v.Guest(), r)
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	return v.Render(http.StatusOK, faqPage(v.Frame("Help"), f, list, r.Q))
}

func (p *pages) article(v *site.Visit) error {
	a, err := p.ops.Article.Call(v.Guest(), support.SlugRequest{Slug: v.Param("slug")})
	if err != nil {
		return err
	}
	return v.Render(http.StatusOK, articlePage(v.Frame(a.Title), a))
}

// ask shows the form that opens a ticket, for guests and for customers.
func (p *pages) ask(v *site.Visit) error {
	f, frame := v.Form(), v.Frame("Ask us")
	guest := v.Actor.Kind != licensing.Customer
	f.Default("order", v.Query("order"))
	f.Default("license", v.Query("license"))
	if !v.Posted() {
		return v.Show(askPage(frame, f, guest))
	}
	r := support.CreateRequest{Subject: f.Text("subject"), Body: f.Text("body")}
	ctx := v.Ctx()
	if guest {
		r.Email, r.Name, ctx = f.Text("email"), f.Text("name"), v.Guest()
	} else {
		r.Order, r.License = f.Text("order"), f.Text("license")
	}
	var err error
	if r.Attachments, err = p.take(v, "", ""); err == nil {
		var out support.Created
		if out, err = p.ops.Create.Call(ctx, r); err == nil && !guest {
			return v.Go("/tickets/"+out.ID, "good", out.Message)
		} else if err == nil {
			return v.Render(http.StatusOK, askedPage(frame.Titled("We have your question"), out, r.Email))
		}
	}
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	return v.Show(askPage(frame, f, guest))
}

// ticketView is what the page of a ticket shows to whoever opened it.
type ticketView struct {
	Thread support.Thread
	Access string
}

// address is where the page of the ticket is for whoever looks; below is a path under it.
func (v ticketView) address(below string) string {
	out := "/tickets/" + v.Thread.ID + below
	if v.Access != "" {
		out += "?access=" + url.QueryEscape(v.Access)
	}
	return out
}

// as is who looks at a ticket: whoever holds its access code, or the visitor.
func as(v *site.Visit, access string) context.Context {
	if access != "" {
		return v.Guest()
	}
	return v.Ctx()
}

// ticket shows a ticket to whoever opened it and takes a reply. Staff are led to the desk.
func (p *pages) ticket(v *site.Visit) error {
	f := v.Form()
	access := v.Query("access")
	if v.Posted() {
		access = f.Text("access")
	}
	switch {
	case access == "" && v.Actor.Kind == licensing.Staff:
		return v.Leave("/admin/tickets/" + v.Param("id"))
	case access == "" && v.Actor.Kind == licensing.Anonymous:
		return v.Leave("/sign-in?next=" + url.QueryEscape("/tickets/"+v.Param("id")))
	}
	if v.Posted() {
		files, err := p.take(v, v.Param("id"), access)
		var thread support.Thread
		if err == nil {
			thread, err = p.ops.Reply.Call(as(v, access), support.ReplyRequest{ID: v.Param("id"), Access: access, Body: f.Text("body"), Attachments: files})
		}
		if err == nil {
			return v.Go(ticketView{thread, access}.address(""), "good", "Your message is with us. We answer by mail, and here.")
		}
		if other := f.Refuse(err, nil); other != nil {
			return other
		}
	}
	thread, err := p.ops.Get.Call(as(v, access), support.GetRequest{ID: v.Param("id"), Access: access})
	if err != nil {
		return err
	}
	return v.Show(ticketPage(v.Frame(thread.Subject), f, ticketView{thread, access}))
}

func (p *pages) closeTicket(v *site.Visit) error {
	access := v.Form().Text("access")
	out, err := p.ops.Close.Call(as(v, access), support.CloseRequest{ID: v.Param("id"), Access: access})
	if err != nil {
		return err
	}
	return v.Go(ticketView{out, access}.address(""), "good", "The ticket is closed. Write again and it is open.")
}

// file sends an attachment to be saved.
func (p *pages) file(v *site.Visit) error {
	access := v.Query("access")
	return p.site.Attachments.Send(v.W, v.R.WithContext(as(v, access)), support.OpenRequest{ID: v.Param("file"), Access: access})
}

func (p *pages) mine(v *site.Visit) error {
	list, err := p.ops.List.Call(v.Ctx(), support.ListRequest{Page: licensing.Page{Cursor: v.Query("cursor"), Limit: 50}})
	if err != nil {
		return err
	}
	return v.Render(http.StatusOK, minePage(v.Frame("Support"), list))
}
