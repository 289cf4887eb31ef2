package admin

import (
	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/service/mail"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) mailPages() []site.Page {
	return append([]site.Page{get("mail", "/admin/mail", p.outbox), get("mail_kept", "/admin/mail/kept", p.kept), get("mail_read", "/admin/mail/kept/{id}", p.letter)},
		p.asked(action{name: "mail_retry", path: "/admin/outbox/{id}/retry", spec: p.ops.RetryMail.Spec(), calm: true, back: func(string) ui.Link { return ui.Link{Href: "/admin/mail", Name: "Mail"} },
			title: "Send the mail again", button: "Send it", done: "The mail is on its way.",
			what: "It is handed over once more, at once.",
			do: plain(func() op[notice.RetryRequest, notice.View] { return p.ops.RetryMail }, func(id, reason string) notice.RetryRequest {
				return notice.RetryRequest{ID: id, Reason: reason}
			})})...)
}

func mailStates() []ui.Option { return choices("Any state", "pending", "sent", "failed") }

// outbox lists what was to be mailed.
func (p *pages) outbox(v *site.Visit) error {
	list, err := p.ops.Notices.Call(v.Ctx(), notice.ListRequest{Page: page(v, 25), State: notice.State(pick(v, "state", mailStates())), To: v.Query("to")})
	if err != nil {
		return err
	}
	return v.Show(outboxPage(v.Frame("Mail"), v.Filter(), list, next(v, list.Next), filtered(v), may(v, p.ops.RetryMail.Spec()), may(v, p.ops.Mails.Spec())))
}

// kept lists the mail that an installation without a mail server keeps.
func (p *pages) kept(v *site.Visit) error {
	list, err := p.ops.Mails.Call(v.Ctx(), mail.ListRequest{Page: page(v, 25), To: v.Query("to")})
	if err != nil {
		return err
	}
	return v.Show(keptPage(v.Frame("Kept mail", ui.Link{Href: "/admin/mail", Name: "Mail"}), v.Filter(), list, next(v, list.Next), filtered(v)))
}

func (p *pages) letter(v *site.Visit) error {
	m, err := p.ops.Mail.Call(v.Ctx(), mail.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	return v.Show(letterPage(v.Frame(m.Subject, ui.Link{Href: "/admin/mail", Name: "Mail"}, ui.Link{Href: "/admin/mail/kept", Name: "Kept mail"}), m))
}
