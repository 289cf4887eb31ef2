package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/service/app"
)

// output is how a command shows what it found.
type output struct {
	JSON bool `help:"Print JSON, for programs." short:"j"`
}

// list prints rows as a table of the given columns, or as one JSON array. Columns that hold nothing in any row are left out. empty
// is said when there is no row.
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
	columns = slices.DeleteFunc(slices.Clone(columns), func(c string) bool {
		return !slices.ContainsFunc(rows, func(row map[string]any) bool { return cell(row[c]) != "-" })
	})
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	line := func(of func(column string) string) {
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = of(c)
		}
		_, _ = fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	line(func(c string) string { return strings.ToUpper(strings.ReplaceAll(c, "_", " ")) })
	for _, row := range rows {
		line(func(c string) string { return cell(row[c]) })
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

// change runs one operation as the operator and prints its answer: as JSON, or what say makes of it.
func (o output) change(ctx context.Context, cfg app.Config, s streams, c call, say func(answer map[string]any) string) error {
	return with(ctx, cfg, func(op *operator) error {
		var raw json.RawMessage
		if err := op.call(ctx, c.method, c.path, c.in, &raw); err != nil {
			return err
		}
		if o.JSON {
			return o.value(s.out, raw)
		}
		var answer map[string]any
		if err := json.Unmarshal(raw, &answer); err != nil {
			return err
		}
		_, err := fmt.Fprintln(s.out, say(answer))
		return err
	})
}

// listed prints every page of a list operation.
func (o output) listed(ctx context.Context, cfg app.Config, s streams, path, empty string, columns ...string) error {
	return with(ctx, cfg, func(op *operator) error {
		rows, err := op.all(ctx, path)
		if err != nil {
			return err
		}
		return o.list(s.out, rows, empty, columns...)
	})
}

// cell is a value as one word or line of a table; control characters are shown, never sent to the terminal.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		return word(v)
	case map[string]any:
		if minor, ok := v["amount"].(float64); ok {
			currency, _ := v["currency"].(string)
			return money.Amount{Minor: int64(minor), Currency: money.Currency(word(currency))}.String()
		}
		text, _ := json.Marshal(v)
		return string(text)
	case float64:
		return fmt.Sprintf("%.0f", v)
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case []any:
		words := make([]string, len(v))
		for i := range v {
			words[i] = cell(v[i])
		}
		if len(words) == 0 {
			return "-"
		}
		return strings.Join(words, ",")
	default:
		return fmt.Sprint(v)
	}
}

// word is text that is safe on a terminal and in a table; an instant is shown to the second, in UTC.
func word(v string) string {
	if v == "" {
		return "-"
	}
	if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
		return at.UTC().Format("2006-01-02 15:04:05Z")
	}
	return printable(v, false)
}

// printable replaces control characters, which could move the cursor or hide what follows. Lines may stay.
func printable(v string, lines bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case lines && (r == '\n' || r == '\t'):
			return r
		case lines && r == '\r':
			return -1
		case r < 0x20, r >= 0x7f && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return '·'
		}
		return r
	}, v)
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
