package cli

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/kong"
)

// lessons are what the help of each command teaches beside its options: sections that start with "== COMMAND".
//
//go:embed help.txt
var lessons string

// helpWidth is the width of a page of help, in columns: that of the smallest usual terminal.
const helpWidth = 80

// lesson returns the section of a command, "" for none.
func lesson(path string) string {
	for section := range strings.SplitSeq("\n"+lessons, "\n== ") {
		if name, text, ok := strings.Cut(section, "\n"); ok && strings.TrimSpace(name) == path {
			return strings.Trim(text, "\n")
		}
	}
	return ""
}

// page is a page of help under way.
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// printHelp implements kong's help: for the program, for a command with subcommands, for a command.
func printHelp(_ kong.HelpOptions, ctx *kong.Context) error {
	p := &page{}
	node := ctx.Selected()
	if node == nil {
		node = ctx.Model.Node
		for _, step := range ctx.Path {
			if step.Command != nil {
				node = step.Command
			}
		}
	}
	switch {
	case node.Type == kong.ApplicationNode:
		p.program(node)
	case len(node.Children) > 0:
		p.family(node)
	default:
		p.command(ctx.Model, node)
	}
	_, err := io.WriteString(ctx.Stdout, p.String())
	return err
}

func (p *page) program(app *kong.Node) {
	p.line("%s\n\nUsage: mintreu COMMAND [options]", lesson("mintreu"))
	for _, g := range groups() {
		var rows [][2]string
		for _, c := range app.Children {
			if c.Group != nil && c.Group.Key == g.Key && !c.Hidden {
				rows = append(rows, [2]string{c.Name, c.Help})
			}
		}
		if len(rows) > 0 {
			p.line("\n%s", g.Title)
			p.rows(rows)
		}
	}
	p.options(app.Flags, "where")
	p.line("\n%s", lesson("options"))
}

func (p *page) family(node *kong.Node) {
	p.line("%s\n\nUsage: %s COMMAND [options]", node.Help, node.FullPath())
	var rows [][2]string
	for _, c := range node.Children {
		rows = append(rows, [2]string{c.Name, c.Help})
	}
	p.line("\nCommands")
	p.rows(rows)
	if text := lesson(node.Path()); text != "" {
		p.line("\n%s", text)
	}
	p.line("\n\"%s COMMAND --help\" tells more of each.", node.FullPath())
}

func (p *page) command(app *kong.Application, node *kong.Node) {
	p.line("%s\n\nUsage: %s", strings.Join(wrap(node.Help, helpWidth), "\n"), commandLine(node))
	if text := lesson(node.Path()); text != "" {
		p.line("\n%s", text)
	}
	if len(node.Positional) > 0 {
		var rows [][2]string
		for _, a := range node.Positional {
			rows = append(rows, [2]string{strings.ToUpper(a.Name), a.Help})
		}
		p.line("\nArguments")
		p.rows(rows)
	}
	if len(node.Flags) > 0 {
		p.line("\nOptions")
		p.flags(node.Flags)
	}
	if node.Name == "serve" || node.Name == "demo" {
		for _, g := range groups() {
			p.options(app.Flags, g.Key)
		}
		p.line("\n%s", lesson("sources"))
		return
	}
	if node.Name != "version" {
		p.options(app.Flags, "where")
	}
}

// commandLine is the command line of a command: what must be given, then that there is more.
func commandLine(node *kong.Node) string {
	words := []string{node.FullPath()}
	for _, a := range node.Positional {
		words = append(words, strings.ToUpper(a.Name))
	}
	for _, f := range node.Flags {
		if f.Required {
			words = append(words, "--"+f.Name+"="+f.FormatPlaceHolder())
		}
	}
	return strings.Join(append(words, "[options]"), " ")
}

// options prints the flags of a group under its title.
func (p *page) options(flags []*kong.Flag, group string) {
	var of []*kong.Flag
	title := ""
	for _, f := range flags {
		if f.Group != nil && f.Group.Key == group {
			of, title = append(of, f), f.Group.Title
		}
	}
	if len(of) > 0 {
		p.line("\n%s", title)
		p.flags(of)
	}
}

func (p *page) flags(flags []*kong.Flag) {
	var rows [][2]string
	for _, f := range flags {
		if f.Hidden {
			continue
		}
		left := "--" + f.Name
		if f.Short != 0 {
			left = fmt.Sprintf("-%c, %s", f.Short, left)
		}
		if !f.IsBool() {
			left += "=" + placeholder(f)
		}
		text := f.Help
		if f.HasDefault && f.Default != "" {
			text += " Default: " + f.Default + "."
		}
		if len(f.Envs) > 0 && !strings.HasPrefix(f.Envs[0], "MINTREU_") {
			text += " ($" + f.Envs[0] + ")"
		}
		rows = append(rows, [2]string{left, text})
	}
	p.rows(rows)
}

func placeholder(f *kong.Flag) string {
	if f.PlaceHolder != "" {
		return f.PlaceHolder
	}
	return strings.ToUpper(f.Name)
}

// rows prints two columns; what is too long for the left one has a line of its own.
func (p *page) rows(rows [][2]string) {
	const most = 26
	left := 0
	for _, r := range rows {
		if n := utf8.RuneCountInString(r[0]); n <= most {
			left = max(left, n)
		}
	}
	for _, r := range rows {
		head := r[0]
		if utf8.RuneCountInString(head) > left {
			p.line("  %s", head)
			head = ""
		}
		for _, text := range wrap(r[1], helpWidth-left-4) {
			p.line("  %s%s  %s", head, strings.Repeat(" ", left-utf8.RuneCountInString(head)), text)
			head = ""
		}
	}
}

// wrap breaks text into lines of at most width columns; it never breaks a word.
func wrap(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
