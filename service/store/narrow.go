package store

import (
	"strconv"
	"strings"

	"github.com/mintreu/mintreu/licensing"
)

// narrowing is the WHERE of a list with optional filters. Only what narrows stands in the statement, so that either engine takes the
// index that fits; "$1 = ” OR owner = $1" would make it walk the whole table for an owner of two rows. There are as many
// statements as combinations of filters in use, a handful a list, and all are prepared once.
type narrowing struct {
	conditions []string
	args       []any
}

// by adds a condition that ends where its parameter goes, "l.owner =", unless value is empty.
func (n *narrowing) by(condition, value string) *narrowing {
	return n.byWrapped(condition, value, "")
}

// byWrapped is [narrowing.by] for a condition that goes on after its parameter.
func (n *narrowing) byWrapped(before, value, after string) *narrowing {
	if value != "" {
		return n.that(before, value, after)
	}
	return n
}

// next is the number of the parameter that the next condition adds, for one that names it twice.
func (n *narrowing) next() string { return strconv.Itoa(len(n.args) + 1) }

// that adds a condition whatever its value.
func (n *narrowing) that(before string, value any, after string) *narrowing {
	n.args = append(n.args, value)
	n.conditions = append(n.conditions, before+" $"+strconv.Itoa(len(n.args))+" "+after)
	return n
}

// statement completes selected, which ends before its WHERE, with order and limit.
func (n *narrowing) statement(selected, order string, limit int) (sql string, args []any) {
	return selected + n.where() + " ORDER BY " + order + " LIMIT $" + strconv.Itoa(len(n.args)+1), append(n.args, limit)
}

// where is the clause, with a space before it; empty when nothing narrows.
func (n *narrowing) where() string {
	if len(n.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(n.conditions, " AND ")
}

// pageSize is the number of rows a page holds.
func pageSize(page licensing.Page) int {
	if page.Limit <= 0 {
		return 20
	}
	return min(page.Limit, 100)
}

// cut makes a page of limit+1 rows that were read: the row too many tells that there is a next page.
func cut[T any](items []T, limit int, cursor func(T) string) licensing.List[T] {
	if len(items) <= limit {
		return licensing.List[T]{Items: items}
	}
	return licensing.List[T]{Items: items[:limit], Next: cursor(items[limit-1])}
}

// among appends values to args and returns their places, for a condition IN (…). The last value is repeated until there are 32, 128, 512
// or 2048, so that lists of any length make few statements. There must be a value.
func among[T any](args *[]any, values []T) string {
	size := 32
	for size < len(values) {
		size *= 4
	}
	var b strings.Builder
	for i := range size {
		*args = append(*args, values[min(i, len(values)-1)])
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(len(*args)))
	}
	return b.String()
}
