package app

import (
	"context"
	"net/mail"
	"net/netip"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/blob"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/limit"
)

// support makes the helpdesk.
func (p *parts) support(context.Context) error {
	a, st := p.app, p.app.storage.store
	from, err := mail.ParseAddress(a.config.MailFrom)
	if err != nil {
		return err
	}
	own, err := account.NormalEmail(from.Address)
	if err != nil { // "shop@localhost", from which no mail comes back
		own = from.Address
	}
	t := st.Tickets()
	p.helpdesk = support.New(support.Deps{Store: t, Threads: t, Files: t, Records: t, Library: st.SupportLibrary(), People: helpers{st.People()},
		Notices: ticketNotices{p.notices}, Blobs: blob.Sized{Store: p.files}, Seal: a.storage.key, Throttle: limit.Throttle{Limiter: p.limiter},
		Clock: a.config.Clock, IDs: a.config.IDs, Tx: st, Audit: p.audit, Switches: p.switches, Normal: account.NormalEmail, BaseURL: a.config.BaseURL, Own: own,
		Log: a.log, From: network})
	return nil
}

// network is where a request comes from, as attempts are counted: an IPv4 address, or the /64 network of an IPv6 address, since whoever has
// one address there has them all.
func network(ctx context.Context) string {
	ip := kit.ClientIP(ctx).Unmap()
	switch {
	case !ip.IsValid():
		return ""
	case ip.Is4():
		return ip.String()
	}
	return netip.PrefixFrom(ip.WithZone(""), 64).Masked().String()
}

// helpers tells the helpdesk who is who.
type helpers struct{ people account.People }

var _ support.People = helpers{}

func contact(p account.Person) support.Contact {
	return support.Contact{ID: p.ID, Email: p.Email, Name: p.Name, Role: p.Role}
}

// Contact implements [support.People].
func (h helpers) Contact(ctx context.Context, id string) (support.Contact, error) {
	p, err := h.people.PersonByID(ctx, id)
	return contact(p), err
}

// Agents implements [support.People].
func (h helpers) Agents(ctx context.Context) ([]support.Contact, error) {
	staff, err := h.people.ListStaff(ctx)
	var out []support.Contact
	for _, p := range staff {
		switch p.Role {
		case licensing.RoleOwner, licensing.RoleAdmin, licensing.RoleSupport:
			if !p.ConfirmedAt.IsZero() && p.DisabledAt.IsZero() {
				out = append(out, contact(p))
			}
		}
	}
	return out, err
}

// ticketNotices says in mail what the helpdesk wants said.
type ticketNotices struct{ notices *notice.Service }

var _ support.Notices = ticketNotices{}

// Queue implements [support.Notices].
func (n ticketNotices) Queue(ctx context.Context, m support.Mail) error {
	return n.notices.Queue(ctx, notice.Message{Template: m.Template, Subject: m.About, Epoch: m.Epoch, To: m.To,
		Data: notice.Data{Name: m.Name, Ticket: m.Number, Topic: m.Topic, Lines: m.Text, Link: m.Link, Note: m.Note}})
}

// NoticeOf implements [support.Notices].
func (n ticketNotices) NoticeOf(messageID string) (string, bool) { return n.notices.IDOf(messageID) }
