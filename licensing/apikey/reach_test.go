package apikey_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestR02_OthersKeysDoNotExist: whatever a customer, a narrowed machine token or any other caller asks of a key out of reach is answered
// exactly as for a key that does not exist, and changes nothing.
func TestR02_OthersKeysDoNotExist(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		id, text := r.issue(t, nil)
		callers := map[string]licensing.Actor{
			"other customer":         customer("cus_b"),
			"customer without owner": {Kind: licensing.Customer, ID: "cus_a"},
			"anonymous":              {Kind: licensing.Anonymous},
			"nobody":                 {},
			"API key of the owner":   {Kind: licensing.APIKey, ID: id, Owner: "cus_a"},
			"other product":          {Kind: licensing.Machine, ID: "mtk_1", Product: "prd_b"},
			"other environment":      {Kind: licensing.Machine, ID: "mtk_1", Env: licensing.Test},
		}
		missing := "key_" + strings.Repeat("0", 32)
		for who, actor := range callers {
			ctx := as(t, actor)
			for what, do := range map[string]func(id string) error{
				"get":     func(id string) error { _, err := r.Get(ctx, apikey.GetRequest{ID: id}); return err },
				"rotate":  func(id string) error { _, err := r.Rotate(ctx, apikey.RotateRequest{ID: id}); return err },
				"revoke":  func(id string) error { _, err := r.Revoke(ctx, apikey.RevokeRequest{ID: id}); return err },
				"disable": func(id string) error { _, err := r.Disable(ctx, apikey.RevokeRequest{ID: id}); return err },
				"enable":  func(id string) error { _, err := r.Enable(ctx, apikey.RevokeRequest{ID: id}); return err },
			} {
				fails(t, who+" "+what, do(id), licensing.ErrNotFound)
				fails(t, who+" "+what+" nothing", do(missing), licensing.ErrNotFound)
			}
		}
		expect(t, "after all that", r.code(t, text), apikey.Valid)
	})
}

// TestR04_ListsShowTheReachAlone: customers see their own keys whatever owner or product they ask for, page by page and each once; a
// machine token sees its product and environment.
func TestR04_ListsShowTheReachAlone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		want := map[string][]string{}
		for i := range 12 {
			owner, product := licensing.Owner([]string{"cus_a", "cus_b"}[i%2]), []string{"prd_a", "prd_b", "prd_c"}[i%3]
			id, _ := r.issue(t, func(c *apikey.CreateRequest) { c.Owner, c.Product = owner, product })
			want[string(owner)] = append(want[string(owner)], id)
			want[product] = append(want[product], id)
			want[string(owner)+product] = append(want[string(owner)+product], id)
			want["all"] = append(want["all"], id)
		}
		list := func(a licensing.Actor, req apikey.ListRequest) []string {
			t.Helper()
			var out []string
			for range 20 {
				page, err := r.List(as(t, a), req)
				if err != nil {
					t.Fatal(err)
				}
				for _, k := range page.Items {
					out = append(out, k.ID)
				}
				if req.Cursor = page.Next; req.Cursor == "" {
					slices.Reverse(out)
					return out
				}
			}
			t.Fatal("the list does not end")
			return nil
		}
		req := func(owner, product string) apikey.ListRequest {
			return apikey.ListRequest{Page: licensing.Page{Limit: 4}, Owner: licensing.Owner(owner), Product: product}
		}
		for name, c := range map[string]struct{ got, want []string }{
			"customer":                    {list(customer("cus_a"), req("", "")), want["cus_a"]},
			"customer, a product":         {list(customer("cus_a"), req("", "prd_b")), want["cus_aprd_b"]},
			"customer asks for another":   {list(customer("cus_a"), req("cus_b", "")), nil},
			"staff":                       {list(admin, req("", "")), want["all"]},
			"staff, an owner":             {list(admin, req("cus_b", "")), want["cus_b"]},
			"machine of a product":        {list(licensing.Actor{Kind: licensing.Machine, Product: "prd_c"}, req("", "")), want["prd_c"]},
			"machine asks for another":    {list(licensing.Actor{Kind: licensing.Machine, Product: "prd_c"}, req("", "prd_a")), nil},
			"machine of test":             {list(licensing.Actor{Kind: licensing.Machine, Env: licensing.Test}, req("", "")), nil},
			"machine and owner":           {list(licensing.Actor{Kind: licensing.Machine, Product: "prd_a"}, req("cus_b", "")), want["cus_bprd_a"]},
			"staff, owner and product":    {list(admin, req("cus_b", "prd_b")), want["cus_bprd_b"]},
			"staff, an owner without any": {list(admin, req("cus_z", "")), nil},
		} {
			if !slices.Equal(c.got, c.want) {
				t.Errorf("%s: %v, want %v", name, c.got, c.want)
			}
		}
	})
}

// TestWhoMayIssue: customers and narrowed machine tokens issue nothing beyond their reach, and what cannot be a key is refused with every
// field that is wrong.
func TestWhoMayIssue(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	good := apikey.CreateRequest{Owner: "cus_a", Product: "prd_a", Name: "n"}
	for who, a := range map[string]licensing.Actor{
		"customer": customer("cus_a"), "other product": {Kind: licensing.Machine, Product: "prd_b"}, "other environment": {Kind: licensing.Machine, Env: licensing.Test}, "nobody": {},
	} {
		if _, err := r.Create(as(t, a), good); err == nil {
			t.Errorf("%s issued a key", who)
		}
	}
	for field, spoil := range map[string]func(*apikey.CreateRequest){
		"owner":      func(c *apikey.CreateRequest) { c.Owner = "" },
		"product":    func(c *apikey.CreateRequest) { c.Product = "" },
		"env":        func(c *apikey.CreateRequest) { c.Env = "prod" },
		"name":       func(c *apikey.CreateRequest) { c.Name = strings.Repeat("n", 101) },
		"scopes":     func(c *apikey.CreateRequest) { c.Scopes = []string{"a b"} },
		"allow_from": func(c *apikey.CreateRequest) { c.AllowFrom = []string{"10.0.0.0/33"} },
		"limits":     func(c *apikey.CreateRequest) { c.Limits = []apikey.Limit{{Name: "x", Count: 0, Seconds: 1}} },
		"expires_at": func(c *apikey.CreateRequest) { c.ExpiresAt = ptr(r.Clock.Now()) },
	} {
		bad := good
		spoil(&bad)
		_, err := r.Create(as(t, admin), bad)
		if licensing.KindOf(err) != licensing.Invalid || !strings.Contains(fmt.Sprintf("%+v", err.(*licensing.Error).Fields), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestAddressesAllowed: a key with networks works from these alone, in both spellings of an IPv4 address, and not without one; that
// holds for what it opens elsewhere and for our own API alike.
func TestAddressesAllowed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		_, text := r.issue(t, func(c *apikey.CreateRequest) { c.AllowFrom = []string{"192.0.2.0/24", "2001:db8::/32", "198.51.100.7"} })
		for ip, want := range map[string]apikey.Code{
			"192.0.2.1": apikey.Valid, "::ffff:192.0.2.1": apikey.Valid, "2001:db8::1": apikey.Valid, "198.51.100.7": apikey.Valid, "198.51.100.8": apikey.ForbiddenIP,
			"192.0.3.1": apikey.ForbiddenIP, "": apikey.ForbiddenIP, "2001:db9::1": apikey.ForbiddenIP,
		} {
			expect(t, ip, r.verify(t, apikey.VerifyCheck{Key: text, IP: ip}).Code, want)
			from, _ := netip.ParseAddr(ip)
			if _, err := r.ByCredential(t.Context(), text, from); (err == nil) != (want == apikey.Valid) || err != nil && !errors.Is(err, apikey.ErrAddress) {
				t.Errorf("as a credential of our own API from %q: %v", ip, err)
			}
		}
	})
}

// TestSwitchedOff: with the API switched off for its product a key is answered SWITCHED_OFF, nothing is drafted, and nothing is spent;
// off for all it stops issuing, and verification goes on.
func TestSwitchedOff(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	_, text := r.issue(t, func(c *apikey.CreateRequest) { c.Limits = []apikey.Limit{{Name: "calls", Count: 2, Seconds: 60}} })
	_, other := r.issue(t, func(c *apikey.CreateRequest) { c.Product = "prd_b" })
	r.switches.off.Store("prd_a", true)
	for range 5 {
		expect(t, "off", r.code(t, text), apikey.SwitchedOff)
	}
	expect(t, "another product", r.code(t, other), apikey.Valid)
	if _, err := r.Create(as(t, admin), apikey.CreateRequest{Owner: "cus_a", Product: "prd_a", Name: "n"}); licensing.KindOf(err) != licensing.Unavailable {
		t.Errorf("issue while off: %v", err)
	}
	r.switches.off.Store("prd_a", false)
	r.switches.off.Store("", true)
	expect(t, "off for all, which lets verification go on", r.code(t, other), apikey.Valid)
	if _, err := r.Create(as(t, admin), apikey.CreateRequest{Owner: "cus_a", Product: "prd_a", Name: "n"}); licensing.KindOf(err) != licensing.Unavailable {
		t.Errorf("issue while off for all: %v", err)
	}
	r.switches.off.Store("", false)
	if got := r.verify(t, apikey.VerifyCheck{Key: text}); got.Limits[0].Remaining != 1 {
		t.Errorf("something was spent while off: %+v", got)
	}
}

// TestBatch: a batch is answered in order, each key by itself, in one step of the limiter; its size is bounded.
func TestBatch(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	_, text := r.issue(t, func(c *apikey.CreateRequest) { c.Limits = []apikey.Limit{{Name: "calls", Count: 3, Seconds: 60}} })
	_, free := r.issue(t, nil)
	var batch []apikey.VerifyCheck
	for range 4 {
		batch = append(batch, apikey.VerifyCheck{Key: text}, apikey.VerifyCheck{Key: free}, apikey.VerifyCheck{Key: "x"})
	}
	out, err := r.Verify(as(t, machine), apikey.VerifyRequest{Batch: batch})
	if err != nil || len(out.Batch) != 12 || out.Valid || r.limiter.asked.Load() != 1 {
		t.Fatalf("%d answers, valid %v, %d steps, %v", len(out.Batch), out.Valid, r.limiter.asked.Load(), err)
	}
	for i, got := range out.Batch {
		want := []apikey.Code{apikey.Valid, apikey.Valid, apikey.NotFound}[i%3]
		if i == 9 {
			want = apikey.RateLimited
		}
		expect(t, fmt.Sprint(i), got.Code, want)
	}
	for what, req := range map[string]apikey.VerifyRequest{
		"nothing": {}, "both": {VerifyCheck: apikey.VerifyCheck{Key: text}, Batch: batch}, "too many": {Batch: make([]apikey.VerifyCheck, 1001)},
	} {
		if err := req.Validate(); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestA22_ImpossibleCostInABatch: a cost that a key's limit could never admit is refused for that key, without a time to wait, spends
// nothing, and keeps no other key of the batch from its answer; alone it is a mistake in the request.
func TestA22_ImpossibleCostInABatch(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	_, small := r.issue(t, func(c *apikey.CreateRequest) { c.Limits = []apikey.Limit{{Name: "calls", Count: 3, Seconds: 60}} })
	_, free := r.issue(t, nil)
	cost := int64(4)
	ask := apikey.VerifyCheck{Key: small, Cost: &cost}
	out, err := r.Verify(as(t, machine), apikey.VerifyRequest{Batch: []apikey.VerifyCheck{{Key: free}, ask, {Key: small}}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []apikey.Code{apikey.Valid, apikey.RateLimited, apikey.Valid} {
		expect(t, fmt.Sprint(i), out.Batch[i].Code, want)
	}
	if out.Batch[1].RetryAfter != 0 || out.Batch[2].Limits[0].Remaining != 2 {
		t.Errorf("%+v", out.Batch)
	}
	if _, err := r.Verify(as(t, machine), apikey.VerifyRequest{VerifyCheck: ask}); !errors.Is(err, apikey.ErrCost) {
		t.Errorf("alone: %v", err)
	}
}

// TestReplayShowsTheSecretWhileItIsKept: a repeated request is answered with the key as it stands, and with what was kept of its
// secret.
func TestReplayShowsTheSecretWhileItIsKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	ctx := licensing.WithCall(t.Context(), &licensing.Call{Operation: "key.issue", Actor: admin, Mutating: true})
	out, err := r.Create(ctx, apikey.CreateRequest{Owner: "cus_a", Product: "prd_a", Name: "n"})
	if err != nil || licensing.CallFrom(ctx).Secret != out.Secret {
		t.Fatalf("the secret is not kept for a replay: %v", err)
	}
	r.Clock.Advance(time.Minute)
	again, err := r.CreateAgain(as(t, admin), out.Key.ID, out.Secret)
	if err != nil || again.Secret != out.Secret || again.Key.ID != out.Key.ID {
		t.Errorf("%+v, %v", again, err)
	}
}

// A key tells its owner which texts are good, and until when the old one of a rotation is; afterwards, and in a list, the new one alone or none.
func TestKeyNamesItsLiveTexts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		id, text := r.issue(t, nil)
		owner := as(t, customer("cus_a"))
		overlap := int64(3600)
		out, err := r.Rotate(owner, apikey.RotateRequest{ID: id, Overlap: &overlap})
		if err != nil {
			t.Fatal(err)
		}
		hint := func(text string) string {
			parsed, _ := r.Format().Parse(text)
			return parsed.Hint
		}
		v, err := r.Get(owner, apikey.GetRequest{ID: id})
		if err != nil || len(v.Texts) != 2 || v.Texts[0].Hint != hint(out.Secret) || v.Texts[0].ExpiresAt != nil || v.Texts[1].Hint != hint(text) ||
			!v.Texts[1].ExpiresAt.Equal(e.Clock.Now().Add(time.Hour)) || v.Order != "" || v.Unrevealed {
			t.Errorf("%+v, %v", v, err)
		}
		e.Clock.Advance(time.Hour)
		if v, err := r.Get(owner, apikey.GetRequest{ID: id}); err != nil || len(v.Texts) != 1 || v.Texts[0].Hint != hint(out.Secret) {
			t.Errorf("after the overlap %+v, %v", v.Texts, err)
		}
		if list, err := r.List(owner, apikey.ListRequest{}); err != nil || len(list.Items) != 1 || len(list.Items[0].Texts) != 0 {
			t.Errorf("the list %+v, %v", list, err)
		}
	})
}

// TestVerify_BatchIsTakenByItsWord: a batch says of each key what it is for, so a cost, scopes, an address, a product or an environment beside it
// is refused and not dropped, and what is wrong with one of its keys is named by its place.
func TestVerify_BatchIsTakenByItsWord(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	_, text := r.issue(t, nil)
	key := apikey.VerifyCheck{Key: text}
	for at, q := range map[string]apikey.VerifyRequest{
		"/key":            {VerifyCheck: key, Batch: []apikey.VerifyCheck{key}},
		"/batch":          {VerifyCheck: apikey.VerifyCheck{Cost: ptr(int64(5))}, Batch: []apikey.VerifyCheck{key}},
		"/batch/1/cost":   {Batch: []apikey.VerifyCheck{key, {Key: text, Cost: ptr(int64(0))}}},
		"/batch/1/scopes": {Batch: []apikey.VerifyCheck{key, {Key: text, Scopes: []string{"Read"}}}},
		"/batch/2/ip":     {Batch: []apikey.VerifyCheck{key, key, {Key: text, IP: "192.0.2.256"}}},
		"/cost":           {VerifyCheck: apikey.VerifyCheck{Key: text, Cost: ptr(int64(-1))}},
	} {
		var told *licensing.Error
		if _, err := r.Verify(as(t, machine), q); !errors.As(err, &told) || told.Kind != licensing.Invalid || len(told.Fields) != 1 || told.Fields[0].Name != at {
			t.Errorf("%s: %v", at, err)
		}
	}
	for name, beside := range map[string]apikey.VerifyCheck{"scopes": {Scopes: []string{"read"}}, "address": {IP: "192.0.2.1"}, "product": {Product: "prd_a"}, "environment": {Env: licensing.Live}} {
		if _, err := r.Verify(as(t, machine), apikey.VerifyRequest{VerifyCheck: beside, Batch: []apikey.VerifyCheck{key}}); licensing.KindOf(err) != licensing.Invalid {
			t.Errorf("%s beside a batch: %v", name, err)
		}
	}
}

// TestCreate_NamesFitEveryEngine: an owner, product, plan or person whose name fits into no index is refused by its field on every engine, and not by
// one of them as a failure of ours.
func TestCreate_NamesFitEveryEngine(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		var b strings.Builder
		for range 100 { // which does not get much shorter by being packed
			b.WriteString(rand.Text())
		}
		for field, change := range map[string]func(*apikey.CreateRequest){
			"owner":   func(c *apikey.CreateRequest) { c.Owner = licensing.Owner(b.String()) },
			"product": func(c *apikey.CreateRequest) { c.Product = b.String() },
			"plan":    func(c *apikey.CreateRequest) { c.Plan = b.String() },
			"member":  func(c *apikey.CreateRequest) { c.Member = b.String() },
		} {
			ask := apikey.CreateRequest{Owner: "cus_a", Product: "prd_a", Name: "key"}
			change(&ask)
			var told *licensing.Error
			if _, err := r.Create(as(t, admin), ask); !errors.Is(err, apikey.ErrSpec) || !errors.As(err, &told) || told.Fields[0].Name != field {
				t.Errorf("%s: %v", field, err)
			}
		}
	})
}

// TestCreate_OwnerAndProductAreThere: a key that is made by hand is of a customer or organisation and of a product that are there; whoever mistypes
// an id learns which.
func TestCreate_OwnerAndProductAreThere(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		deps := r.Service.Deps
		deps.Known = e.Store.KeyNames
		s, err := apikey.New(deps)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.DB.Exec(t.Context(), `INSERT INTO customer (id, email, name, role, password, created_at, updated_at, name_fold) VALUES ('cus_a', 'a@example.com', '', '', '', $1, $1, '')`, e.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		for owner, want := range map[licensing.Owner][]string{"cus_a": {"product"}, "cus_b": {"owner", "product"}} {
			var told *licensing.Error
			if _, err := s.Create(as(t, admin), apikey.CreateRequest{Owner: owner, Product: "prd_a", Name: "key"}); !errors.As(err, &told) || told.Code != apikey.ErrSpec.Code || len(told.Fields) != len(want) {
				t.Fatalf("%s: %v", owner, err)
			}
			for i, f := range told.Fields {
				if f.Name != want[i] {
					t.Errorf("%s: %+v", owner, told.Fields)
				}
			}
		}
		var n int64
		if err := e.DB.QueryRow(t.Context(), `SELECT count(*) FROM api_key`).Scan(&n); n != 0 || err != nil {
			t.Errorf("%d keys, %v", n, err)
		}
	})
}
