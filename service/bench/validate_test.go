package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/db/pg"
	"github.com/mintreu/mintreu/service/limit/limittest"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// few is how many licenses the smaller shop of BenchmarkValidate has.
const few = 1000

// many is how many licenses the larger shop of BenchmarkValidate has: MINTREU_BENCH_LICENSES, a hundred thousand unless said.
func many(b *testing.B) int {
	text := os.Getenv("MINTREU_BENCH_LICENSES")
	if text == "" {
		return 100_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= few {
		b.Fatalf("MINTREU_BENCH_LICENSES is %q, want a number above %d", text, few)
	}
	return n
}

// BenchmarkValidate validates a license over HTTP, its key and its record in memory, in turn with a constant on the same stack: the answer to
// a key of nobody, which is decided on nothing. It does so in a shop of a thousand licenses and in one of many, on PostgreSQL; the name says of
// how many.
func BenchmarkValidate(b *testing.B) {
	url := storetest.PostgresURL(b)
	a := serve(b, app.Config{DataDir: b.TempDir(), Addr: "127.0.0.1:0", OpsAddr: "off", LogLevel: "error", KeyPrefix: "mtr", MailFrom: "Shop <shop@example.com>", ShopName: "Shop",
		Ceiling: 1_000_000, PostgresURL: url, RedisURL: limittest.Redis(b)})
	s := newIssuer(b, a)
	var one struct{ ID, Key string }
	if err := s.send(http.MethodPost, "/v1/licenses", map[string]any{"policy": s.policy, "owner": s.owner, "reason": "bench"}, &one); err != nil {
		b.Fatal(err)
	}
	database, err := pg.Open(b.Context(), pg.Config{URL: url, StatementTimeout: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = database.Close() })
	have := 1
	for _, n := range []int{few, many(b)} {
		if err := copies(b.Context(), database, one.ID, have, n); err != nil {
			b.Fatal(err)
		}
		have = n
		b.Run(fmt.Sprintf("of-%d", n), func(b *testing.B) {
			ask := func(key, code string) func() { return func() { validate(b, s, key, code) } }
			beside(b, ask("AAAAA-BBBBB-CCCCC-DDDDD", "NOT_FOUND"), ask(one.Key, "ACTIVATION_REQUIRED"))
		})
	}
}

// validate asks for the decision on the license of a key, whose code must be the one named.
func validate(b *testing.B, s *issuer, key, code string) {
	r, err := http.NewRequest(http.MethodPost, s.base+"/v1/licenses/validate", bytes.NewReader([]byte(`{"product": "acme-notes"}`)))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "License "+key)
	r.Header.Set("Content-Type", "application/json")
	res, err := s.client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || !bytes.Contains(text, []byte(code)) {
		b.Fatalf("%d %s, %v", res.StatusCode, text, err)
	}
}

// copies makes n licenses of have, one at least, that are like the one with an id, each with a key and a token of its own.
func copies(ctx context.Context, d *pg.DB, id string, have, n int) error {
	return d.InTx(ctx, func(ctx context.Context) error {
		for _, statement := range []string{
			`INSERT INTO license SELECT (jsonb_populate_record(l, jsonb_build_object('id', 'lic_' || lpad(to_hex(g), 32, '0'), 'source_id', 'copy/' || g,
				'key_lookup', '\x' || md5(g::text) || md5('k' || g), 'token_jti', 'tok_' || lpad(to_hex(g), 32, '0')))).* FROM license l, GENERATED g WHERE l.id = 'ID'`,
			`INSERT INTO license_token SELECT (jsonb_populate_record(t, jsonb_build_object('jti', 'tok_' || lpad(to_hex(g), 32, '0'), 'license_id', 'lic_' || lpad(to_hex(g), 32, '0'),
				'list', 1000 + g / 131072, 'idx', g % 131072))).* FROM license_token t, GENERATED g WHERE t.license_id = 'ID' AND t.current`,
			`ANALYZE license, license_token`,
		} {
			statement = strings.NewReplacer("GENERATED", fmt.Sprintf("generate_series(%d, %d)", have, n-1), "'ID'", "'"+id+"'").Replace(statement)
			if _, err := d.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}
