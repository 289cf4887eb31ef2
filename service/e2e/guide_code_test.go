package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk/webhook"
	"github.com/mintreu/mintreu/service/e2e/browsertest"
)

// docsCode is what the code in the documentation is written for: what it may import, and what a reader's program has.
const docsCode = `package docs

import (
	"context"
	"io"
	"iter"
	"net/http"
	"os"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/device"
	"github.com/mintreu/mintreu/sdk/guard"
	"github.com/mintreu/mintreu/sdk/sdktest"
	"github.com/mintreu/mintreu/sdk/spool"
	"github.com/mintreu/mintreu/sdk/webhook"
)

var (
	ctx                    context.Context
	client                 *sdk.Client
	mux                    *http.ServeMux
	keys                   *guard.Guard
	notes                  http.Handler
	licenseKey, token, dir string
	downloaded             io.Reader
)

func write(*http.Request) iter.Seq[struct{ Units int64 }] { return nil }
func seen(id string) bool                                 { return false }
func handle(kind string, data []byte)                     {}
func show(...any)                                         {}
`

// TestGuide_Code: the code in Go of the README and the guides compiles against the SDK as it is shown, and whatever a sentence names of the
// SDK is there. That of the README is also run, by its own test.
func TestGuide_Code(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../web/guide/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	fset, blocks := token.NewFileSet(), 0
	imports := compiled(t, fset)
	prelude, err := parser.ParseFile(fset, "docs.go", docsCode, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(files, "../../README.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
			blocks++
			code := m[1]
			if !strings.HasPrefix(code, "func ") {
				code = fmt.Sprintf("func block() error {\n%s\n%s\n}", code, map[bool]string{false: "return nil"}[strings.HasSuffix(strings.TrimSpace(code), "return err")])
			}
			export := "var export http.Handler"
			if strings.Contains(code, "export()") {
				export = "func export() {}"
			}
			block := docsCode[:strings.Index(docsCode, "var (")] + export + "\n" + code
			file, err := parser.ParseFile(fset, filepath.Base(path)+" block", block, parser.ParseComments)
			if err != nil {
				t.Errorf("%s: %v\n%s", path, err, m[1])
				continue
			}
			config := types.Config{Importer: imports, Error: func(err error) {
				if e, ok := err.(types.Error); !ok || !e.Soft { // soft are names that a part of a program leaves unused
					t.Errorf("%s: %v\n%s", path, err, m[1])
				}
			}}
			_, _ = config.Check("docs", fset, []*ast.File{prelude, file}, nil)
		}
		for _, m := range regexp.MustCompile("`(?:\\*)?(sdk|guard|spool|device|webhook|sdktest|Client)\\.([A-Z]\\w+)").FindAllStringSubmatch(string(text), -1) {
			pkg, err := imports.Import("github.com/mintreu/mintreu/sdk" + map[bool]string{false: "/" + m[1]}[m[1] == "sdk" || m[1] == "Client"])
			if err != nil {
				t.Fatal(err)
			}
			found := pkg.Scope().Lookup(m[2])
			if m[1] == "Client" {
				found, _, _ = types.LookupFieldOrMethod(types.NewPointer(pkg.Scope().Lookup("Client").Type()), true, pkg, m[2])
			}
			if found == nil {
				t.Errorf("%s names %s.%s, which is not there", path, m[1], m[2])
			}
		}
	}
	if blocks < 8 {
		t.Errorf("only %d blocks of code were found", blocks)
	}
}

// compiled imports packages as the compiler wrote them.
func compiled(t *testing.T, fset *token.FileSet) types.Importer {
	t.Helper()
	out, err := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", "github.com/mintreu/mintreu/sdk/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		at[path] = file
	}
	return importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		if at[path] == "" {
			return nil, fmt.Errorf("%s is not among what the SDK uses", path)
		}
		return os.Open(at[path])
	})
}

// TestGuide_TenLines: the guide to the SDK begins with the very lines of the README.
func TestGuide_TenLines(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if first := guideBlocks(t, "sdk.md", "go")[0]; !strings.Contains(string(readme), "```go\n"+first+"```") {
		t.Errorf("the README does not show\n%s", first)
	}
}

// TestGuide_ReceiverInPython: the receiver in Python of the guide to events takes what is signed by its secret, also while the secret is rotated,
// and nothing that was changed, is signed by another or is too old.
func TestGuide_ReceiverInPython(t *testing.T) {
	t.Parallel()
	secret, other := webhook.Secret(bytes.Repeat([]byte{7}, 32)), webhook.Secret(bytes.Repeat([]byte{9}, 32))
	body := `{"type": "order.paid", "data": {}}`
	var questions []map[string]any
	ask := func(at time.Time, sent string, by ...string) {
		h, err := webhook.Sign("wev_1", at, []byte(body), by...)
		if err != nil {
			t.Fatal(err)
		}
		fields := map[string]string{}
		for name := range h {
			fields[strings.ToLower(name)] = h.Get(name)
		}
		questions = append(questions, map[string]any{"headers": fields, "body": sent})
	}
	now := time.Now()
	ask(now, body, secret)
	ask(now, body, other, secret)
	ask(now, body+" ", secret)
	ask(now, body, other)
	ask(now.Add(-time.Hour), body, secret)
	in, err := json.Marshal(questions)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("python3", "-B", "-c", guideBlocks(t, "webhooks.md", "python")[0]+`
import json, sys
for q in json.load(sys.stdin):
    print(verify(q["headers"], q["body"].encode(), sys.argv[1]))
`, secret)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	if want := "True\nTrue\nFalse\nFalse\nFalse\n"; err != nil || string(out) != want {
		t.Errorf("%v: it says\n%s\nwant\n%s", err, out, want)
	}
}

// TestGuide_StaticPage: the page of the guide to selling, on an origin of its own and as it is written, leads a buyer to the payment page and keeps
// the code that shows the order.
func TestGuide_StaticPage(t *testing.T) {
	t.Parallel()
	chromium := browsertest.Start(t)
	dir, addr := shortDir(t), freeAddr(t)
	at := "http://" + addr
	shop := shopOf(t, dir, "--storefront-origin", at)
	sellFirst(t, dir, shop.url)
	html := strings.NewReplacer("https://shop.example", shop.url, "https://www.shop.example", at).Replace(guideBlocks(t, "selling.md", "html")[0])
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!DOCTYPE html>"+html)
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	p := chromium.Open(t, browsertest.Look{})
	p.Visit(t, at+"/")
	p.Submit(t, "#buy")
	p.Wait(t, `input[value="4242424242424242"]`)
	if paying := p.Address(t); !strings.Contains(paying, "/pay/") || !strings.Contains(p.Text(t, "body"), "49.00 EUR") {
		t.Errorf("the buyer is led to %s", paying)
	}
	p.Visit(t, at+"/")
	if kept := p.Run(t, `Object.keys(sessionStorage).join()`); !strings.HasPrefix(kept, "ord_") {
		t.Errorf("the page has kept %q", kept)
	}
}
