package store

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/service/db"
)

// licenseChecks are what must hold of licenses, seats and signing keys at every commit. Each statement returns the object and what
// is wrong of it, and nothing when all is well.
var licenseChecks = []struct{ invariant, sql string }{
	{"INV3", `SELECT l.id, 'it names no source' FROM license l WHERE l.source_kind = '' OR l.source_id = ''`},
	{"INV4", `SELECT l.id, 'the seats counted are not those held' FROM license l
		WHERE l.seats_used <> (SELECT count(*) FROM activation a WHERE a.license_id = l.id AND a.state = 'held')`},
	{"INV4", `SELECT l.id, 'more seats are held than there are' FROM license l
		WHERE l.seats_max >= 0 AND l.seats_used > l.seats_max AND l.seats_used > l.seats_kept`},
	{"INV4", `SELECT a.license_id, 'one device or user holds two seats' FROM activation a
		WHERE a.state = 'held' GROUP BY a.license_id, a.subject HAVING count(*) > 1`},
	{"INV5", `SELECT s.carrier, 'what its sources counted is not what is added up for it' FROM usage_source s LEFT JOIN usage_mark m ON m.source = s.id GROUP BY s.carrier
		HAVING COALESCE(SUM(m.events), 0) + (SELECT COALESCE(SUM(c.events), 0) FROM usage_correction c WHERE c.carrier = s.carrier)
				<> (SELECT COALESCE(SUM(t.events), 0) FROM usage_total t WHERE t.carrier = s.carrier AND t.span = 'quarter')
			OR COALESCE(SUM(m.total), 0) + (SELECT COALESCE(SUM(c.total), 0) FROM usage_correction c WHERE c.carrier = s.carrier)
				<> (SELECT COALESCE(SUM(t.total), 0) FROM usage_total t WHERE t.carrier = s.carrier AND t.span = 'quarter')`},
	{"INV5", `SELECT a.carrier, 'the lines of its account are not what is added up for it' FROM (
			SELECT carrier, meter, events, total FROM usage_line UNION ALL SELECT carrier, meter, events, total FROM usage_correction
			UNION ALL SELECT carrier, meter, -events, -total FROM usage_total WHERE span = 'quarter') a
		GROUP BY a.carrier, a.meter HAVING SUM(a.events) <> 0 OR SUM(a.total) <> 0`},
	{"INV5", `SELECT t.carrier, 'its days and months do not add up to its quarters of an hour' FROM usage_total t GROUP BY t.carrier, t.meter
		HAVING SUM(CASE WHEN t.span = 'month' THEN t.events ELSE 0 END) <> SUM(CASE WHEN t.span = 'quarter' THEN t.events ELSE 0 END)
			OR SUM(CASE WHEN t.span = 'month' THEN t.total ELSE 0 END) <> SUM(CASE WHEN t.span = 'quarter' THEN t.total ELSE 0 END)
			OR SUM(CASE WHEN t.span = 'day' THEN t.events ELSE 0 END) <> SUM(CASE WHEN t.span = 'quarter' THEN t.events ELSE 0 END)
			OR SUM(CASE WHEN t.span = 'day' THEN t.total ELSE 0 END) <> SUM(CASE WHEN t.span = 'quarter' THEN t.total ELSE 0 END)`},
	{"INV5", `SELECT a.carrier, 'its sums over all subjects are not those of its subjects' FROM (
			SELECT carrier, meter, span, events, total FROM usage_total
			UNION ALL SELECT scope, meter, span, -events, -total FROM usage_rollup WHERE grp = '*' AND scope NOT LIKE '%/%') a
		GROUP BY a.carrier, a.meter, a.span HAVING SUM(a.events) <> 0 OR SUM(a.total) <> 0`},
	{"INV5", `SELECT a.meter, 'the sums of products are not those of their licenses and keys' FROM (
			SELECT meter, span, CASE WHEN scope LIKE '%/%' THEN -events ELSE events END AS events, CASE WHEN scope LIKE '%/%' THEN -total ELSE total END AS total
			FROM usage_rollup WHERE grp = '*') a
		GROUP BY a.meter, a.span HAVING SUM(a.events) <> 0 OR SUM(a.total) <> 0`},
	{"INV9", `SELECT a.id, 'it holds a seat of a revoked license' FROM activation a JOIN license l ON l.id = a.license_id
		WHERE a.state = 'held' AND l.state = 'revoked'`},
	{"INV9", `SELECT t.jti, 'it is the valid token of a revoked license' FROM license_token t JOIN license l ON l.id = t.license_id
		WHERE t.current AND l.state = 'revoked'`},
	{"TOKEN", `SELECT l.id, 'it has no valid token' FROM license l
		WHERE l.state <> 'revoked'
			AND NOT EXISTS (SELECT 1 FROM license_token t WHERE t.jti = l.token_jti AND t.license_id = l.id AND t.current)`},
	{"STOPS", `SELECT l.id, 'its state is not what follows from who suspends it' FROM license l
		WHERE l.state <> 'revoked' AND (l.state = 'active') <> (l.held_at IS NULL AND l.disputed_at IS NULL AND l.lapsed_at IS NULL)`},
	{"KEYS", `SELECT 'signing_key', 'there is not exactly one active signing key' FROM keyset k
		WHERE k.num = 1 AND (SELECT count(*) FROM signing_key s WHERE s.role = 'signing' AND s.state = 'active') <> 1`},
	{"KEYS", `SELECT s.kid, 'the active signing key has no private part' FROM signing_key s
		WHERE s.role = 'signing' AND s.state = 'active' AND s.sealed IS NULL`},
}

// LicenseViolations checks what must hold of licenses at any time, on a live database:
//
//	INV3   every license names its source; that an order unit's license is its grant is [Store.OrderViolations]' to say
//	INV4   activations holding a seat are those counted, and no more than there are seats
//	INV5   what sources of usage counted is what is added up, by every span and scope, and what the lines of accounts say
//	INV9   a revoked license has no activation with a seat and no valid token
//	TOKEN  every other license has a valid token
//	STOPS  a license is suspended exactly while staff, a dispute or the end of its term suspends it
//	KEYS   exactly one signing key is active, and it can sign
func (s *Store) LicenseViolations(ctx context.Context, _ time.Time) ([]Violation, error) {
	var out []Violation
	for _, check := range licenseChecks {
		rows, err := s.db.Query(ctx, check.sql)
		found, err := db.Collect(rows, err, func(r db.Row) (Violation, error) {
			v := Violation{Invariant: check.invariant}
			return v, r.Scan(&v.Object, &v.Text)
		})
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}
