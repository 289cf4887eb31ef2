package e2e_test

import (
	"html"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	sdkdevice "github.com/mintreu/mintreu/sdk/device"
	"github.com/mintreu/mintreu/sdk/spool"
	"github.com/mintreu/mintreu/service/limit/limittest"
	"github.com/mintreu/mintreu/service/web/ui"
)

// licenseVisits are those to the pages on which a license is renewed, given away, lent and shared, by its owner and by staff.
func licenseVisits() map[string][]visit {
	return map[string][]visit{
		"GET /account/licenses/{id}/transfer": {{as: customer, at: "/account/licenses/{movable}/transfer"}, {as: customer, at: "/account/licenses/{offered}/transfer"}, {as: customer, at: "/account/licenses/{license}/transfer"},
			{as: customer, at: "/account/licenses/{waiting}/transfer"}},
		"GET /account/licenses/{id}/renew":                   {{as: customer, at: "/account/licenses/{movable}/renew"}, {as: customer, at: "/account/licenses/{license}/renew"}},
		"GET /account/licenses/{id}/users":                   {{as: customer, at: "/account/licenses/{named}/users"}, {as: customer, at: "/account/licenses/{named}/users?who=nobody"}, {as: customer, at: "/account/licenses/{license}/users"}},
		"GET /account/licenses/{id}/devices/{device}/borrow": {{as: customer, at: "/account/licenses/{floats}/devices/{train}/borrow"}},
		"GET /account/licenses/{id}/borrowed":                {{as: customer, at: "/account/licenses/{floats}/borrowed"}, {as: customer, at: "/account/licenses/{movable}/borrowed"}, {as: customer, at: "/account/licenses/{license}/borrowed"}},
		"GET /catalogue/{slug}/trial":                        {{as: customer, at: "/catalogue/{slug}/trial"}, {as: colleague, at: "/catalogue/{slug}/trial"}, {at: "/catalogue/{slug}/trial", status: 303}},
		"GET /admin/licenses/{id}/renew":                     {{as: owner, at: "/admin/licenses/{movable}/renew"}, {as: owner, at: "/admin/licenses/{license}/renew"}},
		"GET /admin/licenses/{id}/repolicy":                  {{as: owner, at: "/admin/licenses/{movable}/repolicy"}, {as: owner, at: "/admin/licenses/{movable}/repolicy?policy={policy}"}},
		"GET /admin/licenses/{id}/ends":                      {{as: owner, at: "/admin/licenses/{movable}/ends"}},
		"GET /admin/licenses/{id}/users":                     {{as: owner, at: "/admin/licenses/{named}/users"}, {as: owner, at: "/admin/licenses/{named}/users?who=grace"}, {as: owner, at: "/admin/licenses/{named}/users?who=nobody"}, {as: owner, at: "/admin/licenses/{license}/users"}},
		"GET /admin/root-exports/new":                        {{as: owner, at: "/admin/root-exports/new"}},
		"GET /admin/root-exports/add":                        {{as: owner, at: "/admin/root-exports/add"}},
		"GET /admin/root-exports/{id}/take":                  {{as: owner, at: "/admin/root-exports/{export}/take"}},
		"GET /admin/root-exports/{id}/confirm":               {{as: owner, at: "/admin/root-exports/{export}/confirm"}},
		"GET /account/transfers/{id}/cancel":                 {{as: customer, at: "/account/transfers/{offer}/cancel"}},
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
	people := s.made(t, "people-policy", "/v1/policies", object{"product_id": s.ids["product"], "code": "people", "name": "People", "terms": object{"type": "perpetual", "seats": object{"n": 3, "by": "user"}, "activation": "required"}})
	s.made(t, "trial-policy", "/v1/policies", object{"product_id": s.ids["product"], "code": "trial", "name": "Trial", "terms": object{"type": "trial", "duration": 14 * 86400, "seats": object{"n": 1, "by": "device"}}})
	for name, under := range map[string]string{"movable": policy, "offered": policy, "waiting": policy, "floats": policy, "named": people} {
		var out struct{ ID, Key string }
		s.must(t, http.MethodPost, "/v1/licenses", object{"policy": under, "plan": "team", "env": "test", "owner": s.ids[customer], "licensee": "Ada", "reason": "for the stage", "reference": name}, &out)
		s.ids[name], s.ids[name+"-key"] = out.ID, out.Key
	}
	s.uses(t, s.ids["named-key"], "", "grace")
	away := s.uses(t, s.ids["floats-key"], "Train", "")
	s.ids["train"] = s.seatOf(t, "floats")
	if _, err := away.Borrow(t.Context(), time.Now().Add(5*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	var export struct{ ID string }
	s.say(t, owner, http.MethodPost, "/v1/root-exports", object{"reason": "the machine is rented"}, &export)
	s.ids["export"] = export.ID
	s.ids["offer"], s.ids["offer-token"] = s.offers(t, "offered", other)
	var token string
	s.ids["queued"], token = s.offers(t, "waiting", other)
	s.say(t, other, http.MethodPost, "/v1/transfers/accept", object{"token": token}, nil)
}

// uses activates the product, on a device with a name or for a user.
func (s *stage) uses(t testing.TB, key, device, user string) *sdk.Client {
	t.Helper()
	roots, err := s.app.Roots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client, err := sdk.New(sdk.Config{BaseURL: s.url, Product: s.ids["slug"], Env: "test", Roots: roots, User: user}, sdk.WithStore(&sdk.MemoryStore{}), sdk.WithSpool(spool.Options{Dir: filepath.Join(t.TempDir(), "usage")}), sdk.WithDeviceName(device),
		sdk.WithDevice(sdkdevice.Fingerprint{"machine": "m-" + device + user, "disk": "d-" + device + user}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if d, err := client.Activate(t.Context(), key); err != nil || !d.Allowed {
		t.Fatalf("the activation: %+v (%v)", d, err)
	}
	return client
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

// seatOf is the only activation of one of the customer's licenses.
func (s *stage) seatOf(t testing.TB, name string) string {
	t.Helper()
	var list struct{ Items []struct{ ID string } }
	s.must(t, http.MethodGet, "/v1/licenses/"+s.ids[name]+"/activations", nil, &list)
	if len(list.Items) != 1 {
		t.Fatalf("%s has %d activations", name, len(list.Items))
	}
	return list.Items[0].ID
}

// TestLicensePages: the owner of a license reads what a renewal gives and where to buy it, sees who uses it and who is away with a seat,
// adds users up to the limit, lends seats and calls them back; a customer starts a trial once; staff renew, look at what a policy changes and put the license under it, refused when what
// they looked at has changed, and end a single feature.
func TestLicensePages(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c, b := s.as(t, customer), s.as(t, owner)
	at := func(name string) string { return "/account/licenses/" + s.ids[name] }
	c.get(t, at("movable")).shows(t, "the license", 200, "Renew it", "Borrow seats")
	var had struct {
		ValidUntil time.Time `json:"valid_until"`
	}
	s.must(t, http.MethodGet, "/v1/licenses/"+s.ids["movable"], nil, &had)
	c.get(t, at("movable")+"/renew").shows(t, "a renewal", 200, "Valid until "+ui.When(had.ValidUntil.Add(365*24*time.Hour))+".", "Ask for a renewal", "Or buy a new one", "49.00 EUR", "renewing early loses nothing")
	c.get(t, at("license")+"/renew").shows(t, "nothing to renew", 200, "There is nothing to renew")
	c.get(t, at("named")+"/users").shows(t, "the users", 200, "Seats taken: 1 of 3.", "Remove", "Last seen")
	c.get(t, at("named")+"/users?who=grace").shows(t, "a user who is there", 200, "Remove")
	c.get(t, at("named")+"/users?who=nobody").shows(t, "a user who is not", 200, "nobody holds no seat")
	c.send(t, at("named")+"/users", url.Values{"user": {""}}).shows(t, "a user without a name", 422, "Must have 1 to 200 bytes")
	c.send(t, at("named")+"/users", url.Values{"user": {"hopper@example.com"}, "name": {"Rear Admiral"}}).shows(t, "a user ahead", 303)
	c.get(t, at("named")+"/users").shows(t, "both users", 200, "Seats taken: 2 of 3.", "Rear Admiral", "Not signed in yet")
	c.get(t, at("named")+"/users?who=hopper@example.com").shows(t, "a user ahead by what the product calls them", 200, "Rear Admiral")
	c.send(t, at("named")+"/users", url.Values{"user": {"turing"}}).shows(t, "the last seat", 303)
	c.get(t, at("named")+"/users").shows(t, "a full license", 200, "Seats taken: 3 of 3.", "All seats are taken")
	c.send(t, at("named")+"/users", url.Values{"user": {"lovelace"}}).shows(t, "a user too many", 422, "Every seat of the license is taken")
	s.as(t, other).send(t, at("named")+"/users", url.Values{"user": {"eve"}}).shows(t, "a user of another's license", 404)
	c.get(t, at("license")+"/users").shows(t, "a license of devices", 200, "Devices take the seats")
	seats := "/admin/licenses/" + s.ids["named"]
	b.get(t, seats).shows(t, "the license for staff", 200, seats+"/users")
	b.get(t, seats+"/users?who=grace").shows(t, "a user, for staff", 200, "Release", "All 3 seats are taken")
	b.get(t, seats+"/users?who=nobody").shows(t, "a user who is not, for staff", 200, "nobody holds no seat")
	b.send(t, seats+"/users", url.Values{"user": {"lovelace"}}).shows(t, "a user too many, by staff", 422, "Every seat of the license is taken")
	s.must(t, http.MethodPost, "/v1/licenses/"+s.ids["named"]+"/users/remove", object{"user": "turing"}, nil)
	b.send(t, seats+"/users", url.Values{"user": {"lovelace"}, "name": {"Countess"}}).shows(t, "a user, by staff", 303)
	b.get(t, seats).shows(t, "whom staff added", 200, "Countess", "Not signed in yet")
	b.get(t, "/admin/licenses/"+s.ids["license"]+"/users").shows(t, "devices, for staff", 200, "Devices take the seats")
	c.get(t, at("floats")+"/borrowed").shows(t, "a borrowed seat", 200, "Train", "Borrowed until", "Change or end it")
	island := at("license") + "/offline"
	ask := "MREQ1." + strings.Repeat("eyJrZXkiOiJhIn0", 40)
	c.get(t, island).shows(t, "a machine without a network", 200, "Carry a text by telephone")
	c.send(t, island+"/qr", url.Values{"text": {"  " + ask[:300] + "\n" + ask[300:]}}).shows(t, "its text as a code", 200, `class="qr"`, `aria-label="QR code of the text below"`, ask)
	c.send(t, island+"/qr", url.Values{"text": {"MREL1.eyJhIjoiYiJ9"}}).shows(t, "its return as a code", 200, `class="qr"`)
	c.send(t, island+"/qr", url.Values{"text": {"https://evil.example"}}).shows(t, "another text", 422, "Begins with neither MREQ1. nor MREL1.")
	c.send(t, island+"/qr", url.Values{"text": {"MREQ1." + strings.Repeat("a", 4000)}}).shows(t, "too long a text", 422, "Is longer than a QR code takes")
	s.as(t, other).send(t, island+"/qr", url.Values{"text": {ask}}).shows(t, "on another's page", 404)
	lend := at("floats") + "/devices/" + s.ids["train"] + "/borrow"
	c.get(t, lend).shows(t, "the form to borrow", 200, "Until the end of", "End it now", "contact")
	c.send(t, lend, url.Values{"until": {"2199-01-01"}}).shows(t, "borrowing for too long", 422, "later than the license lets a device run offline")
	c.send(t, lend, url.Values{"until": {"tomorrow"}}).shows(t, "borrowing until no day", 422, "Must be a day")
	c.send(t, lend, url.Values{"end": {"yes"}}).shows(t, "the end of it", 303)
	c.get(t, at("floats")+"/borrowed").shows(t, "a seat to borrow", 200, "No seat is borrowed", "Train", "Borrow")
	c.send(t, lend, url.Values{"until": {time.Now().UTC().Add(3 * 24 * time.Hour).Format(time.DateOnly)}}).shows(t, "borrowing", 303)
	c.get(t, at("floats")+"/borrowed").shows(t, "it is borrowed", 200, "Borrowed until")
	s.as(t, other).send(t, lend, url.Values{"end": {"yes"}}).shows(t, "ending another's", 404)
	c.get(t, at("movable")+"/borrowed").shows(t, "none borrowed", 200, "No seat is borrowed")
	c.get(t, at("license")+"/borrowed").shows(t, "nothing to borrow", 200, "Nothing to borrow")
	for _, page := range []string{"/renew", "/users", "/borrowed", "/transfer"} {
		s.as(t, other).get(t, at("floats")+page).shows(t, "another's "+page, 404)
	}

	try := "/catalogue/" + s.ids["slug"] + "/trial"
	s.as(t, visitor).get(t, "/catalogue/"+s.ids["slug"]).shows(t, "the product", 200, "Try it for 14 days", try)
	if p := s.as(t, visitor).get(t, try); p.status != 303 || !strings.HasPrefix(p.to, "/sign-in?next=") {
		t.Errorf("a stranger's trial answered %d %s", p.status, p.to)
	}
	c.get(t, try).shows(t, "the question before", 200, "Start the trial", "one trial for each customer")
	started := c.send(t, try, url.Values{})
	started.shows(t, "a trial", 303)
	c.get(t, started.to).shows(t, "the trial's license", 200, "Your trial has begun")
	c.get(t, started.to+"/transfer").shows(t, "a trial to give away", 200, "A trial is for the one who started it")
	c.send(t, try, url.Values{}).shows(t, "a second trial", 422, "You had a trial of this product")

	staff := "/admin/licenses/" + s.ids["movable"]
	b.get(t, staff).shows(t, "the license to staff", 200, staff+"/renew", staff+"/repolicy", staff+"/ends", staff+"/transfer")
	b.send(t, staff+"/renew", url.Values{"terms": {"2"}, "reason": {""}}).shows(t, "a renewal without a reason", 422, "Say why")
	b.send(t, staff+"/renew", url.Values{"terms": {"2"}, "reason": {"paid by invoice"}}).shows(t, "a renewal by staff", 303)
	b.get(t, staff).shows(t, "the license after it", 200, "The license is renewed until")
	b.get(t, staff+"/repolicy").shows(t, "under its own policy", 200, "Nothing would change")
	to := staff + "/repolicy?policy=" + s.ids["policy"]
	look := b.get(t, to)
	look.shows(t, "under another policy", 200, "Would be under", "Standard", "Seats float", "Yes", "365 days", "What changes", `name="policy_version"`)
	b.send(t, to, url.Values{"policy": {s.ids["policy"]}, "version": {"1"}, "policy_version": {"1"}, "reason": {"a new contract"}}).shows(t, "what was not looked at", 422, "changed meanwhile")
	form := url.Values{"policy": {s.ids["policy"]}, "reason": {"a new contract"}}
	for _, name := range []string{"version", "policy_version"} {
		_, rest, _ := strings.Cut(look.text, `name="`+name+`" value="`)
		value, _, _ := strings.Cut(rest, `"`)
		form.Set(name, value)
	}
	b.send(t, to, form).shows(t, "the change of policy", 303)
	b.get(t, staff+"/repolicy").shows(t, "after it", 200, "Nothing would change", "Standard")
	b.send(t, staff+"/ends", url.Values{"until-export": {"2099-12-31"}, "reason": {"a promotion"}}).shows(t, "an end of a feature", 303)
	b.get(t, staff+"/ends").shows(t, "the end of it", 200, "2099-12-31")
	b.send(t, staff+"/ends", url.Values{"until-export": {""}, "reason": {"for good"}}).shows(t, "no end of it", 303)
}

// TestK13_RootExportPages: one owner proposes another root by a form, which changes nothing until another owner, who sees which it is, has approved it. One owner proposes to move the root offline by a form and cannot approve it himself; once another has, the form
// that gives the file is there for a passphrase that was typed alike twice, and gone with the export. A second export goes to its end: the file
// is taken, shown again whole under its passphrase, and then the root is offline.
func TestK13_RootExportPages(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	b := s.as(t, owner)
	s.made(t, "partner", "/v1/staff", object{"email": stageEmail("partner"), "role": "owner", "password": password, "name": "Partner"})
	s.tokens["partner"] = s.signIn(t, "partner")
	second := s.as(t, "partner")
	at := "/admin/root-exports/" + s.ids["export"]
	b.get(t, "/admin/signing-keys").shows(t, "the keys", 200, "Move the root offline", "the machine is rented")
	const another = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
	const add = "/admin/root-exports/add"
	b.get(t, "/admin/signing-keys").shows(t, "the link to the form of another root", 200, `href="`+add+`"`)
	b.get(t, add).shows(t, "the form of another root", 200, "Its public key", "another owner approves")
	b.send(t, add, url.Values{"root": {another[1:]}, "reason": {"another safe"}}).shows(t, "half a key", 422, another[1:], "Must be 43 characters of base64url")
	b.send(t, add, url.Values{"root": {another}, "reason": {""}}).shows(t, "no reason", 422, another)
	var roots struct{ Keys []struct{ KID, Role string } }
	s.say(t, owner, http.MethodGet, "/v1/signing-keys", nil, &roots)
	b.send(t, add, url.Values{"root": {" " + another + "\n"}, "reason": {"another safe"}}).shows(t, "the proposal", 303)
	var after struct{ Keys []struct{ KID, Role string } }
	s.say(t, owner, http.MethodGet, "/v1/signing-keys", nil, &after)
	if len(after.Keys) != len(roots.Keys) {
		t.Errorf("a root is there that nobody approved: %v", after.Keys)
	}
	b.send(t, add, url.Values{"root": {another}, "reason": {"twice"}}).shows(t, "the same root again", 422, "about to be exported or added already")
	keys := b.get(t, "/admin/signing-keys")
	keys.shows(t, "a root that is proposed", 200, another, "Approve the addition of the root")
	added := additionPage.FindStringSubmatch(keys.text)
	if added == nil {
		t.Fatal("the page leads to no approval of it")
	}
	second.get(t, added[1]).shows(t, "what is to be approved", 200, another, "another safe", "is added")
	b.send(t, added[1], url.Values{}).shows(t, "one's own approval of it", 403, "Another owner has to approve it")
	second.send(t, added[1], url.Values{}).shows(t, "its approval by another owner", 303)
	b.send(t, add, url.Values{"root": {another}, "reason": {"once more"}}).shows(t, "a root that is there", 422)
	if keys := b.get(t, "/admin/signing-keys").text; strings.Contains(keys, "Approve the addition") {
		t.Error("it can be approved again")
	}

	b.send(t, "/admin/root-exports/new", url.Values{"reason": {"twice"}}).shows(t, "a second proposal", 422, "about to be exported or added already")
	b.get(t, at+"/take").shows(t, "the file before the approval", 200, "It cannot be taken now")
	b.send(t, at+"/approve", url.Values{}).shows(t, "one's own approval", 403, "Another owner has to approve it")
	second.send(t, at+"/approve", url.Values{}).shows(t, "the approval", 303)
	b.get(t, at+"/take").shows(t, "the form of the file", 200, "Take the file", "Passphrase")
	b.send(t, at+"/take", url.Values{"passphrase": {"correct horse battery"}, "again": {"another"}}).shows(t, "two passphrases", 422, "Is not the same")
	b.get(t, at+"/confirm").shows(t, "a file that was not taken", 200, "There is nothing to confirm")
	b.send(t, at+"/withdraw", url.Values{}).shows(t, "the withdrawal", 303)
	b.get(t, at+"/take").shows(t, "the file after it", 200, "It cannot be taken now")

	b.send(t, "/admin/root-exports/new", url.Values{"reason": {"the machine goes back"}}).shows(t, "another proposal", 303)
	for _, found := range exportPage.FindAllStringSubmatch(second.get(t, "/admin/signing-keys").text, -1) {
		at = found[1]
	}
	second.send(t, at+"/approve", url.Values{}).shows(t, "its approval", 303)
	const secret = "correct horse battery"
	taken := b.send(t, at+"/take", url.Values{"passphrase": {secret}, "again": {secret}})
	taken.shows(t, "the file", 200, "Store this file")
	_, rest, _ := strings.Cut(taken.text, "<code>")
	file, _, whole := strings.Cut(rest, "</code>")
	if file = html.UnescapeString(file); !whole || file == "" {
		t.Fatal("the page shows no file")
	}
	confirm := at + "/confirm"
	b.get(t, confirm).shows(t, "the form that takes it back", 200, "Passphrase")
	b.send(t, confirm, url.Values{"file": {file}, "passphrase": {"another passphrase"}}).shows(t, "another passphrase", 422, "Passphrase")
	b.send(t, confirm, url.Values{"file": {file[:len(file)/2]}, "passphrase": {secret}}).shows(t, "half of the file", 422, "Passphrase")
	b.send(t, confirm, url.Values{"file": {file}, "passphrase": {secret}}).shows(t, "the file as it was stored", 303)
	keys = b.get(t, "/admin/signing-keys")
	keys.shows(t, "the keys after it", 200, "The root is offline")
	if strings.Contains(keys.text, `href="/admin/root-exports/new"`) || strings.Contains(keys.text, `href="`+add+`"`) {
		t.Error("the root can be moved offline once more, or sign for another")
	}
	b.send(t, add, url.Values{"root": {another}, "reason": {"offline"}}).shows(t, "another root without the root", 422)
	b.send(t, confirm, url.Values{"file": {file}, "passphrase": {secret}}).shows(t, "the file once more", 422)
}

// additionPage finds where the addition of a root is approved.
var additionPage = regexp.MustCompile(`href="(/admin/root-exports/rex_[0-9a-f]+/approve)" aria-label="Approve the addition of the root"`)

// exportPage finds where an export of the root is decided.
var exportPage = regexp.MustCompile(`(/admin/root-exports/rex_[0-9a-f]+)/approve`)
