package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestDocs_CommandLines: every command line of mintreu in the README, the guides and the help can be understood as it is written: the
// command is there, and so is each of its options, and nothing that it needs is missing. Whether they do what is said, TestGuide in e2e tries.
func TestDocs_CommandLines(t *testing.T) {
	t.Parallel()
	docs := map[string]string{}
	guides, err := filepath.Glob("../web/guide/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(guides, "../../README.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		docs[filepath.Base(path)] = string(text)
	}
	seen := 0
	for name, text := range docs {
		for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
			for _, args := range commandLines(m[1]) {
				seen++
				understood(t, name, args, false)
			}
		}
		prose := regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(text, "")
		for _, m := range regexp.MustCompile("`(mintreu [^`]+)`").FindAllStringSubmatch(prose, -1) {
			for _, args := range commandLines(strings.Join(strings.Fields(m[1]), " ")) {
				seen++
				understood(t, name, args, true)
			}
		}
	}
	for section := range strings.SplitSeq("\n"+lessons, "\n== ") {
		name, text, _ := strings.Cut(section, "\n")
		_, examples, _ := strings.Cut(text, "\nExample")
		for line := range strings.Lines(regexp.MustCompile(`\\\n\s*`).ReplaceAllString(examples, "")) {
			example, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimRight(line, "\n"), "  "), "  ") // what it does may stand behind
			for _, args := range commandLines(example) {
				seen++
				understood(t, "the help of "+name, args, false)
			}
		}
	}
	if seen < 200 {
		t.Errorf("only %d command lines were found", seen)
	}
}

// understood parses the words behind mintreu as the program does. A mention may name a command alone, without what it needs.
func understood(t *testing.T, where string, args []string, mention bool) {
	t.Helper()
	nothing := kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error { // files that a reader has
		var path string
		err := ctx.Scan.PopValueInto("file", &path)
		if target.Kind() == reflect.Slice {
			target.Set(reflect.Append(target, reflect.ValueOf(path)))
		} else {
			target.SetString(path)
		}
		return err
	})
	parser, err := kong.New(&root{}, kong.Name("mintreu"), kong.ExplicitGroups(groups()), kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) {}),
		kong.NamedMapper("path", nothing), kong.NamedMapper("existingfile", nothing))
	if err != nil {
		t.Fatal(err)
	}
	node, rest := parser.Model.Node, args
	for len(rest) > 0 {
		i := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == rest[0] })
		if i < 0 {
			break
		}
		node, rest = node.Children[i], rest[1:]
	}
	if len(args) > 0 && node.Type != kong.ApplicationNode && (len(rest) == 0 && mention || slices.Equal(rest, []string{"--help"})) || slices.Equal(args, []string{"--help"}) {
		return
	}
	given := slices.Clone(args)
	if i := slices.Index(given, "--config"); i >= 0 && i+1 < len(given) { // a file that a reader has
		given = slices.Delete(given, i, i+2)
	}
	if _, err := parser.Parse(keys(parser, given)); err != nil {
		t.Errorf("%s: mintreu %s: %v", where, strings.Join(args, " "), err)
	}
}

// commandLines are the words behind each mintreu of a script for a shell.
func commandLines(script string) (out [][]string) {
	var words []string
	var word bytes.Buffer
	begun := false // a word, which may be empty
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	done := func() {
		end()
		if i := slices.Index(words, "mintreu"); i == 0 || i == 1 && words[0] == "!" {
			line := words[i+1:]
			if at := slices.IndexFunc(line, func(w string) bool { return w == ">" || w == "<" }); at >= 0 {
				line = line[:at]
			}
			out = append(out, line)
		}
		words = nil
	}
	for i := 0; i < len(script); i++ {
		switch c := script[i]; {
		case c == '\\' && i+1 < len(script):
			if i++; script[i] != '\n' {
				word.WriteByte(script[i])
				begun = true
			}
		case c == '\'' || c == '"':
			close := strings.IndexByte(script[i+1:], c)
			if close < 0 {
				close = len(script) - i - 1
			}
			word.WriteString(script[i+1 : i+1+close])
			begun, i = true, i+1+close
		case c == '#' && !begun:
			for i+1 < len(script) && script[i+1] != '\n' {
				i++
			}
		case c == '>' || c == '<':
			end()
			words = append(words, string(c))
		case strings.IndexByte("\n;|&()", c) >= 0, c == '$' && strings.HasPrefix(script[i:], "$("):
			done()
		case c == ' ' || c == '\t':
			end()
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	done()
	return out
}

// TestDocs_Files: the files that the help shows can be used as they are.
func TestDocs_Files(t *testing.T) {
	t.Parallel()
	file := func(command, first string) string {
		_, text, ok := strings.Cut(lesson(command), "\n  "+first)
		if !ok {
			t.Fatalf("the help of %s does not show a file that begins with %s", command, first)
		}
		var out strings.Builder
		for line := range strings.Lines("  " + first + text) {
			if !strings.HasPrefix(line, "  ") {
				break
			}
			out.WriteString(line[2:])
		}
		return out.String()
	}
	policies, err := readPolicies(file("policy apply", "product: notes"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readTerms(policies[0].Policies[0].Terms); err != nil {
		t.Error(err)
	}
	var policy struct {
		Code, Name string
		Terms      map[string]any
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(file("policy create", "policy.json: "), "policy.json: ")), &policy); err != nil {
		t.Fatal(err)
	}
	if _, err := readTerms(policy.Terms); err != nil || policy.Code == "" {
		t.Errorf("%+v: %v", policy, err)
	}
	header, row, _ := strings.Cut(strings.ReplaceAll(file("product import", "product_slug,"), ",\n", ","), "\n")
	if strings.Count(header, ",") != strings.Count(row, ",") {
		t.Errorf("the file of products has the columns %s and the row %s", header, row)
	}
}
