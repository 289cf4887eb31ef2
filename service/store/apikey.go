package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/db"
)

// apiKeys implements [apikey.Store].
type apiKeys struct{ *Store }

var _ apikey.Store = (*apiKeys)(nil)

// APIKeys returns the store of API keys.
func (s *Store) APIKeys() apikey.Store { return &apiKeys{s} }

// apiKeyColumns are read by scanAPIKey, in this order.
const apiKeyColumns = `k.id, k.source_kind, k.source_id, k.owner, k.product_id, k.plan_id, k.plan_code, k.env, k.name, k.scopes, k.allow_from, k.limits,
	k.expires_at, k.disabled_at, k.revoked_at, k.created_at, k.updated_at, k.member, k.parent_id, k.counts_as, k.metadata, k.on_leak, k.held_at, k.leaked_at, k.disputed_at,
	(SELECT COALESCE(p.held_at, p.disputed_at) FROM api_key p WHERE p.id = k.parent_id AND k.parent_id <> ''),
	(SELECT p.expires_at FROM api_key p WHERE p.id = k.parent_id AND k.parent_id <> ''),
	EXISTS (SELECT 1 FROM api_credit c WHERE c.key_id = k.id)`

// withinReach is the condition that a Reach, given as parameters n, n+1 and n+2, puts on api_key.
func withinReach(n int) string {
	return fmt.Sprintf(` ($%[1]d = '' OR k.owner = $%[1]d) AND ($%[2]d = '' OR k.product_id = $%[2]d) AND ($%[3]d = '' OR k.env = $%[3]d) `, n, n+1, n+2)
}

func scanAPIKey(row db.Row, more ...any) (apikey.Key, error) {
	var k apikey.Key
	var scopes, networks, limits string
	var metadata string
	var expires, disabled, revoked, held, leaked, disputed, parent, ends *time.Time
	dest := []any{&k.ID, &k.Source.Kind, &k.Source.ID, &k.Owner, &k.ProductID, &k.PlanID, &k.PlanCode, &k.Env, &k.Name, &scopes, &networks, &limits,
		&expires, &disabled, &revoked, &k.CreatedAt, &k.UpdatedAt, &k.Member, &k.ParentID, &k.CountsAs, &metadata, &k.OnLeak, &held, &leaked, &disputed, &parent, &ends, &k.Rationed}
	err := row.Scan(append(dest, more...)...)
	if errors.Is(err, db.ErrNoRows) {
		return k, licensing.ErrNotFound
	}
	if err != nil {
		return k, err
	}
	k.ExpiresAt, k.DisabledAt, k.RevokedAt = instant(expires), instant(disabled), instant(revoked)
	k.EndWith(instant(ends))
	k.HeldAt, k.LeakedAt, k.DisputedAt, k.ParentStoppedAt = instant(held), instant(leaked), instant(disputed), instant(parent)
	for _, list := range []struct {
		text string
		into any
	}{{scopes, &k.Scopes}, {networks, &k.AllowFrom}, {limits, &k.Limits}, {metadata, &k.Metadata}} {
		if list.text == "[]" || list.text == "{}" {
			continue
		}
		if err := json.Unmarshal([]byte(list.text), list.into); err != nil {
			return k, fmt.Errorf("api key %s: %w", k.ID, err)
		}
	}
	return k, nil
}

// jsonList is JSON text of a list, never null.
func jsonList[T any](items []T) (string, error) {
	if len(items) == 0 {
		return "[]", nil
	}
	text, err := json.Marshal(items)
	return string(text), err
}

// AddKey implements [apikey.Store].
func (s *apiKeys) AddKey(ctx context.Context, k apikey.Key, secret apikey.Secret) (bool, error) {
	scopes, err := jsonList(k.Scopes)
	if err != nil {
		return false, err
	}
	networks, err := jsonList(k.AllowFrom)
	if err != nil {
		return false, err
	}
	limits, err := jsonList(k.Limits)
	if err != nil {
		return false, err
	}
	metadata := "{}"
	if len(k.Metadata) > 0 {
		text, err := json.Marshal(k.Metadata)
		if err != nil {
			return false, err
		}
		metadata = string(text)
	}
	n, err := s.db.Exec(ctx, `INSERT INTO api_key (id, source_kind, source_id, owner, product_id, plan_id, plan_code, env, name, scopes, allow_from, limits,
			expires_at, disabled_at, revoked_at, created_at, updated_at, member, parent_id, metadata, on_leak, counts_as)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
		ON CONFLICT (source_kind, source_id) DO NOTHING`,
		k.ID, k.Source.Kind, k.Source.ID, string(k.Owner), k.ProductID, k.PlanID, k.PlanCode, string(k.Env), k.Name, scopes, networks, limits,
		nullable(k.ExpiresAt), nullable(k.DisabledAt), nullable(k.RevokedAt), k.CreatedAt, k.UpdatedAt, k.Member, k.ParentID, metadata, string(k.OnLeak), k.CountsAs)
	if err != nil || n == 0 {
		return false, err
	}
	if err := s.addSecret(ctx, k.ID, 0, secret); err != nil {
		return false, err
	}
	return true, s.changed(ctx, "api_key", k.ID)
}

func (s *apiKeys) addSecret(ctx context.Context, keyID string, slot int64, secret apikey.Secret) error {
	_, err := s.db.Exec(ctx, `INSERT INTO api_secret (id, key_id, slot, hint, head, hash, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		secret.ID, keyID, slot, secret.Hint, secret.Digest.Head(), secret.Digest[:], secret.CreatedAt)
	if errors.Is(err, db.ErrUnique) {
		err = apikey.ErrTaken.Because(err)
	}
	return err
}

// Key implements [apikey.Store].
func (s *apiKeys) Key(ctx context.Context, id string, r apikey.Reach) (apikey.Key, error) {
	return scanBought(s.db.QueryRow(ctx, `SELECT `+boughtColumns+fromBought+` WHERE k.id = $1 AND`+withinReach(2),
		id, string(r.Owner), r.Product, string(r.Env)))
}

// boughtColumns are apiKeyColumns and what owners know a key by.
const (
	boughtColumns = apiKeyColumns + `, COALESCE((SELECT p.name FROM product p WHERE p.id = k.product_id), ''), COALESCE(g.order_id, ''), g.sealed IS NOT NULL AND g.state = 'active', (SELECT u.at FROM api_key_use u WHERE u.key_id = k.id),
		COALESCE((SELECT CASE WHEN c.name <> '' THEN c.name ELSE c.email END FROM customer c WHERE c.id = k.owner), (SELECT o.name FROM organisation o WHERE o.id = k.owner), ''),
		COALESCE(r.key_id, ''), COALESCE(r.balance, 0), COALESCE(r.refill, 0), COALESCE(r.every, ''), r.refill_at`
	fromBought = ` FROM api_key k LEFT JOIN order_grant g ON g.object_id = k.id LEFT JOIN api_credit r ON r.key_id = k.id`
)

func scanBought(row db.Row) (apikey.Key, error) {
	var b apikey.Bought
	var used, refill *time.Time
	r := &b.Credits
	k, err := scanAPIKey(row, &b.Product, &b.Order, &b.Unrevealed, &used, &b.OwnerName, &r.KeyID, &r.Balance, &r.Refill, &r.Every, &refill)
	b.UsedAt, r.RefillAt = instant(used), instant(refill)
	k.Bought = b
	return k, err
}

// Live implements [apikey.Store].
func (s *apiKeys) Live(ctx context.Context, id string, now time.Time) ([]apikey.Secret, error) {
	rows, err := s.db.Query(ctx, `SELECT s.id, s.hint, s.created_at, s.expires_at FROM api_secret s
		WHERE s.key_id = $1 AND (s.expires_at IS NULL OR s.expires_at > $2) ORDER BY s.id DESC`, id, now)
	return db.Collect(rows, err, func(row db.Row) (out apikey.Secret, err error) {
		var expires *time.Time
		err = row.Scan(&out.ID, &out.Hint, &out.CreatedAt, &expires)
		out.ExpiresAt = instant(expires)
		return out, err
	})
}

// ListKeys implements [apikey.Store].
func (s *apiKeys) ListKeys(ctx context.Context, f apikey.Filter) ([]apikey.Key, error) {
	sql, args := narrowKeys(f).by("k.id <", f.After).statement(`SELECT `+boughtColumns+fromBought, "k.id DESC", f.Limit)
	rows, err := s.db.Query(ctx, sql, args...)
	return db.Collect(rows, err, scanBought)
}

// KeyByDigest implements [apikey.Store].
func (s *apiKeys) KeyByDigest(ctx context.Context, head []byte) (apikey.Record, error) {
	var rec apikey.Record
	var hash []byte
	var expires *time.Time
	row := s.db.QueryRow(ctx, `SELECT `+apiKeyColumns+`, s.id, s.hint, s.hash, s.created_at, s.expires_at
		FROM api_secret s JOIN api_key k ON k.id = s.key_id WHERE s.head = $1`, head)
	k, err := scanAPIKey(row, &rec.Secret.ID, &rec.Secret.Hint, &hash, &rec.Secret.CreatedAt, &expires)
	if err != nil {
		return rec, err
	}
	rec.Key, rec.Secret.ExpiresAt = k, instant(expires)
	if copy(rec.Secret.Digest[:], hash) != len(rec.Secret.Digest) {
		return rec, fmt.Errorf("api secret %s: the hash has %d bytes", rec.Secret.ID, len(hash))
	}
	return rec, nil
}

// RevokeKey implements [apikey.Store].
func (s *apiKeys) RevokeKey(ctx context.Context, id string, r apikey.Reach, at time.Time) (bool, error) {
	return s.setKey(ctx, id, r, `UPDATE api_key AS k SET revoked_at = $5, updated_at = $5 WHERE k.revoked_at IS NULL AND k.id = $1 AND`+withinReach(2), at)
}

// stoppedKey is the condition that the shop stops a key k, as [apikey.Key.StoppedAt] has it.
const stoppedKey = `(k.held_at IS NOT NULL OR k.disputed_at IS NOT NULL
	OR k.parent_id <> '' AND EXISTS (SELECT 1 FROM api_key p WHERE p.id = k.parent_id AND (p.held_at IS NOT NULL OR p.disputed_at IS NOT NULL)))`

// SetKeyStopped implements [apikey.Store]. The row of a key is locked while a key is made by its plan, so that none is missed here.
func (s *apiKeys) SetKeyStopped(ctx context.Context, id string, r apikey.Reach, by apikey.Stop, on bool, at time.Time) (bool, error) {
	column, live := map[apikey.Stop]string{apikey.ByOwner: "disabled_at", apikey.ByStaff: "held_at", apikey.ByDispute: "disputed_at"}[by], " AND k.revoked_at IS NULL"
	if by == apikey.ByDispute {
		live = ""
	}
	set := column + ` = $5, updated_at = $5 WHERE k.` + column + ` IS NULL`
	if !on {
		set = column + ` = NULL, updated_at = $5 WHERE k.` + column + ` IS NOT NULL`
	}
	changed, err := s.setKey(ctx, id, r, `UPDATE api_key AS k SET `+set+live+` AND k.id = $1 AND`+withinReach(2), at)
	if err != nil || !changed || by == apikey.ByOwner {
		return changed, err
	}
	children, err := s.Children(ctx, id)
	if err != nil {
		return false, err
	}
	for _, child := range children {
		if err := s.changed(ctx, "api_key", child); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (s *apiKeys) setKey(ctx context.Context, id string, r apikey.Reach, sql string, at time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, sql, id, string(r.Owner), r.Product, string(r.Env), at)
	if err != nil || n == 0 {
		return false, err
	}
	return true, s.changed(ctx, "api_key", id)
}

// RotateKey implements [apikey.Store]. The key's row is locked first, so rotations of one key follow each other; the unique
// slots refuse a third live secret whatever happens.
func (s *apiKeys) RotateKey(ctx context.Context, r apikey.Rotation) error {
	n, err := s.db.Exec(ctx, `UPDATE api_key AS k SET updated_at = $5 WHERE k.revoked_at IS NULL AND k.id = $1 AND`+withinReach(2),
		r.KeyID, string(r.Reach.Owner), r.Reach.Product, string(r.Reach.Env), r.Now)
	if err != nil {
		return err
	}
	if n == 0 {
		return licensing.ErrNotFound
	}
	slot, err := s.freeSlot(ctx, "api_secret", "key_id", r.KeyID, r.Now, r.Until)
	if err != nil {
		return err
	}
	if slot < 0 {
		return apikey.ErrTwoSecrets
	}
	if err := s.addSecret(ctx, r.KeyID, slot, r.Fresh); err != nil {
		return err
	}
	return s.changed(ctx, "api_key", r.KeyID)
}
