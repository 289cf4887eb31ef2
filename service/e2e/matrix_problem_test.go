package e2e_test

import (
	"go/ast"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

var problems = struct {
	once  sync.Once
	codes map[string]bool
	err   error
}{}

// problemCodes are the codes of testdata/problems.txt: all that a failure of the API may have.
func problemCodes(t testing.TB) map[string]bool {
	t.Helper()
	problems.once.Do(func() {
		text, err := os.ReadFile("testdata/problems.txt")
		problems.err, problems.codes = err, map[string]bool{}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				problems.codes[line] = true
			}
		}
	})
	if problems.err != nil {
		t.Fatal(problems.err)
	}
	return problems.codes
}

var codeForm = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// TestI18_ProblemCodesAreStable: testdata/problems.txt lists every code that the source can answer with, so that a code which clients rely on
// does not change unseen; codes are words in lower case. That each answer of the running service is well-formed and has such a code is
// asserted at every call of these tests.
func TestI18_ProblemCodesAreStable(t *testing.T) {
	t.Parallel()
	constants, found := map[string]string{}, map[string]bool{}
	files := repository(t)
	for _, src := range files {
		if !src.test && src.dir == "sdk" {
			ast.Inspect(src.file, func(n ast.Node) bool { constantCodes(n, constants); return true })
		}
	}
	for _, src := range files {
		if src.test || strings.HasPrefix(src.dir, "sdk") {
			continue
		}
		ast.Inspect(src.file, func(n ast.Node) bool {
			for _, e := range codesIn(n) {
				if code := literal(e, constants); code != "" {
					found[code] = true
				}
			}
			return true
		})
	}
	lines := []string{}
	for code := range found {
		if !codeForm.MatchString(code) {
			t.Errorf("the code %q is not words in lower case", code)
		}
		lines = append(lines, code)
	}
	slices.Sort(lines)
	golden(t, "problems.txt", "# Every code of a failure. Clients decide by them: a code stays as it is.\n# Written by: go test ./service/e2e -run TestI18_ProblemCodes -update\n"+strings.Join(lines, "\n")+"\n")
}

// constantCodes collects string constants: name → value.
func constantCodes(n ast.Node, into map[string]string) {
	spec, ok := n.(*ast.ValueSpec)
	if !ok {
		return
	}
	for i, name := range spec.Names {
		if i < len(spec.Values) {
			if text := literal(spec.Values[i], nil); text != "" {
				into[name.Name] = text
			}
		}
	}
}

// codesIn are the expressions of n that are codes: the second argument of Fail, and the member Code of an Error.
func codesIn(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.CallExpr:
		name := ""
		switch f := n.Fun.(type) {
		case *ast.SelectorExpr:
			name = f.Sel.Name
		case *ast.Ident:
			name = f.Name
		}
		if name == "Fail" && len(n.Args) >= 3 {
			return n.Args[1:2]
		}
	case *ast.CompositeLit:
		if sel, ok := n.Type.(*ast.SelectorExpr); ok && sel.Sel.Name == "Error" {
			for _, e := range n.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					if key, ok := kv.Key.(*ast.Ident); ok && key.Name == "Code" {
						return []ast.Expr{kv.Value}
					}
				}
			}
		}
		// Tables that lead from decisions to problems.
		if len(n.Elts) == 2 && n.Type == nil {
			if sel, ok := n.Elts[1].(*ast.SelectorExpr); ok {
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "sdk" {
					return n.Elts[1:2]
				}
			}
		}
	}
	return nil
}

func literal(e ast.Expr, constants map[string]string) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, _ := strconv.Unquote(e.Value)
			return text
		}
	case *ast.SelectorExpr:
		return constants[e.Sel.Name]
	case *ast.Ident:
		return constants[e.Name]
	}
	return ""
}
