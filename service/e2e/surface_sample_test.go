package e2e_test

import (
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/kit"
)

// nothing is a well-formed id of nothing with the prefix of id.
func nothing(id string) string {
	prefix, _, _ := strings.Cut(id, "_")
	return prefix + "_00000000000070008000000000000000"
}

// idIn is the object of b that a path names; "" when the path has no id of a buyer's object.
func (b *buyer) idIn(path string) string {
	for prefix, id := range map[string]string{"/v1/licenses/{id}": b.License, "/v1/activations/{id}": b.Activation, "/v1/keys/{id}": b.APIKeyID,
		"/v1/orders/{id}": b.Order, "/v1/checkouts/{id}": b.Order, "/v1/sessions/{id}": b.SessionID,
		"/v1/tickets/{id}": b.Ticket,

		"/v1/organisations/{id}": b.Organisation, "/v1/organisation-members/{id}": b.Membership, "/v1/organisation-invites/{id}": b.Invite} {
		if path == prefix || strings.HasPrefix(path, prefix+"/") {
			return id
		}
	}
	return ""
}

// idOf is a real id for the wildcard of a path.
func (s *surface) idOf(path string) string {
	if id := s.A.idIn(path); id != "" {
		return id
	}
	for prefix, id := range map[string]string{"/v1/products/": s.Product, "/v1/plans/": s.Plan, "/v1/prices/": s.Price, "/v1/policies/": s.Policy,
		"/v1/staff/": s.StaffID[licensing.RoleSupport], "/v1/customers/": nothing("cus_"), "/v1/machine-tokens/": s.MachineID, "/v1/switches/": "ads", "/v1/catalog/{slug}": s.Slug,
		"/v1/payment-events/": "evt_none", "/v1/mails/": nothing("ntc_"), "/v1/notices/": nothing("ntc_"), "/v1/jobs/": "1099511627776", "/v1/runs/": nothing("run_"), "/v1/transfers/": nothing("trq_"), "/v1/key-reservations/": nothing("rsv_"), "/v1/meters/": nothing("met_"), "/v1/webhook-endpoints/": nothing("wep_"), "/v1/webhook-deliveries/": nothing("wdl_"), "/v1/releases/": nothing("rel_"), "/v1/release-files/": nothing("file_"), "/v1/downloads/{id}": nothing("file_"),
		"/v1/canned-replies/{id}": s.Canned, "/v1/faq/{slug}": "first-steps", "/v1/faq-articles/{id}": s.Article,
		"/v1/signing-keys/{kid}": strings.Repeat("k", 43), "/v1/root-exports/{id}": nothing("rex_")} {
		if strings.HasPrefix(path, prefix) {
			return id
		}
	}
	s.t.Fatalf("no id is known for %s; add it to idOf", path)
	return ""
}

// offlineAsk is the request of a machine without a network.
func offlineAsk(key, product string) string {
	text, err := doc.EncodeOfflineRequest(doc.OfflineRequest{Key: doc.KeyDigest(product, key), Product: product, Device: map[string]string{"machine": doc.DeviceDigest(product, "machine", "island"), "disk": doc.DeviceDigest(product, "disk", "island")}, Nonce: strings.Repeat("n", 32), At: time.Now().Unix(), SDK: "test"})
	if err != nil {
		panic(err)
	}
	return text
}

// at is the operation's path with an id in place of its wildcard.
func at(path, id string) string {
	i, j := strings.IndexByte(path, '{'), strings.IndexByte(path, '}')
	if i < 0 {
		return path
	}
	return path[:i] + id + path[j+1:]
}

// credential is an Authorization header that the operation lets in: the owner's where staff may call.
func (s *surface) credential(spec kit.Spec) string {
	switch a := spec.Access; {
	case len(a.Staff) > 0 && spec.Name != "session.end" && spec.Name != "session.end-current":
		return s.Staff[licensing.RoleOwner]
	case a.Customer:
		return s.A.Session
	case a.Holder:
		return "License " + s.A.Key
	case a.Device:
		return "Lease " + s.A.Lease
	case a.APIKey != "":
		return "Bearer " + s.A.APIKey
	case a.Machine != "" && !a.Anonymous:
		return s.Machine[strings.Fields(a.Machine)[0]]
	}
	return ""
}

// sample is a request of the operation that is well-formed, by somebody who may make it. Its body is an object that the caller may change.
func (s *surface) sample(spec kit.Spec) request {
	q := request{Method: spec.Method, Path: spec.Path, As: s.credential(spec)}
	if strings.Contains(q.Path, "{") {
		q.Path = at(q.Path, s.idOf(q.Path))
	}
	if takesBody(spec) {
		body, known := s.bodies()[spec.Name]
		if !known {
			body = object{}
		}
		q.Body = maps.Clone(body)
	}
	return q
}

func takesBody(spec kit.Spec) bool {
	return spec.Method != http.MethodGet && spec.Method != http.MethodDelete
}

// bodies are bodies of each operation that has one, with every text member in it.
func (s *surface) bodies() map[string]object {
	why := object{"reason": "because"}
	terms := object{"type": "perpetual", "seats": object{"n": 3, "by": "device"}, "max_version": "2.0.0"}
	basket := s.basket()
	maps.Copy(basket, object{"email": "guest@example.com", "vat_id": "DE123456789", "success_url": s.base + "/thanks", "cancel_url": s.base + "/back"})
	return map[string]object{
		"account.sign-up": {"email": "new@example.com", "name": "New"}, "account.confirm": {"token": strings.Repeat("t", 43), "password": password},
		"account.reset": {"email": "nobody@example.com"}, "account.password": {"current": "not " + password, "password": password + " more"},
		"account.totp-confirm": {"code": "000000"}, "account.totp-remove": {"code": "000000"}, "session.verify": {"challenge": "mtc_" + strings.Repeat("t", 43), "code": "000000"},
		"customer.disable": why, "customer.enable": why, "customer.impersonate": why,
		"account.erase":   {"password": "not " + password, "confirm": "erase"},
		"account.profile": {"name": "Somebody"}, "account.email": {"email": "other@example.com", "password": "not " + password},
		"account.email-confirm": {"token": strings.Repeat("t", 43)},
		"setup.owner":           {"token": strings.Repeat("t", 43), "email": "first@example.com", "name": "First", "password": password},
		"session.create":        {"email": "nobody@example.com", "password": password, "remember": true}, "session.renew": {"renewal": "mtn_" + strings.Repeat("t", 43)},
		"session.end-others": {"confirm": "others"}, "session.freshen": {"password": "not " + password},
		"organisation.create": {"name": "Works", "billing_email": "billing@example.com", "country": "DE", "vat_id": "DE123456789"}, "session.act-for": {"organisation": ""},
		"organisation.update": {"name": "Works", "billing_email": "billing@example.com", "country": "DE", "vat_id": "DE123456789"},
		"organisation.invite": {"email": "asked@example.com", "role": "member"}, "organisation.role": {"role": "owner"}, "organisation.leave": {},
		"organisation.invite-show": {"token": strings.Repeat("t", 43)}, "organisation.accept": {"token": strings.Repeat("t", 43)},
		"staff.create": {"email": "more@staff.example", "name": "More", "role": "auditor"}, "staff.role": {"role": "support", "reason": "because"},
		"machine.create": {"name": "m", "scopes": []string{"keys:verify"}, "product": s.Product, "env": "test"}, "machine.revoke": why, "machine.rotate": {"overlap_seconds": 0},
		"catalog.import": {"format": "json", "data": "[]", "dry_run": true},
		"product.create": {"slug": "gamma", "name": "Gamma", "purpose": "revenue", "key_prefix": "GAMMA", "description": "d"},
		"product.update": {"name": "Alpha", "description": "d"},
		"plan.create": {"code": "team", "name": "Team", "type": "perpetual", "description": "d", "grants": []any{object{"license": object{"policy": "standard"}},
			object{"api_key": object{"scopes": []string{"a:b"}, "rate_count": 1, "rate_period": 1}}}},
		"plan.update": {"name": "Pro", "description": "d"}, "price.set": {"price": object{"amount": 100, "currency": "GBP"}},
		"checkout.create": basket, "checkout.resend": {"email": "nobody@example.com"}, "checkout.reveal": {"access": s.A.Access},
		"payment_event.retry": why, "order.resolve": why, "license.change": {"reason": "because", "licensee": "Ada"}, "license.renew": {"reason": "because", "until": "2031-01-01T00:00:00Z"}, "license.repolicy": {"reason": "because", "policy": s.Policy, "version": 1, "policy_version": 1}, "license.transfer": {"to": s.B.ID, "reason": "because"}, "trial.start": {"product": s.Slug}, "license.suspend": why, "license.reinstate": why, "license.revoke": why, "license.reissue": why,
		"license.validate":     {"product": s.Slug, "env": "test", "license": s.A.License, "device": device("a"), "user": "u", "version": "1.0.0", "entitlement": "export"},
		"activation.create":    {"product": s.Slug, "env": "test", "device": device("a"), "name": "Laptop", "nonce": "n", "user": "u", "version": "1.0.0"},
		"activation.heartbeat": {"seq": 1, "device": device("a"), "token": "none", "user": "u", "version": "1.0.0"}, "activation.release": why,
		"license.answer": {"request": offlineAsk(s.A.Key, s.Slug), "name": "Press in hall 3"}, "license.return": {"return": "MREL1.e30"},
		"usage.set-thresholds": {"meter": "pages", "percents": []int{50, 90}},
		"usage.open":           {"nonce": strings.Repeat("n", 32)},
		"usage.count":          {"source": nothing("src_"), "seq": 1, "receipt": "r", "rows": []any{object{"meter": "pages", "subject": "s", "group": "g", "at": 1767225600, "events": 1, "sum": 1, "max": 1}}},
		"usage.events":         {"events": []any{object{"specversion": "1.0", "id": "1", "source": "s", "type": "page", "subject": "s", "time": "2026-01-01T00:00:00Z", "data": object{"value": 1}}}},
		"meter.create":         {"product_id": s.Product, "code": "pages", "name": "Pages", "kind": "sum", "unit": "page", "event": "page", "value": "pages", "group": "region"},
		"meter.change":         {"version": 1, "name": "Pages", "unit": "page", "event": "page", "value": "pages", "group": "region"},
		"activation.borrow":    {"until": 1}, "activation.return": {}, "activation.lend": {"until": "2099-01-01T00:00:00Z"}, "activation.recall": {},
		"license.add_user": {"user": "ada@example.com", "name": "Ada"}, "license.remove_user": {"user": "ada@example.com", "reason": "because"},
		"license.issue": {"policy": s.Policy, "plan": "pro", "env": "test", "reason": "because", "owner": s.StaffID[licensing.RoleSupport], "licensee": "Ada", "seats": 2, "valid_until": "2099-01-01T00:00:00Z", "entitlements": object{"export": true}, "reference": "order 1"},
		"license.issue_many": {"policy": s.Policy, "plan": "pro", "env": "test", "reason": "because", "owner": s.StaffID[licensing.RoleSupport], "rows": []any{object{"email": "reader@example.com", "licensee": "Ada", "seats": 2,
			"valid_until": "2099-01-01T00:00:00Z", "entitlements": object{"export": true}, "reference": "order 2"}}},
		"license.import": {"policy": s.Policy, "plan": "pro", "env": "test", "reason": "because", "owner": s.StaffID[licensing.RoleSupport], "source": "mintreu", "format": "csv", "only": "",
			"data": "reference,key\n1,AN-OLD-KEY\n", "dry_run": true},
		"license.act_many": {"action": "suspend", "search": object{"owner": s.A.ID, "product": s.Product, "state": "active", "env": "test", "q": s.A.License}, "count": 1, "reason": "because"},
		"transfer.ask":     {"email": "grace@example.com"}, "transfer.cancel": {}, "transfer.show": {"token": strings.Repeat("t", 43)}, "transfer.accept": {"token": strings.Repeat("t", 43)}, "transfer.approve": why, "transfer.decline": why,
		"webhook.create": {"url": "https://hooks.example.com/a", "description": "Books", "env": "test", "types": []string{"license.*"}}, "webhook.change": {"version": 1, "url": "https://hooks.example.com/a", "description": "Books", "types": []string{"order.paid"}},
		"webhook.disable": why, "webhook.enable": why, "webhook.rotate": {"overlap_seconds": 0}, "webhook.test": {}, "webhook.redeliver": {}, "webhook.redeliver-many": {"state": "failed", "since": "2027-01-31T09:00:00Z", "until": "2027-02-01T09:00:00Z", "after": nothing("wdl_")},
		"run.cancel": why, "run.resume": why, "run.keys": {},
		"policy.create":  {"product_id": s.Product, "code": "other", "name": "Other", "terms": terms},
		"policy.change":  {"name": "Standard", "terms": terms, "version": 1},
		"keyring.rotate": why, "keyring.compromise": why, "keyring.request": {"revoke": "", "add_root": "", "next_root": "", "reason": "because"}, "keyring.import": {"keyset": "a.b.c"},
		"root.add": {"root": "a", "reason": "because"}, "root.rotate": {"next": strings.Repeat("k", 43), "reason": "because"},
		"root_export.propose": why, "root_export.take": {"passphrase": "correct horse"}, "root_export.confirm": {"file": "a", "passphrase": "correct horse"},
		"key.issue": {"owner": s.A.ID, "product": s.Product, "plan": "pro", "env": "test", "name": "k", "scopes": []string{"a:b"}, "allow_from": []string{"192.0.2.0/24"},
			"limits": []any{object{"name": "rate", "count": 1, "seconds": 1}}},
		"key.act_many": {"action": "suspend", "search": object{"ids": []string{s.A.APIKeyID}, "owner": s.A.ID, "member": "", "product": s.Product, "plan": "", "env": "test", "state": "active", "name": "", "q": s.A.APIKeyID},
			"count": 1, "reason": "because", "dry_run": false},
		"key.import":  {"product": s.Product, "plan": "pro", "env": "test", "owner": s.StaffID[licensing.RoleSupport], "source": "old", "format": "csv", "data": "reference,hash\n1," + strings.Repeat("0a", 32) + "\n", "reason": "because", "dry_run": true},
		"key.credits": {"add": 5, "refill": 10, "every": "month", "reason": "because"}, "key.leak": {"key": "mtr_test_0000000000_0000000000000000000000000000"},
		"key.template-set": {"scopes": []string{"a:b"}, "limits": []any{object{"name": "plan", "per": "plan", "count": 5, "seconds": 60}}, "credits": object{"balance": 5, "refill": 5, "every": "day"}, "days": 30, "most": 3, "on_leak": "rotate"},
		"key.verify":       {"key": s.A.APIKey, "product": s.Product, "env": "test", "ip": "192.0.2.1", "scopes": []string{"notes:read"}},
		"key.reserve":      {"key": s.A.APIKey, "cost": 2, "seconds": 60, "product": s.Product, "env": "test", "ip": "192.0.2.1", "scopes": []string{"notes:read"}}, "key.settle": {"cost": 1}, "key.release": why,
		"key.rotate": {"overlap_seconds": 0}, "key.revoke": why, "key.disable": why, "key.enable": why,
		"key.limits":      {"limits": []any{object{"name": "calls", "count": 100000, "seconds": 1}}, "reason": "because"},
		"release.create":  {"version": "2.0.0", "channel": "stable", "access": "license", "notes": "n", "from_min": "1.0", "from_max": "1.9"},
		"release.publish": {}, "release.withdraw": why, "download.link": {"minutes": 5, "license": s.A.License},
		"ticket.create": {"subject": "Export", "body": "It stops.", "email": "guest@example.com", "name": "Guest", "order": s.A.Order, "license": s.A.License, "attachments": []string{nothing("att_")}},
		"ticket.reply":  {"body": "Still so.", "access": s.A.Access, "attachments": []string{nothing("att_")}}, "ticket.close": {"access": s.A.Access},
		"ticket.answer": {"version": 1, "body": "Try again.", "status": "pending", "attachments": []string{nothing("att_")}},
		"ticket.note":   {"body": "A known fault.", "attachments": []string{nothing("att_")}},
		"ticket.update": {"version": 1, "status": "open", "priority": "high", "assignee": s.StaffID[licensing.RoleSupport], "subject": "Export", "order": s.A.Order, "license": s.A.License},
		"support.inbound": {"from": "Guest <mailed@example.com>", "to": "help@shop.example", "subject": "Export", "text": "It stops.", "message_id": "<1@example.com>", "in_reply_to": "<2@example.com>",
			"references": []string{"<3@example.com>"}, "auto_submitted": "auto-replied"},
		"canned.create": {"name": "Other", "body": "Dear {name}"}, "canned.change": {"version": 99, "name": "Thanks", "body": "Dear {name}"},
		"article.create": {"slug": "other", "title": "Other", "body": "Text", "category": "General"},
		"article.change": {"version": 99, "slug": "first-steps", "title": "Other", "body": "Text", "category": "General"},
		"switch.flip":    {"off": true, "reason": "because", "product_id": s.Product}, "audit.verify": {"anchors": []string{"a"}}, "notice.retry": why, "job.retry": why, "job.cancel": why,
	}
}
