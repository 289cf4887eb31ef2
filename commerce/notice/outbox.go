package notice

import (
	"context"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Outbox is what staff see of the rows of the outbox, and what they may do to them.
type Outbox interface {
	// ListNotices returns rows, newest first, without their data.
	ListNotices(ctx context.Context, f Filter, page licensing.Page) (licensing.List[Notice], error)
	// RetryNotice makes a failed row pending again, or touches a pending one; false when its data is erased or it was sent.
	RetryNotice(ctx context.Context, id string, at time.Time) (bool, error)
	// ForgetFailed erases the data of rows that failed before an instant.
	ForgetFailed(ctx context.Context, before time.Time) error
}

// Filter narrows a list of notices; empty members do not.
type Filter struct {
	State State
	To    string
}

// failedFor is how long a failed notice can be tried again.
const failedFor = 30 * 24 * time.Hour

// ErrOver says that a notice cannot be sent again.
var ErrOver = licensing.Fail(licensing.Conflict, "notice-over", "The mail was sent, or failed so long ago that its content is erased.")

// View is a mail of the outbox as staff see it. What it says is not shown: it may hold keys and links that set passwords.
type View struct {
	ID        string    `json:"id" doc:"Id of the notice; the mail has the same."`
	Template  string    `json:"template" doc:"What kind of mail it is." example:"purchase"`
	About     string    `json:"about" doc:"Id of the object it is about."`
	To        string    `json:"to" doc:"Who gets it."`
	State     State     `json:"state" doc:"Where it is; failed is for good unless it is retried." enum:"pending,sent,failed"`
	Attempts  int64     `json:"attempts" doc:"How often it was handed over."`
	Error     string    `json:"error,omitempty" doc:"Why it was not taken the last time."`
	CreatedAt time.Time `json:"created_at" doc:"When it was queued."`
	UpdatedAt time.Time `json:"updated_at" doc:"When it was last tried or changed."`
}

func (n *Notice) view() View {
	return View{ID: n.ID, Template: n.Template, About: n.Subject, To: n.To, State: n.State, Attempts: n.Attempts, Error: n.LastError, CreatedAt: n.CreatedAt, UpdatedAt: n.UpdatedAt}
}

// ListRequest asks for a page of the outbox.
type ListRequest struct {
	licensing.Page
	State State  `query:"state" doc:"Only mails in this state." enum:"pending,sent,failed"`
	To    string `query:"to" doc:"Only mails to this address." example:"ada@example.com"`
}

// List returns a page of the outbox, the newest first.
func (s *Service) List(ctx context.Context, r ListRequest) (licensing.List[View], error) {
	list, err := s.Store.ListNotices(ctx, Filter{State: r.State, To: r.To}, r.Page)
	out := licensing.List[View]{Items: make([]View, 0, len(list.Items)), Next: list.Next}
	for i := range list.Items {
		out.Items = append(out.Items, list.Items[i].view())
	}
	return out, err
}

// RetryRequest names a mail of the outbox.
type RetryRequest struct {
	ID     string `path:"id" doc:"Id of the notice."`
	Reason string `json:"reason,omitempty" doc:"Why, for the audit trail."`
}

// Retry sends a failed mail again, and one that waits for its next attempt at once.
func (s *Service) Retry(ctx context.Context, r RetryRequest) (View, error) {
	n, err := s.Store.Notice(ctx, r.ID)
	if err != nil {
		return View{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		ok, err := s.Store.RetryNotice(ctx, n.ID, s.Clock.Now())
		if err != nil {
			return err
		}
		if !ok {
			return ErrOver
		}
		// A job of its own: the one there was may sleep for an hour. Whichever comes first sends, the other finds it sent.
		unique := fmt.Sprintf("%s/%d", n.ID, n.Attempts)
		if err := s.Jobs.Enqueue(ctx, licensing.Job{Kind: JobSend, Unique: unique, Args: JobArgs{ID: n.ID}}); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "notice.retry", Target: n.ID, Reason: r.Reason, Detail: map[string]any{"template": n.Template, "about": n.Subject, "state": n.State}})
	})
	if err != nil {
		return View{}, err
	}
	return s.Again(ctx, n.ID, "")
}

// Again answers the replay of an operation whose result is the notice with the given id.
func (s *Service) Again(ctx context.Context, id, _ string) (View, error) {
	n, err := s.Store.Notice(ctx, id)
	if err != nil {
		return View{}, err
	}
	return n.view(), nil
}
