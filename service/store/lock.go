package store

// held locks the rows of a table that a condition names, by their ids, one after the other. The ids are sorted as an expression: SQLite, which knows
// nothing of how many rows there are, would else walk the whole table by its key rather than sort the few.
func held(table, where string) string {
	return `SELECT id FROM ` + table + ` WHERE ` + where + ` ORDER BY id || '' FOR NO KEY UPDATE`
}

// inOrder is the condition on rows of a table that picks those which another condition names, having locked them as held does. Every statement that
// changes or deletes several rows which others change too has it, or is sorted by other means.
func inOrder(table, where string) string { return `id IN (` + held(table, where) + `)` }
