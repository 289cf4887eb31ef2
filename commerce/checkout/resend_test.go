package checkout_test

import (
	"strings"
	"testing"

	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestU05_ResendTellsNothing guarantees that asking for the links to one's orders answers the same for an address that bought something
// and for one that never did, that only the buyer is mailed, and that the mail leads to what is paid and to nothing else.
func TestU05_ResendTellsNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShop(t, e)
		paid, open := s.order(t, 1), s.order(t, 1)
		s.bank.pay(paid.ID)
		if err := s.Fulfil(s.guest, paid.ID); err != nil {
			t.Fatal(err)
		}
		bought := must(s.Orders.Order(t.Context(), paid.ID))(t)
		known, err1 := s.Resend(s.guest, checkout.ResendRequest{Email: bought.Email})
		after := s.mail.sent("license")
		unknown, err2 := s.Resend(s.guest, checkout.ResendRequest{Email: "nobody@example.com"})
		if err1 != nil || err2 != nil || known != unknown {
			t.Errorf("%+v %v, %+v %v", known, err1, unknown, err2)
		}
		if after != 1 || s.mail.sent("license") != 1 {
			t.Errorf("%d mails after the buyer asked, %d after a stranger did", after, s.mail.sent("license"))
		}
		links := must(s.Links(t.Context(), bought.Owner))(t)
		if len(links) != 1 || !strings.Contains(links[0].Link, paid.ID+"?access=") || strings.Contains(links[0].Link, open.ID) {
			t.Errorf("%+v", links)
		}
		if _, err := s.Resend(s.guest, checkout.ResendRequest{Email: "a@b\r\nBcc: c@d.example"}); err == nil {
			t.Error("took what is no address")
		}
	})
}
