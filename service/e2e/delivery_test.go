package e2e_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/pay/sandbox"
)

const completed = "checkout.session.completed"

// inbox reads how many events the inbox holds that meet a condition.
func (s *site) inbox(t *testing.T, where string, args ...any) int64 {
	t.Helper()
	return number(t, s.rows, `SELECT count(*) FROM payment_event WHERE `+where, args...)
}

// Every event delivered thirty times has one effect: exactly the grants of each of three units, one receipt, one mail.
func TestW08_DeliveredThirtyTimes(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{}, func(t *testing.T, s *site) {
		s.bank.Deliveries().Set(sandbox.Behaviour{Copies: 30})
		p := s.pays(t, 3, sandbox.CardSucceeds)
		s.bought(t, p)
		s.bank.settled(t, 30)
		s.exactly(t, p, granted(3))
		oneMail(t, s.rows, p)
	})
}

// Events that arrive newest first, the completed session before the payment and the charge it consists of, have the effect of events
// in order.
func TestDelivery_Reordered(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{}, func(t *testing.T, s *site) {
		s.bank.Deliveries().Set(sandbox.Behaviour{Reorder: 6})
		first, second := s.pays(t, 1, sandbox.CardSucceeds), s.pays(t, 2, sandbox.CardSucceeds)
		s.bought(t, first)
		s.bought(t, second)
		s.bank.settled(t, 6)
		s.exactly(t, first, granted(1))
		s.exactly(t, second, granted(2))
	})
}

// An event whose every delivery got lost is found by the sweeper in the provider's list, without the buyer looking at the order.
func TestW20_DroppedDeliveryIsSwept(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{sweep: time.Second}, func(t *testing.T, s *site) {
		s.bank.Deliveries().Set(sandbox.Behaviour{Drop: true})
		p := s.pays(t, 2, sandbox.CardSucceeds)
		s.bought(t, p)
		if n := s.inbox(t, `origin = 'delivery'`); n != 0 {
			t.Errorf("%d events were delivered, all should have been lost", n)
		}
		if n := s.inbox(t, `origin = 'sweep' AND type = $1`, completed); n != 1 {
			t.Errorf("the sweeper stored %d completed sessions, want 1", n)
		}
	})
}

// A shop that was away for three days, after which the provider delivers no more, gives what was paid for, once, when it is back.
func TestW20_AwayForThreeDays(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{}, func(t *testing.T, s *site) {
		s.bank.Deliveries().Set(sandbox.Behaviour{Drop: true})
		p := s.order(t, 2)
		s.stop()
		if err := p.pay(t.Context(), sandbox.CardSucceeds); err != nil {
			t.Fatal(err)
		}
		s.clock.Forward(72*time.Hour + time.Minute)
		s.config.Seams.SweepEvery = time.Second
		s.start(t)
		s.bought(t, p)
	})
}

// A delivery signed with another secret is refused each time it is tried, stores nothing and gives nothing; the same event rightly
// signed is applied.
func TestW01_WrongSignatureStoresNothing(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{}, func(t *testing.T, s *site) {
		s.bank.unlisted.Store(true) // or the sweeper would find the event by itself
		s.bank.Deliveries().Set(sandbox.Behaviour{BadSignature: true})
		p := s.pays(t, 1, sandbox.CardSucceeds)
		event := s.bank.events(t, completed)[0]
		eventually(t, "three attempts", time.Minute, func() bool {
			d := s.bank.deliveries(t, event)
			return len(d) == 1 && d[0].Attempts >= 3
		})
		if d := s.bank.deliveries(t, event)[0]; d.Status != http.StatusBadRequest {
			t.Errorf("the delivery was answered %d, want 400", d.Status)
		}
		if n := s.inbox(t, `1 = 1`); n != 0 {
			t.Errorf("%d events were stored", n)
		}
		if got := accountOf(t, s.rows, p.id); got != (account{}) {
			t.Errorf("a forged delivery led to %+v", got)
		}
		s.bank.Deliveries().Clear()
		if err := s.bank.Deliveries().Resend(t.Context(), event); err != nil {
			t.Fatal(err)
		}
		s.bought(t, p)
	})
}

// The recorded bytes of a delivery sent once more change nothing: accepted within five minutes as the duplicate it is, refused after.
func TestW02_ReplayedDelivery(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{}, func(t *testing.T, s *site) {
		p := s.pays(t, 2, sandbox.CardSucceeds)
		s.bought(t, p)
		s.bank.settled(t, 1)
		event := s.bank.events(t, completed)[0]
		for _, step := range []struct {
			later time.Duration
			want  int
		}{{0, http.StatusOK}, {290 * time.Second, http.StatusOK}, {20 * time.Second, http.StatusBadRequest}} {
			s.clock.Forward(step.later)
			status, err := s.bank.Deliveries().Replay(t.Context(), event)
			if err != nil || status != step.want {
				t.Errorf("replay after %v more: %d (%v), want %d", step.later, status, err, step.want)
			}
		}
		s.exactly(t, p, granted(2))
		oneMail(t, s.rows, p)
	})
}

// A delivery that comes after the buyer's own look has given everything adds nothing.
func TestDelivery_BehindTheBuyersLook(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{events: []string{completed}}, func(t *testing.T, s *site) {
		s.bank.Deliveries().Set(sandbox.Behaviour{DelaySeconds: 600})
		p := s.pays(t, 2, sandbox.CardSucceeds)
		eventually(t, "the buyer sees the licenses", time.Minute, func() bool {
			c, err := p.look(t.Context())
			return err == nil && c.State == "fulfilled" && len(c.Grants) == 4
		})
		s.bought(t, p)
		s.clock.Forward(11 * time.Minute)
		s.bank.settled(t, 1)
		eventually(t, "the event is done", 2*time.Minute, func() bool { return s.inbox(t, `type = $1 AND state = 'done'`, completed) == 1 })
		s.exactly(t, p, granted(2))
		oneMail(t, s.rows, p)
	})
}

// A service that dies, or whose connection breaks, between storing an event and answering gets it again: that changes nothing.
func TestW19_LostAnswerIsRedelivered(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{events: []string{completed}}, func(t *testing.T, s *site) {
		var mu sync.Mutex
		lost := 0
		s.balancer.loses(func(r *http.Response) bool {
			mu.Lock()
			defer mu.Unlock()
			if r.Request.URL.Path != "/v1/webhooks/stripe" || lost == 3 {
				return false
			}
			lost++
			return true
		})
		p := s.pays(t, 2, sandbox.CardSucceeds)
		s.bank.settled(t, 1)
		if d := s.bank.deliveries(t, "")[0]; d.Attempts != 4 || d.Status != http.StatusOK {
			t.Errorf("delivered after %d attempts with %d; three answers were lost", d.Attempts, d.Status)
		}
		s.bought(t, p)
	})
}

// The same event at both replicas, sixty-four times at one moment, is answered 200 each time and has one effect.
func TestW08_SameEventSixtyFourTimesAtOnce(t *testing.T) {
	t.Parallel()
	eachSite(t, siteOptions{}, func(t *testing.T, s *site) {
		s.bank.unlisted.Store(true)
		s.bank.Deliveries().Set(sandbox.Behaviour{Drop: true})
		p := s.pays(t, 3, sandbox.CardSucceeds)
		body := s.bank.call(t, http.MethodGet, "/v1/events/"+s.bank.events(t, completed)[0], nil)
		statuses := make([]int, 64)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range statuses {
			wg.Go(func() {
				<-start
				a := s.replicas[i%len(s.replicas)]
				status, err := deliver(t, a.LocalURL(), body, sandbox.Sign([]byte(body), bankSecret, s.clock.Now()))
				if err != nil {
					t.Error(err)
				}
				statuses[i] = status
			})
		}
		close(start)
		wg.Wait()
		for i, status := range statuses {
			if status != http.StatusOK {
				t.Errorf("delivery %d was answered %d", i, status)
			}
		}
		s.bought(t, p)
		if n := s.inbox(t, `type = $1`, completed); n != 1 {
			t.Errorf("%d rows in the inbox, want 1", n)
		}
	})
}
