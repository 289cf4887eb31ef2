package kit_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// breakage fails in each way that a service can.
func breakage(ctx context.Context, how string) error {
	switch how {
	case "panic":
		panic("boom: SELECT secret FROM license")
	case "nil":
		var m *struct{ n int }
		m.n++
	case "sql":
		return fmt.Errorf("store: insert license: %w", errors.New(`ERROR: relation "license" does not exist (SQLSTATE 42P01)`))
	case "away":
		return fmt.Errorf("store: %w", db.ErrUnavailable)
	case "cancelled":
		return fmt.Errorf("store: %w", context.Canceled)
	case "deadline":
		return fmt.Errorf("store: %w", context.DeadlineExceeded)
	case "conflict":
		return fmt.Errorf("order: %w", licensing.Fail(licensing.Conflict, "price-archived", "The price is no longer sold.").Because(errors.New("price_1 archived")))
	case "gone":
		return licensing.Fail(licensing.Gone, "session-over", "The session is over.")
	case "many":
		return licensing.Fail(licensing.TooMany, "rate-limited", "Slow down.").After(1500 * time.Millisecond)
	case "internal":
		return licensing.Fail(licensing.Internal, "secret-code", "secret text")
	case "credentials":
		return licensing.Fail(licensing.Unauthorized, "bad-credentials", "The e-mail or the password is wrong.")
	}
	return nil
}
