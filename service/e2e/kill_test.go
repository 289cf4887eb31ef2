//go:build failpoint

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	sdkdevice "github.com/mintreu/mintreu/sdk/device"
	"github.com/mintreu/mintreu/sdk/spool"
	"github.com/mintreu/mintreu/service/failpoint"
	"github.com/mintreu/mintreu/service/pay/sandbox"
)

// phase is a part of the path. The failpoint counts from its beginning.
type phase int

const (
	atCheckout phase = iota // the buyer orders
	atPayment               // the money moves, and everything that follows of itself
	atDevice                // the product activates
)

// kill is a death that the path has to survive.
type kill struct {
	point string
	from  phase
	hits  []int // the hit that kills; one purchase each
	looks bool  // the buyer looks at the order's page meanwhile; else the service must finish by itself
}

// recovery is how long the path may take from the death of the process to its end.
const recovery = 60 * time.Second

// killed reports whether the process was ended by SIGKILL.
func (p *process) killed() bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// survive has the service killed at a step, starts it again, and checks that the buyer who tries again gets all of it, once.
func survive(t *testing.T, k kill) {
	t.Helper()
	t.Parallel()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, engine)
			armed := filepath.Join(shortDir(t), "armed")
			var what offer
			for i, hit := range k.hits {
				if p.running != nil {
					p.running.kill()
				}
				victim := p.begin(t, failpoint.Variable+"="+fmt.Sprintf("%s=kill@%d", k.point, hit), failpoint.WhenVariable+"="+armed)
				if i == 0 {
					what = shelve(t, p.operator)
				}
				buyer := newPurchase(p.balancer.url, what, 2)
				r := &run{plant: p, kill: k, victim: victim, armed: armed, buyer: buyer}
				r.walk(t)
				if !victim.killed() {
					t.Fatalf("hit %d of %s did not kill the process; it ended %v", hit, k.point, victim.cmd.ProcessState)
				}
				r.check(t)
			}
			p.verify(t)
		})
	}
}

// run is one purchase during which the service dies.
type run struct {
	*plant
	kill   kill
	victim *process
	armed  string
	buyer  *purchase
	died   time.Time
	reborn chan error
}

// walk goes the path as a buyer does who tries again what failed.
func (r *run) walk(t *testing.T) {
	t.Helper()
	r.reborn = make(chan error, 1)
	go func() { r.reborn <- r.revive(t.Context()) }()
	r.begins(t, atCheckout)
	r.retry(t, "check out", r.buyer.checkOut)
	r.begins(t, atPayment)
	if err := r.buyer.pay(t.Context(), sandbox.CardSucceeds); err != nil {
		t.Fatal(err)
	}
	r.retry(t, "fulfilled", func(ctx context.Context) error {
		if r.kill.looks {
			if _, err := r.buyer.look(ctx); err != nil {
				return err
			}
		}
		if got := state(t, r.rows, r.buyer.id); got != "fulfilled" {
			return fmt.Errorf("the order is %s", got)
		}
		return nil
	})
	var order seen
	r.retry(t, "look", func(ctx context.Context) (err error) {
		order, err = r.buyer.look(ctx)
		return err
	})
	r.begins(t, atDevice)
	r.activate(t, order)
	select {
	case err := <-r.reborn:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(recovery):
		t.Fatalf("%s was not reached: the process lives", r.kill.point)
	}
	if took := time.Since(r.died); took > recovery {
		t.Errorf("the path took %v from the death of the process, at most %v is allowed", took, recovery)
	}
}

// begins arms the failpoint when its phase comes.
func (r *run) begins(t *testing.T, now phase) {
	t.Helper()
	if now != r.kill.from {
		return
	}
	if err := os.WriteFile(r.armed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// revive waits for the death of the process and starts the service again, without failpoints.
func (r *run) revive(ctx context.Context) error {
	select {
	case <-r.victim.ended:
	case <-ctx.Done():
		return errors.New("the process was not killed")
	}
	r.died = time.Now()
	if err := os.Remove(r.armed); err != nil {
		return err
	}
	_, err := r.start(ctx)
	return err
}

// retry does a step until it works.
func (r *run) retry(t *testing.T, what string, step func(context.Context) error) {
	t.Helper()
	var last error
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(recovery + 15*time.Second); time.Now().Before(end); <-tick.C {
		if last = step(t.Context()); last == nil {
			return
		}
	}
	r.situation(t)
	t.Fatalf("%s: never: %v", what, last)
}

// situation tells what lies in the inbox and in the queue, for whoever reads of a step that never ended.
func (r *run) situation(t *testing.T) {
	t.Helper()
	for _, sql := range []string{
		`SELECT id || ' ' || state || ' attempts ' || CAST(attempts AS text) || ' next ' || CAST(next_try AS text) || ' ' || reason FROM payment_event`,
		`SELECT CAST(id AS text) || ' ' || kind || ' ' || CAST(state AS text) || ' attempt ' || CAST(attempt AS text) || ' made ' || CAST(created_at AS text) || ' due ' ||
			CAST(scheduled_at AS text) || ' began ' || COALESCE(CAST(attempted_at AS text), '') || ' ended ' || COALESCE(CAST(finalized_at AS text), '') ||
			' by ' || COALESCE(CAST(attempted_by AS text), '') || ' errors ' || COALESCE(CAST(errors AS text), '') FROM river_job ORDER BY id DESC LIMIT 60`,
		`SELECT leader_id || ' elected ' || CAST(elected_at AS text) || ' until ' || CAST(expires_at AS text) FROM river_leader`,
	} {
		rows, err := r.rows.Query(t.Context(), sql)
		if err != nil {
			t.Error(err)
			continue
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Error(err)
			}
			t.Log(line)
		}
		rows.Close()
	}
	select {
	case err := <-r.reborn:
		t.Log("started again:", err)
	default:
		t.Log("it lives, or is being started again")
	}
}

// activate activates one device with a license of the order, again and again until the service answers.
func (r *run) activate(t *testing.T, order seen) {
	t.Helper()
	key := ""
	for _, g := range order.Grants {
		if g.Kind == "license" {
			key = g.Key
		}
	}
	client, err := sdk.New(sdk.Config{BaseURL: r.balancer.url, Product: "quill", Env: "test", Roots: []string{r.victim.root(t)}}, sdk.WithStore(&sdk.MemoryStore{}),
		sdk.WithDevice(sdkdevice.Fingerprint{"machine": "4c4c4544-0043", "disk": "S4EWNX0M", "mac": "02:42:ac:11:00:02"}),
		sdk.WithSpool(spool.Options{Dir: filepath.Join(t.TempDir(), "usage")}))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	r.retry(t, "activate", func(ctx context.Context) error {
		d, err := client.Activate(ctx, key)
		if err == nil && !d.Allowed {
			err = fmt.Errorf("refused: %s", d.Explanation)
		}
		return err
	})
	if !client.Allowed("export") {
		t.Error("the activated product does not allow what the license grants")
	}
	for n := int64(1); n <= batches; n++ {
		if err := client.Report("pages", n); err != nil {
			t.Fatal(err)
		}
		r.retry(t, "send usage", client.Flush)
	}
	if seq := client.UsageStats().Seq; seq != batches {
		t.Errorf("%d batches of usage were acknowledged, want %d", seq, batches)
	}
}

// batches is how many batches of usage the product sends: of 1, of 2 and so on.
const batches = 3

// check looks at what the purchase led to.
func (r *run) check(t *testing.T) {
	t.Helper()
	d, id := r.rows, r.buyer.id
	if got, want := accountOf(t, d, id), granted(r.buyer.quantity); got != want {
		t.Errorf("the order led to %+v, want %+v", got, want)
	}
	if n := number(t, d, `SELECT count(*) FROM orders WHERE email = $1`, r.buyer.email); n != 1 {
		t.Errorf("%d orders of one buyer, want 1", n)
	}
	const seats = ` FROM license l JOIN order_grant g ON g.object_id = l.id WHERE g.order_id = $1`
	if n := number(t, d, `SELECT CAST(SUM(l.seats_used) AS bigint)`+seats, id); n != 1 {
		t.Errorf("%d seats are taken by one device, want 1", n)
	}
	if n := number(t, d, `SELECT count(*) FROM activation a JOIN order_grant g ON g.object_id = a.license_id WHERE g.order_id = $1`, id); n != 1 {
		t.Errorf("%d activations of one device, want 1", n)
	}
	if n := number(t, d, `SELECT COALESCE(CAST(SUM(u.total) AS bigint), 0) FROM usage_total u JOIN order_grant g ON g.object_id = u.carrier
		WHERE g.order_id = $1 AND u.span = 'quarter'`, id); n != batches*(batches+1)/2 {
		t.Errorf("%d pages are counted, want %d", n, batches*(batches+1)/2)
	}
	eventually(t, "the purchase mail is there", 150*time.Second, func() bool {
		return number(t, d, `SELECT count(*) FROM mail m JOIN notice n ON n.id = m.id WHERE n.template = 'purchase' AND m.recipient = $1`, r.buyer.email) == 1
	})
	oneMail(t, d, r.buyer)
	eventually(t, "no event waits", recovery, func() bool { return number(t, d, `SELECT count(*) FROM payment_event WHERE state = 'pending'`) == 0 })
	pages := 0
	var list struct {
		Data []struct {
			Reference string `json:"client_reference_id"`
		}
	}
	decode(t, r.bank.call(t, "GET", "/v1/checkout/sessions?limit=100", nil), &list)
	for _, s := range list.Data {
		if s.Reference == id {
			pages++
		}
	}
	if pages != 1 {
		t.Errorf("the provider has %d payment pages of the order, want 1", pages)
	}
}

// F01: killed when the provider has opened the page and nobody here knows. The buyer's second try finds that page.
func TestKill_F01_SessionCreated(t *testing.T) {
	survive(t, kill{point: "session-created", from: atCheckout, hits: []int{1}})
}

// F02: killed with the order written and not committed. The second try makes the one order.
func TestKill_F02_OrderRow(t *testing.T) {
	survive(t, kill{point: "order-row", from: atCheckout, hits: []int{1}})
}

// F03: killed with the delivery received and not stored. The provider delivers again.
func TestKill_F03_WebhookReceived(t *testing.T) {
	survive(t, kill{point: "webhook-received", from: atPayment, hits: []int{1}})
}

// F04: killed with the event stored and nobody told. The sweeper finds it.
func TestKill_F04_EventRow(t *testing.T) {
	survive(t, kill{point: "event-row", from: atPayment, hits: []int{1}})
}

// F05: killed with a license written and not committed, the first and the second of the order.
func TestKill_F05_LicenseRow(t *testing.T) {
	survive(t, kill{point: "license-row", from: atPayment, hits: []int{1, 2}})
}

// F06: killed with a license's signed token written and not committed.
func TestKill_F06_TokenSigned(t *testing.T) {
	survive(t, kill{point: "token-signed", from: atPayment, hits: []int{2}})
}

// F07: killed with a job or a notice in the outbox: the nudge of the event, then the notice and its job of the uncommitted fulfilment.
func TestKill_F07_OutboxRow(t *testing.T) {
	survive(t, kill{point: "outbox-row", from: atPayment, hits: []int{1, 2, 3}})
}

// F08: killed just before commits, whichever they are, of the order and of the fulfilment.
func TestKill_F08_BeforeCommit(t *testing.T) {
	t.Parallel()
	t.Run("checkout", func(t *testing.T) {
		survive(t, kill{point: "before-commit", from: atCheckout, hits: []int{1, 2, 3}, looks: true})
	})
	t.Run("payment", func(t *testing.T) {
		survive(t, kill{point: "before-commit", from: atPayment, hits: []int{1, 2}, looks: true})
	})
}

// F09, W19: killed after a commit and before the answer, of the order, of the stored delivery, of the fulfilment. What comes again
// changes nothing.
func TestKill_F09_W19_BeforeAnswer(t *testing.T) {
	t.Parallel()
	t.Run("checkout", func(t *testing.T) {
		survive(t, kill{point: "after-commit", from: atCheckout, hits: []int{1, 2, 3}, looks: true})
	})
	t.Run("payment", func(t *testing.T) {
		survive(t, kill{point: "after-commit", from: atPayment, hits: []int{1, 2, 3}, looks: true})
	})
}

// F10: killed with the mail handed over and not noted as sent. It is not in the mailbox twice.
func TestKill_F10_MailHandedOver(t *testing.T) {
	survive(t, kill{point: "mail-handed-over", from: atPayment, hits: []int{1}})
}

// F12: killed with the activation written and not answered. The same device trying again takes no second seat.
func TestKill_F12_ActivationRow(t *testing.T) {
	survive(t, kill{point: "activation-row", from: atDevice, hits: []int{1}})
}
