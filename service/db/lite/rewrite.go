package lite

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mintreu/mintreu/service/db"
)

// statement is one statement in SQLite's spelling.
type statement struct {
	sql    string
	writes bool // needs the writer although it may return rows
}

// rewriter turns the portable spelling into SQLite's and remembers the result. Statements are constants of the program, so
// the memory is bounded in practice; statements built at run time stop being remembered after maxRemembered.
type rewriter struct {
	known sync.Map // string -> statement
	count atomic.Int64
}

const maxRemembered = 8192

func (r *rewriter) rewrite(sql string) statement {
	if s, ok := r.known.Load(sql); ok {
		return s.(statement)
	}
	s := Rewrite(sql)
	st := statement{sql: unnumbered(s), writes: writes(s)}
	if r.count.Add(1) <= maxRemembered {
		r.known.Store(sql, st)
	}
	return st
}

// Rewrite returns the statement as SQLite understands it: its own spelling where it has one, parameters as ?N, without
// COLLATE "C" and without row locks. Quoted text and comments are left alone.
func Rewrite(sql string) string {
	sql = db.Spelling(db.SQLite, sql)
	var b strings.Builder
	b.Grow(len(sql))
	for i := 0; i < len(sql); {
		n := skip(sql[i:])
		switch c := sql[i]; {
		case n > 0:
			b.WriteString(sql[i : i+n])
		case c == '$' && i+1 < len(sql) && isDigit(sql[i+1]):
			b.WriteByte('?')
			n = 1
		case isWord(c):
			n = word(sql[i:])
			if drop := dropped(sql[i:]); drop > 0 {
				n = drop
			} else {
				b.WriteString(sql[i : i+n])
			}
		default:
			b.WriteByte(c)
			n = 1
		}
		i += n
	}
	return b.String()
}

// unnumbered is a statement in SQLite's spelling without the numbers of its parameters, if they are 1, 2, 3 and so on as they come: SQLite
// takes each number for a name, and goes through all names for each value that is bound.
func unnumbered(sql string) string {
	var b strings.Builder
	b.Grow(len(sql))
	next := 1
	for i := 0; i < len(sql); {
		n := max(skip(sql[i:]), 1)
		b.WriteString(sql[i : i+n])
		if i += n; sql[i-n] != '?' {
			continue
		}
		digits := i
		for i < len(sql) && isDigit(sql[i]) {
			i++
		}
		if sql[digits:i] != strconv.Itoa(next) {
			return sql
		}
		next++
	}
	return b.String()
}

// skip is the length of the quoted text or comment that s starts with, 0 when it starts with neither.
func skip(s string) int {
	end := func(open int, closing string) int {
		if at := strings.Index(s[open:], closing); at >= 0 {
			return open + at + len(closing)
		}
		return len(s)
	}
	switch {
	case s[0] == '\'':
		return end(1, "'")
	case s[0] == '"':
		return end(1, `"`)
	case strings.HasPrefix(s, "--"):
		return end(2, "\n")
	case strings.HasPrefix(s, "/*"):
		return end(2, "*/")
	}
	return 0
}

// dropped is the length of the clause at the start of s that SQLite must not see, 0 when there is none.
func dropped(s string) int {
	if n := phrase(s, "COLLATE", `"C"`); n > 0 {
		return n
	}
	n := 0
	for _, lock := range [][]string{{"FOR", "UPDATE"}, {"FOR", "NO", "KEY", "UPDATE"}, {"FOR", "SHARE"}, {"FOR", "KEY", "SHARE"}} {
		if n = phrase(s, lock...); n > 0 {
			break
		}
	}
	if n == 0 {
		return 0
	}
	if of := phrase(s[n:], "OF"); of > 0 {
		n += of
		n += space(s[n:])
		n += word(s[n:])
	}
	for _, tail := range [][]string{{"SKIP", "LOCKED"}, {"NOWAIT"}} {
		if t := phrase(s[n:], tail...); t > 0 {
			return n + t
		}
	}
	return n
}

// phrase is the length of the words, with space before and between them, that s starts with; 0 when it does not.
func phrase(s string, words ...string) int {
	at := 0
	for _, w := range words {
		at += space(s[at:])
		n := word(s[at:])
		if n == 0 && at < len(s) {
			n = skip(s[at:])
		}
		if !strings.EqualFold(s[at:at+n], w) {
			return 0
		}
		at += n
	}
	return at
}

// writes reports whether the statement, already in SQLite's spelling, changes the database or may.
func writes(sql string) bool {
	first := true
	for i := 0; i < len(sql); {
		n := skip(sql[i:])
		if n == 0 {
			if n = word(sql[i:]); n > 0 {
				switch w := strings.ToUpper(sql[i : i+n]); {
				case first && w != "SELECT" && w != "VALUES" && w != "EXPLAIN" && w != "WITH":
					return true
				case first && w != "WITH":
					return false
				case w == "INSERT" || w == "UPDATE" || w == "DELETE":
					return true
				}
				first = false
			}
		}
		i += max(n, 1)
	}
	return false
}

func space(s string) int {
	n := 0
	for n < len(s) && strings.IndexByte(" \t\r\n", s[n]) >= 0 {
		n++
	}
	return n
}

func word(s string) int {
	n := 0
	for n < len(s) && isWord(s[n]) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWord(c byte) bool {
	return c == '_' || isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
