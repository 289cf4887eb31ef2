package license_test

import (
	"errors"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// What was known of a credential a moment before the license changed hands, or got another key, hands out no document of the new holder's: with
// its token alone whoever had the old key would have the license as well as before.
func TestS08_DocumentsFollowTheHands(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e, movable(license.KeepExpiry))
		for name, end := range map[string]func(id string) error{
			"a transfer": func(id string) error {
				_, err := w.Transfer(w.ctx, license.TransferRequest{ID: id, To: w.person(t), Reason: "sold"})
				return err
			},
			"another key": func(id string) error {
				_, err := w.Reissue(w.ctx, license.StateRequest{ID: id, Reason: "leaked"})
				return err
			},
		} {
			d := w.issue(t, w.spec("line/"+name))
			get := license.GetRequest{ID: d.License.ID}
			actor, err := w.ByCredential(t.Context(), d.Key)
			if err != nil {
				t.Fatal(err)
			}
			asks := func() (string, error) {
				token, err := w.Token(w.as(actor), get)
				file, ferr := w.File(w.as(actor), get)
				return token.Token + file.File, errors.Join(err, ferr)
			}
			if _, err := w.Renew(w.ctx, license.RenewRequest{ID: d.License.ID, Reason: "paid"}); err != nil {
				t.Fatal(err)
			}
			if text, err := asks(); err != nil || text == "" {
				t.Errorf("after a renewal: %v", err)
			}
			if err := end(d.License.ID); err != nil {
				t.Fatal(err)
			}
			if text, err := asks(); !errors.Is(err, licensing.ErrNotFound) || text != "" {
				t.Errorf("after %s: %d bytes, %v", name, len(text), err)
			}
		}
	})
}
