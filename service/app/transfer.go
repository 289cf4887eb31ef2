package app

import (
	"context"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/licensing/transfer"
	"github.com/mintreu/mintreu/service/limit"
)

// transfer makes what lets owners give licenses away.
func (p *parts) transfer(context.Context) error {
	a, st := p.app, p.app.storage.store
	p.transfers = transfer.New(transfer.Deps{Store: st.Transfers(), People: st.Transfers(), Licenses: p.licenses, Notices: transferNotices{p}, Throttle: limit.Throttle{Limiter: p.limiter}, Address: account.NormalEmail,
		Clock: a.config.Clock, IDs: a.config.IDs, Tx: st, Audit: p.audit, Switches: p.switches})
	return nil
}

// transferNotices says in mail what transfers want said.
type transferNotices struct{ p *parts }

var _ transfer.Notices = transferNotices{}

// Offer implements [transfer.Notices].
func (n transferNotices) Offer(ctx context.Context, m transfer.Mail, token string) error {
	return n.p.notices.Queue(ctx, notice.Message{Template: notice.TransferOffer, Subject: m.Request.ID, Epoch: m.At.UnixMicro(), To: m.To,
		Data: notice.Data{Name: m.By, Topic: m.Product, Link: n.p.app.config.BaseURL + "/transfer/" + token, Until: until(m.Request.ExpiresAt)}})
}

// Tell implements [transfer.Notices].
func (n transferNotices) Tell(ctx context.Context, m transfer.Mail) error {
	said := transferWords[m.Topic]
	d := notice.Data{Name: m.Name, Topic: m.Product, Note: said.note, Link: n.p.app.config.BaseURL + said.at}
	switch m.Topic {
	case transfer.ToldOffered:
		d.Note = m.By + said.note + m.Request.Email + "."
		d.Link += m.Request.LicenseID + "/transfer"
	case transfer.ToldWaiting:
		d.Link += m.Request.ID
	case transfer.ToldGot:
		d.Link += m.Request.LicenseID
	case transfer.ToldDeclined:
		d.Lines = []string{m.Reason}
	}
	return n.p.notices.Queue(ctx, notice.Message{Template: notice.Transfer, Subject: m.Request.ID + "/" + string(m.Topic), Epoch: m.At.UnixMicro() + m.N, To: m.To, Data: d})
}

// transferWords are what is told of a step, and the page that it leads to.
var transferWords = map[transfer.Topic]struct{ note, at string }{
	transfer.ToldOffered:   {" offers it to ", "/account/licenses/"},
	transfer.ToldAccepted:  {"It was accepted. Its policy wants us to look at the transfer first; we tell you what comes of it. Until then nothing changes.", "/account/licenses"},
	transfer.ToldWaiting:   {"It was accepted, and its policy wants an approval. Look at both sides and decide.", "/admin/transfers/"},
	transfer.ToldGiven:     {"It has changed hands. Its old key is good no longer, and devices that used it stop.", "/account/licenses"},
	transfer.ToldGot:       {"It is yours now. Your new license key is on its page.", "/account/licenses/"},
	transfer.ToldCancelled: {"The offer was taken back. The license stays where it is.", "/account/licenses"},
	transfer.ToldDeclined:  {"We did not approve the transfer. The license stays where it is.", "/account/licenses"},
	transfer.ToldLapsed:    {"Nobody answered in time, so the transfer is over. The license stays where it is.", "/account/licenses"},
}

// Staff implements [transfer.Notices].
func (n transferNotices) Staff(ctx context.Context) ([]transfer.Person, error) {
	agents, err := helpers{n.p.app.storage.store.People()}.Agents(ctx)
	out := make([]transfer.Person, len(agents))
	for i, a := range agents {
		out[i] = transfer.Person{ID: a.ID, Email: a.Email, Name: a.Name}
	}
	return out, err
}
