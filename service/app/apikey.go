package app

import (
	"context"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
)

// keyFlush is how often what verification leaves behind is written: when keys were used, and for what they were not good.
const keyFlush = 10 * time.Second

// noteKeys writes it until ctx ends, and once more then.
func (p *parts) noteKeys(ctx context.Context) {
	tick := time.NewTicker(keyFlush)
	defer tick.Stop()
	for {
		last := false
		select {
		case <-tick.C:
		case <-ctx.Done():
			last = true
		}
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		if err := p.keys.Flush(within); err != nil {
			p.app.log.WarnContext(ctx, "the uses of API keys cannot be written; they are kept for the next time", "error", err)
		}
		cancel()
		if last {
			return
		}
	}
}

// leaked queues the mail to the owner of a key that was found in public: the person himself, the member whose key it is, or the
// organisation's billing address. Whoever has none is not told.
func (p *parts) leaked(ctx context.Context, k apikey.Key, ends time.Time) error {
	to, name, err := p.keyOwner(ctx, &k)
	if licensing.KindOf(err) == licensing.NotFound || err == nil && to == "" {
		return nil
	}
	if err != nil {
		return err
	}
	note := "The text of your API key " + k.Name + " was found in public. The key was revoked, and whoever uses it is refused."
	if k.OnLeak == apikey.RotateOnLeak {
		note = "The text of your API key " + k.Name + " was found in public. It ends on " + until(ends) + "; rotate the key before, to go on with a new text."
	}
	return p.notices.Queue(ctx, notice.Message{Template: notice.Security, Subject: k.ID, Epoch: ends.UnixMicro(), To: to,
		Data: notice.Data{Name: name, Note: note, Link: p.app.config.BaseURL + "/account/keys/" + k.ID}})
}

func (p *parts) keyOwner(ctx context.Context, k *apikey.Key) (to, name string, err error) {
	st, person := p.app.storage.store, string(k.Owner)
	if strings.HasPrefix(person, "org_") {
		if k.Member == "" {
			o, err := st.Organisations().OrganisationOf(ctx, person, "")
			return o.BillingEmail, o.Name, err
		}
		person = k.Member
	}
	who, err := st.People().PersonByID(ctx, person)
	return who.Email, who.Name, err
}
