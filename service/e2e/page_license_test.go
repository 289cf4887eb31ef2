package e2e_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/limit/limittest"
)

// licenseVisits are those to the pages on which a license is renewed, given away, lent and shared, by its owner and by staff.
func licenseVisits() map[string][]visit {
	return map[string][]visit{
		"GET /account/licenses/{id}/transfer": {{as: customer, at: "/account/licenses/{movable}/transfer"}, {as: customer, at: "/account/licenses/{offered}/transfer"}, {as: customer, at: "/account/licenses/{license}/transfer"},
			{as: customer, at: "/account/licenses/{waiting}/transfer"}},
		"GET /account/transfers/{id}/cancel": {{as: customer, at: "/account/transfers/{offer}/cancel"}},
		"GET /transfer/{token}": {{at: "/transfer/{offer-token}"}, {as: customer, at: "/transfer/{offer-token}"}, {as: other, at: "/transfer/{offer-token}"}, {as: owner, at: "/transfer/{offer-token}"},
			{at: "/transfer/used-long-ago", status: 410}},
		"GET /admin/transfers":              {{as: owner, at: "/admin/transfers"}, {as: owner, at: "/admin/transfers?state=accepted"}, {as: owner, at: "/admin/transfers?state=declined"}},
		"GET /admin/transfers/{id}":         {{as: owner, at: "/admin/transfers/{offer}"}, {as: owner, at: "/admin/transfers/{queued}"}},
		"GET /admin/transfers/{id}/approve": {{as: owner, at: "/admin/transfers/{queued}/approve"}},
		"GET /admin/transfers/{id}/decline": {{as: owner, at: "/admin/transfers/{queued}/decline"}},
		"GET /admin/licenses/{id}/transfer": {{as: owner, at: "/admin/licenses/{movable}/transfer"}, {as: owner, at: "/admin/licenses/{license}/transfer"}},
	}
}

// plantLicenses gives the customer licenses that may change hands: one that stays, one that is offered, and one that waits for the shop.
func (s *stage) plantLicenses(t testing.TB) {
	t.Helper()
	year := 365 * 86400
	terms := object{"type": "timed", "duration": year, "seats": object{"n": 5, "by": "device", "floating": true}, "activation": "required", "fresh": 7 * 86400, "stale": 7 * 86400, "grace": 7 * 86400, "dead_after": 30 * 86400,
		"entitlements": object{"export": true}, "transfer": object{"allowed": true, "limit": 2, "period": year, "approval": true}}
	policy := s.made(t, "team-policy", "/v1/policies", object{"product_id": s.ids["product"], "code": "team", "name": "Team", "terms": terms})
	for _, name := range []string{"movable", "offered", "waiting"} {
		var out struct{ ID string }
		s.must(t, http.MethodPost, "/v1/licenses", object{"policy": policy, "plan": "team", "env": "test", "owner": s.ids[customer], "licensee": "Ada", "reason": "for the stage", "reference": name}, &out)
		s.ids[name] = out.ID
	}
	s.ids["offer"], s.ids["offer-token"] = s.offers(t, "offered", other)
	var token string
	s.ids["queued"], token = s.offers(t, "waiting", other)
	s.say(t, other, http.MethodPost, "/v1/transfers/accept", object{"token": token}, nil)
}

// offers has the customer offer a license to somebody, and returns the offer and the token of its link.
func (s *stage) offers(t testing.TB, name, to string) (id, token string) {
	t.Helper()
	var out struct{ ID string }
	s.say(t, customer, http.MethodPost, "/v1/licenses/"+s.ids[name]+"/transfers", object{"email": stageEmail(to)}, &out)
	return out.ID, s.offered(t, to)
}

// offered is the token of an offer that was mailed to somebody since the one that was asked for last.
func (s *stage) offered(t testing.TB, to string) (token string) {
	t.Helper()
	if !limittest.Eventually(time.Minute, func() bool {
		_, token, _ = strings.Cut(s.mailed(t, stageEmail(to), "/transfer/"), "/transfer/")
		return token != s.ids["token-of-"+to]
	}) {
		t.Fatalf("no new offer was mailed to %s", to)
	}
	s.ids["token-of-"+to] = token
	return token
}

// TestTransferPages: an owner offers a license by a form, takes the offer back and offers it again; who is named, and nobody else, accepts by
// the mailed link; the shop approves what waits and declines with a reason that both sides read; and what a policy forbids is said
// before anything is asked for.
func TestTransferPages(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c, o, b := s.as(t, customer), s.as(t, other), s.as(t, owner)
	at := func(name string) string { return "/account/licenses/" + s.ids[name] }
	c.get(t, at("movable")).shows(t, "the license", 200, "Give it to somebody else")
	c.get(t, at("license")+"/transfer").shows(t, "a license that stays", 200, "This license stays where it is", "do not let it change hands")
	c.get(t, at("movable")+"/transfer").shows(t, "the form", 200, "Send the offer", "we look at it", "2 times in 1 year", "Its end stays")
	c.send(t, at("movable")+"/transfer", url.Values{"email": {"nobody"}}).shows(t, "a bad address", 422, `value="nobody"`, "Must be an address")
	c.send(t, at("movable")+"/transfer", url.Values{"email": {stageEmail(invited)}}).shows(t, "an offer", 303)
	c.get(t, at("movable")+"/transfer").shows(t, "an offer under way", 200, stageEmail(invited), "Offered", "Take the offer back")
	token := s.offered(t, invited)
	s.as(t, visitor).get(t, "/transfer/"+token).shows(t, "an offer to a stranger", 200, "Sign in as "+stageEmail(invited), "Create an account")
	c.get(t, "/transfer/"+token).shows(t, "an offer to who made it", 200, "You are signed in as "+stageEmail(customer))
	o.send(t, "/transfer/"+token, url.Values{}).shows(t, "somebody else's answer", 422, "was offered to another e-mail address")
	var open struct{ Items []struct{ ID string } }
	s.say(t, customer, http.MethodGet, "/v1/transfers?license="+s.ids["movable"], nil, &open)
	cancel := "/account/transfers/" + open.Items[0].ID + "/cancel"
	o.get(t, cancel).shows(t, "another's offer", 404)
	c.get(t, cancel).shows(t, "the question before", 200, "Take the offer back?", "stops working")
	c.send(t, cancel, url.Values{}).shows(t, "taking it back", 303)
	s.as(t, invited).get(t, "/transfer/"+token).shows(t, "an offer taken back", 410, "cancelled")
	c.get(t, at("movable")+"/transfer").shows(t, "the form again", 200, "Send the offer", "Taken back")

	n := s.as(t, other)
	if p := n.get(t, "/transfer/"+s.ids["offer-token"]); p.status != 200 || p.header.Get("Referrer-Policy") != "no-referrer" || !strings.Contains(p.text, "Accept the license") {
		t.Errorf("the page of an offer answered %d with %q", p.status, p.header.Get("Referrer-Policy"))
	}
	accepted := n.send(t, "/transfer/"+s.ids["offer-token"], url.Values{})
	accepted.shows(t, "an answer", 303)
	n.get(t, accepted.to).shows(t, "the page after it", 200, "The shop looks at the transfer")
	n.get(t, at("offered")).shows(t, "the license before the approval", 404)

	b.get(t, "/admin/transfers?state=accepted").shows(t, "the queue", 200, s.ids["offer"], s.ids["queued"], stageEmail(other))
	b.get(t, "/admin/transfers/"+s.ids["offer"]).shows(t, "a transfer that waits", 200, stageEmail(customer), stageEmail(other), "Approve", "Decline")
	approve, decline := "/admin/transfers/"+s.ids["offer"]+"/approve", "/admin/transfers/"+s.ids["queued"]+"/decline"
	b.send(t, approve, url.Values{}).shows(t, "an approval without a reason", 422, "Please say why")
	b.send(t, approve, url.Values{"reason": {"they sold the company"}}).shows(t, "an approval", 303)
	b.send(t, decline, url.Values{"reason": {"not under this contract"}}).shows(t, "a refusal", 303)
	b.get(t, "/admin/transfers?state=accepted").shows(t, "the empty queue", 200, "Nothing waits for you")
	n.get(t, at("offered")).shows(t, "the license of its new owner", 200, "Show the key")
	c.get(t, at("offered")).shows(t, "the license to who gave it away", 404)
	c.get(t, at("waiting")+"/transfer").shows(t, "what was declined", 200, "Not approved", "not under this contract")

	give := "/admin/licenses/" + s.ids["movable"] + "/transfer"
	b.get(t, give).shows(t, "the staff's form", 200, "2 times in 365 days", stageEmail(customer))
	b.send(t, give, url.Values{"to": {"no-such@example.com"}, "reason": {"x"}}).shows(t, "to nobody", 422, "Nobody has an account with this address")
	b.send(t, give, url.Values{"to": {stageEmail(other)}, "reason": {"by letter"}}).shows(t, "the staff's transfer", 303)
	n.get(t, at("movable")).shows(t, "the license of its new owner", 200, "Show the key")
	b.send(t, "/admin/licenses/"+s.ids["license"]+"/transfer", url.Values{"to": {stageEmail(other)}, "reason": {"by letter"}}).shows(t, "one that its policy keeps", 422, "cannot be transferred")
}
