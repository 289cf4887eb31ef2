package support

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mintreu/mintreu/licensing"
)

// Canned is an answer that is written once and used often. Its text may hold {name}, {number}, {subject}, {order}, {license} and {agent}.
type Canned struct {
	ID        string // "can_…"
	Name      string
	Body      string
	Row       int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Library keeps canned replies and the articles of the FAQ. Writes run in the caller's transaction; names and slugs that are taken are
// [ErrName], rows that are not as they were seen are [ErrStale].
type Library interface {
	AddCanned(ctx context.Context, c Canned) error
	SaveCanned(ctx context.Context, c Canned) error
	DropCanned(ctx context.Context, id string) (bool, error)
	Canned(ctx context.Context, id string) (Canned, error)
	ListCanned(ctx context.Context, page licensing.Page) (licensing.List[Canned], error)
	AddArticle(ctx context.Context, a Article) error
	SaveArticle(ctx context.Context, a Article) error
	DropArticle(ctx context.Context, id string) (bool, error)
	// Article loads by id, ArticleBySlug a published one. Articles lists without their bodies, by rank, category, position and title; a page
	// begins after the article that its cursor names.
	Article(ctx context.Context, id string) (Article, error)
	ArticleBySlug(ctx context.Context, slug string) (Article, error)
	Articles(ctx context.Context, f ArticleFilter, page licensing.Page) (licensing.List[Article], error)
}

// CannedView is a canned reply.
type CannedView struct {
	ID        string    `json:"id" doc:"The canned reply."`
	Name      string    `json:"name" doc:"What staff choose it by."`
	Body      string    `json:"body" doc:"The text, plain, with its placeholders."`
	Version   int64     `json:"version" doc:"Counts changes; a change names it."`
	UpdatedAt time.Time `json:"updated_at" doc:"When it last changed."`
}

func (c *Canned) view() CannedView {
	return CannedView{ID: c.ID, Name: c.Name, Body: c.Body, Version: c.Row, UpdatedAt: c.UpdatedAt}
}

var errCanned = licensing.Fail(licensing.Invalid, "canned-invalid", "The canned reply cannot be kept so; see the fields.")

func checkCanned(name, body string) error {
	err := checkBody(errCanned, body)
	if line(name) == "" || utf8.RuneCountInString(name) > maxName || broken(name) {
		err = err.With("/name", "must be one line of 1 to %d characters", maxName)
	}
	return failing(err)
}

// CannedRequest is a new canned reply.
type CannedRequest struct {
	Name string `json:"name" doc:"What staff choose it by, at most 100 characters." example:"Where to find the key"`
	Body string `json:"body" doc:"The text, plain. {name}, {number}, {subject}, {order}, {license} and {agent} are filled in on use; other braces stay."`
}

// Validate implements the check of requests.
func (r CannedRequest) Validate() error { return checkCanned(r.Name, r.Body) }

// CreateCanned keeps a canned reply.
func (s *Service) CreateCanned(ctx context.Context, r CannedRequest) (CannedView, error) {
	now := s.Clock.Now()
	c := Canned{ID: s.IDs.New("can"), Name: line(r.Name), Body: clean(r.Body), Row: 1, CreatedAt: now, UpdatedAt: now}
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Library.AddCanned(ctx, c); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "canned.create", Target: c.ID, Detail: map[string]any{"name": c.Name}})
	})
	return c.view(), err
}

// CannedAgain answers a replay of CreateCanned.
func (s *Service) CannedAgain(ctx context.Context, id, _ string) (CannedView, error) {
	c, err := s.Library.Canned(ctx, id)
	return c.view(), err
}

// ChangeCannedRequest changes a canned reply.
type ChangeCannedRequest struct {
	ID      string `path:"id" doc:"The canned reply."`
	Version int64  `json:"version" doc:"Its version that was looked at."`
	Name    string `json:"name" doc:"What staff choose it by, at most 100 characters."`
	Body    string `json:"body" doc:"The text, plain."`
}

// Validate implements the check of requests.
func (r ChangeCannedRequest) Validate() error { return checkCanned(r.Name, r.Body) }

// ChangeCanned changes a canned reply.
func (s *Service) ChangeCanned(ctx context.Context, r ChangeCannedRequest) (CannedView, error) {
	c, err := s.Library.Canned(ctx, r.ID)
	if err != nil {
		return CannedView{}, err
	}
	c.Name, c.Body, c.Row, c.UpdatedAt = line(r.Name), clean(r.Body), r.Version+1, s.Clock.Now()
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Library.SaveCanned(ctx, c); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "canned.change", Target: c.ID, Detail: map[string]any{"name": c.Name}})
	})
	return c.view(), err
}

// DropRequest names a canned reply or an article.
type DropRequest struct {
	ID string `path:"id" doc:"What is to be removed."`
}

// Dropped is the answer to a removal.
type Dropped struct{}

// DropCanned removes a canned reply.
func (s *Service) DropCanned(ctx context.Context, r DropRequest) (Dropped, error) {
	return Dropped{}, s.drop(ctx, r.ID, "canned.drop", s.Library.DropCanned)
}

func (s *Service) drop(ctx context.Context, id, action string, remove func(context.Context, string) (bool, error)) error {
	return s.Tx.InTx(ctx, func(ctx context.Context) error {
		ok, err := remove(ctx, id)
		if err != nil {
			return err
		}
		if !ok {
			return licensing.ErrNotFound
		}
		return s.Audit.Record(ctx, licensing.Event{Action: action, Target: id})
	})
}

// CannedListRequest names a page.
type CannedListRequest struct {
	licensing.Page
	Ticket string `query:"ticket" doc:"A ticket to fill the placeholders of every text in for; without one the texts are as they were written."`
}

// ListCanned returns the canned replies, the newest first.
func (s *Service) ListCanned(ctx context.Context, r CannedListRequest) (licensing.List[CannedView], error) {
	var page licensing.List[Canned]
	var err error
	if r.Ticket == "" {
		page, err = s.Library.ListCanned(ctx, r.Page)
	} else {
		page, err = s.filled(ctx, r)
	}
	out := licensing.List[CannedView]{Items: make([]CannedView, len(page.Items)), Next: page.Next}
	for i := range page.Items {
		out.Items[i] = page.Items[i].view()
	}
	return out, err
}

// filled is a page of canned replies with their placeholders filled in.
func (s *Service) filled(ctx context.Context, r CannedListRequest) (licensing.List[Canned], error) {
	person := ""
	if a := licensing.ActorFrom(ctx); a.Kind == licensing.Staff {
		person = a.ID
	}
	page, t, name, err := s.Threads.CannedFor(ctx, r.Page, r.Ticket, person)
	if err != nil {
		return page, err
	}
	fill := filler(&t, name)
	for i := range page.Items {
		page.Items[i].Body = fill.Replace(page.Items[i].Body)
	}
	return page, nil
}

// filler puts what the placeholders stand for in their places.
func filler(t *Ticket, agent string) *strings.Replacer {
	name := t.Name
	if name == "" {
		name, _, _ = strings.Cut(t.Email, "@")
	}
	return strings.NewReplacer("{name}", name, "{number}", t.Number, "{subject}", t.Subject, "{order}", t.OrderID, "{license}", t.LicenseID, "{agent}", agent)
}

// FillRequest fills a canned reply in for a ticket.
type FillRequest struct {
	ID     string `path:"id" doc:"The canned reply."`
	Ticket string `query:"ticket,required" doc:"The ticket to fill it in for."`
}

// Filled is a text that is ready to be looked at and sent.
type Filled struct {
	Text string `json:"text" doc:"The text, plain, with the placeholders filled in."`
}

// Fill fills the placeholders of a canned reply in. What they stand for is taken as it is: a name that looks like a placeholder stays a name.
func (s *Service) Fill(ctx context.Context, r FillRequest) (Filled, error) {
	c, err := s.Library.Canned(ctx, r.ID)
	if err != nil {
		return Filled{}, err
	}
	t, err := s.Store.Ticket(ctx, r.Ticket)
	if err != nil {
		return Filled{}, err
	}
	me, err := s.me(ctx)
	if err != nil {
		return Filled{}, err
	}
	return Filled{filler(&t, me.Name).Replace(c.Body)}, nil
}
