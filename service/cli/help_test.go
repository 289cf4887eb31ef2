package cli

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/alecthomas/kong"
)

// TestHelpTeaches: every command has an example in its help, every page fits 80 columns, every option of the configuration can be an
// environment variable, and no lesson is about a command that does not exist.
func TestHelpTeaches(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&root{}, kong.Name("mintreu"), kong.ExplicitGroups(groups()))
	if err != nil {
		t.Fatal(err)
	}
	known := []string{"mintreu", "options", "sources"}
	for _, leaf := range parser.Model.Leaves(true) {
		known = append(known, leaf.Path())
		text := help(t, strings.Fields(leaf.Path())...)
		if !strings.Contains(text, "Example") || !strings.Contains(text, "  mintreu "+leaf.Path()) {
			t.Errorf("%s --help has no example of it:\n%s", leaf.Path(), text)
		}
		for line := range strings.Lines(text) {
			if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > helpWidth {
				t.Errorf("%s --help: wider than a terminal: %s", leaf.Path(), line)
			}
		}
	}
	for section := range strings.SplitSeq("\n"+lessons, "\n== ") {
		name, _, _ := strings.Cut(section, "\n")
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(known, name) {
			t.Errorf("help.txt teaches %q, which is no command", name)
		}
	}
	for _, f := range parser.Model.Flags {
		if f.Name != "help" && (len(f.Envs) != 1 || f.Envs[0] != "MINTREU_"+strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")) && f.Name != "otlp-endpoint") {
			t.Errorf("--%s has the environment variables %v", f.Name, f.Envs)
		}
	}
}

func help(t *testing.T, command ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := Main(t.Context(), append(command, "--help"), strings.NewReader(""), &out, &errs); code != done {
		t.Fatalf("%v --help: status %d, %s", command, code, errs.String())
	}
	return out.String()
}

// TestJSONEverywhere: every command that prints what programs could want has --json.
func TestJSONEverywhere(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&root{}, kong.Name("mintreu"), kong.ExplicitGroups(groups()))
	if err != nil {
		t.Fatal(err)
	}
	without := []string{"serve", "license file", "license answer", "license qr", "policy export", "apikey scanner-rules"} // a server; a file, or a drawing, as it is
	for _, leaf := range parser.Model.Leaves(true) {
		has := slices.ContainsFunc(leaf.Flags, func(f *kong.Flag) bool { return f.Name == "json" && f.IsBool() })
		if has == slices.Contains(without, leaf.Path()) {
			t.Errorf("%s: --json is there: %t", leaf.Path(), has)
		}
	}
}

// TestCell: tables show money in major units of its currency and instants to the second, and no text can steer the terminal.
func TestCell(t *testing.T) {
	t.Parallel()
	amount := func(minor float64, currency string) any { return map[string]any{"amount": minor, "currency": currency} }
	for _, c := range []struct {
		in   any
		want string
	}{
		{amount(4900, "EUR"), "49.00 EUR"}, {amount(-5, "USD"), "-0.05 USD"}, {amount(8000, "JPY"), "8,000 JPY"}, {amount(12345, "KWD"), "12.345 KWD"},
		{"2026-03-01T12:00:00.123456+01:00", "2026-03-01 11:00:00Z"}, {"", "-"}, {nil, "-"}, {[]any{}, "-"}, {[]any{"a", "b"}, "a,b"},
		{"red\x1b[31m\r\nnext\u202e", "red·[31m··next·"}, {true, "yes"}, {float64(12), "12"},
	} {
		if got := cell(c.in); got != c.want {
			t.Errorf("cell(%v) = %q, want %q", reflect.ValueOf(c.in), got, c.want)
		}
	}
}
