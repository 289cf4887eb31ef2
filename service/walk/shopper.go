package walk

import "context"

// Shopper buys again and again from one service, for load and for measurement. It is not safe for concurrent use; make one a
// goroutine.
type Shopper struct {
	w *walker
}

// NewShopper makes sure that the walk's product is on sale and reads its price.
func NewShopper(ctx context.Context, p Params) (*Shopper, error) {
	w := newWalker(p)
	if _, err := w.setUp(ctx); err != nil {
		return nil, err
	}
	_, err := w.browse(ctx)
	return &Shopper{w}, err
}

// Buy goes from checkout over the payment page to a license and an API key in hand, as a new guest.
func (s *Shopper) Buy(ctx context.Context, email string) error {
	s.w.email = email
	for _, step := range []func(context.Context) (string, error){s.w.checkOut, s.w.payNow, s.w.fulfilled} {
		if _, err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close lets go of connections.
func (s *Shopper) Close() { s.w.http.CloseIdleConnections() }
