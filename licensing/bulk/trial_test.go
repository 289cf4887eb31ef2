package bulk_test

import (
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// A customer has one trial of a product, whoever gives it: by hand, among many, and as one's own beginning. What another system gave stands, and
// counts.
func TestTrial_OnceHoweverGiven(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		if _, err := w.DB.Exec(t.Context(), `INSERT INTO product (id, slug, name, description, purpose, key_prefix, state, version, created_at, updated_at)
			VALUES ($1, 'editor', 'Editor', '', 'revenue', 'EDIT', 'active', 1, $2, $2)`, product, w.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		trial := w.makePolicy(t, license.TrialPolicy, license.Terms{Type: doc.Trial, Duration: 14 * license.Day})
		from := w.from()
		from.Policy = trial.ID
		issue := func(whom bulk.Whom, reference string) (bulk.IssueResponse, error) {
			return w.IssueOne(w.ctx, bulk.IssueRequest{From: from, Whom: whom, What: bulk.What{Reference: reference}})
		}
		ada := bulk.Whom{Email: "ada@example.com"}
		first, err := issue(ada, "lead 1")
		if err != nil {
			t.Fatal(err)
		}
		if again, err := issue(ada, "lead 1"); err != nil || !again.Existing || again.ID != first.ID {
			t.Errorf("the same reference: %+v, %v", again, err)
		}
		_, err = issue(ada, "lead 2")
		is(t, err, sdk.CodeTrialUsed)
		if _, err := w.IssueOne(w.ctx, bulk.IssueRequest{From: w.from(), Whom: ada}); err != nil {
			t.Errorf("a license that is no trial: %v", err)
		}
		sandbox := from
		sandbox.Env = licensing.Test
		for range 2 {
			if _, err := w.IssueOne(w.ctx, bulk.IssueRequest{From: sandbox, Whom: ada}); err != nil {
				t.Errorf("a trial to try things with: %v", err)
			}
		}
		starts := func(owner string) error {
			actor := licensing.Actor{Kind: licensing.Customer, ID: owner, Owner: licensing.Owner(owner)}
			_, err := w.licenses.StartTrial(w.as(actor, t.Context()), license.TrialRequest{Product: "editor"})
			return err
		}
		is(t, starts(first.Owner), sdk.CodeTrialUsed)
		many := bulk.IssueManyRequest{From: from, Rows: []bulk.RowSpec{{Whom: ada}, {Whom: bulk.Whom{Email: "bob@example.com"}}, {Whom: bulk.Whom{Email: "bob@example.com"}}, {Whom: bulk.Whom{Owner: reseller}}}}
		if err := many.Validate(); err != nil {
			t.Fatal(err)
		}
		run, err := w.IssueMany(w.ctx, many)
		if err != nil {
			t.Fatal(err)
		}
		w.work(t)
		if run = w.get(t, run.ID); run.State != "done" || run.Done != 2 || run.Failed != 2 {
			t.Errorf("%+v", run)
		}
		rows, err := w.Rows(w.ctx, bulk.RowsRequest{ID: run.ID, Outcome: "failed"})
		if err != nil || len(rows.Items) != 2 || rows.Items[0].Row != 1 || rows.Items[1].Row != 3 || !strings.Contains(rows.Items[0].Problem, "trial") {
			t.Errorf("%+v, %v", rows, err)
		}
		old := w.importing("mintreu", "csv", "reference,email,policy\n1,eve@example.com,trial\n2,eve@example.com,trial\n", false)
		if _, run := w.imported(t, old); run.Done != 2 {
			t.Errorf("what another system gave: %+v", run)
		}
		_, err = issue(bulk.Whom{Email: "eve@example.com"}, "")
		is(t, err, sdk.CodeTrialUsed)
		w.sound(t)
	})
}
