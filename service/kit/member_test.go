package kit_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
)

// TestR01_MembersOfOrganisationsOnlyRead: whoever acts for an organisation as a member, or with a role that is not known, is refused what
// changes something, unless the operation is open to members; admins and owners of organisations, and people who act for themselves, are not.
func TestR01_MembersOfOrganisationsOnlyRead(t *testing.T) {
	t.Parallel()
	f := kittest.NewFixture(t)
	toy := &toy{kept: f.Kept}
	change := kit.Spec{Name: "widget.change", Method: "POST", Path: "/v1/widgets", Summary: "Change", Tag: "Widgets", Access: kit.Allow{Customer: true}}
	remove, open, read := change, change, change
	remove.Name, remove.Method = "widget.remove", "PUT"
	open.Name, open.Path, open.Access.Members = "widget.open", "/v1/open", true
	read.Name, read.Path, read.Reads = "widget.read", "/v1/read", true
	ops := []kit.Op[widgetRequest, widget]{kit.New(change, toy.Create).Again(toy.again), kit.New(remove, toy.Create), kit.New(open, toy.Create).Again(toy.again), kit.New(read, toy.Create)}
	if _, err := kit.NewMux(f.Stack, ops[0], ops[1], ops[2], ops[3]); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		role licensing.OrgRole
		org  string
		shut bool
	}{{"", "", false}, {licensing.OrgOwner, "org_1", false}, {licensing.OrgAdmin, "org_1", false}, {licensing.OrgMember, "org_1", true}, {"", "org_1", true}, {"king", "org_1", true}} {
		actor := licensing.Actor{Kind: licensing.Customer, ID: "cus_1", Owner: "cus_1", Org: c.org, OrgRole: c.role}
		for i, op := range ops {
			_, err := op.Call(licensing.WithCall(t.Context(), &licensing.Call{Actor: actor}), widgetRequest{Name: "a", Quantity: 1})
			var told *licensing.Error
			refused := errors.As(err, &told) && told.Code == "members-only-read" && kit.Status(err) == http.StatusForbidden
			if refused != (c.shut && i < 2) || !refused && err != nil {
				t.Errorf("%s by %q of %q: %v", op.Spec().Name, c.role, c.org, err)
			}
		}
	}
}
