package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/limit/limittest"
)

// consoleVisits are those to the pages of the console: each with things in it and, where it lists, with a filter that nothing matches.
func consoleVisits() map[string][]visit {
	out := map[string][]visit{}
	at := func(pattern string, addresses ...string) {
		for _, address := range addresses {
			out["GET "+pattern] = append(out["GET "+pattern], visit{as: owner, at: address})
		}
	}
	at("/admin", "/admin")
	at("/admin/orders", "/admin/orders", "/admin/orders?q=nobody@example.com", "/admin/orders?state=fulfilled&q={order}")
	at("/admin/orders/{id}", "/admin/orders/{order}", "/admin/orders/{pending-order}")
	at("/admin/orders/{id}/redrive", "/admin/orders/{order}/redrive")
	at("/admin/orders/{id}/resolve", "/admin/orders/{order}/resolve")
	at("/admin/customers", "/admin/customers", "/admin/customers?q=nobody")
	at("/admin/customers/{id}", "/admin/customers/{customer}", "/admin/customers/{owner}")
	for _, what := range []string{"disable", "enable", "look"} {
		at("/admin/customers/{id}/"+what, "/admin/customers/{customer}/"+what)
	}
	at("/admin/organisations", "/admin/organisations", "/admin/organisations?q=nobody")
	at("/admin/organisations/{id}", "/admin/organisations/{organisation}")
	at("/admin/licenses", "/admin/licenses", "/admin/licenses?q=nobody@example.com")
	at("/admin/licenses/{id}", "/admin/licenses/{license}")
	at("/admin/access", "/admin/access", "/admin/access?license={license}", "/admin/access?email="+stageEmail(customer), "/admin/access?order={pending-order}", "/admin/access?q=nobody@example.com", "/admin/access?q=NOONE", "/admin/access?license={license}&order={order}")
	at("/admin/licenses/{id}/history", "/admin/licenses/{license}/history")
	for _, what := range []string{"change", "suspend", "reinstate", "revoke", "reissue"} {
		at("/admin/licenses/{id}/"+what, "/admin/licenses/{license}/"+what)
	}
	at("/admin/activations/{id}/release", "/admin/activations/{activation}/release")
	at("/admin/licenses/new", "/admin/licenses/new")
	at("/admin/licenses/import", "/admin/licenses/import")
	at("/admin/licenses/act", "/admin/licenses/act?q={license}", "/admin/licenses/act?q=nobody@example.com")
	at("/admin/runs", "/admin/runs", "/admin/runs?kind=revoke", "/admin/runs?about=key")
	at("/admin/runs/{id}", "/admin/runs/{run}")
	for _, what := range []string{"cancel", "resume"} {
		at("/admin/runs/{id}/"+what, "/admin/runs/{run}/"+what)
	}
	at("/admin/keys", "/admin/keys", "/admin/keys?q=nothing", "/admin/keys?state=disabled&env=test")
	at("/admin/keys/act", "/admin/keys/act?q={key}", "/admin/keys/act?q=nobody@example.com")
	at("/admin/keys/import", "/admin/keys/import")
	for _, text := range []string{keyLines("a text of before", "another of before"), keyLines("a text of before", "", "")} {
		out["GET /admin/keys/import"] = append(out["GET /admin/keys/import"], visit{as: owner, at: "/admin/keys/import", sends: map[string]string{"text": text}})
	}
	at("/admin/keys/new", "/admin/keys/new")
	at("/admin/keys/try", "/admin/keys/try")
	out["GET /admin/keys/try"] = append(out["GET /admin/keys/try"], visit{as: owner, at: "/admin/keys/try", sends: map[string]string{"key": "mtr_test_nothing"}})
	at("/admin/keys/{id}/limits", "/admin/keys/{key}/limits")
	at("/admin/keys/{id}", "/admin/keys/{key}", "/admin/keys/{disabled-key}")
	for _, what := range []string{"rotate", "revoke", "disable", "enable"} {
		at("/admin/keys/{id}/"+what, "/admin/keys/{key}/"+what)
	}
	at("/admin/keys/{id}", "/admin/keys/{counting-key}")
	at("/admin/keys/{id}/reservations/{reservation}/release", "/admin/keys/{counting-key}/reservations/{reservation}/release")
	at("/admin/policies", "/admin/policies", "/admin/policies?product={draft-product}")
	at("/admin/policies/new", "/admin/policies/new", "/admin/policies/new?preset=floating&product={product}")
	at("/admin/policies/{id}", "/admin/policies/{policy}")
	at("/admin/products", "/admin/products", "/admin/products?state=retired")
	at("/admin/products/new", "/admin/products/new")
	at("/admin/products/{id}", "/admin/products/{product}", "/admin/products/{draft-product}")
	for _, what := range []string{"edit", "publish", "sunset", "retire", "plans/new", "releases/new"} {
		at("/admin/products/{id}/"+what, "/admin/products/{product}/"+what)
	}
	at("/admin/import", "/admin/import", "/admin/import?example=yes")
	at("/admin/plans/{id}", "/admin/plans/{plan}", "/admin/plans/{draft-plan}")
	for _, what := range []string{"edit", "publish", "archive"} {
		at("/admin/plans/{id}/"+what, "/admin/plans/{plan}/"+what)
	}
	at("/admin/plans/{id}/prices/{price}/{what}", "/admin/plans/{plan}/prices/{proposal}/approve", "/admin/plans/{plan}/prices/{proposal}/reject", "/admin/plans/{plan}/prices/{price}/archive")
	at("/admin/files", "/admin/files", "/admin/files?product={draft-product}")
	at("/admin/releases/{id}", "/admin/releases/{release}", "/admin/releases/{draft-release}")
	for _, what := range []string{"publish", "withdraw"} {
		at("/admin/releases/{id}/"+what, "/admin/releases/{draft-release}/"+what)
	}
	at("/admin/release-files/{id}/drop", "/admin/release-files/{draft-file}/drop")
	at("/admin/switches", "/admin/switches")
	at("/admin/switches/{switch}", "/admin/switches/downloads?off=yes", "/admin/switches/ads?off=no&product={product}")
	at("/admin/payments", "/admin/payments", "/admin/payments?state=parked")
	at("/admin/payments/{id}", "/admin/payments/{event}")
	at("/admin/payments/{id}/retry", "/admin/payments/{event}/retry")
	at("/admin/mail", "/admin/mail", "/admin/mail?state=failed")
	at("/admin/mail/kept", "/admin/mail/kept", "/admin/mail/kept?to=nobody@example.com")
	at("/admin/mail/kept/{id}", "/admin/mail/kept/{mail}")
	at("/admin/outbox/{id}/retry", "/admin/outbox/{mail}/retry")
	at("/admin/jobs", "/admin/jobs?kind=payment.process", "/admin/jobs?state=discarded")
	at("/admin/jobs/{id}/retry", "/admin/jobs/1/retry")
	at("/admin/jobs/{id}/cancel", "/admin/jobs/1/cancel")
	at("/admin/webhooks", "/admin/webhooks")
	at("/admin/webhooks/new", "/admin/webhooks/new")
	at("/admin/webhooks/{id}", "/admin/webhooks/{endpoint}", "/admin/webhooks/{endpoint}?state=delivered")
	at("/admin/webhooks/{id}/redeliver", "/admin/webhooks/{endpoint}/redeliver", "/admin/webhooks/{receiver}/redeliver?state=delivered&time=hour")
	for _, what := range []string{"change", "rotate", "disable", "enable", "remove", "test"} {
		at("/admin/webhooks/{id}/"+what, "/admin/webhooks/{endpoint}/"+what)
	}
	at("/admin/deliveries/{id}", "/admin/deliveries/{delivery}")
	at("/admin/deliveries/{id}/redeliver", "/admin/deliveries/{delivery}/redeliver")
	at("/admin/signing-keys", "/admin/signing-keys")
	at("/admin/signing-keys/rotate", "/admin/signing-keys/rotate")
	at("/admin/signing-keys/{id}/compromise", "/admin/signing-keys/"+nothing("k")+"/compromise")
	for _, what := range []string{"approve", "withdraw"} {
		at("/admin/root-exports/{id}/"+what, "/admin/root-exports/"+nothing("rex_")+"/"+what)
	}
	at("/admin/audit", "/admin/audit?target={order}", "/admin/audit?action=nothing.at-all")
	at("/admin/staff", "/admin/staff")
	at("/admin/staff/new", "/admin/staff/new")
	at("/admin/staff/{id}", "/admin/staff/{owner}")
	at("/admin/tokens", "/admin/tokens")
	at("/admin/tokens/new", "/admin/tokens/new")
	at("/admin/tokens/{id}/rotate", "/admin/tokens/{token}/rotate")
	at("/admin/tokens/{id}/revoke", "/admin/tokens/{token}/revoke")
	return out
}

// plantConsole notes what only the console shows: the sale's payment event and mail, a proposed price, a switch that is off.
func (s *stage) plantConsole(t testing.TB) {
	t.Helper()
	s.made(t, "proposal", "/v1/plans/"+s.ids["plan"]+"/prices", object{"price": object{"amount": 5900, "currency": "EUR"}})
	s.must(t, http.MethodPut, "/v1/switches/ads", object{"off": true, "reason": "nothing to advertise yet", "product_id": s.ids["draft-product"]}, nil)
	s.made(t, "run", "/v1/licenses/bulk", object{"policy": s.ids["policy"], "owner": s.ids["customer"], "env": "test", "reason": "boxes of a reseller", "count": 3})
	var hook struct{ Endpoint struct{ ID string } }
	var sent struct{ ID string }
	s.must(t, http.MethodPost, "/v1/webhook-endpoints", object{"url": "https://hooks.example.invalid/mintreu", "description": "The books", "env": "test", "types": []string{"order.*", "license.revoked"}}, &hook)
	s.must(t, http.MethodPost, "/v1/webhook-endpoints/"+hook.Endpoint.ID+"/test", nil, &sent)
	s.ids["endpoint"], s.ids["delivery"] = hook.Endpoint.ID, sent.ID
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(receiver.Close)
	s.must(t, http.MethodPost, "/v1/webhook-endpoints", object{"url": receiver.URL, "env": "test", "types": []string{"order.refunded"}}, &hook)
	s.must(t, http.MethodPost, "/v1/webhook-endpoints/"+hook.Endpoint.ID+"/test", nil, &sent)
	s.ids["receiver"] = hook.Endpoint.ID
	if !limittest.Eventually(time.Minute, func() bool {
		var there struct{ Count int64 }
		s.must(t, http.MethodGet, "/v1/webhook-deliveries/count?state=delivered&endpoint="+hook.Endpoint.ID, nil, &there)
		return there.Count == 1
	}) {
		t.Fatal("the receiver never took a test event")
	}
	var events, mails licensing.List[struct{ ID string }]
	s.must(t, http.MethodGet, "/v1/payment-events", nil, &events)
	s.ids["event"] = events.Items[0].ID
	if !limittest.Eventually(time.Minute, func() bool {
		s.must(t, http.MethodGet, "/v1/mails?to="+stageEmail(customer), nil, &mails)
		return len(mails.Items) > 0
	}) {
		t.Fatal("the purchase was not mailed")
	}
	s.ids["mail"] = mails.Items[0].ID
}
