package my

import (
	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/transfer"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// handOver are the operations of licenses that change hands.
type handOver struct {
	Ask    kit.Op[transfer.AskRequest, transfer.View]                  `op:"transfer.ask"`
	List   kit.Op[transfer.ListRequest, licensing.List[transfer.View]] `op:"transfer.list"`
	Get    kit.Op[transfer.GetRequest, transfer.View]                  `op:"transfer.get"`
	Cancel kit.Op[transfer.CancelRequest, transfer.View]               `op:"transfer.cancel"`
	Show   kit.Op[transfer.TokenRequest, transfer.Shown]               `op:"transfer.show"`
	Accept kit.Op[transfer.TokenRequest, transfer.View]                `op:"transfer.accept"`
	Me     kit.Op[account.MeRequest, account.MeResponse]               `op:"account.me"`
}

// transferView is what the page of giving a license away shows.
type transferView struct {
	license.View
	Open *transfer.View
	Past []transfer.View
	// No is why it cannot be given away, "" when it can.
	No string
}

// transfer offers a license to somebody, and shows what came of it.
func (p *pages) transfer(v *site.Visit) error {
	l, err := p.ops.License.Call(v.Ctx(), license.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	f, here := v.Form(), "/account/licenses/"+l.ID+"/transfer"
	if v.Posted() {
		q, err := p.hand.Ask.Call(v.Ctx(), transfer.AskRequest{ID: l.ID, Email: f.Text("email")})
		if err == nil {
			return v.Go(here, "good", "The offer is on its way to "+q.Email+". The link in it works for seven days.")
		}
		if err := f.Refuse(err, nil); err != nil {
			return err
		}
	}
	view := transferView{View: l, No: staysWhy(&l, v.Actor.OrgRole)}
	all, err := p.hand.List.Call(v.Ctx(), transfer.ListRequest{License: l.ID, Page: licensing.Page{Limit: 20}})
	if err != nil {
		return err
	}
	for i := range all.Items {
		if q := &all.Items[i]; q.Open && q.Side == "from" {
			view.Open = q
		} else if !q.Open {
			view.Past = append(view.Past, *q)
		}
	}
	if view.Open == nil && view.No == "" {
		if err := v.Ready(p.hand.Ask.Spec()); err != nil {
			return err
		}
	}
	return v.Show(transferPage(v.Frame("Give it to somebody else", licenseCrumbs(&l)...), f, &view))
}

// licenseCrumbs lead back to the page of a license.
func licenseCrumbs(l *license.View) []ui.Link {
	return []ui.Link{{Href: "/account/licenses", Name: "Licenses"}, {Href: "/account/licenses/" + l.ID, Name: l.Called()}}
}

// staysWhy says why a license cannot change hands.
func staysWhy(l *license.View, role licensing.OrgRole) string {
	switch {
	case l.Type == doc.Trial:
		return "A trial is for the one who started it. Whoever else wants one starts their own."
	case !l.Terms.Transfer.Allowed:
		return "The terms under which you bought it do not let it change hands."
	case l.State != string(license.Active):
		return "Only a license that is good can change hands; this one is " + l.State + "."
	case role == licensing.OrgMember:
		return "It is your organisation's, and its admins decide what becomes of it."
	}
	return ""
}

// transferRules say what a transfer means under the terms of a license.
func transferRules(l *license.View) []string {
	t := l.Terms.Transfer
	out := []string{"We mail a link to the address. Whoever signs in with that address can accept for seven days; until then nothing changes, and you can take the offer back."}
	if t.Approval {
		out = append(out, "Once it is accepted we look at it, as the terms of the license say. You are told what comes of it.")
	}
	after := "Then the license is theirs. Your key is good no longer"
	if l.SeatsUsed > 0 {
		after += ", and " + ui.Plural(l.SeatsUsed, "device loses its seat", "devices lose their seats")
	}
	out = append(out, after+". You cannot take it back.")
	if t.Expiry == license.ResetExpiry {
		out = append(out, "Its term begins anew for them.")
	} else if l.ValidUntil != nil {
		out = append(out, "Its end stays: "+ui.When(*l.ValidUntil)+".")
	}
	if t.Limit > 0 {
		out = append(out, "It can change hands "+ui.Plural(t.Limit, "time", "times")+" in "+span(t.Period)+".")
	}
	return out
}

// span is a length of time in words.
func span(seconds int64) string {
	switch days := seconds / license.Day; {
	case days >= 365 && days%365 == 0:
		return ui.Plural(days/365, "year", "years")
	case days > 0:
		return ui.Plural(days, "day", "days")
	}
	return ui.Plural(max(1, seconds/3600), "hour", "hours")
}

// cancelTransfer asks, and then takes an offer back.
func (p *pages) cancelTransfer(v *site.Visit) error {
	if err := v.Ready(p.hand.Cancel.Spec()); err != nil {
		return err
	}
	q, err := p.hand.Get.Call(v.Ctx(), transfer.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	if q.Side != "from" {
		return licensing.ErrNotFound
	}
	f, back := v.Form(), "/account/licenses/"+q.License+"/transfer"
	if v.Posted() {
		_, err := p.hand.Cancel.Call(v.Ctx(), transfer.CancelRequest{ID: q.ID})
		if err == nil {
			return v.Go(back, "good", "The offer is taken back. The license stays with you.")
		}
		if err := f.Refuse(err, nil); err != nil {
			return err
		}
	} else if !q.Open {
		return v.Go("/account/licenses", "wait", "This offer is over already.")
	}
	return v.Show(cancelTransferPage(v.Frame("Take the offer back", ui.Link{Href: "/account/licenses", Name: "Licenses"}, ui.Link{Href: back, Name: "Give it to somebody else"}), f, &q, back))
}

// offered is what the page behind a mailed offer shows.
type offered struct {
	transfer.Shown
	// Mine says that who looks is signed in with the address that was named, As with which one otherwise; "" for nobody.
	Mine bool
	As   string
	Path string
	// For is the organisation for which who looks acts, "" for himself; Not says that he may not take things for it.
	For string
	Not bool
}

// answerTransfer shows an offer to whoever holds its link, and accepts it for who signed in with its address.
func (p *pages) answerTransfer(v *site.Visit) error {
	f, token := v.Form(), transfer.TokenRequest{Token: v.Param("token")}
	if v.Posted() && v.Actor.Kind == licensing.Customer {
		q, err := p.hand.Accept.Call(v.Ctx(), token)
		if err == nil {
			if q.State == string(transfer.Accepted) {
				return v.Go("/account/licenses", "wait", "You accepted "+q.Product+". The shop looks at the transfer and tells you by mail what comes of it.")
			}
			return v.Go("/account/licenses/"+q.License, "good", "The license is yours now. Show its key below to use it.")
		}
		if told := kit.Public(err); told.Code == transfer.ErrAddress.Code {
			f.Problem = told.Text
		} else if err := f.Refuse(err, nil); err != nil {
			return err
		}
	}
	shown, err := p.hand.Show.Call(v.Guest(), token)
	if err != nil {
		return err
	}
	o := offered{Shown: shown, Path: v.R.URL.Path, For: v.Actor.OrgName, Not: v.Actor.OrgRole == licensing.OrgMember}
	if v.Actor.Kind == licensing.Customer || v.Actor.Kind == licensing.Staff {
		me, err := p.hand.Me.Call(v.Ctx(), account.MeRequest{})
		if err != nil {
			return err
		}
		o.As, o.Mine = me.Email, me.Email == shown.Email && v.Actor.Kind == licensing.Customer
	}
	return v.Show(offeredPage(v.Frame("A license for you"), f, &o))
}

// transferStands says where a transfer is, and with what colour.
func transferStands(q *transfer.View) (word, tone string) {
	switch transfer.State(q.State) {
	case transfer.Offered:
		return "Offered", "wait"
	case transfer.Accepted:
		return "Accepted", "wait"
	case transfer.Done:
		return "Changed hands", "good"
	case transfer.Declined:
		return "Not approved", "bad"
	case transfer.Cancelled:
		return "Taken back", ""
	}
	return "Lapsed", ""
}
