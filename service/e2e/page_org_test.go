package e2e_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing"
)

// say calls an operation with somebody's session.
func (s *stage) say(t testing.TB, who, method, at string, in, out any) {
	t.Helper()
	status, text, err := fetch(t.Context(), method, s.url+at, http.Header{"Authorization": {"Bearer " + s.tokens[who]}}, in)
	if err != nil || status >= 300 {
		t.Fatalf("%s %s by %s answered %d %s (%v)", method, at, who, status, text, err)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(text), out); err != nil {
			t.Fatal(err)
		}
	}
}

// plantOrganisation makes the customer's organisation, with a colleague in it who acts for it, and somebody who is invited.
func (s *stage) plantOrganisation(t testing.TB) {
	t.Helper()
	var made struct{ ID string }
	s.say(t, customer, http.MethodPost, "/v1/organisations", object{"name": "Møller & Søn A/S", "country": "DK", "vat_id": "DK12345678"}, &made)
	s.ids["organisation"] = made.ID
	s.invite(t, stageEmail(colleague), "member")
	s.say(t, colleague, http.MethodPost, "/v1/organisation-invites/accept", object{"token": s.inviteOf(t, stageEmail(colleague))}, nil)
	s.say(t, colleague, http.MethodPut, "/v1/sessions/current/owner", object{"organisation": made.ID}, nil)
	s.invite(t, stageEmail(invited), "member")
	s.ids["open-invite"] = s.inviteOf(t, stageEmail(invited))
	s.ids["invite"] = s.invite(t, "asked@example.com", "admin")
	s.ids["invite-token"] = s.inviteOf(t, "asked@example.com")
	var all struct{ Members []struct{ ID, Email string } }
	s.say(t, customer, http.MethodGet, "/v1/organisations/"+made.ID+"/members", nil, &all)
	for _, m := range all.Members {
		if m.Email == stageEmail(colleague) {
			s.ids["member"] = m.ID
		}
	}
}

// invite invites an address to the customer's organisation.
func (s *stage) invite(t testing.TB, email, role string) (id string) {
	t.Helper()
	var out struct{ ID string }
	s.say(t, customer, http.MethodPost, "/v1/organisations/"+s.ids["organisation"]+"/invites", object{"email": email, "role": role}, &out)
	return out.ID
}

// inviteOf is the token of the newest invite that was mailed to an address.
func (s *stage) inviteOf(t testing.TB, email string) string {
	t.Helper()
	_, token, _ := strings.Cut(s.mailed(t, email, "/invite/"), "/invite/")
	return token
}

// shows fails unless a page has a status and each of the texts.
func (p page) shows(t testing.TB, what string, status int, texts ...string) {
	t.Helper()
	if p.status != status {
		t.Errorf("%s answered %d %s, want %d", what, p.status, p.to, status)
	}
	for _, text := range texts {
		if !strings.Contains(p.text, text) {
			t.Errorf("%s does not say %q", what, text)
		}
	}
}

// TestOrganisationPages: a customer makes an organisation, invites somebody, gives a role, withdraws, removes and leaves, all by forms; what is
// mistyped or refused comes back with what was typed and a word about it; who acts for an organisation is told so on every page,
// buys for it, and is himself again with one button.
func TestOrganisationPages(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c, o := s.as(t, customer), "/account/organisation/"+s.ids["organisation"]

	c.send(t, "/account/organisation/new", url.Values{"name": {"https://x"}, "country": {"Denmark"}, "billing_email": {"nobody"}}).shows(t, "a bad organisation", 422, `value="https://x"`, "Must not contain", "two capital letters", "name@example.com")
	made := c.send(t, "/account/organisation/new", url.Values{"name": {"Second"}, "country": {"de"}})
	made.shows(t, "a new organisation", 303)
	second := made.to
	c.get(t, second).shows(t, "its page", 200, "Second", "is made", stageEmail(customer), "You are an owner of it")
	c.send(t, second+"/edit", url.Values{"name": {"Second & Co"}, "country": {"DE"}, "vat_id": {"de 123456789"}}).shows(t, "its details", 303)
	c.get(t, second).shows(t, "its page", 200, "Second &amp; Co", "DE123456789")

	c.send(t, o+"/invite", url.Values{"email": {"nobody"}, "role": {"member"}}).shows(t, "a bad address", 422, `value="nobody"`, "Must be an address")
	c.send(t, o+"/invite", url.Values{"email": {stageEmail(colleague)}, "role": {"member"}}).shows(t, "who is a member", 422, "a member of the organisation already")
	c.send(t, o+"/invite", url.Values{"email": {stageEmail(other)}, "role": {"admin"}}).shows(t, "an invitation", 303)
	token := s.inviteOf(t, stageEmail(other))
	s.as(t, visitor).get(t, "/invite/"+token).shows(t, "an invitation to a stranger", 200, "Sign in as "+stageEmail(other), "Create an account")
	c.get(t, "/invite/"+token).shows(t, "an invitation to somebody else", 200, "You are signed in as "+stageEmail(customer))
	c.send(t, "/invite/"+token, url.Values{}).shows(t, "somebody else's answer", 422, "is for another e-mail address")
	n := s.as(t, other)
	if p := n.get(t, "/invite/"+token); p.status != 200 || p.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("the page of an invitation answered %d with %q", p.status, p.header.Get("Referrer-Policy"))
	}
	joined := n.send(t, "/invite/"+token, url.Values{})
	joined.shows(t, "an answer", 303)
	n.get(t, joined.to).shows(t, "the page after it", 200, "You are an admin of Møller &amp; Søn A/S now", "Act for it")
	n.get(t, "/invite/"+token).shows(t, "a used invitation", 410, "used, withdrawn or over")

	n.post(t, "/account/acting", url.Values{"organisation": {s.ids["organisation"]}}).shows(t, "acting for it", 303)
	n.get(t, "/account").shows(t, "the account then", 200, "You act for", "Møller &amp; Søn A/S", "as its admin", "Act for myself")
	buy := "/buy/" + s.ids["slug"] + "?plan=pro&currency=EUR"
	form := n.get(t, buy)
	form.shows(t, "buying for it", 200, "You buy for <strong>Møller &amp; Søn A/S", "DK12345678")
	basket := func(owner string) url.Values {
		return url.Values{"quantity": {"1"}, "terms": {"yes"}, "delivery": {"yes"}, "for": {owner}, "country": {"DK"}}
	}
	n.send(t, buy, basket("")).shows(t, "a form from before acting for it", 422, "changed for whom you act")
	if p := n.send(t, buy, basket(s.ids["organisation"])); p.status != 303 {
		t.Errorf("buying for it answered %d", p.status)
	}
	var orders struct {
		Items []struct{ Owner, Email string }
	}
	s.must(t, http.MethodGet, "/v1/orders?owner="+s.ids["organisation"], nil, &orders)
	if len(orders.Items) != 1 || orders.Items[0].Email != stageEmail(other) {
		t.Errorf("the organisation has the orders %+v", orders.Items)
	}
	n.post(t, "/account/acting", url.Values{"organisation": {""}}).shows(t, "acting for himself", 303)
	if p := n.get(t, "/account"); strings.Contains(p.text, "Act for myself") {
		t.Error("the account still says for whom one acts")
	}

	m := s.as(t, colleague)
	m.get(t, buy).shows(t, "a member who wants to buy", 200, "its admins buy for it")
	m.get(t, o).shows(t, "a member's view", 200, "You are a member of it")
	m.send(t, o+"/edit", url.Values{"name": {"Mine"}}).shows(t, "a member's change", 403, "Your role in the organisation does not permit this")
	c.send(t, o+"/members/"+s.ids["member"], url.Values{"role": {"king"}}).shows(t, "no role", 422, "Must be owner, admin or member")
	c.send(t, o+"/members/"+s.ids["member"], url.Values{"role": {"admin"}}).shows(t, "a role", 303)
	m.get(t, "/account").shows(t, "the account of who is an admin now", 200, "as its admin")
	c.get(t, o+"/members/"+s.ids["member"]+"/remove").shows(t, "the question before", 200, "no longer sees what", "Keep it as it is")
	c.send(t, o+"/members/"+s.ids["member"]+"/remove", url.Values{}).shows(t, "a removal", 303)
	m.get(t, o).shows(t, "the organisation to who was removed", 404)
	c.send(t, o+"/invites/"+s.ids["invite"]+"/withdraw", url.Values{}).shows(t, "a withdrawal", 303)
	s.as(t, visitor).get(t, "/invite/"+s.ids["invite-token"]).shows(t, "a withdrawn invitation", 410)

	c.send(t, o+"/leave", url.Values{}).shows(t, "the last owner who leaves", 422, "Somebody must stay owner")
	c.send(t, o+"/delete", url.Values{}).shows(t, "removing what owns an order", 422, "has orders, licenses, keys or tickets")
	c.send(t, second+"/delete", url.Values{}).shows(t, "removing what owns nothing", 303)
	c.get(t, "/account/organisation").shows(t, "the list after it", 200, "Second &amp; Co is removed")
	n.send(t, o+"/leave", url.Values{}).shows(t, "leaving", 303)
	n.get(t, "/account/organisation").shows(t, "the list of who left", 200, "You are in no organisation")
}

// TestConsole_Organisations: staff find an organisation by a word of its name, see its members with their roles, who is invited, and by links
// what it owns; they come to it from a key that it owns and from the page of a member, which leads to that member's organisations and no
// others.
func TestConsole_Organisations(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c, at := s.as(t, owner), "/admin/organisations/"+s.ids["organisation"]
	c.get(t, "/admin/organisations?q=s%C3%B8n").shows(t, "the list by a word", http.StatusOK, at, "Møller &amp; Søn A/S", stageEmail(customer))
	c.get(t, "/admin/organisations?q="+strings.Repeat("a+", 60)).shows(t, "a search too long", http.StatusUnprocessableEntity, "The search is too long")
	var key struct{ Key struct{ ID string } }
	s.must(t, http.MethodPost, "/v1/keys", object{"product": s.ids["product"], "owner": s.ids["organisation"], "env": "test", "name": "Its own"}, &key)
	c.get(t, at).shows(t, "the organisation", http.StatusOK, "Møller &amp; Søn A/S", stageEmail(customer), stageEmail(colleague), "asked@example.com", "DK12345678", "/admin/customers/"+s.ids[colleague], ">Owner<", ">Member<", ">Admin<")
	c.get(t, "/admin/keys/"+key.Key.ID).shows(t, "a key that it owns", http.StatusOK, at, "Møller &amp; Søn A/S")
	of := "/admin/organisations?member="
	c.get(t, "/admin/customers/"+s.ids[colleague]).shows(t, "a member", http.StatusOK, of+s.ids[colleague])
	c.get(t, of+s.ids[colleague]).shows(t, "a member's organisations", http.StatusOK, at, "Møller &amp; Søn A/S", ">Member<")
	c.get(t, of+s.ids[other]).shows(t, "the organisations of who is in none", http.StatusOK, "No organisation matches")
	c.get(t, "/admin/keys?owner="+s.ids["organisation"]).shows(t, "its keys", http.StatusOK, key.Key.ID)
	c.get(t, "/admin/licenses?owner="+s.ids["organisation"]).shows(t, "its licenses", http.StatusOK, "No license matches")
	c.get(t, "/admin/orders?owner="+s.ids["organisation"]).shows(t, "its orders", http.StatusOK, "No order matches")
	c.get(t, "/admin/orders?owner="+s.ids[customer]).shows(t, "a customer's orders", http.StatusOK, s.ids["order"])
	c.get(t, "/admin/organisations/"+s.ids[customer]).shows(t, "a customer as an organisation", http.StatusNotFound)
	var mine licensing.List[struct{ ID string }]
	s.say(t, other, http.MethodGet, "/v1/organisations?member="+s.ids[customer], nil, &mine)
	if len(mine.Items) != 0 {
		t.Errorf("a customer is told what another is a member of: %+v", mine)
	}
	s.say(t, customer, http.MethodGet, "/v1/organisations?member="+s.ids[customer], nil, &mine)
	if len(mine.Items) != 1 {
		t.Errorf("asking for one's own: %+v", mine)
	}
}
