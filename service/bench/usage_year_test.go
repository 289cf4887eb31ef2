package bench_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/db/pg"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// BenchmarkUsageYear asks for a year of a meter with 10,000 subjects, over HTTP, on PostgreSQL: by day in a zone whose days are not those of UTC,
// of all subjects and of one, each of which reads the year's 35,040 quarters of an hour, and for those subjects that used most. What lies beside
// what is read is a sample: every quarter of one day of each subject.
func BenchmarkUsageYear(b *testing.B) {
	address := storetest.PostgresURL(b)
	v := newVerifier(b, address)
	var made struct{ Key struct{ ID string } }
	if err := v.send(http.MethodPost, "/v1/keys", map[string]any{"owner": v.owner, "product": v.product, "name": "bench"}, &made); err != nil {
		b.Fatal(err)
	}
	database, err := pg.Open(b.Context(), pg.Config{URL: address, StatementTimeout: 10 * time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = database.Close() })
	const series = `generate_series(timestamptz '2026-01-01 00:00Z', timestamptz '2026-12-31 23:45Z', `
	for _, sql := range []string{
		`INSERT INTO usage_total (carrier, meter, span, subject, grp, starts_at, events, total, peak, late) SELECT $1, 'pages', 'month', 's' || s, '', m AT TIME ZONE 'UTC', 960, 960 + s % 977, 9, 0
			FROM generate_series(1, 10000) s, generate_series(timestamp '2026-01-01', timestamp '2026-12-01', interval '1 month') m`,
		`INSERT INTO usage_total (carrier, meter, span, subject, grp, starts_at, events, total, peak, late) SELECT $1, 'pages', 'quarter', 's' || s, '', timestamptz '2026-01-01 00:00Z' + s % 365 * interval '1 day' + q * interval '15 minutes', 10, 10, 1, 0
			FROM generate_series(2, 10000) s, generate_series(0, 95) q`,
		`INSERT INTO usage_total (carrier, meter, span, subject, grp, starts_at, events, total, peak, late) SELECT $1, 'pages', 'quarter', 's1', '', q, 10, 10, 1, 0 FROM ` + series + `interval '15 minutes') q`,
		`INSERT INTO usage_total (carrier, meter, span, subject, grp, starts_at, events, total, peak, late) SELECT $1, 'pages', 'day', 's1', '', q, 960, 960, 1, 0 FROM ` + series + `interval '24 hours') q`,
		`INSERT INTO usage_rollup (scope, meter, span, grp, starts_at, events, total, peak, late) SELECT $1, 'pages', 'quarter', '*', q, 100000, 100000, 1, 0 FROM ` + series + `interval '15 minutes') q`,
		`INSERT INTO usage_rollup (scope, meter, span, grp, starts_at, events, total, peak, late) SELECT $1, 'pages', 'day', '*', q, 9600000, 9600000, 1, 0 FROM ` + series + `interval '24 hours') q`,
	} {
		if _, err := database.Exec(b.Context(), sql, made.Key.ID); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := database.Exec(b.Context(), `ANALYZE usage_total`); err != nil {
		b.Fatal(err)
	}
	for name, q := range map[string]string{"all": "?window=day&zone=Asia%2FKathmandu", "subject": "?window=day&zone=Asia%2FKathmandu&subject=s1", "top": "/top?by=subject"} {
		of := url.Values{"carrier": {made.Key.ID}, "meter": {"pages"}, "from": {"2026-01-01T00:00:00Z"}, "to": {"2027-01-01T00:00:00Z"}}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var out map[string]any
				if err := v.send(http.MethodGet, "/v1/usage"+q+"&"+of.Encode(), nil, &out); err != nil {
					b.Fatal(err)
				}
				if list, _ := out["windows"].([]any); len(list) < 365 && !strings.HasPrefix(q, "/top") {
					b.Fatalf("%d windows", len(list))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/question")
		})
	}
}
