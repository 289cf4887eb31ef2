// Package npmtest gives tests what they need of npm, from a cache of the user's that is filled once, so that no package lies in version control:
//
//	dir := npmtest.Need(t, npmtest.Jose)
//	out, err := npmtest.Run(t.Context(), dir, "testdata/read.mjs", in)
//
// Without Node.js or npm such tests are skipped with a message, or fail when CI=true.
package npmtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The releases that tests use.
const (
	Axe          = "axe-core@4.10.3"
	HTMLValidate = "html-validate@9.7.1"
	Jose         = "jose@6.2.18"
	TypeScript   = "typescript@5.9.3"
	NodeTypes    = "@types/node@20.19.43"
)

// patience bounds a download.
const patience = 5 * time.Minute

// Need returns a directory in which Node.js finds these packages.
func Need(t testing.TB, packages ...string) string {
	t.Helper()
	dir, err := Installed(packages...)
	if err == nil {
		_, err = exec.LookPath("node")
	}
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("the tests with Node.js cannot run: %v", err)
	default:
		t.Skipf("nothing was tested with Node.js: %v", err)
	}
	return dir
}

// Installed returns a directory with releases of packages of npm, from the user's cache or, once, from the registry. Packages run
// no scripts when they are installed. Tests that install at the same time do not disturb each other.
func Installed(packages ...string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "mintreu-dev")
	packages = slices.Sorted(slices.Values(packages))
	dir := filepath.Join(cache, strings.ReplaceAll(strings.Join(packages, "+"), "/", "-"))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("npm is not installed")
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(cache, "fetch")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	args := []string{"install", "--silent", "--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--prefix", temp}
	cmd := exec.CommandContext(ctx, npm, append(args, packages...)...)
	cmd.Dir = temp
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm install %s: %w: %s", strings.Join(packages, " "), err, out)
	}
	if err := os.Rename(temp, dir); err != nil {
		if _, there := os.Stat(dir); there != nil {
			return "", err
		}
	}
	return dir, nil
}

// Run runs an ES module with Node.js in a directory that [Need] returned, whose packages it may import, gives it text to read and returns what it
// wrote.
func Run(ctx context.Context, dir, module string, in []byte) ([]byte, error) {
	text, err := os.ReadFile(module)
	if err != nil {
		return nil, err
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "node", "--input-type=module", "-e", string(text))
	cmd.Dir, cmd.Stdin, cmd.Stderr = dir, bytes.NewReader(in), &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("node %s: %w\n%s", module, err, said.String())
	}
	return out, nil
}
