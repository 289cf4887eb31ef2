package checkout

import (
	"context"

	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
)

// ReceiptRequest names the receipt of an order.
type ReceiptRequest struct {
	ID     string `path:"id" doc:"Id of the order."`
	Access string `query:"access" doc:"Access code that the checkout was answered with; needed by guests."`
	Format string `query:"format" doc:"html or pdf; pdf unless said." enum:"html,pdf"`
}

// ReceiptFile is a receipt ready to be shown or kept.
type ReceiptFile struct {
	Number    string `json:"number" doc:"Number of the receipt."`
	MediaType string `json:"media_type" doc:"What the content is." enum:"text/html; charset=utf-8,application/pdf"`
	Content   []byte `json:"content" doc:"The file, base64."`
}

// Receipt renders the receipt of a paid order, for whoever may see the order. The same order gives the same bytes for ever.
func (s *Service) Receipt(ctx context.Context, r ReceiptRequest) (ReceiptFile, error) {
	o, err := s.Find(ctx, r.ID, r.Access)
	if err != nil {
		return ReceiptFile{}, err
	}
	if o.Receipt == "" {
		return ReceiptFile{}, licensing.Fail(licensing.Conflict, "not-paid", "The order is not paid, so it has no receipt.")
	}
	return file(order.NewReceipt(o), r.Format)
}

// file renders a document.
func file(d order.Receipt, format string) (ReceiptFile, error) {
	render, kind := d.PDF, "application/pdf"
	if format == "html" {
		render, kind = d.HTML, "text/html; charset=utf-8"
	}
	content, err := render()
	return ReceiptFile{Number: d.Number, MediaType: kind, Content: content}, err
}

// RedriveRequest names an order to be looked at again.
type RedriveRequest struct {
	ID string `path:"id" doc:"Id of the order."`
}

// Redrive asks the payment provider about an order again and does what follows: a person's push for an order that hangs. A parked
// order stays parked while what was paid differs from what was ordered.
func (s *Service) Redrive(ctx context.Context, r RedriveRequest) (Checkout, error) {
	o, err := s.Orders.Order(ctx, r.ID)
	if err != nil {
		return Checkout{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.note(ctx, o.ID, "redrive", ""); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "order.redrive", Target: o.ID, Detail: map[string]any{"state": o.State}})
	})
	if err != nil {
		return Checkout{}, err
	}
	if err := s.Fulfil(asSystem(ctx, "checkout.redrive"), o.ID); err != nil {
		return Checkout{}, ErrTryAgain.Because(err)
	}
	return s.Get(ctx, GetRequest{ID: o.ID})
}

// Redriven answers the replay of a redrive.
func (s *Service) Redriven(ctx context.Context, id, _ string) (Checkout, error) {
	return s.Get(ctx, GetRequest{ID: id})
}
