package pg

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/mintreu/mintreu/service/db"
)

// spell is the text of a statement with its arguments.
func (d *DB) spell(l *lease, s db.Statement) (string, []any, error) {
	if s.Insert == nil {
		return db.Spelling(db.Postgres, s.SQL), s.Args, nil
	}
	sql, err := d.insertion(l, s.Insert)
	if err != nil {
		return "", nil, err
	}
	columns := make([][]any, len(s.Insert.Columns))
	args := make([]any, len(columns))
	for i := range columns {
		columns[i] = make([]any, len(s.Insert.Rows))
		args[i] = columns[i]
	}
	for n, row := range s.Insert.Rows {
		if len(row) != len(columns) {
			return "", nil, fmt.Errorf("row %d has %d values for %d columns", n+1, len(row), len(columns))
		}
		for i, v := range row {
			columns[i][n] = v
		}
	}
	return sql, args, nil
}

// insertion is the statement that inserts rows given as an array for each column: it is the same for any number of rows, and travels with
// others, which COPY does not. The arrays, all of one length, are read side by side in the list of what is selected, which costs a wide table a
// third less than a FROM with them all, where each becomes a table of its own. The columns' types are asked for once; what a migration does to
// them later is nothing but to add some.
func (d *DB) insertion(l *lease, r *db.Rowset) (string, error) {
	names := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		names[i] = pgx.Identifier{c}.Sanitize()
	}
	table, list := pgx.Identifier{r.Table}.Sanitize(), strings.Join(names, ", ")
	key := table + " (" + list + ")"
	if known, ok := d.rows.Load(key); ok {
		return known.(string), nil
	}
	described, err := l.conn.Prepare(l.ctx, "", "SELECT "+list+" FROM "+table)
	if err != nil {
		return "", err
	}
	arrays := make([]string, len(described.Fields))
	for i, f := range described.Fields {
		t, ok := l.conn.TypeMap().TypeForOID(f.DataTypeOID)
		if !ok {
			return "", fmt.Errorf("column %s of %s has a type that is not known here", r.Columns[i], r.Table)
		}
		arrays[i] = fmt.Sprintf("unnest($%d::%s[])", i+1, t.Name)
	}
	sql := "INSERT INTO " + key + " SELECT " + strings.Join(arrays, ", ")
	d.rows.Store(key, sql)
	return sql, nil
}
