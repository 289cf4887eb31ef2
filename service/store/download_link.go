package store

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/download"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/failpoint"
)

// downloadLinks implements [download.Links].
type downloadLinks struct{ *Store }

var _ download.Links = (*downloadLinks)(nil)

// DownloadLinks returns the store of links and the uses that they spend.
func (s *Store) DownloadLinks() download.Links { return &downloadLinks{s} }

// AddLink implements [download.Links].
func (s *downloadLinks) AddLink(ctx context.Context, l download.Link) error {
	_, err := s.db.Exec(ctx, `INSERT INTO download_link (id, file_id, release_id, product_id, grant_id, owner, address, state, counted, granted, sent, requests, expires_at, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', $8, 0, 0, 0, $9, $10)`,
		l.ID, l.FileID, l.ReleaseID, l.ProductID, l.GrantID, l.Owner, l.Address, false, l.ExpiresAt, l.CreatedAt)
	failpoint.Hit("download-signed")
	return err
}

// Ticket implements [download.Links]. The license is joined by its owner, so that one that has moved to somebody else is not found.
func (s *downloadLinks) Ticket(ctx context.Context, id string) (download.Ticket, error) {
	var t download.Ticket
	var g grantRow
	var released, begun, progress *time.Time
	l := &t.Link
	fields := []any{&l.ID, &l.FileID, &l.ReleaseID, &l.ProductID, &l.GrantID, &l.Owner, &l.Address, &l.State, &l.Counted, &l.Granted, &l.Sent, &l.Requests,
		&l.ExpiresAt, &l.CreatedAt, &begun, &progress}
	fields = append(fields, fileFields(&t.File)...)
	fields = append(fields, releaseFields(&t.Release, &released)...)
	fields = append(fields, g.fields()...)
	err := s.db.QueryRow(ctx, `SELECT k.id, k.file_id, k.release_id, k.product_id, k.grant_id, k.owner, k.address, k.state, k.counted, k.granted, k.sent, k.requests,
			k.expires_at, k.created_at, k.begun_at, k.progress_at, `+fileColumns+`, `+releaseColumns+`, `+grantColumns+`
		FROM download_link k JOIN download_file f ON f.id = k.file_id JOIN download_release r ON r.id = k.release_id
		LEFT JOIN license l ON l.id = k.grant_id AND l.owner = k.owner WHERE k.id = $1`, id).Scan(fields...)
	if err != nil {
		return t, missing(err)
	}
	t.Release.ReleasedAt, l.BegunAt, l.ProgressAt = instant(released), instant(begun), instant(progress)
	t.Grant, err = g.grant()
	return t, err
}

// Begin implements [download.Links]. Rows of links are taken before the row of uses, always, so that no two wait for each other.
func (s *downloadLinks) Begin(ctx context.Context, b download.Beginning) (first bool, err error) {
	l, limited := &b.Link, b.UsesMax > 0
	var stale int64
	if limited {
		if _, err := s.db.Exec(ctx, held("download_link", `id = $5 OR `+staleOf), staleArgs(b)...); err != nil {
			return false, err
		}
		if stale, err = s.giveBack(ctx, b); err != nil {
			return false, err
		}
	}
	n, err := s.db.Exec(ctx, `UPDATE download_link SET state = 'reserved', counted = $2, granted = granted + $3, requests = requests + 1, begun_at = $4, progress_at = $4
		WHERE id = $1 AND state = 'open'`, l.ID, limited, b.Length, b.Now)
	if err != nil {
		return false, err
	}
	if n == 0 {
		n, err = s.db.Exec(ctx, `UPDATE download_link SET granted = granted + $2, requests = requests + 1, progress_at = $3
			WHERE id = $1 AND state IN ('reserved', 'confirmed') AND ($4 = 0 OR granted + $2 <= $4)`, l.ID, b.Length, b.Now, b.Budget)
		if err == nil && n == 0 {
			err = download.ErrOver
		}
		if err != nil || stale == 0 {
			return false, err
		}
		return false, s.spend(ctx, b, -stale)
	}
	if !limited {
		return true, nil
	}
	return true, s.spend(ctx, b, 1-stale)
}

// staleOf is the condition on the stale reservations of the grant and file of a link, with the arguments of staleArgs.
const staleOf = `grant_id = $1 AND owner = $2 AND file_id = $3 AND state = 'reserved' AND counted AND progress_at < $4`

func staleArgs(b download.Beginning) []any {
	return []any{b.Link.GrantID, b.Link.Owner, b.Link.FileID, b.StaleBefore, b.Link.ID}
}

// giveBack ends the stale reservations of the same grant and file, and returns how many gave their use back.
func (s *downloadLinks) giveBack(ctx context.Context, b download.Beginning) (n int64, err error) {
	rows, err := s.db.Query(ctx, `SELECT id, grant_id, owner, file_id, counted FROM download_link WHERE `+staleOf+` AND id <> $5 ORDER BY id`, staleArgs(b)...)
	stale, err := db.Collect(rows, err, scanReserved)
	for i := range stale {
		if err != nil {
			return n, err
		}
		var back bool
		if back, err = s.end(ctx, &stale[i], b.StaleBefore); back {
			n++
		}
	}
	return n, err
}

func scanReserved(row db.Row) (l download.Link, err error) {
	return l, row.Scan(&l.ID, &l.GrantID, &l.Owner, &l.FileID, &l.Counted)
}

// end ends a reservation without progress since an instant, and reports whether it gives a use back: not when it, with those of the same grant and
// file that gave theirs back before, has moved the bytes of the file [download.Retries] times, since whoever leaves out the last of them each time would
// have it as often as he likes.
func (s *downloadLinks) end(ctx context.Context, l *download.Link, since time.Time) (back bool, err error) {
	if !l.Counted {
		_, err := s.db.Exec(ctx, `UPDATE download_link SET state = 'released' WHERE id = $1 AND state = 'reserved' AND progress_at < $2`, l.ID, since)
		return false, err
	}
	n, err := s.db.Exec(ctx, `UPDATE download_link AS k SET state = 'released', counted = $3 WHERE k.id = $1 AND k.state = 'reserved' AND k.progress_at < $2 AND k.sent
		+ (SELECT CAST(COALESCE(SUM(o.sent), 0) AS bigint) FROM download_link o WHERE o.grant_id = $4 AND o.owner = $5 AND o.file_id = $6 AND o.state = 'released')
		< $7 * (SELECT f.size FROM download_file f WHERE f.id = $6)`, l.ID, since, false, l.GrantID, l.Owner, l.FileID, download.Retries)
	if err != nil || n > 0 {
		return n > 0, err
	}
	_, err = s.db.Exec(ctx, `UPDATE download_link SET state = 'confirmed' WHERE id = $1 AND state = 'reserved' AND progress_at < $2`, l.ID, since)
	return false, err
}

// spend moves the uses of a grant and file by n, unless more than the limit would be used.
func (s *downloadLinks) spend(ctx context.Context, b download.Beginning, n int64) error {
	l := &b.Link
	if _, err := s.db.Exec(ctx, `INSERT INTO download_use (grant_id, owner, file_id, used) VALUES ($1, $2, $3, 0) ON CONFLICT (file_id, grant_id, owner) DO NOTHING`,
		l.GrantID, l.Owner, l.FileID); err != nil {
		return err
	}
	done, err := s.db.Exec(ctx, `UPDATE download_use SET used = used + $4 WHERE grant_id = $1 AND owner = $2 AND file_id = $3 AND ($4 <= 0 OR used + $4 <= $5)`,
		l.GrantID, l.Owner, l.FileID, n, b.UsesMax)
	if err == nil && done == 0 {
		err = download.ErrUsedUp
	}
	return err
}

// Progress implements [download.Links].
func (s *downloadLinks) Progress(ctx context.Context, link string, at time.Time) error {
	_, err := s.db.Exec(ctx, `UPDATE download_link SET progress_at = $2 WHERE id = $1`, link, at)
	return err
}

// End implements [download.Links].
func (s *downloadLinks) End(ctx context.Context, e download.Ending) error {
	_, err := s.db.Exec(ctx, `UPDATE download_link SET granted = granted - $2, sent = sent + $3, progress_at = $4,
			state = CASE WHEN $5 AND state = 'reserved' THEN 'confirmed' ELSE state END
		WHERE id = $1`, e.Link, e.Length-e.Sent, e.Sent, e.Now, e.Last)
	return err
}

// ReleaseStale implements [download.Links].
func (s *downloadLinks) ReleaseStale(ctx context.Context, since time.Time, limit int) (int64, error) {
	rows, err := s.db.Query(ctx, `SELECT id, grant_id, owner, file_id, counted FROM download_link WHERE state = 'reserved' AND progress_at < $1 ORDER BY progress_at LIMIT $2`, since, limit)
	links, err := db.Collect(rows, err, scanReserved)
	if err != nil {
		return 0, err
	}
	type use struct {
		grant, file string
		owner       licensing.Owner
	}
	slices.SortFunc(links, func(a, b download.Link) int { return strings.Compare(a.ID, b.ID) }) // links in the order of their ids, then uses in theirs
	back := map[use]int64{}
	var order []use
	for _, l := range links {
		gave, err := s.end(ctx, &l, since)
		if err != nil {
			return 0, err
		}
		if gave {
			u := use{l.GrantID, l.FileID, l.Owner}
			if back[u] == 0 {
				order = append(order, u)
			}
			back[u]++
		}
	}
	slices.SortFunc(order, func(a, b use) int {
		return cmp.Or(strings.Compare(a.file, b.file), strings.Compare(a.grant, b.grant), cmp.Compare(a.owner, b.owner))
	})
	for _, u := range order {
		if _, err := s.db.Exec(ctx, `UPDATE download_use SET used = used - $4 WHERE grant_id = $1 AND owner = $2 AND file_id = $3`, u.grant, u.owner, u.file, back[u]); err != nil {
			return 0, err
		}
	}
	return int64(len(links)), nil
}

// PruneLinks implements [download.Links].
func (s *downloadLinks) PruneLinks(ctx context.Context, before time.Time) (int64, error) {
	return s.db.Exec(ctx, `DELETE FROM download_link WHERE `+inOrder("download_link", `expires_at < $1 AND state IN ('open', 'released')`), before)
}

// LicenseOwner implements [download.Links].
func (s *downloadLinks) LicenseOwner(ctx context.Context, id string) (owner licensing.Owner, err error) {
	err = s.db.QueryRow(ctx, `SELECT owner FROM license WHERE id = $1`, id).Scan(&owner)
	return owner, missing(err)
}
