package insight_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/insight"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// rig is a shop whose rows the test writes by hand.
type rig struct {
	storetest.Env
	*insight.Service
	t   *testing.T
	off []insight.Off
}

func newRig(t *testing.T, e storetest.Env) *rig {
	r := &rig{Env: e, t: t}
	r.Service = insight.New(insight.Deps{Store: e.Store.Insight(), Clock: e.Clock.Now, Off: func() []insight.Off { return r.off }, Probes: []insight.Probe{
		{Name: "Database", Run: e.DB.Ping}, {Name: "Redis", Run: func(context.Context) error { return errors.New("refused") }}}})
	return r
}

func (r *rig) exec(sql string, args ...any) {
	r.t.Helper()
	if _, err := r.DB.Exec(r.t.Context(), sql, args...); err != nil {
		r.t.Fatal(err)
	}
}

// order adds an order; one that is paid has a zero paid instant no more.
func (r *rig) order(state, env, currency string, total, refunded int64, paid time.Time) {
	r.t.Helper()
	id, now := r.IDs.New("ord"), r.Clock.Now()
	var at any
	captured := int64(0)
	if !paid.IsZero() {
		at, captured = paid, total
	}
	r.exec(`INSERT INTO orders (id, owner, email, env, state, reason, currency, subtotal, discount, tax, total, captured, refunded, disputed, snapshot, secret_hash, access, version,
		session, intent, charge, receipt, created_at, updated_at, expires_at, checked_at, paid_at)
		VALUES ($1, 'cus_1', 'a@example.com', $2, $3, '', $4, $5, 0, 0, $5, $6, $7, 0, '{}', $8, $8, 1, '', '', '', '', $9, $9, $9, $9, $10)`,
		id, env, state, currency, total, captured, refunded, []byte{1}, now, at)
}

// get returns the overview as it is once the last one is forgotten, and its steps by name.
func (r *rig) get() (insight.Overview, map[string]insight.Step) {
	r.t.Helper()
	r.Clock.Advance(6 * time.Second)
	o, err := r.Get(r.t.Context(), insight.GetRequest{})
	if err != nil {
		r.t.Fatal(err)
	}
	steps := map[string]insight.Step{}
	for _, s := range o.Steps {
		name := s.Name
		if name == "probe" {
			name = s.Title
		}
		steps[name] = s
	}
	return o, steps
}

func (r *rig) want(name string, state insight.State, text string) {
	r.t.Helper()
	if _, steps := r.get(); steps[name].State != state || !strings.Contains(steps[name].Text, text) {
		r.t.Errorf("%s is %+v, want %s with %q", name, steps[name], state, text)
	}
}

// An empty shop is well but idle, and told what to do first; what does not answer is bad.
func TestOverviewOfAnEmptyShop(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		o, steps := r.get()
		for name, want := range map[string]insight.State{"sign-up": insight.Idle, "browse": insight.Warn, "checkout": insight.Idle, "webhook": insight.Idle, "fulfilment": insight.Idle,
			"license": insight.Idle, "download": insight.Idle, "support": insight.Idle, "mail": insight.OK, "jobs": insight.OK, "audit": insight.OK, "switches": insight.OK, "keys": insight.OK,
			"Database": insight.OK, "Redis": insight.Bad} {
			if steps[name].State != want || steps[name].Text == "" || steps[name].Title == "" {
				t.Errorf("%s is %+v, want %s", name, steps[name], want)
			}
		}
		if o.State != insight.Bad || len(o.Sales) != 0 || len(o.Steps) != 15 {
			t.Errorf("the overview is %+v", o)
		}
		r.want("browse", insight.Warn, "There is no product yet")
	})
}

// Each thing that waits longer than it should, or needs a person, shows in its step, with the page where its rows are.
func TestOverviewShowsWhatIsWrong(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		r.order("paid", "live", "EUR", 100, 0, e.Clock.Now())
		r.want("fulfilment", insight.OK, "Every paid order")
		e.Clock.Advance(20 * time.Second)
		r.want("fulfilment", insight.Warn, "waits for")
		e.Clock.Advance(time.Minute)
		r.want("fulfilment", insight.Bad, "1 order paid but not fulfilled")
		r.order("parked", "live", "EUR", 100, 0, time.Time{})
		r.want("checkout", insight.Bad, "1 order parked")

		event := func(state string, settled any) {
			now := e.Clock.Now()
			r.exec(`INSERT INTO payment_event (id, type, api_version, live, account, object, object_kind, order_id, body, origin, state, reason, attempts, created_at, received_at, next_try, settled_at)
				VALUES ($1, 't', '', $2, '', '', '', '', '{}', 'delivery', $3, '', 0, $4, $4, $4, $5)`, e.IDs.New("evt"), true, state, now, settled)
		}
		event("done", e.Clock.Now())
		r.want("webhook", insight.OK, "The last one arrived")
		event("parked", e.Clock.Now())
		r.want("webhook", insight.Warn, "1 event parked")
		event("pending", nil)
		e.Clock.Advance(2 * time.Minute)
		r.want("webhook", insight.Bad, "1 event not applied")

		now := e.Clock.Now()
		mail := func(state string) {
			r.exec(`INSERT INTO notice (id, template, subject, epoch, recipient, lang, data, state, attempts, last_error, created_at, updated_at)
				VALUES ($1, 't', $1, 0, 'a@example.com', '', $2, $3, 0, '', $4, $4)`, e.IDs.New("ntc"), []byte{1}, state, now)
		}
		mail("failed")
		r.want("mail", insight.Warn, "1 mail refused")
		mail("pending")
		e.Clock.Advance(2 * time.Hour)
		r.want("mail", insight.Bad, "1 mail not sent")

		r.off = []insight.Off{{Switch: licensing.SwitchDownloads, Reason: "the store burns"}, {Switch: licensing.SwitchAPI, Product: "prod_1", Reason: "abuse"}}
		r.want("download", insight.Warn, "Switched off: the store burns.")
		r.want("switches", insight.Warn, "downloads, api of a product")

		for range 2 {
			now, id := e.Clock.Now(), e.IDs.New("tkt")
			r.exec(`INSERT INTO ticket (id, number, subject, status, priority, owner, requester, email, name, order_id, license_id, product_id, assignee, search, waiting_since, row_version, created_at, updated_at)
				VALUES ($1, $1, 's', 'open', 'normal', '', '', 'a@example.com', '', '', '', '', '', '', $2, 1, $2, $2)`, id, now)
		}
		r.want("support", insight.OK, "2 tickets wait")
		e.Clock.Advance(49 * time.Hour)
		r.want("support", insight.Warn, "for 2 days")

		for _, s := range []string{"checkout", "webhook", "fulfilment", "mail"} {
			if _, steps := r.get(); steps[s].Where == "" {
				t.Errorf("%s does not say where to look", s)
			}
		}
	})
}

// Failed jobs show: those that will be tried again, those that will not, and those that nobody takes.
func TestOverviewShowsJobs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		job := func(state string, at time.Time, finalized any) {
			r.exec(fmt.Sprintf(`INSERT INTO river_job (state, kind, args, max_attempts, attempt, queue, priority, scheduled_at, created_at, finalized_at) VALUES ('%s', 'k', '{}', 3, 1, 'default', 1, $1, $1, $2)`, state),
				text(at), finalized)
		}
		if e.DB.Engine() == "postgres" {
			job = func(state string, at time.Time, finalized any) {
				r.exec(fmt.Sprintf(`INSERT INTO river_job (state, kind, args, max_attempts, attempt, queue, priority, scheduled_at, created_at, finalized_at) VALUES ('%s', 'k', '{}', 3, 1, 'default', 1,
					CAST(CAST($1 AS text) AS timestamptz), CAST(CAST($1 AS text) AS timestamptz), CAST(CAST($2 AS text) AS timestamptz))`, state), text(at), finalized)
			}
		}
		now := e.Clock.Now()
		job("discarded", now.Add(-48*time.Hour), text(now.Add(-47*time.Hour)))
		job("available", now, nil)
		r.want("jobs", insight.OK, "Nothing is late")
		job("retryable", now, nil)
		r.want("jobs", insight.Warn, "1 job failed and will be tried again")
		job("discarded", now, text(now.Add(-time.Hour)))
		r.want("jobs", insight.Warn, "1 job failed for the last time")
		e.Clock.Advance(3 * time.Minute)
		r.want("jobs", insight.Bad, "waits for 3 min")
	})
}

// text is an instant as the job queue writes it on SQLite.
func text(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

// Sales are summed by day, environment and currency, with every day of the thirty there, live before test; what is older is left out.
// The answer is counted anew after five seconds and not before.
func TestSalesADay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		now := e.Clock.Now()
		r.order("fulfilled", "live", "EUR", 1000, 0, now)
		r.order("fulfilled", "live", "EUR", 500, 200, now)
		r.order("fulfilled", "live", "EUR", 700, 0, now.Add(-24*time.Hour))
		r.order("fulfilled", "live", "JPY", 5000, 0, now.Add(-48*time.Hour))
		r.order("fulfilled", "test", "EUR", 9900, 0, now)
		r.order("fulfilled", "live", "EUR", 123, 0, now.Add(-31*24*time.Hour))
		r.order("pending", "live", "EUR", 321, 0, time.Time{})
		o, _ := r.get()
		if len(o.Sales) != 3 || o.Sales[0].Currency != "JPY" || o.Sales[1].Currency != "EUR" || o.Sales[2].Env != licensing.Test {
			t.Fatalf("the series are %+v", o.Sales)
		}
		eur := o.Sales[1]
		if eur.Total.Minor != 2200 || eur.Refunded.Minor != 200 || eur.Orders != 3 || len(eur.Days) != 30 {
			t.Errorf("EUR: %+v", eur)
		}
		if last := eur.Days[29]; last.Day != now.Format("2006-01-02") || last.Orders != 2 || last.Amount.Minor != 1500 || eur.Days[28].Amount.Minor != 700 || eur.Days[0].Amount.Minor != 0 {
			t.Errorf("the days are %+v", eur.Days)
		}
		if o.Paid.Day != 3 || o.Paid.Month != 5 || o.Orders.Hour != 7 {
			t.Errorf("counts: paid %+v, orders %+v", o.Paid, o.Orders)
		}
		r.order("fulfilled", "live", "EUR", 1, 0, now)
		e.Clock.Advance(4 * time.Second)
		if again, err := r.Get(t.Context(), insight.GetRequest{}); err != nil || again.At != o.At || again.Sales[1].Total.Minor != 2200 {
			t.Errorf("within five seconds: %v, %v", again.Sales[1].Total, err)
		}
		if later, _ := r.get(); later.Sales[1].Total.Minor != 2201 {
			t.Errorf("after five seconds: %v", later.Sales[1].Total)
		}
	})
}
