package checkout

import (
	"context"
	"regexp"

	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
)

// credit gives a change in what was refunded its credit note, in the transaction that makes the change. Nil is no change.
func (s *Service) credit(ctx context.Context, o order.Order, due *order.Credit) error {
	if due == nil {
		return nil
	}
	c := *due
	c.Receipt = o.Receipt // given in this very transaction when the refund was heard of with the payment
	number, err := s.Credits.GiveCredit(ctx, c, order.CreditSeries(o, c.At))
	if err != nil {
		return err
	}
	return s.note(ctx, o.ID, "credit_note", number)
}

// CreditNoteRequest names a credit note of an order.
type CreditNoteRequest struct {
	ID     string `path:"id" doc:"Id of the order."`
	Number string `query:"number" doc:"Number of the credit note, as the order lists it."`
	Access string `query:"access" doc:"Access code that the checkout was answered with; needed by guests."`
	Format string `query:"format" doc:"html or pdf; pdf unless said." enum:"html,pdf"`
}

// creditNumber is what numbers of credit notes look like.
var creditNumber = regexp.MustCompile(`^CT?[0-9]{4}-[0-9]{6,18}$`)

// CreditNote renders a credit note, for whoever may see the order. The same note gives the same bytes for ever.
func (s *Service) CreditNote(ctx context.Context, r CreditNoteRequest) (ReceiptFile, error) {
	o, err := s.Find(ctx, r.ID, r.Access)
	if err != nil {
		return ReceiptFile{}, err
	}
	if !creditNumber.MatchString(r.Number) {
		return ReceiptFile{}, licensing.ErrNotFound
	}
	c, err := s.Credits.Credit(ctx, o.ID, r.Number)
	if err != nil {
		return ReceiptFile{}, err
	}
	return file(order.NewCreditNote(o, c), r.Format)
}
