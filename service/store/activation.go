package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/failpoint"
)

// activations implements [activation.Store]. Every statement that takes or frees a seat first locks the license's row, so
// that seats_used is the number of held activations at every commit and no two locks are ever taken in opposite order.
type activations struct{ *Store }

var (
	_ activation.Store  = (*activations)(nil)
	_ activation.Lender = (*activations)(nil)
)

// Activations returns the store of activations.
func (s *Store) Activations() activation.Store { return &activations{s} }

// Lender returns what lends the seats of activations.
func (s *Store) Lender() activation.Lender { return &activations{s} }

// activationColumns are read by activationRow; COALESCE makes them readable from an outer join that found nothing.
const activationColumns = `COALESCE(a.id, ''), COALESCE(a.license_id, ''), COALESCE(a.subject, ''), COALESCE(a.state, ''),
	COALESCE(a.name, ''), COALESCE(a.dev, '{}'), COALESCE(a.usr, ''), COALESCE(a.seq, 0), COALESCE(a.seq_seen, 0),
	a.activated_at, a.last_seen_at, a.lease_until, a.dies_at, a.forked_at, a.released_at, COALESCE(a.released_by, ''),
	a.borrowed_until`

// activationRow is where one row of activationColumns is scanned to.
type activationRow struct {
	a                                                  activation.Activation
	dev                                                string
	activated, seen, lease, dies, forked, releasedTime *time.Time
	borrowed                                           *time.Time
}

func (r *activationRow) dest() []any {
	return []any{&r.a.ID, &r.a.LicenseID, &r.a.Subject, &r.a.State, &r.a.Name, &r.dev, &r.a.User, &r.a.Seq, &r.a.SeqSeen,
		&r.activated, &r.seen, &r.lease, &r.dies, &r.forked, &r.releasedTime, &r.a.ReleasedBy, &r.borrowed}
}

func (r *activationRow) value() (activation.Activation, error) {
	a := r.a
	a.ActivatedAt, a.LastSeenAt, a.LeaseUntil = instant(r.activated), instant(r.seen), instant(r.lease)
	a.DiesAt, a.ForkedAt, a.ReleasedAt, a.BorrowedUntil = instant(r.dies), instant(r.forked), instant(r.releasedTime), instant(r.borrowed)
	if err := json.Unmarshal([]byte(r.dev), &a.Device); err != nil {
		return a, fmt.Errorf("activation %s: device: %w", a.ID, err)
	}
	return a, nil
}

func scanActivation(row db.Row) (activation.Activation, error) {
	var r activationRow
	if err := row.Scan(r.dest()...); err != nil {
		return r.a, err
	}
	return r.value()
}

// joined scans a license's columns and, behind them, those of what it was joined with.
type joined struct {
	row   db.Row
	extra []any
}

// Scan implements [db.Row].
func (j joined) Scan(dest ...any) error { return j.row.Scan(append(dest, j.extra...)...) }

// matching selects the activations of license $1 with which as many of the parts $3 to $10 agree as its terms demand.
const matching = `(SELECT p.activation_id FROM activation_part p
	WHERE p.license_id = $1 AND p.part IN ($3, $4, $5, $6, $7, $8, $9, $10)
	GROUP BY p.activation_id HAVING count(*) >= (SELECT device_match FROM license WHERE id = $1))`

// seekArgs are $1 to $10 of [matching]: license, subject, and the parts padded with empty text.
func seekArgs(s activation.Seek) []any {
	args := make([]any, 0, 13)
	args = append(args, s.License, s.Subject)
	for i := range license.MaxParts {
		part := ""
		if i < len(s.Parts) {
			part = s.Parts[i]
		}
		args = append(args, part)
	}
	return args
}

// Find implements [activation.Store].
func (s *activations) Find(ctx context.Context, seek activation.Seek) (license.License, *activation.Activation, error) {
	var r activationRow
	row := s.db.QueryRow(ctx, `SELECT `+licenseColumns+`, `+activationColumns+fromLicense+`
		LEFT JOIN activation a ON a.license_id = l.id AND (a.subject = $2 OR a.subject = $11 OR a.id IN `+matching+`)
		WHERE l.id = $1
		ORDER BY CASE WHEN a.state = 'held' THEN 0 ELSE 1 END, a.released_at DESC, a.id DESC LIMIT 1`, append(seekArgs(seek), seek.User)...)
	l, err := scanLicense(joined{row, r.dest()})
	if err != nil || r.a.ID == "" {
		return l, nil, err
	}
	a, err := r.value()
	return l, &a, err
}

// lockProduct lets trials of one product be given in turn.
const lockProduct = `SELECT id FROM product WHERE id = $1 FOR UPDATE`

const lockLicense = `SELECT id FROM license WHERE id = $1 FOR UPDATE`

// lockSeat keeps an activation from being renewed meanwhile, which takes no lock of the license. It comes after lockLicense.
const lockSeat = `SELECT id FROM activation WHERE id = $1 FOR UPDATE`

// TakeSeat implements [activation.Store]. The statements run in one transaction and one round trip: lock the license; free
// the oldest seat where the policy says so; take a seat if there is one and mark it with this attempt; and only under
// that mark make or revive the activation and write the audit row.
func (s *activations) TakeSeat(ctx context.Context, t activation.Take) (bool, error) {
	dev, err := json.Marshal(t.Device)
	if err != nil {
		return false, err
	}
	seek := seekArgs(t.Seek)
	var batch []db.Statement
	if t.Try.Product != "" { // trials of one product take seats in turn, so that nearly the same device is seen as well
		batch = append(batch, db.Statement{SQL: lockProduct, Args: []any{t.Try.Product}})
	}
	batch = append(batch, db.Statement{SQL: lockLicense, Args: []any{t.License}})
	if t.ReplaceOldest {
		batch = append(batch, replaceOldest(t, seek)...)
		written, err := s.auditWhere(ctx, t.Replaced, replacedSeat, t.License, t.ID)
		if err != nil {
			return false, err
		}
		batch = append(batch, written...)
	}
	take := db.Statement{SQL: `UPDATE license SET seats_used = seats_used + 1, seat_taken_by = $11
		WHERE id = $1 AND owner = $14 AND state = 'active' AND (seats_max < 0 OR seats_used < seats_max)
			AND NOT EXISTS (SELECT 1 FROM activation a WHERE a.license_id = $1 AND a.state = 'held' AND (a.subject = $2 OR a.id IN ` + matching + `))
			AND ($12 = '' OR EXISTS (SELECT 1 FROM activation r WHERE r.id = $12 AND r.license_id = $1 AND r.state <> 'held' AND r.seq = $13))`,
		Args: append(seek[:10:10], t.ID, t.Revive, t.ReviveSeq, t.Owner)}
	if t.Try.Product != "" {
		take = onceOnTrial(take, t)
	}
	batch = append(batch, take)
	took := len(batch) - 1
	written, err := s.auditWhere(ctx, t.Event, tookSeat, t.License, t.ID)
	if err != nil {
		return false, err
	}
	batch = append(batch, written...)
	if t.Revive != "" {
		batch = append(batch, db.Statement{SQL: `UPDATE activation SET state = 'held', name = $4, seq = seq + 1, last_seen_at = $5,
				lease_until = $6, dies_at = $7, borrowed_until = NULL, released_at = NULL, released_by = ''
			WHERE id = $1 AND EXISTS (SELECT 1 FROM license l WHERE l.id = $2 AND l.seat_taken_by = $3)`,
			Args: []any{t.Revive, t.License, t.ID, t.Name, t.At, nullable(t.LeaseUntil), nullable(t.DiesAt)}})
	} else {
		batch = append(batch, makeActivation(t, string(dev))...)
	}
	if t.Try.Product != "" {
		batch = append(batch, keepTrial(t)...)
	}
	batch = append(batch, db.Statement{SQL: `INSERT INTO change (kind, id, at) SELECT 'activation', l.id, COALESCE($3, l.created_at) FROM license l WHERE l.id = $1 AND l.seat_taken_by = $2`,
		Args: []any{t.License, t.ID, t.At}})
	n, err := s.db.Batch(ctx, batch)
	if err != nil {
		return false, err
	}
	s.noteChange(ctx, "activation", t.License)
	failpoint.Hit("activation-row")
	if n[took] == 1 {
		unitFrom(ctx).note(t.Event.Target)
	}
	return n[took] == 1, nil
}

// Where the audit rows of a batch see that this attempt took a seat, or replaced the oldest.
var (
	tookSeat     = auditSource{"l.created_at", "l.key_lookup", `FROM license l WHERE l.id = $12 AND l.seat_taken_by = $13`}
	replacedSeat = auditSource{"l.created_at", "l.key_lookup", `FROM license l WHERE l.id = $12
		AND EXISTS (SELECT 1 FROM activation r WHERE r.license_id = $12 AND r.state = 'replaced' AND r.released_by = $13)`}
)

// makeActivation inserts the activation and its parts if this attempt took a seat. COALESCE gives the parameters of the
// SELECT list the type of the column beside them.
func makeActivation(t activation.Take, dev string) []db.Statement {
	batch := []db.Statement{{SQL: `INSERT INTO activation (id, license_id, subject, state, name, dev, usr, seq, seq_seen,
			activated_at, last_seen_at, lease_until, dies_at, released_by)
		SELECT $1, l.id, $3, 'held', $4, $5, $6, 1, 0, COALESCE($7, l.created_at), COALESCE($7, l.created_at),
			COALESCE($8, l.revoked_at), COALESCE($9, l.revoked_at), ''
		FROM license l WHERE l.id = $2 AND l.seat_taken_by = $1`,
		Args: []any{t.ID, t.License, t.Subject, t.Name, dev, t.User, t.At, nullable(t.LeaseUntil), nullable(t.DiesAt)}}}
	for _, part := range t.Parts {
		batch = append(batch, db.Statement{SQL: `INSERT INTO activation_part (activation_id, license_id, part)
			SELECT a.id, a.license_id, $2 FROM activation a WHERE a.id = $1`, Args: []any{t.ID, part}})
	}
	return batch
}

// replaceOldest frees the seat that was silent longest, of those not borrowed, if every seat is taken and the subject holds none. That it is
// not borrowed is asked of the row itself again, which may have been borrowed since it was chosen.
func replaceOldest(t activation.Take, seek []any) []db.Statement {
	return []db.Statement{
		{SQL: `UPDATE activation SET state = 'replaced', released_at = $12, released_by = $11
			WHERE state = 'held' AND (borrowed_until IS NULL OR borrowed_until <= $12) AND id = (SELECT o.id FROM activation o WHERE o.license_id = $1 AND o.state = 'held'
				AND (o.borrowed_until IS NULL OR o.borrowed_until <= $12) ORDER BY o.last_seen_at, o.id LIMIT 1)
				AND EXISTS (SELECT 1 FROM license l WHERE l.id = $1 AND l.owner = $13 AND l.state = 'active' AND l.seats_max = l.seats_used AND l.seats_max > 0)
				AND NOT EXISTS (SELECT 1 FROM activation a WHERE a.license_id = $1 AND a.state = 'held' AND (a.subject = $2 OR a.id IN ` + matching + `))`,
			Args: append(seek[:10:10], t.ID, t.At, t.Owner)},
		{SQL: `UPDATE license SET seats_used = seats_used - 1
			WHERE id = $1 AND EXISTS (SELECT 1 FROM activation r WHERE r.license_id = $1 AND r.state = 'replaced' AND r.released_by = $2)`,
			Args: []any{t.License, t.ID}},
	}
}

// Renew implements [activation.Store]. It says no word in the change feed unless a seat is lent: what validates from memory does not count on
// the last contact.
func (s *activations) Renew(ctx context.Context, r activation.Renewal) (seq int64, err error) {
	err = s.db.QueryRow(ctx, `UPDATE activation SET seq = seq + 1, last_seen_at = $2,
			lease_until = CASE WHEN $6 AND $5 = seq THEN $7 WHEN lease_until IS NULL OR lease_until > $3 THEN lease_until ELSE $3 END,
			dies_at = CASE WHEN $6 AND $5 = seq THEN $8 WHEN lease_until IS NULL AND $3 IS NOT NULL THEN NULL WHEN lease_until > $4 THEN lease_until ELSE $4 END, borrowed_until = $9,
			seq_seen = CASE WHEN $5 = 0 THEN seq WHEN seq_seen < $5 THEN $5 ELSE seq_seen END,
			forked_at = COALESCE(forked_at, CASE WHEN $6 AND $5 < seq AND $5 <> seq_seen THEN COALESCE($2, last_seen_at) END)
		WHERE id = $1 AND state = 'held' AND borrowed_until IS NOT DISTINCT FROM $10
			AND EXISTS (SELECT 1 FROM license l WHERE l.id = license_id AND l.state = 'active')
		RETURNING seq`,
		r.ID, r.At, nullable(r.LeaseUntil), nullable(r.DiesAt), r.Presented, r.Watch, atLeast(r.LeaseUntil, r), atLeast(r.DiesAt, r),
		nullable(r.Borrowed), nullable(r.Was)).Scan(&seq)
	if errors.Is(err, db.ErrNoRows) {
		return 0, nil
	}
	if err == nil && r.Lent != "" {
		err = s.changed(ctx, "activation", r.Lent)
	}
	return seq, err
}

// Lend implements [activation.Lender].
func (s *activations) Lend(ctx context.Context, l activation.Loan) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE activation SET borrowed_until = $3, dies_at = CASE WHEN lease_until IS NULL THEN NULL WHEN lease_until > $2 THEN lease_until ELSE $2 END
		WHERE id = $1 AND license_id = $6 AND state = 'held' AND seq = $5 AND borrowed_until IS NOT DISTINCT FROM $4
			AND EXISTS (SELECT 1 FROM license l WHERE l.id = license_id AND l.state = 'active')`,
		l.ID, nullable(l.DiesAt), nullable(l.Borrowed), nullable(l.Was), l.Seq, l.License)
	if err != nil || n == 0 {
		return false, err
	}
	return true, s.changed(ctx, "activation", l.License)
}

// atLeast is an end that is no earlier than that of the lease presented at a contact, none where that lease has none and the next one has; no end
// stays none.
func atLeast(end time.Time, r activation.Renewal) *time.Time {
	switch {
	case r.Endless && !r.LeaseUntil.IsZero():
		end = time.Time{}
	case !end.IsZero() && r.Shown.After(end):
		end = r.Shown
	}
	return nullable(end)
}

// ReleaseSeat implements [activation.Store]. The audit row is written under the locks of license and activation, before the change that it
// tells of, by the same condition: what counts the seat as free and what frees it must see one and the same activation, though it renews.
func (s *activations) ReleaseSeat(ctx context.Context, r activation.Release) (bool, error) {
	held, args := `state = 'held'`, []any{r.License, r.ID}
	seen := auditSource{"a.activated_at", "l.key_lookup", `FROM activation a JOIN license l ON l.id = a.license_id
		WHERE a.id = $12 AND a.license_id = $13 AND a.state = 'held'`}
	seenArgs := []any{r.ID, r.License}
	if r.DeadOnly {
		held, args = `state = 'held' AND dies_at <= $3`, append(args, r.At) // $3 is r.At in both statements
		seen.sql, seenArgs = seen.sql+` AND a.dies_at <= $14`, append(seenArgs, r.At)
	}
	written, err := s.auditWhere(ctx, r.Event, seen, seenArgs...)
	if err != nil {
		return false, err
	}
	n, err := s.db.Batch(ctx, slices.Concat([]db.Statement{{SQL: lockLicense, Args: []any{r.License}}, {SQL: lockSeat, Args: []any{r.ID}}}, written, []db.Statement{
		{SQL: `UPDATE license SET seats_used = seats_used - 1,
				seats_kept = CASE WHEN seats_max >= 0 AND seats_used - 1 > seats_max THEN seats_used - 1 ELSE 0 END
			WHERE id = $1 AND EXISTS (SELECT 1 FROM activation WHERE id = $2 AND license_id = $1 AND ` + held + `)`, Args: args},
		{SQL: `UPDATE activation SET state = $2, released_at = $3, released_by = $4 WHERE id = $1 AND license_id = $5 AND ` + held,
			Args: []any{r.ID, r.To, r.At, r.By, r.License}},
		{SQL: `INSERT INTO change (kind, id, at) SELECT 'activation', a.license_id, COALESCE($3, a.activated_at) FROM activation a
			WHERE a.id = $1 AND a.license_id = $2 AND a.state <> 'held'`, Args: []any{r.ID, r.License, r.At}},
	}))
	if err != nil {
		return false, err
	}
	s.noteChange(ctx, "activation", r.License)
	released := n[len(n)-2] == 1
	if released {
		unitFrom(ctx).note(r.Event.Target)
	}
	return released, nil
}

// Activation implements [activation.Store].
func (s *activations) Activation(ctx context.Context, id string) (activation.Activation, license.License, error) {
	return s.one(ctx, `WHERE a.id = $1`, id)
}

// ActivationOf implements [activation.Store].
func (s *activations) ActivationOf(ctx context.Context, id string, owner licensing.Owner) (activation.Activation, license.License, error) {
	return s.one(ctx, `WHERE a.id = $1 AND l.owner = $2`, id, owner)
}

func (s *activations) one(ctx context.Context, where string, args ...any) (activation.Activation, license.License, error) {
	var r activationRow
	row := s.db.QueryRow(ctx, `SELECT `+licenseColumns+`, `+activationColumns+fromLicense+`JOIN activation a ON a.license_id = l.id `+where, args...)
	l, err := scanLicense(joined{row, r.dest()})
	if err != nil {
		return activation.Activation{}, l, err
	}
	a, err := r.value()
	return a, l, err
}

// ListActivations implements [activation.Store].
func (s *activations) ListActivations(ctx context.Context, reach license.Reach, licenseID string, some activation.Some, page licensing.Page) (licensing.List[activation.Activation], error) {
	limit := pageSize(page)
	var found []string
	var items []activation.Activation
	args, borrowed := []any{licenseID, page.Cursor, limit + 1, string(some.State), some.Subject}, ""
	if !some.Borrowed.IsZero() {
		args, borrowed = append(args, some.Borrowed), ` AND a.state = 'held' AND a.borrowed_until > $6`
	}
	err := s.db.Ask(ctx, reached(reach, licenseID, &found), db.Question{SQL: `SELECT ` + activationColumns + ` FROM activation a
		WHERE a.license_id = $1 AND ($2 = '' OR a.id < $2) AND ($4 = '' OR a.state = $4) AND ($5 = '' OR a.subject = $5)` + borrowed + ` ORDER BY a.id DESC LIMIT $3`,
		Args: args, Each: db.Into(&items, scanActivation)})
	if err == nil && len(found) == 0 {
		err = licensing.ErrNotFound
	}
	if err != nil {
		return licensing.List[activation.Activation]{}, err
	}
	return cut(items, limit, func(a activation.Activation) string { return a.ID }), nil
}

// reached asks whether a license is within a caller's reach. What is asked beside it must not be told when it is not.
func reached(r license.Reach, id string, found *[]string) db.Question {
	return db.Question{SQL: `SELECT id FROM license WHERE id = $1 AND ($2 = '' OR owner = $2) AND ($3 = '' OR product_id = $3) AND ($4 = '' OR env = $4)`,
		Args: []any{id, string(r.Owner), r.Product, string(r.Env)}, Each: db.Into(found, scanText)}
}

// Replaceable implements [activation.Store].
func (s *activations) Replaceable(ctx context.Context, licenseID string, now time.Time) (bool, error) {
	var n int64
	err := s.db.QueryRow(ctx, `SELECT count(*) FROM activation WHERE license_id = $1 AND state = 'held' AND (borrowed_until IS NULL OR borrowed_until <= $2)`,
		licenseID, now).Scan(&n)
	return n > 0, err
}

// DueToDie implements [activation.Store].
func (s *activations) DueToDie(ctx context.Context, licenseID string, now time.Time, limit int) ([]activation.Activation, error) {
	rows, err := s.db.Query(ctx, `SELECT `+activationColumns+` FROM activation a
		WHERE a.state = 'held' AND a.dies_at <= $2 AND ($1 = '' OR a.license_id = $1) ORDER BY a.dies_at LIMIT $3`, licenseID, now, limit)
	return db.Collect(rows, err, scanActivation)
}
