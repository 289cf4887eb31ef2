// Package browsertest opens pages in a real browser and tells what a visitor would: where requests went, what the console said,
// how heavy the page was, and what axe-core finds wrong for people who need assistance.
//
//	b := browsertest.Start(t)
//	p := b.Open(t, browsertest.Look{Dark: true})
//	p.Visit(t, url)
//	p.Sound(t, 100_000)
//
// It needs Chromium, and npm once to fetch axe-core. Without them tests are skipped with a message, or fail when CI=true.
package browsertest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// axeVersion is the release of axe-core whose rules pages are held to.
const axeVersion = "4.10.3"

// patience bounds each step in the browser.
const patience = 30 * time.Second

// Browser is a running Chromium with a profile of its own.
type Browser struct {
	ctx context.Context
	axe string
}

// missing skips the test, or fails it when CI=true: there everything is to be tested.
func missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("the browser tests cannot run: %v", err)
	}
	t.Skipf("nothing was tested in a browser: %v", err)
}

// Start starts Chromium for one test; it ends with it.
func Start(t testing.TB) *Browser {
	t.Helper()
	path, err := chromium()
	if err != nil {
		missing(t, err)
	}
	axe, err := fetched()
	if err != nil {
		missing(t, fmt.Errorf("axe-core: %w", err))
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Headless, chromedp.DisableGPU, chromedp.NoSandbox,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Flag("hide-scrollbars", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(patience),
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits until the browser has gone, so that its profile can be removed
		end()
		stop()
	})
	if err := chromedp.Run(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return &Browser{ctx: ctx, axe: axe}
}

func chromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium is installed")
}

// fetched returns axe-core's source, from the user's cache or from npm.
var fetched = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "mintreu-dev")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	archive := filepath.Join(dir, "axe-core-"+axeVersion+".tgz")
	text, err := unpack(archive)
	if err == nil {
		return text, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("npm is not installed")
	}
	temp, err := os.MkdirTemp(dir, "fetch")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "pack", "--silent", "axe-core@"+axeVersion)
	cmd.Dir = temp
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm pack: %w: %s", err, out)
	}
	if err := os.Rename(filepath.Join(temp, "axe-core-"+axeVersion+".tgz"), archive); err != nil {
		return "", err
	}
	return unpack(archive)
})

// unpack reads axe.min.js out of npm's archive.
func unpack(archive string) (string, error) {
	raw, err := os.ReadFile(archive)
	if err != nil {
		return "", err
	}
	zipped, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return "", err
	}
	files := tar.NewReader(zipped)
	for {
		h, err := files.Next()
		if err != nil {
			return "", fmt.Errorf("%s has no axe.min.js: %w", archive, err)
		}
		if h.Name == "package/axe.min.js" {
			text, err := io.ReadAll(io.LimitReader(files, 8<<20))
			return string(text), err
		}
	}
}
