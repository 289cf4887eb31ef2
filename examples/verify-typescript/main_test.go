package verifytypescript_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/sdktest"
	"github.com/mintreu/mintreu/service/e2e/npmtest"
)

var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// program builds the example once, outside of the tree, as "npm run build" would, and returns its directory.
func program(t *testing.T) string {
	t.Helper()
	packages := npmtest.Need(t, npmtest.Jose, npmtest.TypeScript, npmtest.NodeTypes)
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "verify-typescript"); built.err != nil {
			return
		}
		sources, _ := filepath.Glob("*.ts")
		for _, name := range append(sources, "package.json", "tsconfig.json") {
			text, err := os.ReadFile(name)
			if err == nil {
				err = os.WriteFile(filepath.Join(built.dir, name), text, 0o600)
			}
			if err != nil {
				built.err = err
				return
			}
		}
		if built.err = os.Symlink(filepath.Join(packages, "node_modules"), filepath.Join(built.dir, "node_modules")); built.err != nil {
			return
		}
		cmd := exec.CommandContext(context.Background(), "node", filepath.Join("node_modules", "typescript", "bin", "tsc"))
		cmd.Dir = built.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("tsc: %s", out)
			built.err = err
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}

// node runs the example and returns what it printed.
func node(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", append([]string{filepath.Join(program(t), "build", "verify.js")}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// A reader on jose, strict where jose is lax, gives every answer of the vectors: what is read of a document, why one is refused, and
// what is decided.
func TestTypeScript_Vectors(t *testing.T) {
	t.Parallel()
	directory := filepath.Join("..", "..", "sdk", "testdata", "vectors")
	out, err := node(t, "--vectors", directory)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	ran, _ := strconv.Atoi(strings.Fields(lines[len(lines)-1] + " 0")[0])
	if want := cases(t, directory); err != nil || ran != want {
		t.Fatalf("%d of %d vectors: %v\n%s", ran, want, err, out)
	}
	t.Log(lines[len(lines)-1])
}

// cases counts the cases of all files of vectors.
func cases(t *testing.T, directory string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(directory, "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range files {
		var f struct{ Cases []json.RawMessage }
		text, err := os.ReadFile(name)
		if err == nil {
			err = json.Unmarshal(text, &f)
		}
		if err != nil || len(f.Cases) == 0 {
			t.Fatalf("%s: %v, %d cases", name, err, len(f.Cases))
		}
		n += len(f.Cases)
	}
	return n
}

// It verifies a license file with a lease from the root down, decides on it as the SDK does, and refuses one of another vendor, for another
// product, with a byte changed, and too late.
func TestTypeScript_LicenseFile(t *testing.T) {
	t.Parallel()
	srv := sdktest.NewServer()
	t.Cleanup(srv.Close)
	key := srv.Issue(sdktest.Spec{Product: "editor", Ent: map[string]doc.Value{"export": doc.On()}})
	client, err := sdk.New(srv.Config("editor"), srv.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	request, err := client.OfflineRequest(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := srv.Answer(key, request)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, changed := filepath.Join(dir, "good"), filepath.Join(dir, "changed")
	other := []byte(text)
	middle := bytes.IndexByte(other[len(other)/2:], '\n') + len(other)/2 + 1
	other[middle] = map[bool]byte{true: 'B', false: 'A'}[other[middle] == 'A']
	for name, text := range map[string]string{file: text, changed: string(other)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := srv.Clock.Now().Unix()
	now, late := strconv.FormatInt(at+60, 10), strconv.FormatInt(at+31*24*3600, 10)
	out, err := node(t, file, "--root="+srv.Root(), "--product", "editor", "--now", now)
	if err != nil || !strings.Contains(out, `"code":"VALID"`) || !strings.Contains(out, `"export":true`) {
		t.Fatalf("%v\n%s", err, out)
	}
	stranger := doc.FormatPublicKey(sdktest.Public(sdktest.Key("stranger")))
	for name, args := range map[string][]string{
		"another vendor":  {file, "--root=" + stranger, "--product", "editor", "--now", now},
		"another product": {file, "--root=" + srv.Root(), "--product", "player", "--now", now},
		"changed":         {changed, "--root=" + srv.Root(), "--product", "editor", "--now", now},
		"a month later":   {file, "--root=" + srv.Root(), "--product", "editor", "--now", late},
	} {
		if out, err := node(t, args...); err == nil || !strings.Contains(out, "refused: ") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// The example asks for the releases that its tests run with.
func TestTypeScript_Releases(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("package.json")
	if err != nil {
		t.Fatal(err)
	}
	var p struct{ Dependencies, DevDependencies map[string]string }
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{npmtest.Jose, npmtest.TypeScript, npmtest.NodeTypes} {
		i := strings.LastIndexByte(want, '@')
		if got := p.Dependencies[want[:i]] + p.DevDependencies[want[:i]]; got != want[i+1:] {
			t.Errorf("package.json has %s of %s, the tests run %s", got, want[:i], want[i+1:])
		}
	}
}
