package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/download"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/db"
)

// downloads implements [download.Store].
type downloads struct{ *Store }

var _ download.Store = (*downloads)(nil)

// Downloads returns the store of releases and their files.
func (s *Store) Downloads() download.Store { return &downloads{s} }

const releaseColumns = `r.id, r.product_id, r.product_slug, r.version, r.channel, r.access, r.notes, r.from_min, r.from_max, r.uses_max, r.same_address,
	r.state, r.released_at, r.manifest, r.reason, r.row_version, r.created_at, r.updated_at`

func releaseFields(r *download.Release, at **time.Time) []any {
	return []any{&r.ID, &r.ProductID, &r.ProductSlug, &r.Version, &r.Channel, &r.Access, &r.Notes, &r.FromMin, &r.FromMax, &r.UsesMax, &r.SameAddress,
		&r.State, at, &r.Manifest, &r.Reason, &r.Row, &r.CreatedAt, &r.UpdatedAt}
}

func scanRelease(row db.Row) (r download.Release, err error) {
	var at *time.Time
	err = row.Scan(releaseFields(&r, &at)...)
	r.ReleasedAt = instant(at)
	return r, missing(err)
}

// scanNamedRelease scans releaseColumns and behind them the product's name.
func scanNamedRelease(row db.Row) (r download.Release, err error) {
	var at *time.Time
	err = row.Scan(append(releaseFields(&r, &at), &r.ProductName)...)
	r.ReleasedAt = instant(at)
	return r, missing(err)
}

const fileColumns = `f.id, f.release_id, f.name, f.platform, f.size, f.sha256, f.blob, f.created_at`

func fileFields(f *download.File) []any {
	return []any{&f.ID, &f.ReleaseID, &f.Name, &f.Platform, &f.Size, &f.SHA256, &f.Blob, &f.CreatedAt}
}

func scanFile(row db.Row) (f download.File, err error) {
	return f, missing(row.Scan(fileFields(&f)...))
}

// AddRelease implements [download.Store].
func (s *downloads) AddRelease(ctx context.Context, r download.Release) error {
	_, err := s.db.Exec(ctx, `INSERT INTO download_release (id, product_id, product_slug, version, channel, access, notes, from_min, from_max, uses_max,
			same_address, state, released_at, manifest, reason, row_version, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
		r.ID, r.ProductID, r.ProductSlug, r.Version, r.Channel, r.Access, r.Notes, r.FromMin, r.FromMax, r.UsesMax,
		r.SameAddress, r.State, nullable(r.ReleasedAt), r.Manifest, r.Reason, r.Row, r.CreatedAt, r.UpdatedAt)
	if errors.Is(err, db.ErrUnique) {
		return download.ErrTaken.Because(err)
	}
	return err
}

// SaveRelease implements [download.Store].
func (s *downloads) SaveRelease(ctx context.Context, r download.Release) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE download_release SET state = $3, released_at = $4, manifest = $5, reason = $6, updated_at = $7, row_version = $2
		WHERE id = $1 AND row_version = $8`, r.ID, r.Row, r.State, nullable(r.ReleasedAt), r.Manifest, r.Reason, r.UpdatedAt, r.Row-1)
	return n > 0, err
}

// Release implements [download.Store].
func (s *downloads) Release(ctx context.Context, id string) (download.Release, error) {
	r, err := scanRelease(s.db.QueryRow(ctx, `SELECT `+releaseColumns+` FROM download_release r WHERE r.id = $1`, id))
	if err != nil {
		return r, err
	}
	list := []download.Release{r}
	err = s.withFiles(ctx, list)
	return list[0], err
}

// withFiles loads the files of releases.
func (s *downloads) withFiles(ctx context.Context, list []download.Release) error {
	if len(list) == 0 {
		return nil
	}
	at, args := map[string]int{}, make([]any, len(list))
	for i := range list {
		at[list[i].ID], args[i] = i, list[i].ID
	}
	rows, err := s.db.Query(ctx, `SELECT `+fileColumns+` FROM download_file f WHERE f.release_id IN (`+marks(1, len(args))+`) ORDER BY f.release_id, f.name`, args...)
	files, err := db.Collect(rows, err, scanFile)
	for _, f := range files {
		r := &list[at[f.ReleaseID]]
		r.Files = append(r.Files, f)
	}
	return err
}

// marks is "$first, …" for n arguments.
func marks(first, n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("$%d", first+i)
	}
	return strings.Join(out, ", ")
}

// ListReleases implements [download.Store].
func (s *downloads) ListReleases(ctx context.Context, product string, page licensing.Page) (licensing.List[download.Release], error) {
	limit := pageSize(page)
	sql, args := new(narrowing).by("r.product_id =", product).by("r.id <", page.Cursor).statement(`SELECT `+releaseColumns+` FROM download_release r`, "r.id DESC", limit+1)
	rows, err := s.db.Query(ctx, sql, args...)
	return s.page(ctx, rows, err, limit, scanRelease)
}

// PublishedReleases implements [download.Store].
func (s *downloads) PublishedReleases(ctx context.Context, after string, limit int) ([]download.Release, error) {
	rows, err := s.db.Query(ctx, `SELECT `+releaseColumns+` FROM download_release r WHERE r.id > $1 AND r.state = 'published' ORDER BY r.id LIMIT $2`, after, limit)
	items, err := db.Collect(rows, err, scanRelease)
	if err != nil {
		return nil, err
	}
	return items, s.withFiles(ctx, items)
}

func (s *downloads) page(ctx context.Context, rows db.Rows, err error, limit int, scan func(db.Row) (download.Release, error)) (licensing.List[download.Release], error) {
	items, err := db.Collect(rows, err, scan)
	if err != nil {
		return licensing.List[download.Release]{}, err
	}
	out := cut(items, limit, func(r download.Release) string { return r.ID })
	return out, s.withFiles(ctx, out.Items)
}

// lockDraft takes the row of a draft, so that it cannot be published meanwhile, and reports whether it is one.
func (s *downloads) lockDraft(ctx context.Context, release string) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE download_release SET row_version = row_version + 1, updated_at = $2 WHERE id = $1 AND state = 'draft'`, release, s.clock.Now())
	return n > 0, err
}

// PutFile implements [download.Store]. It counts as a change of the release, so that a publication under way is refused.
func (s *downloads) PutFile(ctx context.Context, f download.File, blocks []byte) (replaced string, ok bool, err error) {
	if ok, err = s.lockDraft(ctx, f.ReleaseID); err != nil || !ok {
		return "", ok, err
	}
	old, err := scanFile(s.db.QueryRow(ctx, `SELECT `+fileColumns+` FROM download_file f WHERE f.release_id = $1 AND f.name = $2`, f.ReleaseID, f.Name))
	if err == nil {
		err = s.remove(ctx, old.ID)
	} else if errors.Is(err, licensing.ErrNotFound) {
		err = nil
	}
	if err != nil {
		return "", false, err
	}
	_, err = s.db.Batch(ctx, []db.Statement{
		{SQL: `INSERT INTO download_file (id, release_id, name, platform, size, sha256, blob, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			Args: []any{f.ID, f.ReleaseID, f.Name, f.Platform, f.Size, f.SHA256, f.Blob, f.CreatedAt}},
		{SQL: `INSERT INTO download_block (file_id, digests) VALUES ($1, $2)`, Args: []any{f.ID, blocks}},
	})
	return old.Blob, err == nil, err
}

func (s *downloads) remove(ctx context.Context, file string) error {
	_, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `DELETE FROM download_block WHERE file_id = $1`, Args: []any{file}},
		{SQL: `DELETE FROM download_file WHERE id = $1`, Args: []any{file}},
	})
	return err
}

// File implements [download.Store].
func (s *downloads) File(ctx context.Context, id string) (download.File, error) {
	return scanFile(s.db.QueryRow(ctx, `SELECT `+fileColumns+` FROM download_file f WHERE f.id = $1`, id))
}

// DropFile implements [download.Store].
func (s *downloads) DropFile(ctx context.Context, id string) (bool, error) {
	f, err := s.File(ctx, id)
	if err != nil {
		return false, err
	}
	if ok, err := s.lockDraft(ctx, f.ReleaseID); err != nil || !ok {
		return ok, err
	}
	return true, s.remove(ctx, id)
}

// Blocks implements [download.Store].
func (s *downloads) Blocks(ctx context.Context, file string) (digests []byte, err error) {
	err = s.db.QueryRow(ctx, `SELECT digests FROM download_block WHERE file_id = $1`, file).Scan(&digests)
	return digests, missing(err)
}

// maxGrants is how many licenses of one owner are looked at for one page.
const maxGrants = 1000

// Offers implements [download.Store]. The owner's licenses come first: they say which products to look at.
func (s *downloads) Offers(ctx context.Context, f download.OfferFilter, page licensing.Page) (licensing.List[download.Release], []download.Grant, error) {
	mine := new(narrowing).by("l.owner =", string(f.Owner)).by("l.state =", string(license.Active)).by("l.id =", f.License).by("l.product_slug =", f.Product)
	sql, args := mine.statement(`SELECT `+grantColumns+` FROM license l`, "l.id DESC", maxGrants)
	rows, err := s.db.Query(ctx, sql, args...)
	grants, err := db.Collect(rows, err, func(row db.Row) (download.Grant, error) {
		var g grantRow
		if err := row.Scan(g.fields()...); err != nil {
			return download.Grant{}, err
		}
		grant, err := g.grant()
		return *grant, err
	})
	if err != nil {
		return licensing.List[download.Release]{}, nil, err
	}
	limit := pageSize(page)
	n := new(narrowing).by("r.state =", string(download.Published)).by("r.product_slug =", f.Product).by("r.channel =", f.Channel).by("r.id <", page.Cursor).
		byWrapped("r.id = (SELECT release_id FROM download_file WHERE id =", f.File, ")")
	n.conditions = append(n.conditions, n.reached(grants))
	sql, args = n.statement(`SELECT `+releaseColumns+`, COALESCE(p.name, '') FROM download_release r LEFT JOIN product p ON p.id = r.product_id`, "r.id DESC", limit+1)
	rows, err = s.db.Query(ctx, sql, args...)
	out, err := s.page(ctx, rows, err, limit, scanNamedRelease)
	return out, grants, err
}

// updatesFrom is how many of the latest releases an update is sought among.
const updatesFrom = 100

// Published implements [download.Store].
func (s *downloads) Published(ctx context.Context, product, channel string) ([]download.Release, error) {
	rows, err := s.db.Query(ctx, `SELECT `+releaseColumns+` FROM download_release r WHERE r.product_slug = $1 AND r.channel = $2 AND r.state = 'published'
		ORDER BY r.released_at DESC LIMIT $3`, product, channel, updatesFrom)
	return db.Collect(rows, err, scanRelease)
}

// reached is the condition on releases that are free or of a product of the grants.
func (n *narrowing) reached(grants []download.Grant) string {
	first, seen := len(n.args)+1, map[string]bool{}
	for i := range grants {
		if id := grants[i].ProductID; !seen[id] {
			seen[id] = true
			n.args = append(n.args, id)
		}
	}
	if len(seen) == 0 {
		return "r.access = 'free'"
	}
	return "(r.access = 'free' OR r.product_id IN (" + marks(first, len(seen)) + "))"
}

const grantColumns = `l.id, l.product_id, l.state, l.terms, l.valid_until, l.updates_until`

// grantRow is the part of a license that decides about downloads; all NULL in an outer join that found none.
type grantRow struct {
	id, product, state, terms *string
	valid, updates            *time.Time
}

func (g *grantRow) fields() []any {
	return []any{&g.id, &g.product, &g.state, &g.terms, &g.valid, &g.updates}
}

func (g *grantRow) grant() (*download.Grant, error) {
	if g.id == nil {
		return nil, nil //nolint:nilnil // no license is an answer
	}
	var terms license.Terms
	if err := json.Unmarshal([]byte(*g.terms), &terms); err != nil {
		return &download.Grant{}, fmt.Errorf("license %s: terms: %w", *g.id, err)
	}
	return &download.Grant{License: *g.id, ProductID: *g.product, Active: license.State(*g.state) == license.Active, Expired: terms.Expired,
		ExpiryGrace: time.Duration(terms.ExpiryGrace) * time.Second, MaxVersion: terms.MaxVersion, ValidUntil: instant(g.valid), UpdatesUntil: instant(g.updates)}, nil
}
