package app

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/mail"
)

// accountNotices says in mail what accounts want said.
type accountNotices struct {
	notices *notice.Service
	base    string
}

var _ account.Notices = accountNotices{}

// Links are made of the configured base URL alone, whatever host a request named, and have the token in their path, so that the pages
// behind them work without a script.

func (n accountNotices) AccountConfirm(ctx context.Context, to account.Person, token string, expires time.Time) error {
	return n.queue(ctx, "account_confirm", to, "/confirm/"+token, expires)
}

func (n accountNotices) AccountExists(ctx context.Context, to account.Person, token string, expires time.Time) error {
	return n.queue(ctx, "account_exists", to, "/confirm/"+token, expires)
}

func (n accountNotices) AccountReset(ctx context.Context, to account.Person, token string, expires time.Time) error {
	return n.queue(ctx, notice.AccountReset, to, "/reset/"+token, expires)
}

func (n accountNotices) EmailChange(ctx context.Context, p account.Person, mailbox, email, token string, expires time.Time) error {
	epoch := expires.UnixMicro()
	if mailbox == email { // the second of the two mails
		epoch++
	}
	return n.notices.Queue(ctx, notice.Message{Template: notice.EmailChange, Subject: p.ID, Epoch: epoch, To: mailbox,
		Data: notice.Data{Name: p.Name, Link: n.base + "/email/" + token, Until: until(expires), Note: email}})
}

func (n accountNotices) Security(ctx context.Context, to account.Person, note string, at time.Time) error {
	return n.notices.Queue(ctx, notice.Message{Template: notice.Security, Subject: to.ID, Epoch: at.UnixMicro(), To: to.Email,
		Data: notice.Data{Name: to.Name, Note: note, Link: n.base + "/reset"}})
}

func (n accountNotices) OrganisationInvite(ctx context.Context, m account.InviteMail, token string) error {
	return n.notices.Queue(ctx, notice.Message{Template: notice.OrganisationInvite, Subject: m.ID, Epoch: m.ExpiresAt.UnixMicro(), To: m.To,
		Data: notice.Data{Name: m.By, Organisation: m.Organisation, Role: orgRoles[m.Role], Link: n.base + "/invite/" + token, Until: until(m.ExpiresAt)}})
}

// orgRoles are the roles in an organisation as a sentence has them.
var orgRoles = map[licensing.OrgRole]string{licensing.OrgOwner: "an owner", licensing.OrgAdmin: "an admin", licensing.OrgMember: "a member"}

func (n accountNotices) queue(ctx context.Context, template string, to account.Person, path string, expires time.Time) error {
	return n.notices.Queue(ctx, notice.Message{Template: template, Subject: to.ID, Epoch: expires.UnixMicro(), To: to.Email,
		Data: notice.Data{Name: to.Name, Link: n.base + path, Until: until(expires)}})
}

func until(t time.Time) string { return t.UTC().Format("2 January 2006 15:04 UTC") }

// checkoutNotices says in mail what checkout wants said. Only the order's id is stored; keys are filled in when the mail is sent.
type checkoutNotices struct {
	notices *notice.Service
	base    string
}

var _ checkout.Notices = checkoutNotices{}

func (n checkoutNotices) Queue(ctx context.Context, c checkout.Notice) error {
	return n.notices.Queue(ctx, notice.Message{Template: c.Template, Subject: c.Order, Epoch: c.Epoch, To: c.Email, Data: notice.Data{Order: c.Order}})
}

// expandPurchase completes the purchase mail when it is sent: what was bought, the license keys, the receipt, and the link to the page of the order.
func (p *parts) expandPurchase(ctx context.Context, order string, d notice.Data) (notice.Data, error) {
	ctx = licensing.WithCall(ctx, &licensing.Call{Operation: "notice.expand", Actor: licensing.Actor{Kind: licensing.System, ID: "mail"}})
	c, err := p.checkout.Get(ctx, checkout.GetRequest{ID: order})
	if err != nil {
		return d, err
	}
	d.Order, d.Total = c.ID, c.Total.String()
	if c.Receipt != nil {
		d.Receipt = c.Receipt.Number
	}
	if d.Link, err = p.checkout.Link(ctx, order); err != nil {
		return d, err
	}
	for _, g := range c.Grants {
		item := notice.Item{Name: g.Name, Kind: g.Kind, Key: g.Key}
		switch g.Kind {
		case "license":
			item.Note = "Enter this key in the product to activate it on a device."
		case "apikey":
			item.Note = "Your API key is shown once, on the page of your order."
		case "renewal":
			item.Note = "Your license is valid for longer. Its key and its devices stay as they are."
		}
		d.Items = append(d.Items, item)
	}
	return d, nil
}

// expandLicense completes the mail with the links to a buyer's orders when it is sent.
func (p *parts) expandLicense(ctx context.Context, owner string, d notice.Data) (notice.Data, error) {
	d.Order = ""
	links, err := p.checkout.Links(ctx, licensing.Owner(owner))
	for _, l := range links {
		d.Items = append(d.Items, notice.Item{Name: l.Name, Note: l.At.UTC().Format("2 January 2006"), Link: l.Link})
	}
	return d, err
}

// smtp makes the sender that hands mail to a server.
func (a *App) smtp() (sender notice.Sender, err error) {
	password := ""
	if a.config.SMTPPasswordFile != "" {
		if password, err = readSecret(a.config.SMTPPasswordFile); err != nil {
			return nil, err
		}
	}
	return mail.NewSMTP(mail.SMTPConfig{URL: a.config.SMTPURL, Password: password})
}
