package support

import (
	"context"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mintreu/mintreu/licensing"
)

// Article is one question with its answer. Body is Markdown that staff wrote.
type Article struct {
	ID        string // "faq_…"
	Slug      string
	Title     string
	Body      string
	Category  string
	Position  int64
	Published bool
	// InTitle and InBody are title and body in lower case, for the search.
	InTitle   string
	InBody    string
	Row       int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// ArticleFilter narrows articles; empty members do not. Words must all occur; articles with all of them in the title come first.
type ArticleFilter struct {
	Published bool // only those
	Category  string
	Words     []string
}

// ArticleView is an article as everybody reads it.
type ArticleView struct {
	Slug      string    `json:"slug" doc:"What its address ends in." example:"find-my-license-key"`
	Title     string    `json:"title" doc:"The question."`
	Category  string    `json:"category,omitempty" doc:"Heading it stands under."`
	Body      string    `json:"body,omitempty" doc:"The answer, in Markdown; absent in lists."`
	UpdatedAt time.Time `json:"updated_at" doc:"When it last changed."`
}

// StaffArticle is an article as staff see it.
type StaffArticle struct {
	ID string `json:"id" doc:"The article."`
	ArticleView
	Position  int64     `json:"position" doc:"Where it stands in its category; the lowest first."`
	Published bool      `json:"published" doc:"Whether everybody can read it."`
	Version   int64     `json:"version" doc:"Counts changes; a change names it."`
	CreatedAt time.Time `json:"created_at" doc:"When it was made."`
}

func (a *Article) view() ArticleView {
	return ArticleView{Slug: a.Slug, Title: a.Title, Category: a.Category, Body: a.Body, UpdatedAt: a.UpdatedAt}
}

func (a *Article) staff() StaffArticle {
	return StaffArticle{ID: a.ID, ArticleView: a.view(), Position: a.Position, Published: a.Published, Version: a.Row, CreatedAt: a.CreatedAt}
}

// FAQRequest searches the FAQ.
type FAQRequest struct {
	licensing.Page
	Q        string `query:"q" doc:"Only articles with all of these words, in whatever case; those with all of them in the title come first. The first eight words count. White space alone is no search."`
	Category string `query:"category" doc:"Only articles under this heading."`
}

// FAQ lists the published articles, without their bodies.
func (s *Service) FAQ(ctx context.Context, r FAQRequest) (licensing.List[ArticleView], error) {
	page, err := s.articles(ctx, ArticleFilter{Published: true, Category: r.Category}, r.Q, r.Page)
	out := licensing.List[ArticleView]{Items: make([]ArticleView, len(page.Items)), Next: page.Next}
	for i := range page.Items {
		out.Items[i] = page.Items[i].view()
	}
	return out, err
}

func (s *Service) articles(ctx context.Context, f ArticleFilter, q string, page licensing.Page) (licensing.List[Article], error) {
	f.Words = words(q)
	return s.Library.Articles(ctx, f, page)
}

// SlugRequest names a published article.
type SlugRequest struct {
	Slug string `path:"slug" doc:"The article." example:"find-my-license-key"`
}

// ReadFAQ returns one published article.
func (s *Service) ReadFAQ(ctx context.Context, r SlugRequest) (ArticleView, error) {
	a, err := s.Library.ArticleBySlug(ctx, r.Slug)
	return a.view(), err
}

// ArticleListRequest narrows what staff see.
type ArticleListRequest struct {
	licensing.Page
	Q        string `query:"q" doc:"Only articles with all of these words, in whatever case. The first eight words count. White space alone is no search."`
	Category string `query:"category" doc:"Only articles under this heading."`
}

// ListArticles lists all articles for staff, without their bodies.
func (s *Service) ListArticles(ctx context.Context, r ArticleListRequest) (licensing.List[StaffArticle], error) {
	page, err := s.articles(ctx, ArticleFilter{Category: r.Category}, r.Q, r.Page)
	out := licensing.List[StaffArticle]{Items: make([]StaffArticle, len(page.Items)), Next: page.Next}
	for i := range page.Items {
		out.Items[i] = page.Items[i].staff()
	}
	return out, err
}

// ArticleRequest is a new article.
type ArticleRequest struct {
	Slug      string `json:"slug" doc:"What its address ends in: 1 to 80 of a-z, 0-9 and dash." example:"find-my-license-key"`
	Title     string `json:"title" doc:"The question, one line of at most 200 characters." example:"Where do I find my license key?"`
	Body      string `json:"body" doc:"The answer, in Markdown, at most 50000 characters."`
	Category  string `json:"category,omitempty" doc:"Heading it stands under, at most 60 characters."`
	Position  int64  `json:"position,omitempty" doc:"Where it stands in its category; the lowest first."`
	Published bool   `json:"published,omitempty" doc:"Whether everybody can read it at once."`
}

var (
	slugShape  = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	errArticle = licensing.Fail(licensing.Invalid, "article-invalid", "The article cannot be kept so; see the fields.")
)

const maxArticle = 50_000

// Validate implements the check of requests.
func (r ArticleRequest) Validate() error {
	err := errArticle
	that := func(ok bool, name, detail string) {
		if !ok {
			err = err.With(name, "%s", detail)
		}
	}
	that(len(r.Slug) <= 80 && slugShape.MatchString(r.Slug), "/slug", "must be 1 to 80 of a-z, 0-9 and single dashes between them")
	that(line(r.Title) != "" && utf8.RuneCountInString(r.Title) <= maxSubject && !broken(r.Title), "/title", "must be one line of 1 to 200 characters")
	that(clean(r.Body) != "" && utf8.RuneCountInString(r.Body) <= maxArticle, "/body", "must be 1 to 50000 characters")
	that(utf8.RuneCountInString(r.Category) <= 60 && !broken(r.Category), "/category", "must be one line of at most 60 characters")
	that(r.Position >= 0 && r.Position <= 1_000_000, "/position", "must be 0 to 1000000")
	return failing(err)
}

func (r *ArticleRequest) fill(a *Article) {
	a.Slug, a.Title, a.Body, a.Category, a.Position, a.Published = r.Slug, line(r.Title), clean(r.Body), line(r.Category), r.Position, r.Published
	a.InTitle, a.InBody = strings.ToLower(a.Title), strings.ToLower(a.Body)
}

// CreateArticle keeps an article.
func (s *Service) CreateArticle(ctx context.Context, r ArticleRequest) (StaffArticle, error) {
	now := s.Clock.Now()
	a := Article{ID: s.IDs.New("faq"), Row: 1, CreatedAt: now, UpdatedAt: now}
	r.fill(&a)
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Library.AddArticle(ctx, a); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "article.create", Target: a.ID, Detail: map[string]any{"slug": a.Slug, "published": a.Published}})
	})
	return a.staff(), err
}

// ArticleGetRequest names an article.
type ArticleGetRequest struct {
	ID string `path:"id" doc:"The article."`
}

// GetArticle returns an article to staff, published or not.
func (s *Service) GetArticle(ctx context.Context, r ArticleGetRequest) (StaffArticle, error) {
	a, err := s.Library.Article(ctx, r.ID)
	return a.staff(), err
}

// ArticleAgain answers a replay of CreateArticle.
func (s *Service) ArticleAgain(ctx context.Context, id, _ string) (StaffArticle, error) {
	return s.GetArticle(ctx, ArticleGetRequest{ID: id})
}

// ChangeArticleRequest changes an article. It names every member, since it is what the form holds.
type ChangeArticleRequest struct {
	ID      string `path:"id" doc:"The article."`
	Version int64  `json:"version" doc:"Its version that was looked at."`
	ArticleRequest
}

// ChangeArticle changes, publishes or hides an article.
func (s *Service) ChangeArticle(ctx context.Context, r ChangeArticleRequest) (StaffArticle, error) {
	a, err := s.Library.Article(ctx, r.ID)
	if err != nil {
		return StaffArticle{}, err
	}
	r.fill(&a)
	a.Row, a.UpdatedAt = r.Version+1, s.Clock.Now()
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Library.SaveArticle(ctx, a); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "article.change", Target: a.ID, Detail: map[string]any{"slug": a.Slug, "published": a.Published}})
	})
	return a.staff(), err
}

// DropArticle removes an article.
func (s *Service) DropArticle(ctx context.Context, r DropRequest) (Dropped, error) {
	return Dropped{}, s.drop(ctx, r.ID, "article.drop", s.Library.DropArticle)
}
