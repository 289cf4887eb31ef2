package db

import "strings"

const liteMark = "-- sqlite:"

// Spelling returns the spelling of a statement that is meant for the engine: the text after a line that starts with
// "-- sqlite:" for [SQLite], the text before it for [Postgres], and the whole statement when it has one spelling only.
func Spelling(e Engine, sql string) string {
	at := strings.Index(sql, liteMark)
	if at < 0 {
		return sql
	}
	if e == Postgres {
		return sql[:at]
	}
	_, rest, _ := strings.Cut(sql[at:], "\n")
	return rest
}
