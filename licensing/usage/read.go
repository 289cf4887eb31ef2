package usage

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
)

// OfLicenseRequest asks for what was counted for a license.
type OfLicenseRequest struct {
	licensing.Page
	License string `path:"id" doc:"The license."`
}

// Total is what was counted of a meter within a calendar month.
type Total struct {
	Meter   string    `json:"meter" doc:"Code of the meter."`
	Subject string    `json:"subject,omitempty" doc:"What the usage is told apart by, if it is."`
	Group   string    `json:"group,omitempty" doc:"A second thing it is told apart by, if it is."`
	Month   time.Time `json:"month" doc:"Beginning of the calendar month in UTC."`
	Events  int64     `json:"events" doc:"How many events happened."`
	Sum     int64     `json:"sum" doc:"The sum of their numbers."`
	Max     int64     `json:"max" doc:"The highest of their numbers."`
	Late    int64     `json:"late" doc:"How many of the events came in more than a day after they happened."`
}

// OfLicense returns what was counted for a license that the caller may see, by calendar month in UTC, newest first.
func (s *Service) OfLicense(ctx context.Context, r OfLicenseRequest) (licensing.List[Total], error) {
	reach, err := license.ReachOf(licensing.ActorFrom(ctx))
	if err != nil {
		return licensing.List[Total]{}, err
	}
	page, err := s.Reads.Months(ctx, reach, r.License, r.Page)
	if err != nil {
		return licensing.List[Total]{}, err
	}
	out := licensing.List[Total]{Items: make([]Total, len(page.Items)), Next: page.Next}
	for i, m := range page.Items {
		out.Items[i] = Total{Meter: m.Meter, Subject: m.Subject, Group: m.Group, Month: m.Starts, Events: m.Events, Sum: m.Total, Max: m.Max, Late: m.Late}
	}
	return out, nil
}
