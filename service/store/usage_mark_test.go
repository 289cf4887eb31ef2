package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/store"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// What tells the batches of a source apart is one row of at most 128 bytes in its table, with its header, its padding, its pointer and its
// share of what pages leave free, however many batches and events there were.
func TestUsage_OneSmallRowASource(t *testing.T) {
	t.Parallel()
	const sources, most = 2000, 128
	e := storetest.Postgres(t)
	ctx, at := t.Context(), e.Clock.Now()
	id := func(prefix string, i int) string { return prefix + "_" + fmt.Sprintf("%032x", i) }
	var values []string
	for i := range sources {
		values = append(values, fmt.Sprintf("('%s', '%s', 'n%031d', '%s', '%s', 'live', now())", id("src", i), id("act", i), i, id("lic", i), id("prd", 1)))
	}
	if _, err := e.DB.Exec(ctx, `INSERT INTO usage_source (id, holder, nonce, carrier, product_id, env, created_at) VALUES `+strings.Join(values, ", ")); err != nil {
		t.Fatal(err)
	}
	advance := func(i int, from, seq int64) {
		t.Helper()
		b := usage.Batch{Source: usage.Source{ID: id("src", i), Holder: id("act", i)}, From: from, Seq: seq, Hash: "0123456789abcdef", At: at, Tally: usage.Tally{Events: 200_000, Total: 1 << 40}}
		if moved, err := e.Store.Usage().Advance(ctx, b); err != nil || !moved {
			t.Fatalf("%v, %v", moved, err)
		}
	}
	for i := range sources {
		advance(i, 0, 1)
	}
	var rows, widest, table, indexes int64
	if err := e.DB.QueryRow(ctx, `SELECT pg_relation_size('usage_mark'), pg_indexes_size('usage_mark')`).Scan(&table, &indexes); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		for seq := int64(1); seq < 20; seq++ {
			advance(i, seq, seq+1)
		}
	}
	if err := e.DB.QueryRow(ctx, `SELECT count(*), max((pg_column_size(m.*) + 7) / 8 * 8 + 4) FROM usage_mark m`).Scan(&rows, &widest); err != nil {
		t.Fatal(err)
	}
	if rows != sources || widest > most || table > most*sources {
		t.Errorf("%d rows of up to %d bytes, %d bytes of table a source; want %d and at most %d", rows, widest, table/sources, sources, most)
	}
	t.Logf("a row has %d bytes; %d bytes of table and %d of indexes a source", widest, table/sources, indexes/sources)
}

// How far sources have come is the same for the program before and after, whether they counted or not.
func TestMigrate_MarksOfSources(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, p place) {
		d := p.mustOpen(t)
		if err := store.Migrate(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		for _, id := range []string{"src_a", "src_b"} {
			if _, err := d.Exec(t.Context(), `INSERT INTO usage_source (id, holder, nonce, carrier, product_id, env, created_at) VALUES ($1, $1, 'n', 'lic_a', 'prd_a', 'live', $2)`, id, at); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := d.Exec(t.Context(), `INSERT INTO usage_mark (source, last_seq, last_hash, last_at, events, total) VALUES ('src_a', 7, '0123456789abcdef', $1, 8, 9)`, at); err != nil {
			t.Fatal(err)
		}
		before := func() {
			t.Helper()
			if err := store.MigrateDown(t.Context(), d, 60); err != nil {
				t.Fatal(err)
			}
			for id, want := range map[string]string{"src_a": "7 0123456789abcdef true 8 9", "src_b": "0  false 0 0"} {
				var seq, events, total int64
				var hash string
				var last *time.Time
				if err := d.QueryRow(t.Context(), `SELECT last_seq, last_hash, last_at, events, total FROM usage_source WHERE id = $1`, id).Scan(&seq, &hash, &last, &events, &total); err != nil {
					t.Fatal(err)
				}
				if got := fmt.Sprint(seq, " ", hash, " ", last != nil && last.Equal(at), " ", events, " ", total); got != want {
					t.Errorf("%s before: %s, want %s", id, got, want)
				}
			}
		}
		before()
		if err := store.Migrate(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		var marks int64
		if err := d.QueryRow(t.Context(), `SELECT count(*) FROM usage_mark`).Scan(&marks); err != nil || marks != 1 {
			t.Errorf("%d marks, %v; want that of the source that counted", marks, err)
		}
		before() // it kept all on the way forth as on the way back
	})
}
