package bench_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/service/db/dbtest/server"
	"github.com/mintreu/mintreu/service/db/pg"
)

// BenchmarkUsage counts usage as the SDK reports it, in batches of sums by quarter of an hour, over HTTP and durably, in turn with an INSERT of a
// row for each event on the same PostgreSQL. It reports how many times the events a second.
func BenchmarkUsage(b *testing.B) {
	const subjects, events = 100, 100 // of a batch, and of each subject in it
	durable, err := server.NewPostgres(b.Context(), true)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = durable.Stop() })
	v := newVerifier(b, durable.URL)
	var made struct{ Secret string }
	if err := v.send(http.MethodPost, "/v1/keys", map[string]any{"owner": v.owner, "product": v.product, "name": "bench", "scopes": []string{"usage:write"}}, &made); err != nil {
		b.Fatal(err)
	}
	v.token = made.Secret
	var source sdk.SourceResponse
	if err := v.send(http.MethodPost, "/v1/usage/sources", sdk.SourceRequest{Nonce: strings.Repeat("n", 32)}, &source); err != nil {
		b.Fatal(err)
	}
	batch := sdk.UsageRequest{Source: source.Source}
	for i := range subjects {
		batch.Rows = append(batch.Rows, sdk.UsageRow{Meter: "pages", Subject: fmt.Sprint("workspace-", i), At: time.Now().Truncate(15 * time.Minute).Unix(), Events: events, Sum: events, Max: 1})
	}
	var answer struct{ Receipt string }
	report := func() {
		batch.Seq++
		if err := v.send(http.MethodPost, "/v1/usage", batch, &answer); err != nil {
			b.Fatal(err)
		}
	}
	database, err := pg.Open(b.Context(), pg.Config{URL: durable.URL})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = database.Close() })
	if _, err := database.Exec(b.Context(), `CREATE TABLE bench_event (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, meter text, subject text, n bigint, at timestamptz)`); err != nil {
		b.Fatal(err)
	}
	insert := func() {
		if _, err := database.Exec(b.Context(), `INSERT INTO bench_event (meter, subject, n, at) VALUES ('pages', 'workspace-1', 1, now())`); err != nil {
			b.Fatal(err)
		}
	}
	ratio := beside(b, insert, report)
	b.ReportMetric(subjects*events/ratio, "×throughput")
}
