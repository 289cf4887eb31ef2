package apikey_test

import (
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestM11_NoNewSecretWhileTheProductIsOff: while the API is switched off for a product, nobody gets a new secret of one of its keys, whoever asks, and
// nothing of the key changes; a key of another product is rotated, one that leaked is revoked nevertheless, and all goes on with the switch.
func TestM11_NoNewSecretWhileTheProductIsOff(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		id, text := r.issue(t, nil)
		leaked, _ := r.issue(t, nil)
		other, _ := r.issue(t, func(c *apikey.CreateRequest) { c.Product = "prd_b" })
		r.switches.off.Store("prd_a", true)
		for who, actor := range map[string]licensing.Actor{"owner": customer("cus_a"), "staff": admin, "the operator": {Kind: licensing.CLI, ID: "root"},
			"machine": {Kind: licensing.Machine, ID: "mtk_1", Product: "prd_a"}} {
			if _, err := r.Rotate(as(t, actor), apikey.RotateRequest{ID: id}); licensing.KindOf(err) != licensing.Unavailable {
				t.Errorf("%s rotates: %v", who, err)
			}
		}
		if _, err := r.Rotate(as(t, admin), apikey.RotateRequest{ID: other}); err != nil {
			t.Errorf("a key of another product: %v", err)
		}
		if _, err := r.Revoke(as(t, customer("cus_a")), apikey.RevokeRequest{ID: leaked}); err != nil {
			t.Errorf("revoking: %v", err)
		}
		if k, err := r.Get(as(t, admin), apikey.GetRequest{ID: id}); err != nil || len(k.Texts) != 1 {
			t.Errorf("%+v, %v", k.Texts, err)
		}
		r.switches.off.Store("prd_a", false)
		if _, err := r.Rotate(as(t, customer("cus_a")), apikey.RotateRequest{ID: id}); err != nil {
			t.Errorf("the switch is on again: %v", err)
		}
		expect(t, "the old text within its overlap", r.code(t, text), apikey.Valid)
	})
}
