package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/transfer"
	"github.com/mintreu/mintreu/service/limit"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// crossed is the world of the crossings: one of each of what they meet at.
type crossed struct {
	t testing.TB
	e storetest.Env
	n int
}

// F24: whoever changes the same things at once waits for the other, and the other never for him. Each pair of transactions below did.
func TestF24_NobodyWaitsForOneWhoWaits(t *testing.T) {
	t.Parallel()
	w := &crossed{t: t, e: storetest.Postgres(t)} // SQLite's writers follow each other
	for _, c := range []struct {
		name string
		make func() storetest.Crossing
	}{
		{"a buyer is erased while what was told of the payment is applied", w.eraseAndSettle},
		{"a person is erased while a license changes hands", w.eraseAndTransfer},
		{"a person is erased while the session is renewed", w.eraseAndRenew},
		{"an endpoint is enabled while a delivery is sent again", w.enableAndRepeat},
		{"an endpoint is enabled while a delivery is settled", w.enableAndSettle},
		{"a mailed token is used while it is voided", w.useAndVoid},
		{"a ticket is emptied while somebody answers", w.forgetAndAnswer},
		{"tokens are signed again while licenses are revoked", w.resignAndRevoke},
		{"a renewal is taken back while the license changes hands", w.unrenewAndTransfer},
		{"the same people are added twice", w.addTwice},
		{"quotas are kept while they are purged", w.keepAndPurge},
		{"sessions end one by one and all at once", w.endAll},
	} {
		t.Run(c.name, func(t *testing.T) { storetest.Cross(t, w.e, c.make()) })
	}
}

func (w *crossed) id(kind string) string { return w.e.IDs.New(kind) }

func (w *crossed) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// inTx makes an operation of a transaction.
func (w *crossed) inTx(fn func(ctx context.Context) error) func(ctx context.Context) error {
	return func(ctx context.Context) error { return w.e.Store.InTx(licensing.AsSystem(ctx, "test"), fn) }
}

func (w *crossed) person() account.Person {
	w.n++
	p := account.Person{ID: w.id("cus"), Email: w.id("mail") + "@example.com", CreatedAt: w.e.Clock.Now()}
	_, err := w.e.Store.People().AddPerson(w.t.Context(), p)
	w.ok(err)
	return p
}

func (w *crossed) erase(p account.Person) func(ctx context.Context) error {
	return w.inTx(func(ctx context.Context) error {
		if _, err := w.e.Store.People().HoldPerson(ctx, p.ID); err != nil {
			return err
		}
		for _, part := range w.e.Store.Personal() {
			if err := part.ErasePerson(ctx, p, account.Pseudonym(p.ID), w.e.Clock.Now()); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *crossed) license(owner string) license.License {
	w.n++
	now := w.e.Clock.Now()
	l := license.License{ID: w.id("lic"), Source: license.Source{Kind: license.FromGrant, ID: w.id("grt")}, ProductID: "prd_1", ProductSlug: "one", PolicyID: "pol_1", Owner: licensing.Owner(owner),
		Env: licensing.Live, State: license.Active, Terms: license.Terms{Match: 2}, Seats: 1, SeatsMax: 1, KeyPrefix: "ONE", KeyLookup: []byte(w.id("key")), KeySealed: []byte{1}, KeyHint: "AAAA", Licensee: "Ada", Version: 1, CreatedAt: now, UpdatedAt: now}
	l.Token = license.Token{JTI: w.id("tok"), LicenseID: l.ID, List: 1, Index: int64(w.n), KID: "kid_1", Text: "text", CreatedAt: now, SignedAt: now}
	added, err := w.e.Store.Licenses().AddLicense(w.t.Context(), l)
	if err == nil && !added {
		err = errors.New("the license was not added")
	}
	w.ok(err)
	return l
}

func (w *crossed) revoke(l license.License) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		_, err := w.e.Store.Licenses().SetState(ctx, license.Turn{ID: l.ID, Revoke: true, Reason: "x", At: w.e.Clock.Now()})
		return err
	}
}

func (w *crossed) eraseAndSettle() storetest.Crossing {
	now, p, o := w.e.Clock.Now(), w.person(), paidOrder(w.t.(*testing.T), w.e)
	_, err := w.e.DB.Exec(w.t.Context(), `UPDATE orders SET owner = $2 WHERE id = $1`, o.ID, p.ID)
	w.ok(err)
	_, err = w.e.Store.Payments().AddEvent(w.t.Context(), payment.Row{Event: payment.Event{ID: "evt_1", Type: "x", Object: "cs_1", ObjectKind: "x", Order: o.ID, Created: now, Raw: []byte(`{}`)},
		Origin: "delivery", ReceivedAt: now, NextTry: now})
	w.ok(err)
	return storetest.Crossing{
		First: func(ctx context.Context) error {
			_, err := w.e.Store.Payments().Settle(ctx, "evt_1", payment.Pending, payment.Done, "", now)
			return err
		},
		Then: func(ctx context.Context) error {
			o.Version++
			_, err := w.e.Store.Orders().Save(ctx, o)
			return err
		},
		Other: w.erase(p),
	}
}

func (w *crossed) eraseAndTransfer() storetest.Crossing {
	now, p := w.e.Clock.Now(), w.person()
	l := w.license(p.ID)
	q := transfer.Request{ID: w.id("trq"), LicenseID: l.ID, From: l.Owner, AskedBy: p.ID, Email: "b@example.com", Digest: credential.Sum("x"), State: transfer.Offered, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
	w.ok(w.e.Store.InTx(licensing.AsSystem(w.t.Context(), "test"), func(ctx context.Context) error {
		_, err := w.e.Store.Transfers().AddRequest(ctx, q)
		return err
	}))
	return storetest.Crossing{
		First: func(ctx context.Context) error {
			taken, err := w.e.Store.Transfers().Take(ctx, transfer.Step{ID: q.ID, From: transfer.Offered, To: transfer.Done, Owner: "cus_2", At: now})
			if err == nil && !taken {
				err = errors.New("the step was not taken")
			}
			return err
		},
		Then: func(ctx context.Context) error {
			l.Owner = "cus_2"
			_, err := w.e.Store.Licenses().SaveLicense(ctx, l, 1)
			return err
		},
		Other: w.erase(p),
	}
}

// session adds a session of a person with a renewal of the given digest.
func (w *crossed) session(id string, p account.Person, d credential.Digest) account.Session {
	now := w.e.Clock.Now()
	v := account.Session{ID: id, PersonID: p.ID, Turn: 1, SignedInAt: now, SeenAt: now, IdleAt: now.Add(time.Hour), EndsAt: now.Add(time.Hour)}
	w.ok(w.e.Store.Sessions().AddSession(w.t.Context(), v))
	w.ok(w.e.Store.Renewals().AddRenewal(w.t.Context(), account.Renewal{SessionID: id, Turn: 1, Digest: d}))
	return v
}

func (w *crossed) eraseAndRenew() storetest.Crossing {
	p, d := w.person(), credential.Sum("renewal")
	v := w.session(w.id("ses"), p, d)
	var held account.Renewal
	return storetest.Crossing{
		First: func(ctx context.Context) (err error) {
			held, _, err = w.e.Store.Renewals().HoldRenewal(ctx, d.Head())
			return err
		},
		Then: func(ctx context.Context) error {
			held.SpentAt, v.Turn = w.e.Clock.Now(), v.Turn+1
			return w.e.Store.Renewals().Spend(ctx, held, v)
		},
		Other: w.erase(p),
	}
}

// endpoint adds an endpoint of webhooks that is disabled, with a delivery that waits.
func (w *crossed) endpoint() (webhook.Endpoint, webhook.Delivery) {
	now := w.e.Clock.Now()
	e := webhook.Endpoint{ID: w.id("whe"), URL: "https://example.com", Env: licensing.Live, Version: 1, CreatedAt: now, UpdatedAt: now}
	w.ok(w.e.Store.Webhooks().AddEndpoint(w.t.Context(), e, webhook.Secret{ID: w.id("whs"), Sealed: []byte{1}, CreatedAt: now}))
	_, err := w.e.Store.Webhooks().SetDisabled(w.t.Context(), e.ID, webhook.ByStaff, now)
	w.ok(err)
	v := webhook.Event{ID: w.id("whv"), Type: "x", Env: licensing.Live, Body: "{}", At: now}
	d := webhook.Delivery{ID: w.id("wdl"), EndpointID: e.ID, EventID: v.ID, State: webhook.Pending, NextAt: now.Add(time.Hour), CreatedAt: now, UpdatedAt: now}
	w.ok(w.e.Store.Webhooks().AddEvents(w.t.Context(), []webhook.Event{v}, []webhook.Delivery{d}))
	return e, d
}

// enable is how an endpoint is enabled, in two halves.
func (w *crossed) enable(e webhook.Endpoint, other func(ctx context.Context) error) storetest.Crossing {
	return storetest.Crossing{
		First: func(ctx context.Context) error {
			_, err := w.e.Store.Webhooks().SetDisabled(ctx, e.ID, "", w.e.Clock.Now())
			return err
		},
		Then:  func(ctx context.Context) error { return w.e.Store.Webhooks().Hasten(ctx, e.ID, w.e.Clock.Now()) },
		Other: w.inTx(other),
	}
}

func (w *crossed) enableAndRepeat() storetest.Crossing {
	e, d := w.endpoint()
	return w.enable(e, func(ctx context.Context) error { return w.e.Store.Webhooks().Again(ctx, d, w.e.Clock.Now()) })
}

func (w *crossed) enableAndSettle() storetest.Crossing {
	e, d := w.endpoint()
	_, err := w.e.Store.Webhooks().Claim(w.t.Context(), e.ID, "me", w.e.Clock.Now(), w.e.Clock.Now().Add(time.Hour))
	w.ok(err)
	e.Version++ // since it was disabled
	return w.enable(e, func(ctx context.Context) error {
		_, err := w.e.Store.Webhooks().Settle(ctx, "me", e, d, d, webhook.Attempt{DeliveryID: d.ID, At: w.e.Clock.Now(), Status: 500})
		return err
	})
}

func (w *crossed) useAndVoid() storetest.Crossing {
	now, p, d := w.e.Clock.Now(), w.person(), credential.Sum("mailed")
	w.ok(w.e.Store.Tokens().AddToken(w.t.Context(), account.Token{ID: w.id("tkn"), PersonID: p.ID, Digest: d, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}))
	hold := func(ctx context.Context) error {
		_, err := w.e.Store.People().HoldPerson(ctx, p.ID)
		return err
	}
	return storetest.Crossing{
		First: hold,
		Then:  func(ctx context.Context) error { return w.e.Store.Tokens().Void(ctx, p.ID, now) },
		Other: w.inTx(func(ctx context.Context) error {
			if _, err := w.e.Store.Tokens().UseToken(ctx, d, now); err != nil && licensing.KindOf(err) != licensing.NotFound {
				return err
			}
			return hold(ctx)
		}),
	}
}

func (w *crossed) forgetAndAnswer() storetest.Crossing {
	now, tickets := w.e.Clock.Now(), w.e.Store.Tickets()
	k := support.Ticket{ID: w.id("tkt"), Number: "ABCDEFGH", Subject: "x", Status: support.Open, Priority: support.Normal, Owner: "cus_1", Row: 1, CreatedAt: now, UpdatedAt: now}
	_, err := tickets.AddTicket(w.t.Context(), k)
	w.ok(err)
	f := support.File{ID: w.id("att"), TicketID: k.ID, Uploader: "guest", Blob: "b", CreatedAt: now}
	w.ok(tickets.ReserveFile(w.t.Context(), f))
	f.Size, f.SHA256 = 1, make([]byte, 32)
	w.ok(tickets.FinishFile(w.t.Context(), f))
	return storetest.Crossing{
		First: func(ctx context.Context) error {
			k.Row++
			_, err := tickets.SaveTicket(ctx, k)
			return err
		},
		Then: func(ctx context.Context) error {
			m := support.Message{ID: w.id("msg"), TicketID: k.ID, From: "customer", Body: "x", At: now}
			if _, err := tickets.AddMessage(ctx, m); err != nil {
				return err
			}
			_, err := tickets.TakeFile(ctx, f.ID, "guest", k.ID, m.ID)
			return err
		},
		Other: w.inTx(func(ctx context.Context) error { return tickets.Forget(ctx, k.ID, now, now) }),
	}
}

func (w *crossed) resignAndRevoke() storetest.Crossing {
	a, b := w.license("cus_1"), w.license("cus_1")
	return storetest.Crossing{First: w.revoke(a), Then: w.revoke(b), Other: w.inTx(func(ctx context.Context) error {
		_, err := w.e.Store.LicenseTokens().ResignTokens(ctx, []license.Token{b.Token, a.Token}, "kid_1")
		return err
	})}
}

func (w *crossed) unrenewAndTransfer() storetest.Crossing {
	now, l := w.e.Clock.Now(), w.license("cus_1")
	k := license.Kept{ID: w.id("ren"), License: l.ID, Source: license.Source{Kind: license.RenewedByStaff, ID: "ask_1"}}
	_, err := w.e.Store.LicenseRenewals().AddRenewal(w.t.Context(), k, now)
	w.ok(err)
	return storetest.Crossing{
		First: func(ctx context.Context) error {
			_, err := w.e.Store.Licenses().SaveLicense(ctx, l, 1)
			return err
		},
		Then: func(ctx context.Context) error {
			_, err := w.e.Store.LicenseOwners().AddTransfer(ctx, license.Transferred{ID: w.id("trf"), LicenseID: l.ID, From: "cus_1", To: "cus_2", Anew: true, At: now}, 0, now)
			return err
		},
		Other: w.inTx(func(ctx context.Context) error {
			if _, err := w.e.Store.LicenseRenewals().TurnRenewal(ctx, k.ID, true, now); err != nil {
				return err
			}
			return w.revoke(l)(ctx)
		}),
	}
}

func (w *crossed) addTwice() storetest.Crossing {
	add := func(emails ...string) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			people := make([]account.Person, len(emails))
			for i, email := range emails {
				people[i] = account.Person{ID: w.id("cus"), Email: email, CreatedAt: w.e.Clock.Now()}
			}
			return w.e.Store.Crowd().AddPeople(ctx, people)
		}
	}
	return storetest.Crossing{First: add("first@example.com"), Then: add("second@example.com"), Other: add("second@example.com", "first@example.com")}
}

func (w *crossed) keepAndPurge() storetest.Crossing {
	now := w.e.Clock.Now()
	keep := func(seq int64, counters ...string) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			spent := make([]limit.Spent, len(counters))
			for i, c := range counters {
				spent[i] = limit.Spent{Counter: c, Used: seq, Until: now}
			}
			return w.e.Store.Quotas().Keep(ctx, "p", seq, spent)
		}
	}
	w.ok(keep(1, "z")(w.t.Context())) // which is found first
	w.ok(keep(1, "a")(w.t.Context()))
	return storetest.Crossing{First: keep(2, "a"), Then: keep(2, "z"), Other: func(ctx context.Context) error {
		_, err := w.e.Store.PurgeQuotas(ctx, now.Add(time.Hour))
		return err
	}}
}

func (w *crossed) endAll() storetest.Crossing {
	p := w.person()
	first, second := w.id("ses"), w.id("ses")
	w.session(second, p, credential.Sum("second")) // and is found first
	w.session(first, p, credential.Sum("first"))
	end := func(id string) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			_, err := w.e.Store.Sessions().EndSession(ctx, id, p.ID, w.e.Clock.Now())
			return err
		}
	}
	return storetest.Crossing{First: end(first), Then: end(second), Other: w.inTx(func(ctx context.Context) error {
		return w.e.Store.Sessions().EndSessions(ctx, p.ID, "", w.e.Clock.Now())
	})}
}
