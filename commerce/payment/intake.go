package payment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// MaxBody is the largest webhook body in bytes.
const MaxBody = 1 << 20

// JobProcess is the kind of the job that calls [Service.Process]; its arguments are [ProcessArgs]. JobSweep is the kind of the
// periodic job that calls [Service.Sweep]; it has none.
const (
	JobProcess = "payment.process"
	JobSweep   = "payment.sweep"
)

// ProcessArgs are the arguments of a [JobProcess].
type ProcessArgs struct {
	Event string `json:"event"`
}

// Deps are what a [Service] needs; all but Alert and Log are required.
type Deps struct {
	Store   Store
	Gateway Gateway
	// APIVersion is the provider's version that the appliers understand; events of another are parked.
	APIVersion string
	Clock      licensing.Clock
	Tx         licensing.Transactor
	Audit      licensing.Auditor
	Jobs       licensing.Enqueuer
	// Alert tells people that something needs them: code is stable ("payment-event-parked"), text names the object.
	Alert func(ctx context.Context, code, text string)
	// Log is told why a delivery was refused, which its sender is not told. By default it discards.
	Log *slog.Logger
}

// Service is the intake of webhooks. It is safe for concurrent use once every [Applier] is registered.
type Service struct {
	Deps
	appliers map[string]Applier
}

// New returns a Service without appliers.
func New(d Deps) *Service {
	if d.Alert == nil {
		d.Alert = func(context.Context, string, string) {}
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{Deps: d, appliers: map[string]Applier{}}
}

// Handle registers who applies events of a kind of object ("checkout.session"). Call it before the first event is processed.
func (s *Service) Handle(objectKind string, a Applier) { s.appliers[objectKind] = a }

// errRefused is the one answer to every delivery that is not authentic; which check failed is in the log alone.
var errRefused = licensing.Fail(licensing.Invalid, "webhook-refused", "The delivery is not authentic.")

// Receive takes a delivery. A nil error means that it is stored durably, and nothing else; an event delivered before is
// stored already. The error is of kind Invalid for a delivery that is not authentic, TooLarge for one above [MaxBody];
// any other means that storing failed and the provider should deliver again.
func (s *Service) Receive(ctx context.Context, body []byte, signature string) error {
	if len(body) > MaxBody {
		return licensing.Fail(licensing.TooLarge, "webhook-too-large", "A delivery may have at most %d bytes.", MaxBody)
	}
	e, err := s.Gateway.Verify(body, signature, s.Clock.Now())
	if err != nil {
		s.Log.WarnContext(ctx, "payment: delivery refused", "err", err)
		if errors.Is(err, ErrForeign) {
			s.Alert(ctx, "payment-event-foreign", "A rightly signed delivery speaks of another account or mode: "+err.Error())
		}
		return errRefused.Because(err)
	}
	_, err = s.take(ctx, e, "delivery")
	return err
}

// take stores an event and nudges a worker; it reports whether the event was new.
func (s *Service) take(ctx context.Context, e Event, origin string) (bool, error) {
	now := s.Clock.Now()
	added, err := s.Store.AddEvent(ctx, Row{Event: e, Origin: origin, State: Pending, ReceivedAt: now, NextTry: now})
	if err != nil {
		return false, fmt.Errorf("payment: store event %s: %w", e.ID, err)
	}
	if added {
		s.nudge(ctx, e.ID, 0, time.Time{})
	}
	return added, nil
}

// nudge asks for the event to be processed. The row is what counts: should the job be lost, the sweeper finds the row.
func (s *Service) nudge(ctx context.Context, id string, attempt int64, at time.Time) {
	err := s.Jobs.Enqueue(ctx, licensing.Job{Kind: JobProcess, Unique: fmt.Sprintf("%s:%d", id, attempt), Args: ProcessArgs{Event: id}, At: at})
	if err != nil {
		s.Alert(ctx, "payment-nudge-lost", fmt.Sprintf("Event %s waits for the sweeper: %v", id, err))
	}
}

// Backlog tells what waits in the inbox, for metrics and alerts.
func (s *Service) Backlog(ctx context.Context) (Backlog, error) { return s.Store.Backlog(ctx) }
