package lite_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/mintreu/mintreu/service/db/lite"
)

// The cost of a point read, of one durable write, and of a transaction of three statements.
func BenchmarkSQLite(b *testing.B) {
	d, err := lite.Open(b.Context(), lite.Config{Path: b.TempDir() + "/bench.db"})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	ctx := b.Context()
	if _, err := d.Exec(ctx, `CREATE TABLE t (id text COLLATE "C" PRIMARY KEY, n bigint NOT NULL, label text NOT NULL)`); err != nil {
		b.Fatal(err)
	}
	rows := make([][]any, 10000)
	for i := range rows {
		rows[i] = []any{fmt.Sprintf("id_%05d", i), i, "label"}
	}
	if _, err := d.BulkInsert(ctx, "t", []string{"id", "n", "label"}, rows); err != nil {
		b.Fatal(err)
	}
	b.Run("read", func(b *testing.B) {
		var n int64
		var label string
		for i := range b.N {
			if err := d.QueryRow(ctx, `SELECT n, label FROM t WHERE id = $1`, rows[i%len(rows)][0]).Scan(&n, &label); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("write", func(b *testing.B) {
		for i := range b.N {
			if _, err := d.Exec(ctx, `UPDATE t SET n = n + 1 WHERE id = $1`, rows[i%len(rows)][0]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("transaction", func(b *testing.B) {
		for i := range b.N {
			err := d.InTx(ctx, func(ctx context.Context) error {
				for j := range 3 {
					if _, err := d.Exec(ctx, `UPDATE t SET n = n + 1 WHERE id = $1`, rows[(i+j)%len(rows)][0]); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
