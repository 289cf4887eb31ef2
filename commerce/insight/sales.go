package insight

import (
	"cmp"
	"slices"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/licensing"
)

// Series is what was sold in one environment and currency, a day at a time.
type Series struct {
	Env      licensing.Env `json:"environment" doc:"Payments in test mode make test orders." enum:"live,test"`
	Currency string        `json:"currency" doc:"Currency, ISO 4217."`
	Total    money.Amount  `json:"total" doc:"Sum of the days."`
	Refunded money.Amount  `json:"refunded" doc:"What of it went back until now."`
	Orders   int64         `json:"orders" doc:"Orders paid on those days."`
	Days     []Day         `json:"days" doc:"Thirty days in UTC, the oldest first, today last; days without a sale too."`
}

// Day is what was sold on one day.
type Day struct {
	Day    string       `json:"day" doc:"The day, UTC." example:"2026-03-01"`
	Orders int64        `json:"orders" doc:"Orders paid."`
	Amount money.Amount `json:"amount" doc:"What was paid for them."`
}

const dayFormat = "2006-01-02"

// firstDay is when the oldest day of the series begins.
func firstDay(now time.Time) time.Time {
	return now.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1-Days)
}

// series sorts sales into days and fills the days between.
func series(sales []Sale, now time.Time) []Series {
	out := []Series{}
	first := firstDay(now)
	for _, sale := range sales {
		at, err := time.Parse(dayFormat, sale.Day)
		n := int(at.Sub(first).Hours() / 24)
		if err != nil || n < 0 || n >= Days {
			continue // paid while the clock of another replica was ahead
		}
		currency := money.Currency(sale.Currency)
		i := slices.IndexFunc(out, func(s Series) bool { return s.Env == sale.Env && s.Currency == sale.Currency })
		if i < 0 {
			i = len(out)
			out = append(out, Series{Env: sale.Env, Currency: sale.Currency, Total: money.New(0, currency), Refunded: money.New(0, currency), Days: make([]Day, Days)})
			for n := range out[i].Days {
				out[i].Days[n] = Day{Day: first.AddDate(0, 0, n).Format(dayFormat), Amount: money.New(0, currency)}
			}
		}
		s := &out[i]
		s.Days[n].Orders += sale.Orders
		s.Days[n].Amount.Minor += sale.Gross
		s.Orders += sale.Orders
		s.Total.Minor += sale.Gross
		s.Refunded.Minor += sale.Refunded
	}
	slices.SortStableFunc(out, func(a, b Series) int {
		return cmp.Or(cmp.Compare(a.Env, b.Env), cmp.Compare(b.Total.Minor, a.Total.Minor), cmp.Compare(a.Currency, b.Currency))
	})
	return out
}
