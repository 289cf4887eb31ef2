package store

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/db"
)

var (
	_ apikey.Changer       = (*apiKeys)(nil)
	_ apikey.CreditStore   = (*apiKeys)(nil)
	_ apikey.UseStore      = (*apiKeys)(nil)
	_ apikey.TemplateStore = (*apiKeys)(nil)
)

// KeyChanges returns the store of what hangs on API keys.
func (s *Store) KeyChanges() apikey.Changer { return &apiKeys{s} }

// KeyCredits returns the store of the credits of API keys.
func (s *Store) KeyCredits() apikey.CreditStore { return &apiKeys{s} }

// KeyUses returns the store of when API keys were used.
func (s *Store) KeyUses() apikey.UseStore { return &apiKeys{s} }

// KeyTemplates returns the store of what the API keys of plans are like.
func (s *Store) KeyTemplates() apikey.TemplateStore { return &apiKeys{s} }

// HoldKey implements [apikey.Changer].
func (s *apiKeys) HoldKey(ctx context.Context, id string, r apikey.Reach) (apikey.Key, error) {
	return scanAPIKey(s.db.QueryRow(ctx, `SELECT `+apiKeyColumns+` FROM api_key k WHERE k.id = $1 AND`+withinReach(2)+`FOR UPDATE`, id, string(r.Owner), r.Product, string(r.Env)))
}

// Children implements [apikey.Changer].
func (s *apiKeys) Children(ctx context.Context, id string) ([]string, error) {
	rows, err := s.db.Query(ctx, `SELECT k.id FROM api_key k WHERE k.parent_id = $1 AND k.parent_id <> '' AND k.revoked_at IS NULL ORDER BY k.id`, id)
	return db.Collect(rows, err, func(row db.Row) (id string, err error) { return id, row.Scan(&id) })
}

// EndSecret implements [apikey.Changer].
func (s *apiKeys) EndSecret(ctx context.Context, keyID, secretID string, until time.Time) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE api_secret SET expires_at = $3 WHERE id = $2 AND key_id = $1 AND (expires_at IS NULL OR expires_at > $3)`, keyID, secretID, until)
	if err != nil || n == 0 {
		return false, err
	}
	return true, s.changed(ctx, "api_key", keyID)
}

// SetLimits implements [apikey.Changer].
func (s *apiKeys) SetLimits(ctx context.Context, id string, limits []apikey.Limit, at time.Time) error {
	text, err := jsonList(limits)
	if err != nil {
		return err
	}
	if _, err := s.db.Exec(ctx, `UPDATE api_key SET limits = $2, updated_at = $3 WHERE id = $1`, id, text, at); err != nil {
		return err
	}
	return s.changed(ctx, "api_key", id)
}

// MarkLeaked implements [apikey.Changer].
func (s *apiKeys) MarkLeaked(ctx context.Context, id string, at time.Time) error {
	_, err := s.db.Exec(ctx, `UPDATE api_key SET leaked_at = $2, updated_at = $2 WHERE id = $1`, id, at)
	return err
}

// narrowKeys is the WHERE of a filter on api_key k.
func narrowKeys(f apikey.Filter) *narrowing {
	list := new(narrowing).by("k.owner =", string(f.Owner)).by("k.product_id =", f.Product).by("k.env =", string(f.Env)).by("k.id =", f.ID).
		by("k.plan_code =", f.Plan).by("k.name <> '' AND k.name =", f.Name).by("k.member <> '' AND k.member =", f.Member).
		byWrapped("k.id IN (SELECT s.key_id FROM api_secret s WHERE s.hint =", f.Hint, ")").
		byWrapped("k.owner IN (SELECT c.id FROM customer c WHERE c.email =", f.Email, ")")
	if len(f.IDs) > 0 {
		list.conditions = append(list.conditions, "k.id IN ("+among(&list.args, f.IDs)+")")
	}
	if f.State == "" {
		return list
	}
	if f.State == apikey.Revoked {
		list.conditions = append(list.conditions, "k.revoked_at IS NOT NULL")
		return list
	}
	over := overKey("$" + list.next())
	list.args = append(list.args, f.At)
	if f.State == apikey.Expired {
		list.conditions = append(list.conditions, "k.revoked_at IS NULL", over)
		return list
	}
	stopped := "(k.disabled_at IS NOT NULL OR " + stoppedKey + ")"
	if f.State == apikey.Active {
		stopped = "NOT " + stopped
	}
	list.conditions = append(list.conditions, "k.revoked_at IS NULL", "NOT "+over, stopped)
	return list
}

// overKey is the condition that a key k, or the one that it is under, has ended at an instant, which a parameter gives.
func overKey(at string) string {
	return `(k.expires_at IS NOT NULL AND k.expires_at <= ` + at + ` OR k.parent_id <> '' AND EXISTS (SELECT 1 FROM api_key p WHERE p.id = k.parent_id AND p.expires_at <= ` + at + `))`
}

// FindKeys implements [apikey.Changer].
func (s *apiKeys) FindKeys(ctx context.Context, f apikey.Filter) ([]string, error) {
	sql, args := narrowKeys(f).statement(`SELECT k.id FROM api_key k`, "k.id", f.Limit)
	rows, err := s.db.Query(ctx, sql, args...)
	return db.Collect(rows, err, func(r db.Row) (id string, err error) { return id, r.Scan(&id) })
}

// CountKeys implements [apikey.Changer].
func (s *apiKeys) CountKeys(ctx context.Context, f apikey.Filter) (n int64, err error) {
	list := narrowKeys(f)
	err = s.db.QueryRow(ctx, `SELECT count(*) FROM api_key k`+list.where(), list.args...).Scan(&n)
	return n, err
}

const rationColumns = `c.key_id, c.balance, c.refill, c.every, c.refill_at, c.raised, c.raised_at`

func scanCredits(row db.Row) (c apikey.Credits, err error) {
	var at, raised *time.Time
	err = row.Scan(&c.KeyID, &c.Balance, &c.Refill, &c.Every, &at, &c.Raised, &raised)
	c.RefillAt, c.RaisedAt = instant(at), instant(raised)
	return c, err
}

// HoldCredits implements [apikey.CreditStore]. Rows are locked in the order of their keys, so that two transactions cannot wait for each other.
func (s *apiKeys) HoldCredits(ctx context.Context, ids []string) ([]apikey.Credits, error) {
	var out []apikey.Credits
	for part := range slices.Chunk(ids, 500) {
		args := make([]any, len(part))
		for i, id := range part {
			args[i] = id
		}
		rows, err := s.db.Query(ctx, `SELECT `+rationColumns+` FROM api_credit c WHERE c.key_id IN (`+places(len(part))+`) ORDER BY c.key_id FOR UPDATE`, args...)
		found, err := db.Collect(rows, err, scanCredits)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// SaveCredits implements [apikey.CreditStore].
func (s *apiKeys) SaveCredits(ctx context.Context, credits []apikey.Credits) error {
	if len(credits) == 0 {
		return nil
	}
	batch := make([]db.Statement, len(credits))
	for i, c := range credits {
		batch[i] = db.Statement{SQL: `INSERT INTO api_credit (key_id, balance, refill, every, refill_at, raised, raised_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (key_id) DO UPDATE SET balance = $2, refill = $3, every = $4, refill_at = $5, raised = $6, raised_at = $7`,
			Args: []any{c.KeyID, c.Balance, c.Refill, string(c.Every), nullable(c.RefillAt), c.Raised, nullable(c.RaisedAt)}}
	}
	_, err := s.db.Batch(ctx, batch)
	return err
}

// CreditsOf implements [apikey.CreditStore].
func (s *apiKeys) CreditsOf(ctx context.Context, id string) (apikey.Credits, error) {
	c, err := scanCredits(s.db.QueryRow(ctx, `SELECT `+rationColumns+` FROM api_credit c WHERE c.key_id = $1`, id))
	if errors.Is(err, db.ErrNoRows) {
		return apikey.Credits{}, nil
	}
	return c, err
}

// DropCredits implements [apikey.CreditStore].
func (s *apiKeys) DropCredits(ctx context.Context, id string) error {
	_, err := s.db.Exec(ctx, `DELETE FROM api_credit WHERE key_id = $1`, id)
	return err
}

// CreditsChanged implements [apikey.CreditStore].
func (s *apiKeys) CreditsChanged(ctx context.Context, id string) error {
	return s.changed(ctx, "api_key", id)
}

// TouchKeys implements [apikey.UseStore]. Rows are written in the order of their keys, some hundreds a statement.
func (s *apiKeys) TouchKeys(ctx context.Context, at map[string]time.Time) error {
	for part := range slices.Chunk(slices.Sorted(maps.Keys(at)), 400) {
		var values []string
		var args []any
		for _, id := range part {
			args = append(args, id, at[id])
			values = append(values, "($"+strconv.Itoa(len(args)-1)+", $"+strconv.Itoa(len(args))+")")
		}
		_, err := s.db.Exec(ctx, `INSERT INTO api_key_use (key_id, at) VALUES `+strings.Join(values, ", ")+`
			ON CONFLICT (key_id) DO UPDATE SET at = CASE WHEN excluded.at > api_key_use.at THEN excluded.at ELSE api_key_use.at END`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// PutTemplate implements [apikey.TemplateStore].
func (s *apiKeys) PutTemplate(ctx context.Context, t apikey.Template) error {
	scopes, err := jsonList(t.Scopes)
	if err != nil {
		return err
	}
	limits, err := jsonList(t.Limits)
	if err != nil {
		return err
	}
	credits, err := json.Marshal(t.Credits)
	if err != nil {
		return err
	}
	var plan string
	if err := s.db.QueryRow(ctx, `SELECT id FROM plan WHERE id = $1`, t.PlanID).Scan(&plan); errors.Is(err, db.ErrNoRows) {
		return licensing.ErrNotFound
	} else if err != nil {
		return err
	}
	_, err = s.db.Exec(ctx, `INSERT INTO api_key_template (plan_id, scopes, limits, credits, days, most, on_leak, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (plan_id) DO UPDATE SET scopes = $2, limits = $3, credits = $4, days = $5, most = $6, on_leak = $7, updated_at = $8`,
		t.PlanID, scopes, limits, string(credits), t.Days, t.Most, string(t.OnLeak), t.UpdatedAt)
	return err
}

// templateColumns are read by scanTemplate, in this order.
const templateColumns = `t.plan_id, p.product_id, p.code, t.scopes, t.limits, t.credits, t.days, t.most, t.on_leak, t.updated_at`

func scanTemplate(row db.Row, more ...any) (t apikey.Template, err error) {
	var scopes, limits, credits string
	dest := []any{&t.PlanID, &t.ProductID, &t.PlanCode, &scopes, &limits, &credits, &t.Days, &t.Most, &t.OnLeak, &t.UpdatedAt}
	if err := row.Scan(append(dest, more...)...); err != nil {
		return t, missing(err)
	}
	return t, errors.Join(json.Unmarshal([]byte(scopes), &t.Scopes), json.Unmarshal([]byte(limits), &t.Limits), json.Unmarshal([]byte(credits), &t.Credits))
}

// Template implements [apikey.TemplateStore].
func (s *apiKeys) Template(ctx context.Context, planID string) (apikey.Template, error) {
	return scanTemplate(s.db.QueryRow(ctx, `SELECT `+templateColumns+` FROM api_key_template t JOIN plan p ON p.id = t.plan_id WHERE t.plan_id = $1`, planID))
}

// HoldBase implements [apikey.TemplateStore].
func (s *apiKeys) HoldBase(ctx context.Context, owner licensing.Owner, planID string, env licensing.Env, now time.Time) (b apikey.Base, err error) {
	if err = s.HoldFamily(ctx, owner); err != nil {
		return b, err
	}
	b.Key, err = scanAPIKey(s.db.QueryRow(ctx, `SELECT `+apiKeyColumns+fromBase+`AND k.plan_id = $3 AND k.env = $4 ORDER BY `+longest+`FOR UPDATE`, string(owner), now, planID, string(env)))
	if err != nil {
		return b, err
	}
	err = s.db.QueryRow(ctx, `SELECT COUNT(*) FROM api_key k WHERE k.owner = $1 AND k.plan_id = $3 AND k.env = $4 AND k.parent_id <> '' AND k.revoked_at IS NULL AND NOT `+overKey("$2"),
		string(owner), now, planID, string(env)).Scan(&b.Made)
	return b, err
}

// FreePlace implements [apikey.TemplateStore].
func (s *apiKeys) FreePlace(ctx context.Context, baseID string, most int64, now time.Time) (p apikey.Place, err error) {
	var taken int64
	err = s.db.QueryRow(ctx, `SELECT COUNT(*) FROM api_key h WHERE h.parent_id = $1 AND h.parent_id <> '' AND h.counts_as = ''`, baseID).Scan(&taken)
	if err != nil || taken < most {
		return p, err
	}
	const later = `FROM api_key m WHERE m.counts_as = h.id AND m.counts_as <> ''`
	err = s.db.QueryRow(ctx, `SELECT h.id, COALESCE((SELECT MAX(m.id) `+later+`), h.id) FROM api_key h WHERE h.parent_id = $1 AND h.parent_id <> '' AND h.counts_as = ''
		AND (h.revoked_at IS NOT NULL OR h.expires_at <= $2) AND NOT EXISTS (SELECT 1 `+later+` AND m.revoked_at IS NULL AND (m.expires_at IS NULL OR m.expires_at > $2))
		ORDER BY h.id LIMIT 1`, baseID, now).Scan(&p.First, &p.Newest)
	return p, missing(err)
}

// Newest implements [apikey.TemplateStore].
func (s *apiKeys) Newest(ctx context.Context, keyID string) (id string, err error) {
	err = s.db.QueryRow(ctx, `SELECT COALESCE(MAX(m.id), $1) FROM api_key k JOIN api_key m ON m.counts_as = CASE WHEN k.counts_as = '' THEN k.id ELSE k.counts_as END
		WHERE k.id = $1 AND k.parent_id <> '' AND m.counts_as <> ''`, keyID).Scan(&id)
	return id, err
}

// Bases implements [apikey.TemplateStore].
func (s *apiKeys) Bases(ctx context.Context, owner licensing.Owner, now time.Time) ([]apikey.Base, error) {
	rows, err := s.db.Query(ctx, `SELECT `+templateColumns+`, b.plan_id, b.plan_code, b.product_id, b.env, d.name,
			(SELECT COUNT(*) FROM api_key k WHERE k.owner = $1 AND k.plan_id = b.plan_id AND k.env = b.env AND k.parent_id <> '' AND k.revoked_at IS NULL AND NOT `+overKey("$2")+`)
		FROM (SELECT DISTINCT k.plan_id, k.plan_code, k.product_id, k.env`+fromBase+`) b
		JOIN product d ON d.id = b.product_id JOIN plan p ON p.id = b.plan_id JOIN api_key_template t ON t.plan_id = b.plan_id
		WHERE t.most > 0 ORDER BY d.name, b.plan_code, b.env`, string(owner), now)
	return db.Collect(rows, err, func(row db.Row) (b apikey.Base, err error) {
		k := &b.Key
		b.Template, err = scanTemplate(row, &k.PlanID, &k.PlanCode, &k.ProductID, &k.Env, &b.Title, &b.Made)
		return b, err
	})
}
