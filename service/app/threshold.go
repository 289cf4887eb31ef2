package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/web/ui"
)

// usageNotices tells the owner of a license what is used of its quotas: the person, or the owners and admins of the organisation.
type usageNotices struct{ p *parts }

var _ usage.Notices = usageNotices{}

// Threshold implements [usage.Notices].
func (n usageNotices) Threshold(ctx context.Context, c usage.Crossing) error {
	people, err := n.people(ctx, c.Owner)
	if err != nil {
		return err
	}
	note := fmt.Sprintf("%d percent are used: %s of %s", c.Percent, ui.Number(c.Used), ui.Number(c.Quota))
	if !c.Ends.IsZero() {
		note += ". A new period begins on " + c.Ends.UTC().Format("2 January 2006")
	}
	for i, person := range people {
		err := n.p.notices.Queue(ctx, notice.Message{Template: notice.UsageThreshold, Subject: fmt.Sprintf("%s/%s/%d/%d", c.License, c.Meter, c.Starts.Unix(), c.Percent), Epoch: int64(i), To: person.Email,
			Data: notice.Data{Name: person.Name, Topic: c.Title() + ", " + c.Product, Note: note + ".", Link: n.p.app.config.BaseURL + "/account/licenses/" + c.License}})
		if licensing.KindOf(err) == licensing.Invalid { // an address that no mail goes to keeps the others from nothing
			n.p.app.log.WarnContext(ctx, "somebody could not be told of a quota: the address is refused", "license", c.License, "person", i)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// people are those who are told for an owner.
func (n usageNotices) people(ctx context.Context, owner string) ([]account.Member, error) {
	st := n.p.app.storage.store
	if !strings.HasPrefix(owner, "org_") {
		p, err := st.People().PersonByID(ctx, owner)
		if licensing.KindOf(err) == licensing.NotFound {
			return nil, nil
		}
		return []account.Member{{Email: p.Email, Name: p.Name}}, err
	}
	members, err := st.Members().ListMembers(ctx, owner, "")
	var out []account.Member
	for _, m := range members {
		if m.Role == licensing.OrgOwner || m.Role == licensing.OrgAdmin {
			out = append(out, m)
		}
	}
	return out, err
}
