package dbtest

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/db"
)

const valueTable = `CREATE TABLE thing (
	id text COLLATE "C" PRIMARY KEY, label text, n bigint, flag boolean, at timestamptz, data bytea)`

// types: every type of the portable subset comes back as it went in, at its limits.
func types(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	at := time.Date(2026, 3, 4, 5, 6, 7, 123456000, time.UTC)
	for _, c := range []struct {
		id, label string
		n         int64
		flag      bool
		data      []byte
	}{
		{"empty", "", 0, false, []byte{}},
		{"max", "žluťoučký 🐎 \t\n'\"$1", math.MaxInt64, true, []byte{0, 1, 255}},
		{"min", "?1 -- not a comment", math.MinInt64, false, bytes.Repeat([]byte{7}, 1<<16)},
	} {
		if _, err := d.Exec(t.Context(), `INSERT INTO thing (id, label, n, flag, at, data) VALUES ($1, $2, $3, $4, $5, $6)`,
			c.id, c.label, c.n, c.flag, at, c.data); err != nil {
			t.Fatal(err)
		}
		var label string
		var n int64
		var flag bool
		var got time.Time
		var data []byte
		if err := d.QueryRow(t.Context(), `SELECT label, n, flag, at, data FROM thing WHERE id = $1`, c.id).
			Scan(&label, &n, &flag, &got, &data); err != nil {
			t.Fatal(err)
		}
		if label != c.label || n != c.n || flag != c.flag || !got.Equal(at) || !bytes.Equal(data, c.data) {
			t.Errorf("%s: got %q %d %v %v %d bytes", c.id, label, n, flag, got, len(data))
		}
		if data == nil {
			t.Errorf("%s: bytes that are not NULL came back nil", c.id)
		}
	}
	if n := count(t, t.Context(), d, "thing WHERE flag"); n != 1 {
		t.Errorf("%d rows are true in SQL, want 1", n)
	}
	if n := count(t, t.Context(), d, "thing WHERE flag = false"); n != 2 {
		t.Errorf("%d rows are false in SQL, want 2", n)
	}
}

// nulls: nil, nil pointers, nil slices and invalid sql.Null values are NULL, come back as nil, and differ from empty.
func nulls(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	insert := `INSERT INTO thing (id, label, n, flag, at, data) VALUES ($1, $2, $3, $4, $5, $6)`
	for id, args := range map[string][]any{
		"nil":      {nil, nil, nil, nil, nil},
		"pointers": {(*string)(nil), (*int64)(nil), (*bool)(nil), (*time.Time)(nil), []byte(nil)},
		"sql":      {sql.NullString{}, sql.NullInt64{}, sql.NullBool{}, sql.NullTime{}, nil},
	} {
		if _, err := d.Exec(t.Context(), insert, append([]any{id}, args...)...); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
	}
	if n := count(t, t.Context(), d, "thing WHERE label IS NULL AND n IS NULL AND flag IS NULL AND at IS NULL AND data IS NULL"); n != 3 {
		t.Fatalf("%d rows are all NULL, want 3", n)
	}
	text, whole, yes, at := "", int64(0), false, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, err := d.Exec(t.Context(), insert, "set", &text, &whole, &yes, &at, []byte{}); err != nil {
		t.Fatal(err)
	}
	if n := count(t, t.Context(), d, "thing WHERE label = '' AND n = 0 AND flag = false AND at IS NOT NULL AND data IS NOT NULL"); n != 1 {
		t.Errorf("empty values were not kept apart from NULL")
	}
	for _, id := range []string{"nil", "set"} {
		var (
			label *string
			n     *int64
			flag  *bool
			when  *time.Time
			data  []byte
			std   sql.NullTime
		)
		row := d.QueryRow(t.Context(), `SELECT label, n, flag, at, data, at FROM thing WHERE id = $1`, id)
		if err := row.Scan(&label, &n, &flag, &when, &data, &std); err != nil {
			t.Fatal(err)
		}
		isNull := id == "nil"
		if (label == nil) != isNull || (n == nil) != isNull || (flag == nil) != isNull || (when == nil) != isNull ||
			(data == nil) != isNull || std.Valid == isNull {
			t.Errorf("%s: got %v %v %v %v %v %v", id, label, n, flag, when, data, std)
		}
	}
}

// nullIntoPlain: NULL does not turn into a zero value unnoticed.
func nullIntoPlain(t *testing.T, d db.DB) {
	must(t, d, valueTable, `INSERT INTO thing (id) VALUES ('a')`)
	var s string
	var n int64
	var b bool
	var at time.Time
	for column, dest := range map[string]any{"label": &s, "n": &n, "flag": &b, "at": &at} {
		if err := d.QueryRow(t.Context(), `SELECT `+column+` FROM thing`).Scan(dest); err == nil {
			t.Errorf("NULL %s was scanned into %T without an error", column, dest)
		}
	}
}

type (
	code  string
	units int64
)

// namedTypes: named strings and integers, arrays of bytes and pointers go in and come out.
func namedTypes(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	c, raw := code("pro"), json.RawMessage(`{"a":1}`)
	if _, err := d.Exec(t.Context(), `INSERT INTO thing (id, label, n) VALUES ($1, $2, $3)`, c, raw, units(7)); err != nil {
		t.Fatal(err)
	}
	var id code
	var n units
	var label json.RawMessage
	if err := d.QueryRow(t.Context(), `SELECT id, label, n FROM thing WHERE id = $1 AND n = $2`, &c, units(7)).Scan(&id, &label, &n); err != nil {
		t.Fatal(err)
	}
	if id != c || n != 7 || !bytes.Equal(label, raw) {
		t.Errorf("got %q %d %s", id, n, label)
	}
	if got := count(t, t.Context(), d, `thing WHERE label = '{"a":1}'`); got != 1 {
		t.Error("JSON was not stored as text")
	}
}

// times: instants are kept to the microsecond, are compared and sorted as instants whatever zone they came in, and come
// back in UTC.
func times(t *testing.T, d db.DB) {
	must(t, d, `CREATE TABLE moment (n bigint PRIMARY KEY, at timestamptz NOT NULL)`)
	base := time.Date(2026, 12, 31, 23, 59, 59, 999999999, time.UTC)
	india := time.FixedZone("", 5*3600+1800)
	in := []time.Time{
		base, base.Add(time.Microsecond).In(india), base.Add(-time.Hour).In(india), base.Truncate(time.Second),
		time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}
	for i, at := range in {
		if _, err := d.Exec(t.Context(), `INSERT INTO moment (n, at) VALUES ($1, $2)`, i, at); err != nil {
			t.Fatal(err)
		}
	}
	var order []int
	rows, err := d.Query(t.Context(), `SELECT n, at FROM moment ORDER BY at`)
	got, err := db.Collect(rows, err, func(r db.Row) (time.Time, error) {
		var n int
		var at time.Time
		err := r.Scan(&n, &at)
		order = append(order, n)
		if want := in[n].UTC().Truncate(time.Microsecond); err == nil && (!at.Equal(want) || at.Location() != time.UTC) {
			t.Errorf("moment %d came back as %v (%v), want %v", n, at, at.Location(), want)
		}
		return at, err
	})
	if err != nil || !slices.IsSortedFunc(got, time.Time.Compare) || !slices.Equal(order, []int{4, 2, 3, 0, 1, 5}) {
		t.Errorf("order %v, error %v", order, err)
	}
	for where, want := range map[string]int64{"at = $1": 1, "at < $1": 3, "at >= $1": 3} {
		var n int64
		if err := d.QueryRow(t.Context(), `SELECT count(*) FROM moment WHERE `+where, base.In(india)).Scan(&n); err != nil || n != want {
			t.Errorf("%s: %d rows, error %v, want %d", where, n, err, want)
		}
	}
	var last time.Time
	if err := d.QueryRow(t.Context(), `SELECT max(at) FROM moment`).Scan(&last); err != nil || last.Year() != 9999 {
		t.Errorf("max: %v, %v", last, err)
	}
}

// caseSensitive: text differs in case on both engines, in comparisons, in unique keys and in LIKE-free searches.
func caseSensitive(t *testing.T, d db.DB) {
	must(t, d, valueTable, `INSERT INTO thing (id, label) VALUES ('abc', 'Straße'), ('ABC', 'STRASSE'), ('Abc', 'strasse')`)
	for _, id := range []string{"abc", "ABC", "Abc"} {
		if n := count(t, t.Context(), d, "thing WHERE id = '"+id+"'"); n != 1 {
			t.Errorf("%s matched %d rows", id, n)
		}
	}
	if n := count(t, t.Context(), d, "thing WHERE id = 'aBC' OR label = 'straße'"); n != 0 {
		t.Errorf("a different case matched %d rows", n)
	}
}

// bytewiseOrder: a column with COLLATE "C" sorts and compares by bytes, so that pages of a list are the same everywhere.
func bytewiseOrder(t *testing.T, d db.DB) {
	must(t, d, valueTable, `INSERT INTO thing (id) VALUES ('a'), ('B'), ('_'), ('é'), ('z'), ('A-1'), ('A1'), ('10'), ('9')`)
	rows, err := d.Query(t.Context(), `SELECT id FROM thing ORDER BY id COLLATE "C"`)
	got, err := db.Collect(rows, err, func(r db.Row) (s string, err error) { return s, r.Scan(&s) })
	if want := []string{"10", "9", "A-1", "A1", "B", "_", "a", "z", "é"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if n := count(t, t.Context(), d, "thing WHERE id > 'B'"); n != 4 {
		t.Errorf("%d rows are behind B, want 4", n)
	}
}

// textRefused: text that PostgreSQL cannot store is refused by both engines with the same error.
func textRefused(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	for _, bad := range []string{"nul\x00", "\xff\xfe", "half \xe2\x82"} {
		if _, err := d.Exec(t.Context(), `INSERT INTO thing (id) VALUES ($1)`, bad); !errors.Is(err, db.ErrText) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// jsonText: JSON is text, byte for byte, in whatever order and spacing it was written.
func jsonText(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	const doc = `{"b": 1.10,  "a":[null,true,"\u00e9 é"], "b2":{}}`
	if _, err := d.Exec(t.Context(), `INSERT INTO thing (id, label) VALUES ('j', $1)`, doc); err != nil {
		t.Fatal(err)
	}
	var text string
	var raw []byte
	if err := d.QueryRow(t.Context(), `SELECT label, label FROM thing`).Scan(&text, &raw); err != nil || text != doc || string(raw) != doc {
		t.Errorf("got %s and %s, %v", text, raw, err)
	}
}

// aggregates: counts and sums fit an int64, and an empty sum is NULL.
func aggregates(t *testing.T, d db.DB) {
	must(t, d, valueTable)
	var sum *int64
	if err := d.QueryRow(t.Context(), `SELECT sum(n) FROM thing`).Scan(&sum); err != nil || sum != nil {
		t.Errorf("sum of nothing: %v, %v", sum, err)
	}
	must(t, d, `INSERT INTO thing (id, n) VALUES ('a', 4611686018427387904), ('b', 4611686018427387902)`)
	var total, none int64
	var exists bool
	err := d.QueryRow(t.Context(), `SELECT sum(n), coalesce(sum(CASE WHEN id = 'c' THEN n END), 0), EXISTS (SELECT 1 FROM thing WHERE id = $1) FROM thing`, "a").
		Scan(&total, &none, &exists)
	if err != nil || total != 9223372036854775806 || none != 0 || !exists {
		t.Errorf("got %d %d %v, %v", total, none, exists, err)
	}
}
