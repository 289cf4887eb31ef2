package account_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestFirstOwner: while nobody is owner, the link is the same on every replica and after a restart; of many who use it at once one becomes
// owner; afterwards there is no link and the old one is over, also when the owner came by the operator's command line.
func TestFirstOwner(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r, two := newRig(t, e), newRig(t, e)
		link, err1 := r.SetupLink(as(t, operator), account.SetupLinkRequest{})
		same, err2 := two.SetupLink(as(t, operator), account.SetupLinkRequest{})
		token, found := strings.CutPrefix(link.Link, "https://shop.example.com/setup/")
		if err := errors.Join(err1, err2); err != nil || link != same || link.Owned || !found || len(token) < 43 {
			t.Fatalf("%+v and %+v, %v", link, same, err)
		}
		for what, c := range map[string]struct {
			req  account.SetupRequest
			kind licensing.Kind
		}{
			"another token":      {account.SetupRequest{Token: strings.Repeat("a", 43), Email: "eve@example.com", Password: password}, licensing.Gone},
			"a weak password":    {account.SetupRequest{Token: token, Email: "eve@example.com", Password: "password123"}, licensing.Invalid},
			"no address":         {account.SetupRequest{Token: token, Email: "eve", Password: password}, licensing.Invalid},
			"a name with a link": {account.SetupRequest{Token: token, Email: "eve@example.com", Name: "https://x", Password: password}, licensing.Invalid},
		} {
			if _, err := r.Setup(as(t, nobody), c.req); licensing.KindOf(err) != c.kind {
				t.Errorf("%s: %v", what, err)
			}
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		var owners []string
		for i := range 6 {
			wg.Go(func() {
				out, err := []*rig{r, two}[i%2].Setup(as(t, nobody), account.SetupRequest{Token: token, Email: fmt.Sprintf("o%d@example.com", i), Password: password})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					owners = append(owners, out.ID)
				case !errors.Is(err, account.ErrSetup):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		staff, err := r.ListStaff(as(t, operator), account.ListStaffRequest{})
		if err != nil || len(owners) != 1 || len(staff.Items) != 1 || staff.Items[0].ID != owners[0] || staff.Items[0].Role != licensing.RoleOwner {
			t.Fatalf("%v became owner, the staff is %+v, %v", owners, staff, err)
		}
		if in := r.signIn(t, staff.Items[0].Email); in.Role != licensing.RoleOwner {
			t.Errorf("the owner signs in as %+v", in)
		}
		r.later(t, time.Minute)
		_, err = r.Setup(as(t, nobody), account.SetupRequest{Token: token, Email: "late@example.com", Password: password})
		fails(t, "the link once more", err, account.ErrSetup)
		if over, err := newRig(t, e).SetupLink(as(t, operator), account.SetupLinkRequest{}); err != nil || !over.Owned || over.Link != "" {
			t.Errorf("%+v, %v", over, err)
		}
	})
}

// TestFirstOwnerByTheOperator: an owner made at the machine voids the link that stands.
func TestFirstOwnerByTheOperator(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		token, err := r.SetupToken(t.Context())
		if err != nil || token == "" {
			t.Fatalf("%q, %v", token, err)
		}
		r.staff(t, "owner@example.com", licensing.RoleOwner)
		_, err = r.Setup(as(t, nobody), account.SetupRequest{Token: token, Email: "eve@example.com", Password: password})
		fails(t, "the link", err, account.ErrSetup)
	})
}
