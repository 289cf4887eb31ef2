package e2e_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/mintreu/mintreu"

// source is one parsed Go file of the repository.
type source struct {
	path    string // slash-separated, relative to the root
	dir     string
	test    bool
	file    *ast.File
	imports []string
	lines   int
}

// repository parses every Go file of both modules once.
func repository(t *testing.T) []source {
	t.Helper()
	root := repositoryRoot(t)
	var out []source
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, p, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		rel = filepath.ToSlash(rel)
		s := source{path: rel, dir: path.Dir(rel), test: strings.HasSuffix(name, "_test.go"), file: f, lines: strings.Count(string(text), "\n")}
		for _, i := range f.Imports {
			s.imports = append(s.imports, strings.Trim(i.Path.Value, `"`))
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("only %d Go files found below %s: the walk is broken", len(out), root)
	}
	return out
}

func repositoryRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// layer is the first path element of a directory inside the module.
func layer(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	return first
}

// testOnly reports whether a package exists for tests alone, so that the layer rules treat its files as tests.
func testOnly(dir string) bool {
	base := path.Base(dir)
	return strings.HasSuffix(base, "test") || strings.Contains(dir, "storetest") || layer(dir) == "service" && (path.Base(dir) == "e2e" || path.Base(dir) == "bench")
}

// TestLayers: dependencies point one way, sdk ← licensing ← commerce ← service; api is a leaf, examples import only sdk,
// and external test packages below service may additionally use the store's test kit and the app.
func TestLayers(t *testing.T) {
	t.Parallel()
	may := map[string][]string{
		"sdk":       {"sdk"},
		"licensing": {"sdk", "licensing"},
		"commerce":  {"sdk", "licensing", "commerce"},
		"service":   {"sdk", "licensing", "commerce", "service", "api"},
		"api":       {},
		"examples":  {"sdk"},
	}
	for _, s := range repository(t) {
		for _, imp := range s.imports {
			rest, ours := strings.CutPrefix(imp, module+"/")
			if !ours {
				if layer(s.dir) == "sdk" && strings.Contains(strings.Split(imp, "/")[0], ".") {
					t.Errorf("%s: the SDK imports the standard library only, not %s", s.path, imp)
				}
				continue
			}
			if s.test && strings.HasSuffix(s.file.Name.Name, "_test") && layer(s.dir) != "sdk" && layer(rest) == "service" {
				continue // external tests run on the real store
			}
			if !slices.Contains(may[layer(s.dir)], layer(rest)) {
				t.Errorf("%s: %s must not import %s", s.path, layer(s.dir), rest)
			}
		}
	}
}

// TestCommerceLeaves: a commerce leaf imports no sibling but money; only the orchestrators import leaves.
func TestCommerceLeaves(t *testing.T) {
	t.Parallel()
	orchestrators := []string{"commerce/order", "commerce/checkout", "commerce/subscription", "commerce/refund"}
	for _, s := range repository(t) {
		if s.test || layer(s.dir) != "commerce" || slices.Contains(orchestrators, s.dir) {
			continue
		}
		for _, imp := range s.imports {
			rest, ours := strings.CutPrefix(imp, module+"/")
			if ours && layer(rest) == "commerce" && rest != s.dir && rest != "commerce/money" {
				t.Errorf("%s: a leaf imports its sibling %s", s.path, rest)
			}
		}
	}
}

// TestSingleImporters: each big dependency is named in one place, so that it can be replaced there.
func TestSingleImporters(t *testing.T) {
	t.Parallel()
	only := map[string][]string{
		"github.com/go-kit/kit":                         {"service/kit"},
		"github.com/jackc/pgx":                          {"service/db/pg"},
		"modernc.org/sqlite":                            {"service/db/lite"},
		"github.com/riverqueue/river/riverdriver/river": {"service/db/pg", "service/db/lite"},
		"github.com/redis/go-redis":                     {"service/limit/redis"},
		"github.com/stripe/stripe-go":                   {"service/pay/stripe"},
		"github.com/lestrrat-go/jwx":                    {"licensing/keyring"},
		"github.com/lestrrat-go/jwx/v3":                 {}, // this and the next two are what tests compare with, and no part of the product
		"github.com/go-jose/go-jose":                    {},
		"github.com/golang-jwt/jwt":                     {},
	}
	found := map[string]bool{}
	for _, s := range repository(t) {
		for _, imp := range s.imports {
			for prefix, dirs := range only {
				if !strings.HasPrefix(imp, prefix) {
					continue
				}
				found[prefix] = true
				if s.test || testOnly(s.dir) {
					continue
				}
				if !slices.Contains(dirs, s.dir) {
					t.Errorf("%s imports %s; may: %q", s.path, imp, dirs)
				}
			}
		}
	}
	for prefix := range only {
		if !found[prefix] {
			t.Errorf("nothing imports %s: the rule has lost its object", prefix)
		}
	}
}

// TestOneDialer: connections to other machines are opened by service/dial alone. The command line's way to its own socket and the walk,
// which plays a customer, are none of the service's.
func TestOneDialer(t *testing.T) {
	t.Parallel()
	openers := []string{"net.Dial", "net.DialTimeout", "net.DialTCP", "net.Dialer", "tls.Dial", "tls.DialWithDialer", "tls.Dialer",
		"http.Get", "http.Post", "http.PostForm", "http.Head", "http.DefaultClient", "http.DefaultTransport", "http.Client", "http.Transport"}
	free := []string{"service/dial", "service/cli", "service/walk", "service/cmd/dev"}
	for _, s := range repository(t) {
		if s.test || testOnly(s.dir) || strings.HasPrefix(s.dir, "service/db/dbtest") || layer(s.dir) == "sdk" || layer(s.dir) == "examples" || slices.Contains(free, s.dir) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if star, ok := n.(*ast.StarExpr); ok { // *http.Client is a client that somebody handed over
				if _, named := star.X.(*ast.SelectorExpr); named {
					return false
				}
			}
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(openers, x.Name+"."+sel.Sel.Name) {
				t.Errorf("%s uses %s.%s; connections are opened by service/dial", s.path, x.Name, sel.Sel.Name)
			}
			return true
		})
	}
}

// TestPackageDocs: every package has a doc comment a newcomer can start from, and no dumping-ground name.
func TestPackageDocs(t *testing.T) {
	t.Parallel()
	doc := map[string]bool{}
	for _, s := range repository(t) {
		if s.test {
			continue
		}
		doc[s.dir] = doc[s.dir] || s.file.Doc != nil && len(s.file.Doc.Text()) > 40
		switch name := path.Base(s.dir); name {
		case "util", "utils", "common", "helpers", "manager", "internal", "misc", "shared":
			t.Errorf("%s: %q is no name for a package", s.path, name)
		}
	}
	for dir, ok := range doc {
		if !ok {
			t.Errorf("%s: no package comment", dir)
		}
	}
}

// TestFilesTellOneStory: no hand-written file grows past what can be read in one sitting.
func TestFilesTellOneStory(t *testing.T) {
	t.Parallel()
	for _, s := range repository(t) {
		if s.lines > 500 && !strings.HasSuffix(s.path, "_templ.go") {
			t.Errorf("%s has %d lines; split it by story", s.path, s.lines)
		}
	}
}

// TestTopLevel: the visible top level is the agreed one, and nothing else.
func TestTopLevel(t *testing.T) {
	t.Parallel()
	want := []string{"CHANGELOG.md", "README.md", "api", "commerce", "examples", "go.mod", "go.sum", "licensing", "sdk", "service"}
	entries, err := os.ReadDir(repositoryRoot(t))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			got = append(got, e.Name())
		}
	}
	// The demo's and the service's own data directories, which version control ignores, may lie here.
	got = slices.DeleteFunc(got, func(n string) bool { return n == "LICENSE" || n == "mintreu-demo" || n == "mintreu-data" })
	if !slices.Equal(got, want) {
		t.Errorf("top level is %v, want %v", got, want)
	}
}

// TestModules: the root module has exactly one replace, of the SDK, and the SDK requires nothing.
func TestModules(t *testing.T) {
	t.Parallel()
	root, err := os.ReadFile(filepath.Join(repositoryRoot(t), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	replaces := regexp.MustCompile(`(?m)^\s*(replace\s+)?\S+\s*=>.*$`).FindAllString(string(root), -1)
	if len(replaces) != 1 || strings.TrimSpace(replaces[0]) != "replace "+module+"/sdk => ./sdk" {
		t.Errorf("replaces of go.mod: %q", replaces)
	}
	sdk, err := os.ReadFile(filepath.Join(repositoryRoot(t), "sdk", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(sdk), "require") || strings.Contains(string(sdk), "replace") || !strings.Contains(string(sdk), "\ngo 1.24\n") {
		t.Errorf("sdk/go.mod must be a bare module at go 1.24:\n%s", sdk)
	}
	for _, name := range []string{"go.work", "Makefile", "vendor"} {
		if _, err := os.Stat(filepath.Join(repositoryRoot(t), name)); err == nil {
			t.Errorf("%s does not belong here", name)
		}
	}
}

// TestMainIsSmall: main only calls the command line package.
func TestMainIsSmall(t *testing.T) {
	t.Parallel()
	for _, s := range repository(t) {
		if s.path == "service/cmd/mintreu/main.go" && s.lines > 40 {
			t.Errorf("%s has %d lines, at most 40", s.path, s.lines)
		}
	}
}

// TestNoUnfinishedWork: no marker of unfinished work, no bare clock in domain code, and tests are skipped only by the one
// package that reports a missing server.
func TestNoUnfinishedWork(t *testing.T) {
	t.Parallel()
	marker := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX|HA` + `CK)\b|not imple` + `mented`)
	for _, s := range repository(t) {
		for _, group := range s.file.Comments {
			if m := marker.FindString(group.Text()); m != "" {
				t.Errorf("%s: a comment says %q", s.path, m)
			}
		}
		domain := layer(s.dir) == "licensing" || layer(s.dir) == "commerce"
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, _ := sel.X.(*ast.Ident)
			if x == nil {
				return true
			}
			if x.Name == "time" && (sel.Sel.Name == "Now" || sel.Sel.Name == "Since" || sel.Sel.Name == "Sleep") && domain && !s.test {
				t.Errorf("%s: time.%s in domain code; use the injected clock", s.path, sel.Sel.Name)
			}
			if (sel.Sel.Name == "Skip" || sel.Sel.Name == "Skipf" || sel.Sel.Name == "SkipNow") && (x.Name == "t" || x.Name == "tb" || x.Name == "b") && !regexp.MustCompile(`test(/|$)`).MatchString(s.dir) {
				t.Errorf("%s: a skipped test; only the packages that start servers and browsers may report one missing", s.path)
			}
			return true
		})
	}
}

// TestSecondSpellings: SQL is written once; the statements with a second spelling for SQLite stay a short list.
func TestSecondSpellings(t *testing.T) {
	t.Parallel()
	var where []string
	for _, s := range repository(t) {
		if s.test || testOnly(s.dir) || s.dir == "service/db/lite" || s.dir == "service/db" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && strings.Contains(lit.Value, "\n-- sqlite:") {
				where = append(where, s.path)
			}
			return true
		})
	}
	if len(where) > 15 {
		t.Errorf("%d statements have a second spelling, at most 15: %v", len(where), where)
	}
	t.Logf("statements with a second spelling: %v", where)
}

// TestChangelog: CHANGELOG.md keeps the Keep-a-Changelog form with entries under Unreleased, none of which stands there twice.
func TestChangelog(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(repositoryRoot(t), "CHANGELOG.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "\n## [Unreleased]\n")
	if !ok {
		t.Fatal("no section [Unreleased]")
	}
	section, _, _ := strings.Cut(rest, "\n## [")
	if !regexp.MustCompile(`(?m)^### (Added|Changed|Deprecated|Removed|Fixed|Security)$`).MatchString(section) || !regexp.MustCompile(`(?m)^- \S`).MatchString(section) {
		t.Error("[Unreleased] has no entry under a heading of Keep a Changelog")
	}
	seen := map[string]bool{}
	for entry := range strings.SplitSeq(section, "\n- ") {
		entry, _, _ = strings.Cut(strings.TrimSpace(entry), "\n\n###")
		if seen[entry] {
			t.Errorf("[Unreleased] says twice: %.90s", entry)
		}
		seen[entry] = true
	}
}

// TestTextSpeaksOfTheProduct: no source file names a machine path or a tool that wrote it.
func TestTextSpeaksOfTheProduct(t *testing.T) {
	t.Parallel()
	bad := regexp.MustCompile(`(?m)(^|[^A-Za-z0-9_.])/(wo` + `rk|fa` + `rm)/|\bclau` + `de\b|\bLL` + `M\b|gener` + `ated by AI`)
	for _, s := range repository(t) {
		text, err := os.ReadFile(filepath.Join(repositoryRoot(t), filepath.FromSlash(s.path)))
		if err != nil {
			t.Fatal(err)
		}
		if m := bad.Find(text); m != nil {
			t.Errorf("%s: %q", s.path, m)
		}
	}
}
