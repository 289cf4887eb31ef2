package store

// inOrder is the condition on rows of a table that picks those which another condition names, having locked them by their ids, one after the
// other. Every statement that changes or deletes several rows which others change too has it, or is sorted by other means. The ids are sorted
// as an expression: SQLite, which knows nothing of how many rows there are, would else walk the whole table by its key rather than sort the few.
func inOrder(table, where string) string {
	return `id IN (SELECT id FROM ` + table + ` WHERE ` + where + ` ORDER BY id || '' FOR NO KEY UPDATE)`
}
