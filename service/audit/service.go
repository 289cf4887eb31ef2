package audit

import (
	"context"
	"encoding/json"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Filter narrows a list; empty members do not.
type Filter struct {
	Target, Actor, Action, Product string
	// Since and Until are the first instant and the one after the last.
	Since, Until time.Time
}

// Entry is a row with its number, nil while it waits for one.
type Entry struct {
	Row
	Num *int64
}

// Store lists the trail, the newest first.
type Store interface {
	ListAudit(ctx context.Context, f Filter, page licensing.Page) (licensing.List[Entry], error)
	LastCheckpoint(ctx context.Context) (Checkpoint, error)
	Reader
}

// ServiceDeps are what a [Service] needs. Anchor may be nil; it reads the newest checkpoint kept outside the database, "" when
// there is none.
type ServiceDeps struct {
	Store  Store
	Key    string
	Anchor func(ctx context.Context) (string, error)
}

// Service shows the trail to staff. It writes nothing.
type Service struct{ ServiceDeps }

// NewService makes a Service.
func NewService(d ServiceDeps) *Service { return &Service{d} }

// ListRequest asks for a page of the trail.
type ListRequest struct {
	licensing.Page
	Target  string    `query:"target" doc:"Only changes of this object." example:"lic_0190a1b2c3d47e5f8a9b0c1d2e3f4a5b"`
	Actor   string    `query:"actor" doc:"Only changes by this actor, as kind:id."`
	Action  string    `query:"action" doc:"Only this action." example:"license.revoke"`
	Product string    `query:"product" doc:"Only changes that concern the product with this id."`
	Since   time.Time `query:"since" doc:"Only changes at or after this instant." example:"2026-03-01T00:00:00Z"`
	Until   time.Time `query:"until" doc:"Only changes before this instant." example:"2026-04-01T00:00:00Z"`
}

// View is one row as staff see it.
type View struct {
	ID        string          `json:"id" doc:"Id of the row."`
	Num       *int64          `json:"num" doc:"Number of the row in the log; null for the second or so before it has one."`
	At        time.Time       `json:"at" doc:"When it happened."`
	Actor     string          `json:"actor" doc:"Who did it, as kind:id."`
	Request   string          `json:"request_id" doc:"The request in which it happened."`
	Operation string          `json:"operation" doc:"The operation or job that did it."`
	Action    string          `json:"action" doc:"What was done."`
	Target    string          `json:"target" doc:"Id of the object it was done to."`
	Product   string          `json:"product_id" doc:"Id of the product it concerns, empty if none."`
	Reason    string          `json:"reason" doc:"The reason a person gave, empty otherwise."`
	Detail    json.RawMessage `json:"detail" doc:"What changed."`
}

// List returns a page of the trail, the newest row first.
func (s *Service) List(ctx context.Context, r ListRequest) (licensing.List[View], error) {
	list, err := s.Store.ListAudit(ctx, Filter{Target: r.Target, Actor: r.Actor, Action: r.Action, Product: r.Product, Since: r.Since, Until: r.Until}, r.Page)
	out := licensing.List[View]{Items: make([]View, 0, len(list.Items)), Next: list.Next}
	for _, e := range list.Items {
		out.Items = append(out.Items, View{
			ID: e.ID, Num: e.Num, At: e.At, Actor: e.Actor, Request: e.Request, Operation: e.Operation, Action: e.Action,
			Target: e.Target, Product: e.Product, Reason: e.Reason, Detail: json.RawMessage(e.Detail),
		})
	}
	return out, err
}

// CheckpointRequest asks for the newest signed head.
type CheckpointRequest struct{}

// CheckpointResponse is the newest signed head of the log.
type CheckpointResponse struct {
	Size int64     `json:"size" doc:"How many rows it covers; 0 before the first."`
	Note string    `json:"note" doc:"The signed note. Keep copies of it elsewhere: rows it covers cannot change without disagreeing with it."`
	Key  string    `json:"key" doc:"Public key of the note's signature."`
	At   time.Time `json:"at" doc:"When it was signed."`
}

// Checkpoint returns the newest signed head.
func (s *Service) Checkpoint(ctx context.Context, _ CheckpointRequest) (CheckpointResponse, error) {
	c, err := s.Store.LastCheckpoint(ctx)
	return CheckpointResponse{Size: c.Size, Note: c.Note, Key: s.Key, At: c.At}, err
}

// VerifyRequest asks to verify the whole trail.
type VerifyRequest struct {
	Anchors []string `json:"anchors,omitempty" doc:"Checkpoints that were kept elsewhere, to compare with."`
}

// VerifyResponse is what a verification found.
type VerifyResponse struct {
	OK          bool    `json:"ok" doc:"Whether everything agrees."`
	Size        int64   `json:"size" doc:"Numbered rows that were checked."`
	Waiting     int     `json:"waiting" doc:"Rows without a number that were checked."`
	Checkpoints int     `json:"checkpoints" doc:"Signed heads that were compared."`
	Root        string  `json:"root" doc:"Root of the tree over the rows."`
	Faults      []Fault `json:"faults" doc:"What does not agree, the first hundred."`
}

// maxAnchors bounds a request.
const maxAnchors = 100

// Validate implements the operation layer's check.
func (r VerifyRequest) Validate() error {
	if len(r.Anchors) > maxAnchors {
		return licensing.Fail(licensing.Invalid, "invalid-request", "There are too many anchors.").With("anchors", "must be %d or fewer", maxAnchors)
	}
	return nil
}

// Verify checks the whole trail against its hashes, its signed heads, the copy kept in the blob store and the given anchors.
func (s *Service) Verify(ctx context.Context, r VerifyRequest) (VerifyResponse, error) {
	anchors := r.Anchors
	if s.Anchor != nil {
		kept, err := s.Anchor(ctx)
		if err != nil {
			return VerifyResponse{}, err
		}
		if kept != "" {
			anchors = append([]string{kept}, anchors...)
		}
	}
	report, err := Verify(ctx, s.Store, s.Key, anchors...)
	return VerifyResponse{
		OK: len(report.Faults) == 0, Size: report.Size, Waiting: report.Waiting, Checkpoints: report.Checkpoints, Root: report.Root,
		Faults: append([]Fault{}, report.Faults...),
	}, err
}
