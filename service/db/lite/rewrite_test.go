package lite

import "testing"

// The portable spelling becomes SQLite's, quoted text and comments stay as they are, and statements that write are told from
// those that read.
func TestRewrite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, out string
		writes  bool
	}{
		{`SELECT a FROM t WHERE b = $1 AND c = $12`, `SELECT a FROM t WHERE b = ?1 AND c = ?12`, false},
		{`SELECT '$1 FOR UPDATE', "COLLATE ""C""" FROM t -- $2 FOR UPDATE`, `SELECT '$1 FOR UPDATE', "COLLATE ""C""" FROM t -- $2 FOR UPDATE`, false},
		{`SELECT 'it''s $1' /* $2 INSERT */`, `SELECT 'it''s $1' /* $2 INSERT */`, false},
		{`SELECT a FROM t ORDER BY a COLLATE "C", b`, `SELECT a FROM t ORDER BY a , b`, false},
		{`SELECT a FROM t ORDER BY a COLLATE NOCASE`, `SELECT a FROM t ORDER BY a COLLATE NOCASE`, false},
		{"SELECT a FROM t FOR UPDATE", "SELECT a FROM t ", false},
		{"SELECT a FROM t\n\tFOR UPDATE SKIP LOCKED LIMIT $1", "SELECT a FROM t\n\t LIMIT ?1", false},
		{`SELECT a FROM t FOR NO KEY UPDATE NOWAIT`, `SELECT a FROM t `, false},
		{`select a from t for update of t skip locked`, `select a from t `, false},
		{`SELECT a FROM t FOR SHARE`, `SELECT a FROM t `, false},
		{`SELECT format FROM performance WHERE for_update = $1`, `SELECT format FROM performance WHERE for_update = ?1`, false},
		{`INSERT INTO t VALUES ($1) RETURNING a`, `INSERT INTO t VALUES (?1) RETURNING a`, true},
		{`  -- why` + "\n" + `update t SET a = $1`, `  -- why` + "\n" + `update t SET a = ?1`, true},
		{`WITH x AS (SELECT 1) SELECT * FROM x`, `WITH x AS (SELECT 1) SELECT * FROM x`, false},
		{`WITH x AS (SELECT 1) DELETE FROM t`, `WITH x AS (SELECT 1) DELETE FROM t`, true},
		{`WITH x AS (SELECT 'insert' AS "update") SELECT * FROM x`, `WITH x AS (SELECT 'insert' AS "update") SELECT * FROM x`, false},
		{`SELECT updated_at FROM t`, `SELECT updated_at FROM t`, false},
		{`VALUES ($1)`, `VALUES (?1)`, false},
		{`CREATE TABLE t (a text COLLATE "C" PRIMARY KEY)`, `CREATE TABLE t (a text  PRIMARY KEY)`, true},
		{"SELECT now()\n-- sqlite:\nSELECT $1", "SELECT ?1", false},
		{`SELECT 'open $1`, `SELECT 'open $1`, false},
		{`SELECT $`, `SELECT $`, false},
		{``, ``, false},
	} {
		if out := Rewrite(c.in); out != c.out {
			t.Errorf("%s\n became %q\n want %q", c.in, out, c.out)
		}
		if got := writes(Rewrite(c.in)); got != c.writes {
			t.Errorf("%s: writes %v", c.in, got)
		}
	}
}

// Whatever text comes, rewriting ends and does not panic.
func FuzzRewrite(f *testing.F) {
	for _, s := range []string{`SELECT $1 FOR UPDATE`, `'`, `"`, `--`, `/*`, `COLLATE`, `COLLATE "`, `FOR UPDATE OF`, `é$1`, "-- sqlite:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		writes(Rewrite(s))
	})
}

// Parameters lose their numbers where they come in order, each once, outside of quoted text; anywhere else they keep them all.
func TestUnnumbered(t *testing.T) {
	t.Parallel()
	for in, out := range map[string]string{
		`SELECT a FROM t WHERE b = $1 AND c IN ($2, $3)`:                                `SELECT a FROM t WHERE b = ? AND c IN (?, ?)`,
		`INSERT INTO t VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12), ('$1 ?1', $13)`: `INSERT INTO t VALUES (?,?,?,?,?,?,?,?,?,?,?,?), ('$1 ?1', ?)`,
		`SELECT a FROM t WHERE b = $1 OR c = $1`:                                        `SELECT a FROM t WHERE b = ?1 OR c = ?1`,
		`SELECT a FROM t WHERE b = $2 AND c = $1`:                                       `SELECT a FROM t WHERE b = ?2 AND c = ?1`,
		`SELECT $1, $3`:  `SELECT ?1, ?3`,
		`SELECT '?', $1`: `SELECT '?', ?`,
		`SELECT 1`:       `SELECT 1`,
		``:               ``,
	} {
		if got := new(rewriter).rewrite(in).sql; got != out {
			t.Errorf("%s\n became %q\n want %q", in, got, out)
		}
	}
}
