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

// selected is the table and the WHERE of a selection's sums, without span and time.
func selected(s usage.Selection) (table string, n *narrowing) {
	n = new(narrowing)
	switch {
	case s.Carrier == "":
		scopes := make([]string, usage.Shards)
		for i := range scopes {
			scopes[i] = usage.Scope(s.Product, s.Env, i)
		}
		n.conditions = append(n.conditions, "scope IN ("+among(&n.args, scopes)+")")
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

// valued is the WHERE of a selection's different values, without span and time.
func valued(s usage.Selection) *narrowing {
	n := new(narrowing)
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

// Members implements [usage.Reads].
func (s *usages) Members(ctx context.Context, sel usage.Selection, ranges []usage.Range, each func(time.Time, []byte) error) error {
	questions := make([]db.Question, len(ranges))
	for i, r := range ranges {
		n := valued(sel).during(r)
		questions[i] = db.Question{SQL: `SELECT starts_at, member FROM usage_member` + n.where() + ` ORDER BY starts_at`, Args: n.args, Each: func(row db.Row) error {
			var at time.Time
			var digest []byte
			if err := row.Scan(&at, &digest); err != nil {
				return err
			}
			return each(at, digest)
		}}
	}
	return s.db.Ask(ctx, questions...)
}

// consumers is the table, the name and the WHERE of those that are told apart, without span and time. In the table of different values
// the scope stands for the carrier.
func consumers(sel usage.Selection, by string, members bool) (table, name string, n *narrowing) {
	n = new(narrowing)
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

// Consumers implements [usage.Reads].
func (s *usages) Consumers(ctx context.Context, sel usage.Selection, by string, ranges []usage.Range, each func(string, usage.Value) error) error {
	questions := make([]db.Question, len(ranges))
	for i, r := range ranges {
		table, name, n := consumers(sel, by, false)
		n.during(r)
		questions[i] = db.Question{SQL: `SELECT ` + name + `, CAST(SUM(events) AS bigint), CAST(SUM(total) AS bigint), MAX(peak), CAST(SUM(late) AS bigint) FROM ` + table + n.where() + ` GROUP BY ` + name,
			Args: n.args, Each: func(row db.Row) error {
				var of string
				var v usage.Value
				if err := row.Scan(&of, &v.Events, &v.Total, &v.Max, &v.Late); err != nil {
					return err
				}
				return each(of, v)
			}}
	}
	return s.db.Ask(ctx, questions...)
}

// ConsumerMembers implements [usage.Reads].
func (s *usages) ConsumerMembers(ctx context.Context, sel usage.Selection, by string, ranges []usage.Range, each func(string, usage.Value) error) error {
	table, name, n := consumers(sel, by, true)
	var within []string
	for _, r := range ranges {
		n.args = append(n.args, string(r.Span), r.From, r.To)
		i := len(n.args)
		within = append(within, fmt.Sprintf("span = $%d AND starts_at >= $%d AND starts_at < $%d", i-2, i-1, i))
	}
	n.conditions = append(n.conditions, "("+strings.Join(within, " OR ")+")")
	return s.db.Ask(ctx, db.Question{SQL: `SELECT ` + name + `, count(DISTINCT member) FROM ` + table + n.where() + ` GROUP BY ` + name, Args: n.args, Each: func(row db.Row) error {
		var of string
		var v usage.Value
		if err := row.Scan(&of, &v.Events); err != nil {
			return err
		}
		return each(of, v)
	}})
}

// Rows implements [usage.Reads].
func (s *usages) Rows(ctx context.Context, sel usage.Selection, span usage.Span, from, to time.Time, each func(usage.Sum) error) error {
	n := new(narrowing).that("carrier =", sel.Carrier, "").that("meter =", sel.Meter, "").during(usage.Range{Span: span, From: from, To: to}).by("subject =", sel.Subject).by("grp =", sel.Group)
	rows, err := s.db.Query(ctx, `SELECT starts_at, subject, grp, `+usageColumns+` FROM usage_total`+n.where()+` ORDER BY starts_at, subject, grp`, n.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		sum := usage.Sum{Key: usage.Key{Scope: sel.Carrier, Meter: sel.Meter, Span: span}}
		if err := scanValue(rows, &sum.Value, &sum.Starts, &sum.Subject, &sum.Group); err != nil {
			return err
		}
		if err := each(sum); err != nil {
			return err
		}
	}
	return rows.Err()
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
