package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/failpoint"
)

// manyLicenses implements [license.ManyStore].
type manyLicenses struct{ *Store }

var _ license.ManyStore = (*manyLicenses)(nil)

// ManyLicenses returns the store of licenses by the hundreds.
func (s *Store) ManyLicenses() license.ManyStore { return &manyLicenses{s} }

// newLicenses stands in the change feed for all licenses that were made together. It is no license's id: of one that is new nothing can be
// remembered but that there was none, which is forgotten when the feed tells of a license that is not remembered.
const newLicenses = "new"

// AddLicenses implements [license.ManyStore].
func (s *manyLicenses) AddLicenses(ctx context.Context, ls []license.License) error {
	if len(ls) == 0 {
		return nil
	}
	rows, tokens := make([][]any, len(ls)), make([][]any, len(ls))
	// In the order of what is unique, so that two transactions with the same sources do not wait for each other.
	slices.SortFunc(ls, func(a, b license.License) int { return cmp.Compare(a.Source.ID, b.Source.ID) })
	for i := range ls {
		l := &ls[i]
		terms, err := json.Marshal(l.Terms)
		if err != nil {
			return err
		}
		entitlements, err := json.Marshal(l.Entitlements)
		if err != nil {
			return err
		}
		revoked := l.State == license.Revoked
		var ended *time.Time
		if revoked {
			ended = &l.RevokedAt
		}
		rows[i] = []any{l.ID, l.Source.Kind, l.Source.ID, l.ProductID, l.ProductSlug, l.PlanID, l.PlanCode, l.PolicyID, string(l.Owner), string(l.Env), l.Licensee, string(l.State),
			l.Reason, string(terms), string(entitlements), nullable(l.ValidUntil), nullable(l.UpdatesUntil), nullable(l.StartedAt), l.Seats, l.SeatsMax, int64(0), int64(0),
			l.Terms.Match, "", l.KeyPrefix, l.KeyLookup, l.KeySealed, l.KeyHint, l.Token.JTI, l.Version, l.CreatedAt, l.UpdatedAt, ended, lapses(l), nullable(l.HeldAt), heldWhy(l)}
		t := &l.Token
		tokens[i] = []any{t.JTI, l.ID, t.List, t.Index, !revoked, t.KID, t.Text, t.CreatedAt, t.SignedAt, ended}
	}
	slices.SortFunc(tokens, func(a, b []any) int {
		return cmp.Or(cmp.Compare(a[2].(int64), b[2].(int64)), cmp.Compare(a[3].(int64), b[3].(int64)))
	}) // list, idx
	err := s.write(ctx,
		db.Insert("license", []string{"id", "source_kind", "source_id", "product_id", "product_slug", "plan_id", "plan_code", "policy_id", "owner", "env", "licensee", "state", "state_reason",
			"terms", "entitlements", "valid_until", "updates_until", "started_at", "seats", "seats_max", "seats_used", "seats_kept", "device_match", "seat_taken_by", "key_prefix",
			"key_lookup", "key_sealed", "key_hint", "token_jti", "version", "created_at", "updated_at", "revoked_at", "lapses_at", "held_at", "held_why"}, rows),
		db.Insert("license_token", []string{"jti", "license_id", "list", "idx", "current", "kid", "token", "created_at", "signed_at", "ended_at"}, tokens),
		db.Insert("change", []string{"kind", "id", "at"}, [][]any{{"license", newLicenses, s.clock.Now()}}))
	if errors.Is(err, db.ErrUnique) {
		return license.ErrCollision
	}
	failpoint.Hit("license-rows")
	if err == nil {
		s.noteChange(ctx, "license", newLicenses)
	}
	return err
}

// heldWhy is why staff suspend a license that is brought along suspended.
func heldWhy(l *license.License) string {
	if l.HeldAt.IsZero() {
		return ""
	}
	return l.Reason
}

// IDsFrom implements [license.ManyStore].
func (s *manyLicenses) IDsFrom(ctx context.Context, kind string, ids []string) (map[string]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	args := []any{kind}
	marks := among(&args, ids)
	return s.pairs(ctx, `SELECT source_id, id FROM license WHERE source_kind = $1 AND source_id IN (`+marks+`)`, args, func(r db.Row) (p pair, err error) {
		return p, r.Scan(&p.of, &p.is)
	})
}

// IDsByKey implements [license.ManyStore].
func (s *manyLicenses) IDsByKey(ctx context.Context, lookups [][]byte) (map[string]string, error) {
	if len(lookups) == 0 {
		return nil, nil
	}
	var args []any
	marks := among(&args, lookups)
	return s.pairs(ctx, `SELECT key_lookup, id FROM license WHERE key_lookup IN (`+marks+`)`, args, func(r db.Row) (p pair, err error) {
		var of []byte
		err = r.Scan(&of, &p.is)
		p.of = string(of)
		return p, err
	})
}

// pair is what belongs to what.
type pair struct{ of, is string }

func (s *Store) pairs(ctx context.Context, sql string, args []any, scan func(db.Row) (pair, error)) (map[string]string, error) {
	rows, err := s.db.Query(ctx, sql, args...)
	found, err := db.Collect(rows, err, scan)
	out := make(map[string]string, len(found))
	for _, p := range found {
		out[p.of] = p.is
	}
	return out, err
}
