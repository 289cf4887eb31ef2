package store

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// library implements [support.Library].
type library struct{ *Store }

var _ support.Library = (*library)(nil)

// SupportLibrary returns the store of canned replies and of the FAQ.
func (s *Store) SupportLibrary() support.Library { return &library{s} }

const cannedColumns = `id, name, body, row_version, created_at, updated_at`

func scanCanned(row db.Row) (c support.Canned, err error) {
	return c, missing(row.Scan(&c.ID, &c.Name, &c.Body, &c.Row, &c.CreatedAt, &c.UpdatedAt))
}

// named words a taken name.
func named(err error) error {
	if errors.Is(err, db.ErrUnique) {
		return support.ErrName.Because(err)
	}
	return err
}

// seen words the result of an update that names a version.
func seen(n int64, err error) error {
	if err == nil && n == 0 {
		return support.ErrStale
	}
	return named(err)
}

// AddCanned implements [support.Library].
func (s *library) AddCanned(ctx context.Context, c support.Canned) error {
	_, err := s.db.Exec(ctx, `INSERT INTO canned_reply (`+cannedColumns+`) VALUES ($1, $2, $3, $4, $5, $6)`, c.ID, c.Name, c.Body, c.Row, c.CreatedAt, c.UpdatedAt)
	return named(err)
}

// SaveCanned implements [support.Library].
func (s *library) SaveCanned(ctx context.Context, c support.Canned) error {
	return seen(s.db.Exec(ctx, `UPDATE canned_reply SET name = $3, body = $4, updated_at = $5, row_version = $2 WHERE id = $1 AND row_version = $6`,
		c.ID, c.Row, c.Name, c.Body, c.UpdatedAt, c.Row-1))
}

// DropCanned implements [support.Library].
func (s *library) DropCanned(ctx context.Context, id string) (bool, error) {
	n, err := s.db.Exec(ctx, `DELETE FROM canned_reply WHERE id = $1`, id)
	return n > 0, err
}

// Canned implements [support.Library].
func (s *library) Canned(ctx context.Context, id string) (support.Canned, error) {
	return scanCanned(s.db.QueryRow(ctx, `SELECT `+cannedColumns+` FROM canned_reply WHERE id = $1`, id))
}

// ListCanned implements [support.Library].
func (s *library) ListCanned(ctx context.Context, page licensing.Page) (licensing.List[support.Canned], error) {
	var items []support.Canned
	err := s.db.Ask(ctx, cannedAsked(page, &items))
	return cutCanned(page, items), err
}

// cannedAsked asks for a page of canned replies and one more.
func cannedAsked(page licensing.Page, out *[]support.Canned) db.Question {
	sql, args := new(narrowing).by("id <", page.Cursor).statement(`SELECT `+cannedColumns+` FROM canned_reply`, "id DESC", pageSize(page)+1)
	return db.Question{SQL: sql, Args: args, Each: db.Into(out, scanCanned)}
}

func cutCanned(page licensing.Page, items []support.Canned) licensing.List[support.Canned] {
	return cut(items, pageSize(page), func(c support.Canned) string { return c.ID })
}

// CannedFor implements [support.Threads].
func (s *tickets) CannedFor(ctx context.Context, page licensing.Page, ticket, person string) (list licensing.List[support.Canned], t support.Ticket, name string, err error) {
	var items []support.Canned
	var found []support.Ticket
	err = s.db.Ask(ctx, cannedAsked(page, &items), ticketAsked(ticket, &found),
		db.Question{SQL: `SELECT name FROM customer WHERE id = $1`, Args: []any{person}, Each: func(row db.Row) error { return row.Scan(&name) }})
	t, err = only(found, err)
	return cutCanned(page, items), t, name, err
}

const articleColumns = `id, slug, title, body, category, position, published, row_version, created_at, updated_at`

func scanArticle(row db.Row) (a support.Article, err error) {
	return a, missing(row.Scan(&a.ID, &a.Slug, &a.Title, &a.Body, &a.Category, &a.Position, &a.Published, &a.Row, &a.CreatedAt, &a.UpdatedAt))
}

// AddArticle implements [support.Library].
func (s *library) AddArticle(ctx context.Context, a support.Article) error {
	_, err := s.db.Exec(ctx, `INSERT INTO faq (`+articleColumns+`, in_title, in_body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		a.ID, a.Slug, a.Title, a.Body, a.Category, a.Position, a.Published, a.Row, a.CreatedAt, a.UpdatedAt, a.InTitle, a.InBody)
	return named(err)
}

// SaveArticle implements [support.Library].
func (s *library) SaveArticle(ctx context.Context, a support.Article) error {
	return seen(s.db.Exec(ctx, `UPDATE faq SET slug = $3, title = $4, body = $5, category = $6, position = $7, published = $8, in_title = $9, in_body = $10, updated_at = $11, row_version = $2
		WHERE id = $1 AND row_version = $12`, a.ID, a.Row, a.Slug, a.Title, a.Body, a.Category, a.Position, a.Published, a.InTitle, a.InBody, a.UpdatedAt, a.Row-1))
}

// DropArticle implements [support.Library].
func (s *library) DropArticle(ctx context.Context, id string) (bool, error) {
	n, err := s.db.Exec(ctx, `DELETE FROM faq WHERE id = $1`, id)
	return n > 0, err
}

// Article implements [support.Library].
func (s *library) Article(ctx context.Context, id string) (support.Article, error) {
	return scanArticle(s.db.QueryRow(ctx, `SELECT `+articleColumns+` FROM faq WHERE id = $1`, id))
}

// ArticleBySlug implements [support.Library].
func (s *library) ArticleBySlug(ctx context.Context, slug string) (support.Article, error) {
	return scanArticle(s.db.QueryRow(ctx, `SELECT `+articleColumns+` FROM faq WHERE slug = $1 AND published`, slug))
}

// maxArticles is how many articles one search looks at.
const maxArticles = 2000

// Articles implements [support.Library]. People write the articles, so there are hundreds at most: those that match are read without their
// bodies and put in order here, by bytes, which both engines would not do alike.
func (s *library) Articles(ctx context.Context, f support.ArticleFilter, page licensing.Page) (licensing.List[support.Article], error) {
	n := new(narrowing).by("category =", f.Category)
	if f.Published {
		n.conditions = append(n.conditions, "published")
	}
	n.contains("(in_title || ' ' || in_body)", f.Words)
	sql, args := n.statement(`SELECT id, slug, title, '', category, position, published, row_version, created_at, updated_at FROM faq`, "id", maxArticles)
	rows, err := s.db.Query(ctx, sql, args...)
	items, err := db.Collect(rows, err, scanArticle)
	if err != nil {
		return licensing.List[support.Article]{}, err
	}
	rank := func(a *support.Article) int { // 0 when the title has every word
		title := strings.ToLower(a.Title)
		for _, w := range f.Words {
			if !strings.Contains(title, w) {
				return 1
			}
		}
		return 0
	}
	slices.SortStableFunc(items, func(a, b support.Article) int {
		if d := rank(&a) - rank(&b); d != 0 {
			return d
		}
		if d := strings.Compare(a.Category, b.Category); d != 0 {
			return d
		}
		if a.Position != b.Position {
			return int(a.Position - b.Position)
		}
		return strings.Compare(a.ID, b.ID)
	})
	if page.Cursor != "" { // an article that is gone has nothing after it
		i := slices.IndexFunc(items, func(a support.Article) bool { return a.ID == page.Cursor })
		if i < 0 {
			i = len(items) - 1
		}
		items = items[i+1:]
	}
	return cut(items, pageSize(page), func(a support.Article) string { return a.ID }), nil
}
