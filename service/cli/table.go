package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// output is how a command shows what it found.
type output struct {
	JSON bool `help:"Print JSON instead of a table." short:"j"`
}

// list prints rows as a table of the given columns, or as one JSON array. empty is said when there is none.
func (o output) list(w io.Writer, rows []map[string]any, empty string, columns ...string) error {
	if o.JSON {
		if rows == nil {
			rows = []map[string]any{}
		}
		return o.value(w, rows)
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(w, empty)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	heads := make([]string, len(columns))
	for i, c := range columns {
		heads[i] = strings.ToUpper(strings.ReplaceAll(c, "_", " "))
	}
	_, _ = fmt.Fprintln(t, strings.Join(heads, "\t"))
	for _, row := range rows {
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = cell(row[c])
		}
		_, _ = fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	return t.Flush()
}

// value prints v as indented JSON.
func (o output) value(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// cell is a value as one word or line of a table; control characters are shown, never sent to the terminal.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		if v == "" {
			return "-"
		}
		return strings.Map(func(r rune) rune {
			if r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) {
				return '·'
			}
			return r
		}, v)
	case map[string]any:
		if a, ok := v["amount"]; ok {
			return fmt.Sprintf("%v %v", cell(a), cell(v["currency"]))
		}
		text, _ := json.Marshal(v)
		return string(text)
	case float64:
		return strings.TrimSuffix(fmt.Sprintf("%.0f", v), ".0")
	case []any:
		words := make([]string, len(v))
		for i := range v {
			words[i] = cell(v[i])
		}
		return strings.Join(words, ",")
	default:
		return fmt.Sprint(v)
	}
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
