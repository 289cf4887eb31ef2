package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/db"
)

// carriers are all that usage counts for.
const carriers = `(SELECT id, owner, product_id, env FROM license WHERE id = $1 UNION ALL SELECT id, owner, product_id, env FROM api_key WHERE id = $1) c
	WHERE ($2 = '' OR c.owner = $2) AND ($3 = '' OR c.product_id = $3) AND ($4 = '' OR c.env = $4)`

// carried asks whether a license or API key is within a caller's reach. What is asked beside it must not be told when it is not.
func carried(r license.Reach, id string, found *[]string) db.Question {
	return db.Question{SQL: `SELECT c.id FROM ` + carriers, Args: []any{id, string(r.Owner), r.Product, string(r.Env)}, Each: db.Into(found, scanText)}
}

// Carrier implements [usage.Reads].
func (s *usages) Carrier(ctx context.Context, r license.Reach, id, meter string) (usage.Carrier, error) {
	var found []usage.Carrier
	var meters []usage.Meter
	err := s.db.Ask(ctx, db.Question{SQL: `SELECT c.id, c.owner, c.product_id, c.env FROM ` + carriers, Args: []any{id, string(r.Owner), r.Product, string(r.Env)},
		Each: db.Into(&found, func(row db.Row) (c usage.Carrier, err error) {
			return c, row.Scan(&c.ID, &c.Owner, &c.ProductID, &c.Env)
		})},
		db.Question{SQL: `SELECT ` + meterColumns + ` FROM usage_meter m WHERE m.code = $2 AND m.product_id = (SELECT c.product_id FROM (SELECT product_id FROM license WHERE id = $1
			UNION ALL SELECT product_id FROM api_key WHERE id = $1) c)`, Args: []any{id, meter}, Each: db.Into(&meters, scanMeter)})
	c, err := only(found, err)
	if err == nil && len(meters) == 1 {
		c.Meter = meters[0]
	}
	return c, err
}

// scopes are those under which a selection's sums over all subjects are kept: a carrier's own, or the shards of a product.
func scopes(s usage.Selection) []string {
	if s.Carrier != "" {
		return []string{s.Carrier}
	}
	out := make([]string, usage.Shards)
	for i := range out {
		out[i] = usage.Scope(s.Product, s.Env, i)
	}
	return out
}

// selected is the table and the WHERE of a selection's sums, without span and time.
func selected(s usage.Selection) (table string, n *narrowing) {
	n = new(narrowing)
	switch {
	case s.Carrier == "":
		n.conditions = append(n.conditions, "scope IN ("+among(&n.args, scopes(s))+")")
		return "usage_rollup", n.that("meter =", s.Meter, "").that("grp =", usage.All, "")
	case s.Subject == "":
		group := s.Group
		if group == "" {
			group = usage.All
		}
		return "usage_rollup", n.that("scope =", s.Carrier, "").that("meter =", s.Meter, "").that("grp =", group, "")
	}
	return "usage_total", n.that("carrier =", s.Carrier, "").that("meter =", s.Meter, "").that("subject =", s.Subject, "").by("grp =", s.Group)
}

// during narrows to the sums of a range.
func (n *narrowing) during(r usage.Range) *narrowing {
	return n.that("span =", string(r.Span), "").that("starts_at >=", r.From, "").that("starts_at <", r.To, "")
}

func scanValue(row db.Row, v *usage.Value, before ...any) error {
	var last *time.Time
	err := row.Scan(append(before, &v.Events, &v.Total, &v.Max, &v.Late, &last, &v.LastID, &v.Last)...)
	v.LastAt = instant(last)
	return err
}

// Values implements [usage.Reads].
func (s *usages) Values(ctx context.Context, sel usage.Selection, ranges []usage.Range, each func(time.Time, usage.Value) error) error {
	questions := make([]db.Question, len(ranges))
	for i, r := range ranges {
		table, n := selected(sel)
		n.during(r)
		questions[i] = db.Question{SQL: `SELECT starts_at, ` + usageColumns + ` FROM ` + table + n.where(), Args: n.args, Each: func(row db.Row) error {
			var at time.Time
			var v usage.Value
			if err := scanValue(row, &v, &at); err != nil {
				return err
			}
			return each(at, v)
		}}
	}
	return s.db.Ask(ctx, questions...)
}

// valued is the WHERE of a selection's different values, without span and time. Its parameters come after those of other parts.
func valued(s usage.Selection, before ...any) *narrowing {
	n := &narrowing{args: before}
	if s.Carrier == "" {
		return n.that("scope =", usage.MemberScope(s.Product, s.Env), "").that("meter =", s.Meter, "").that("subject =", usage.All, "").that("grp =", usage.All, "")
	}
	n.that("scope =", s.Carrier, "").that("meter =", s.Meter, "")
	switch {
	case s.Subject != "":
		return n.that("subject =", s.Subject, "").by("grp =", s.Group)
	case s.Group != "":
		return n.that("subject =", usage.All, "").that("grp =", s.Group, "")
	}
	return n.that("subject =", usage.All, "").that("grp =", usage.All, "")
}

// Differing implements [usage.Reads].
func (s *usages) Differing(ctx context.Context, sel usage.Selection, ranges []usage.Range, each func(time.Time, int64) error) error {
	questions := make([]db.Question, len(ranges))
	for i, r := range ranges {
		n := valued(sel).during(r)
		questions[i] = db.Question{SQL: `SELECT starts_at, COUNT(DISTINCT member) FROM usage_member` + n.where() + ` GROUP BY starts_at`, Args: n.args, Each: func(row db.Row) error {
			var at time.Time
			var count int64
			if err := row.Scan(&at, &count); err != nil {
				return err
			}
			return each(at, count)
		}}
	}
	return s.db.Ask(ctx, questions...)
}

// mostTerms is how many parts of a UNION a statement has at most; SQLite takes 500.
const mostTerms = 400

// DifferingIn implements [usage.Reads].
func (s *usages) DifferingIn(ctx context.Context, sel usage.Selection, windows [][]usage.Range, each func(int, int64) error) error {
	var questions []db.Question
	for first := 0; first < len(windows); {
		var terms []string
		all := new(narrowing)
		next := first
		for ; next < len(windows) && (len(terms) == 0 || len(terms)+len(windows[next]) <= mostTerms); next++ {
			for _, r := range windows[next] {
				n := valued(sel, all.args...).during(r)
				terms, all.args = append(terms, fmt.Sprintf("SELECT %d AS n, member FROM usage_member%s", next, n.where())), n.args
			}
		}
		first = next
		questions = append(questions, db.Question{SQL: `SELECT n, COUNT(DISTINCT member) FROM (` + strings.Join(terms, " UNION ALL ") + `) u GROUP BY n`, Args: all.args, Each: func(row db.Row) error {
			var window int
			var count int64
			if err := row.Scan(&window, &count); err != nil {
				return err
			}
			return each(window, count)
		}})
	}
	return s.db.Ask(ctx, questions...)
}

// consumers is the table, the name and the WHERE of those that are told apart, without span and time. In the table of different values
// the scope stands for the carrier.
func consumers(sel usage.Selection, by string, members bool, before ...any) (table, name string, n *narrowing) {
	n = &narrowing{args: before}
	table, name, scope := "usage_total", "subject", "carrier"
	if members {
		table, scope = "usage_member", "scope"
	}
	switch by {
	case "carrier":
		if !members {
			table = "usage_rollup"
		}
		n.that("meter =", sel.Meter, "").that("grp =", usage.All, "")
		if members {
			n.that("subject =", usage.All, "")
		}
		n.args = append(n.args, sel.Product, sel.Env)
		n.conditions = append(n.conditions, fmt.Sprintf("scope IN (SELECT carrier FROM usage_source WHERE product_id = $%d AND env = $%d)", len(n.args)-1, len(n.args)))
		return table, "scope", n
	case "group":
		name = "grp"
	}
	n.that(scope+" =", sel.Carrier, "").that("meter =", sel.Meter, "")
	if members {
		n.that("subject <>", usage.All, "")
	}
	return table, name, n
}

// amongRanges narrows to the sums of all of some ranges.
func (n *narrowing) amongRanges(ranges []usage.Range) *narrowing {
	var within []string
	for _, r := range ranges {
		n.args = append(n.args, string(r.Span), r.From, r.To)
		i := len(n.args)
		within = append(within, fmt.Sprintf("span = $%d AND starts_at >= $%d AND starts_at < $%d", i-2, i-1, i))
	}
	n.conditions = append(n.conditions, "("+strings.Join(within, " OR ")+")")
	return n
}

// Consumers implements [usage.Reads]. The database puts them in order, so that no more are held in memory than are answered.
func (s *usages) Consumers(ctx context.Context, sel usage.Selection, by, kind string, ranges []usage.Range, limit int64) ([]usage.Consumer, int64, error) {
	table, name, n := consumers(sel, by, false)
	n.amongRanges(ranges)
	where, value, joined := n.where(), map[string]string{usage.KindCount: "u.events", usage.KindMax: "u.peak"}[kind], ""
	switch kind {
	case usage.KindUnique:
		var values string
		values, name, n = consumers(sel, by, true, n.args...)
		value, joined = "COALESCE(v.n, 0)", ` LEFT JOIN (SELECT `+name+` AS name, COUNT(DISTINCT member) AS n FROM `+values+n.amongRanges(ranges).where()+` GROUP BY `+name+`) v ON v.name = u.name`
	case usage.KindLast:
		value, joined = "COALESCE(v.last_value, 0)", ` LEFT JOIN (SELECT `+name+` AS name, last_value, ROW_NUMBER() OVER (PARTITION BY `+name+` ORDER BY last_at DESC, last_id DESC) AS n
			FROM `+table+where+` AND last_at IS NOT NULL) v ON v.name = u.name AND v.n = 1`
	case usage.KindSum:
		value = "u.total"
	}
	var list []usage.Consumer
	var of int64
	sql := `SELECT u.name, ` + value + ` AS value, u.events, u.total, u.peak, COUNT(*) OVER () FROM (SELECT ` + name + ` AS name, CAST(SUM(events) AS bigint) AS events,
			CAST(SUM(total) AS bigint) AS total, MAX(peak) AS peak FROM ` + table + where + ` GROUP BY ` + name + `) u` + joined + fmt.Sprintf(` ORDER BY value DESC, u.name LIMIT $%d`, len(n.args)+1)
	err := s.db.Ask(ctx, db.Question{SQL: sql, Args: append(n.args, limit), Each: db.Into(&list, func(row db.Row) (c usage.Consumer, err error) {
		return c, row.Scan(&c.Name, &c.Value, &c.Events, &c.Sum, &c.Max, &of)
	})})
	return list, of, err
}

// Months implements [usage.Reads]. The cursor is the last row's month and codes, none of which has a line feed.
func (s *usages) Months(ctx context.Context, reach license.Reach, carrier string, page licensing.Page) (licensing.List[usage.Sum], error) {
	limit := pageSize(page)
	sql, args := `SELECT starts_at, meter, subject, grp, events, total, peak, late FROM usage_total WHERE carrier = $1 AND span = $2 `, []any{carrier, string(usage.Month)}
	if page.Cursor != "" {
		after := strings.Split(page.Cursor, "\n")
		at, err := time.Parse(time.RFC3339, after[0])
		if err != nil || len(after) != 4 {
			return licensing.List[usage.Sum]{}, errors.New("usage: a cursor of another list")
		}
		sql += `AND (starts_at < $4 OR starts_at = $4 AND (meter, subject, grp) > ($5, $6, $7)) `
		args = append(args, limit+1, at, after[1], after[2], after[3])
	} else {
		args = append(args, limit+1)
	}
	var found []string
	var items []usage.Sum
	err := s.db.Ask(ctx, carried(reach, carrier, &found), db.Question{SQL: sql + `ORDER BY starts_at DESC, meter, subject, grp LIMIT $3`, Args: args,
		Each: func(row db.Row) error {
			var m usage.Sum
			err := row.Scan(&m.Starts, &m.Meter, &m.Subject, &m.Group, &m.Events, &m.Total, &m.Max, &m.Late)
			items = append(items, m)
			return err
		}})
	if err == nil && len(found) == 0 {
		err = licensing.ErrNotFound
	}
	if err != nil {
		return licensing.List[usage.Sum]{}, err
	}
	return cut(items, limit, func(m usage.Sum) string {
		return strings.Join([]string{m.Starts.UTC().Format(time.RFC3339), m.Meter, m.Subject, m.Group}, "\n")
	}), nil
}
