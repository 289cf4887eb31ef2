// Package help is where people are helped: the FAQ, the form that opens a ticket, the page of a ticket for whoever opened it, a customer's
// tickets, and the desk of the staff.
package help

import (
	"bytes"
	"slices"

	"github.com/yuin/goldmark"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
)

type operations struct {
	FAQ     kit.Op[support.FAQRequest, licensing.List[support.ArticleView]] `op:"faq.list"`
	Article kit.Op[support.SlugRequest, support.ArticleView]                `op:"faq.get"`

	Create kit.Op[support.CreateRequest, support.Created]                      `op:"ticket.create"`
	List   kit.Op[support.ListRequest, licensing.List[support.View]]           `op:"ticket.list"`
	Get    kit.Op[support.GetRequest, support.Thread]                          `op:"ticket.get"`
	Reply  kit.Op[support.ReplyRequest, support.Thread]                        `op:"ticket.reply"`
	Close  kit.Op[support.CloseRequest, support.Thread]                        `op:"ticket.close"`
	Answer kit.Op[support.AnswerRequest, support.Thread]                       `op:"ticket.answer"`
	Note   kit.Op[support.NoteRequest, support.Thread]                         `op:"ticket.note"`
	Update kit.Op[support.UpdateRequest, support.Thread]                       `op:"ticket.update"`
	Queue  kit.Op[support.QueueRequest, support.QueueView]                     `op:"ticket.queue"`
	Staff  kit.Op[account.ListStaffRequest, licensing.List[account.StaffView]] `op:"staff.list"`

	Canned       kit.Op[support.CannedListRequest, licensing.List[support.CannedView]] `op:"canned.list"`
	CannedCreate kit.Op[support.CannedRequest, support.CannedView]                     `op:"canned.create"`
	CannedChange kit.Op[support.ChangeCannedRequest, support.CannedView]               `op:"canned.change"`
	CannedDrop   kit.Op[support.DropRequest, support.Dropped]                          `op:"canned.drop"`

	Articles      kit.Op[support.ArticleListRequest, licensing.List[support.StaffArticle]] `op:"article.list"`
	ArticleGet    kit.Op[support.ArticleGetRequest, support.StaffArticle]                  `op:"article.get"`
	ArticleCreate kit.Op[support.ArticleRequest, support.StaffArticle]                     `op:"article.create"`
	ArticleChange kit.Op[support.ChangeArticleRequest, support.StaffArticle]               `op:"article.change"`
	ArticleDrop   kit.Op[support.DropRequest, support.Dropped]                             `op:"article.drop"`
}

type pages struct {
	ops  operations
	site *site.Site
}

// maxUpload is the largest form with a file: the file, and room for what is typed beside it.
const maxUpload = support.MaxFile + 1<<20

// Pages are the pages of help.
func Pages(s *site.Site) ([]site.Page, error) {
	p := &pages{site: s}
	public := []site.Page{
		{Name: "page.help", Pattern: "GET /support", Serve: p.faq},
		{Name: "page.faq", Pattern: "GET /support/faq/{slug}", Serve: p.article},
		{Name: "page.ask", Pattern: "GET /support/new", Serve: p.ask},
		{Name: "page.ask_send", Pattern: "POST /support/new", Serve: p.ask, Limit: maxUpload},
		{Name: "page.ticket", Pattern: "GET /tickets/{id}", Secret: true, Serve: p.ticket},
		{Name: "page.ticket_reply", Pattern: "POST /tickets/{id}", Secret: true, Serve: p.ticket, Limit: maxUpload},
		{Name: "page.ticket_close", Pattern: "POST /tickets/{id}/close", Secret: true, Serve: p.closeTicket},
		{Name: "page.ticket_file", Pattern: "GET /tickets/{id}/files/{file}", Secret: true, Serve: p.file},
		{Name: "page.account_tickets", Pattern: "GET /account/tickets", For: site.Customers, Serve: p.mine},
	}
	return slices.Concat(public, p.desk(), p.writing()), kit.Fill(s.Routes, &p.ops)
}

// take stores the file of a form, if one was chosen, and returns its id in a list.
func (p *pages) take(v *site.Visit, ticket, access string) ([]string, error) {
	content, name, err := v.File("file")
	if err != nil || content == nil {
		return nil, err
	}
	defer content.Close()
	f, err := p.site.Attachments.Take(v.Changing("ticket.attach"), support.Upload{Ticket: ticket, Access: access, Name: name, Content: content})
	if err != nil {
		return nil, err
	}
	return []string{f.ID}, nil
}

// markdown renders an article of the FAQ. Markup in it is left out, and so are addresses that are no links.
func markdown(text string) string {
	var out bytes.Buffer
	if err := goldmark.Convert([]byte(text), &out); err != nil {
		return ""
	}
	return out.String()
}

// statuses and priorities are the choices of forms, in their order.
func statuses() []string   { return []string{"open", "pending", "solved", "closed"} }
func priorities() []string { return []string{"low", "normal", "high", "urgent"} }
