package e2e_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// plantOrganisations makes an organisation of each buyer, and to A's a member, an admin and somebody who is invited.
func (s *surface) plantOrganisations() {
	s.t.Helper()
	for _, b := range []*buyer{&s.A, &s.B} {
		as, _ := s.signIn(b.Email)
		var made struct{ ID string }
		s.must(request{Method: "POST", Path: "/v1/organisations", As: as, Body: object{"name": "Works of " + b.Email[:3], "country": "DE", "vat_id": "DE123456789"}}, &made)
		b.Organisation = made.ID
		s.must(request{Method: "POST", Path: "/v1/organisations/" + b.Organisation + "/invites", As: as, Body: object{"email": "asked-by-" + b.Email, "role": "member"}}, &made)
		b.Invite = made.ID
		var all struct{ Members []struct{ ID string } }
		s.must(request{Method: "GET", Path: "/v1/organisations/" + b.Organisation + "/members", As: as}, &all)
		b.Membership = all.Members[0].ID
		if b == &s.A {
			s.join(as, b.Organisation, "mia@example.com", "member")
			s.join(as, b.Organisation, "otto@example.com", "admin")
		}
	}
}

// join makes a customer who accepts an invite.
func (s *surface) join(as, organisation, email, role string) {
	s.t.Helper()
	s.customer(email)
	s.must(request{Method: "POST", Path: "/v1/organisations/" + organisation + "/invites", As: as, Body: object{"email": email, "role": role}}, nil)
	in, _ := s.signIn(email)
	s.must(request{Method: "POST", Path: "/v1/organisation-invites/accept", As: in, Body: object{"token": s.mailed(email, `/invite/([\w-]+)`)}}, nil)
}

// mailed is what the newest mail to an address has at a pattern's group.
func (s *surface) mailed(to, pattern string) string {
	s.t.Helper()
	if err := s.app.SendMail(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	var list struct{ Items []struct{ ID string } }
	s.must(request{Method: "GET", Path: "/v1/mails?to=" + url.QueryEscape(to), As: cli}, &list)
	if len(list.Items) == 0 {
		s.t.Fatalf("no mail to %s", to)
	}
	var mail struct{ Text string }
	s.must(request{Method: "GET", Path: "/v1/mails/" + list.Items[0].ID, As: cli}, &mail)
	found := regexp.MustCompile(pattern).FindStringSubmatch(mail.Text)
	if found == nil {
		s.t.Fatalf("the mail to %s has no %s: %s", to, pattern, mail.Text)
	}
	return found[1]
}

// actFor signs somebody in who acts for A's organisation.
func (s *surface) actFor(email string) string {
	s.t.Helper()
	as, _ := s.signIn(email)
	s.must(request{Method: "PUT", Path: "/v1/sessions/current/owner", As: as, Body: object{"organisation": s.A.Organisation}}, nil)
	return as
}

// owned makes the organisation's license: an admin buys for it, and pays.
func (s *surface) owned() (order, license string) {
	s.t.Helper()
	var out struct{ ID, URL string }
	basket := s.basket()
	basket["lines"] = []any{object{"plan": s.Plan, "quantity": 2, "price": s.Price}}
	s.must(request{Method: "POST", Path: "/v1/checkouts", As: s.OrgAdmin, Body: basket}, &out)
	s.pay(out.URL)
	s.clock.Advance(time.Second)
	var done struct {
		State  string
		Grants []struct{ Kind, ID string }
	}
	s.must(request{Method: "GET", Path: "/v1/checkouts/" + out.ID, As: s.OrgAdmin}, &done)
	if done.State != "fulfilled" {
		s.t.Fatalf("the organisation's order is %+v", done)
	}
	for _, g := range done.Grants {
		if g.Kind == "license" {
			license = g.ID
		}
	}
	return out.ID, license
}

// TestR02_OrganisationsOwnWhatIsBoughtForThem: what an admin buys while acting for an organisation is the organisation's, with its name on
// the license and the receipt, while the mail goes to the person. Every member who acts for it sees it; nobody does as himself,
// the buyer included, nor who acts for another organisation.
func TestR02_OrganisationsOwnWhatIsBoughtForThem(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		order, license := s.owned()
		var seen struct{ Owner, Licensee, Email string }
		s.must(request{Method: "GET", Path: "/v1/licenses/" + license, As: s.Member}, &seen)
		if seen.Owner != s.A.Organisation || seen.Licensee != "Works of ada" {
			t.Errorf("the license is %+v", seen)
		}
		s.must(request{Method: "GET", Path: "/v1/orders/" + order, As: s.Member}, &seen)
		if seen.Owner != s.A.Organisation || seen.Email != "otto@example.com" {
			t.Errorf("the order is %+v", seen)
		}
		var receipt struct{ Content []byte }
		if s.must(request{Method: "GET", Path: "/v1/checkouts/" + order + "/receipt?format=html", As: s.Member}, &receipt); !strings.Contains(string(receipt.Content), "Works of ada (otto@example.com)") {
			t.Errorf("the receipt is in another name: %s", receipt.Content)
		}
		himself, _ := s.signIn("otto@example.com")
		b, _ := s.signIn(s.B.Email)
		s.must(request{Method: "PUT", Path: "/v1/sessions/current/owner", As: b, Body: object{"organisation": s.B.Organisation}}, nil)
		paths := []string{"/v1/licenses/" + license, "/v1/licenses/" + license + "/activations", "/v1/licenses/" + license + "/token", "/v1/orders/" + order, "/v1/checkouts/" + order}
		lists := []string{"/v1/licenses", "/v1/keys", "/v1/orders"}
		for who, c := range map[string]struct {
			as  string
			see bool
		}{"a member": {s.Member, true}, "an admin": {s.OrgAdmin, true}, "the buyer as himself": {himself, false}, "the owner as himself": {s.A.Session, false}, "another organisation": {b, false}} {
			for _, path := range paths {
				real, none := s.send(request{Method: "GET", Path: path, As: c.as}), s.send(request{Method: "GET", Path: "/v1/licenses/" + nothing(license), As: c.as})
				if c.see && real.Code != http.StatusOK || !c.see && real.text() != none.text() {
					t.Errorf("%s by %s: %d %s", path, who, real.Code, real.Body)
				}
			}
			for _, path := range lists {
				mine := 0
				for _, row := range s.list(c.as, path) {
					if row["owner"] == s.A.Organisation {
						mine++
					}
				}
				if (mine > 0) != c.see {
					t.Errorf("%s shows %s %d rows of the organisation", path, who, mine)
				}
			}
		}
		if rows := s.list(s.Member, "/v1/licenses?owner="+s.A.ID); len(rows) != 2 {
			t.Errorf("a member who asks for another's licenses sees %d rows, want the organisation's two", len(rows))
		}
	})
}

// TestR03_OnesOrganisationWithAnothers: one's own organisation with another's member or invite, and a session that acts for one with what
// another owns, open nothing; a member of one organisation is nobody in another.
func TestR03_OnesOrganisationWithAnothers(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		before := s.belongings()
		for name, q := range map[string]request{
			"another's member":                     {Method: "DELETE", Path: "/v1/organisation-members/" + s.B.Membership, As: s.A.Session},
			"another's member, role":               {Method: "PUT", Path: "/v1/organisation-members/" + s.B.Membership + "/role", As: s.A.Session, Body: object{"role": "member"}},
			"another's invite":                     {Method: "DELETE", Path: "/v1/organisation-invites/" + s.B.Invite, As: s.A.Session},
			"acting for another's":                 {Method: "PUT", Path: "/v1/sessions/current/owner", As: s.OrgAdmin, Body: object{"organisation": s.B.Organisation}},
			"acting for a person":                  {Method: "PUT", Path: "/v1/sessions/current/owner", As: s.OrgAdmin, Body: object{"organisation": s.B.ID}},
			"an admin's other organisation":        {Method: "PUT", Path: "/v1/organisations/" + s.B.Organisation, As: s.OrgAdmin, Body: object{"name": "Mine"}},
			"acting for one, another's license":    {Method: "GET", Path: "/v1/licenses/" + s.B.License, As: s.OrgAdmin},
			"acting for one, the owner's own":      {Method: "GET", Path: "/v1/licenses/" + s.A.License, As: s.OrgAdmin},
			"acting for one, another's key":        {Method: "POST", Path: "/v1/keys/" + s.B.APIKeyID + "/revoke", As: s.OrgAdmin, Body: object{"reason": "r"}},
			"acting for one, another's activation": {Method: "POST", Path: "/v1/activations/" + s.B.Activation + "/release", As: s.OrgAdmin, Body: object{}},
			"acting for one, the owner's session":  {Method: "DELETE", Path: "/v1/sessions/" + s.A.SessionID, As: s.OrgAdmin},
		} {
			a := s.send(q)
			if a.Code != http.StatusNotFound || a.code() != "not-found" {
				t.Errorf("%s: %d %s", name, a.Code, a.Body)
			}
			s.tellsNothingOfB(name, a)
		}
		if after := s.belongings(); after != before {
			t.Errorf("something of B changed:\n%s\n%s", before, after)
		}
		for _, as := range []string{s.Member, s.OrgAdmin} {
			if rows := s.list(as, "/v1/organisations"); len(rows) != 1 || rows[0]["id"] != s.A.Organisation {
				t.Errorf("a member sees the organisations %v", rows)
			}
		}
	})
}

// TestR07_WhoIsRemovedSeesNothing: a member who is removed, or leaves, loses what the organisation owns with the next request, and a role
// lowered closes what it opened, without signing in anew; his account and what is his own stay.
func TestR07_WhoIsRemovedSeesNothing(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		_, license := s.owned()
		look := request{Method: "GET", Path: "/v1/licenses/" + license, As: s.Member}
		s.must(look, nil)
		owner, _ := s.signIn(s.A.Email)
		members := map[string]string{}
		var all struct{ Members []struct{ ID, Email string } }
		s.must(request{Method: "GET", Path: "/v1/organisations/" + s.A.Organisation + "/members", As: owner}, &all)
		for _, m := range all.Members {
			members[m.Email] = m.ID
		}
		s.must(request{Method: "DELETE", Path: "/v1/organisation-members/" + members["mia@example.com"], As: owner}, nil)
		if a := s.send(look); a.Code != http.StatusNotFound {
			t.Errorf("who was removed sees the license: %d", a.Code)
		}
		var me struct{ Email, Organisation string }
		s.must(request{Method: "GET", Path: "/v1/me", As: s.Member}, &me)
		if me.Email != "mia@example.com" || me.Organisation != "" {
			t.Errorf("who was removed is %+v", me)
		}

		release := request{Method: "POST", Path: "/v1/activations/" + nothing("act_") + "/release", As: s.OrgAdmin, Body: object{}}
		if a := s.send(release); a.Code != http.StatusNotFound {
			t.Errorf("an admin releases nothing: %d", a.Code)
		}
		s.must(request{Method: "PUT", Path: "/v1/organisation-members/" + members["otto@example.com"] + "/role", As: owner, Body: object{"role": "member"}}, nil)
		if a := s.send(release); a.Code != http.StatusForbidden || a.code() != "members-only-read" {
			t.Errorf("who is no admin any more: %d %s", a.Code, a.Body)
		}
		look.As = s.OrgAdmin
		s.must(look, nil)
		s.must(request{Method: "POST", Path: "/v1/organisations/" + s.A.Organisation + "/leave", As: s.OrgAdmin, Body: object{}}, nil)
		if a := s.send(look); a.Code != http.StatusNotFound {
			t.Errorf("who left sees the license: %d", a.Code)
		}
		for what, q := range map[string]request{"leave": {Method: "POST", Path: "/v1/organisations/" + s.A.Organisation + "/leave", As: owner, Body: object{}}, "removal": {Method: "DELETE", Path: "/v1/organisation-members/" + s.A.Membership, As: owner}} {
			if a := s.send(q); a.Code != http.StatusConflict || a.code() != "last-owner" {
				t.Errorf("the last owner's %s: %d %s", what, a.Code, a.Body)
			}
		}
		if a := s.send(request{Method: "DELETE", Path: "/v1/organisations/" + s.A.Organisation, As: owner}); a.Code != http.StatusConflict || a.code() != "organisation-owns" {
			t.Errorf("removing what owns something: %d %s", a.Code, a.Body)
		}
	})
}

// TestR09_InviteRaisesNobody: who accepts an invite cannot choose the role, and the address and the role of an invite that was issued do not
// change.
func TestR09_InviteRaisesNobody(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		token := s.mailed("asked-by-"+s.A.Email, `/invite/([\w-]+)`)
		s.customer("asked-by-" + s.A.Email)
		as, _ := s.signIn("asked-by-" + s.A.Email)
		accept := request{Method: "POST", Path: "/v1/organisation-invites/accept", As: as}
		for _, body := range []object{{"token": token, "role": "owner"}, {"token": token, "organisation": s.B.Organisation}} {
			accept.Body = body
			if a := s.send(accept); a.Code != http.StatusBadRequest {
				t.Errorf("%v: %d %s", body, a.Code, a.Body)
			}
		}
		other := accept
		other.As, other.Body = s.B.Session, object{"token": token}
		if a := s.send(other); a.Code != http.StatusForbidden || a.code() != "invite-other-address" {
			t.Errorf("another address: %d %s", a.Code, a.Body)
		}
		for _, method := range []string{"PUT", "PATCH", "POST"} {
			if a := s.send(request{Method: method, Path: "/v1/organisation-invites/" + s.A.Invite, As: s.A.Session, Body: object{"role": "owner"}, Bare: true}); a.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s of an invite: %d", method, a.Code)
			}
		}
		accept.Body = object{"token": token}
		var joined struct{ Role string }
		if s.must(accept, &joined); joined.Role != "member" {
			t.Errorf("joined as %q", joined.Role)
		}
		if a := s.send(accept); a.Code != http.StatusGone || a.code() != "invite-over" {
			t.Errorf("again: %d %s", a.Code, a.Body)
		}
	})
}
