// Package browsertest opens pages in a real browser and tells what a visitor would: where requests went, what the console said,
// how heavy the page was, what axe-core finds wrong for people who need assistance, and what html-validate finds wrong in the HTML
// that was served.
//
//	b := browsertest.Start(t)
//	p := b.Open(t, browsertest.Look{Dark: true})
//	p.Visit(t, url)
//	p.Fill(t, "#email", "ada@example.com")
//	p.Submit(t, "form button")
//	p.Quiet(t, 100_000)
//	p.Accessible(t)
//	p.Valid(t)
//
// A page is operated by mouse (Click, Submit) or by keyboard (Press, Focused), with JavaScript or, with Look.NoScript, without; axe-core alone
// needs it. Starting html-validate takes a second: where many pages are visited, collect what [Page.Source] returns and give all
// of it to [ValidAll].
//
// It needs Chromium, Node.js, and npm once to fetch axe-core and html-validate. Without them tests are skipped with a message, or
// fail when CI=true.
package browsertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// patience bounds each step in the browser.
const patience = 2 * time.Minute

// Browser is a running Chromium with a profile of its own.
type Browser struct {
	ctx context.Context
	axe string

	colours sync.Map // the combinations of colours that were looked at
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
	axe, err := axe()
	if err != nil {
		missing(t, fmt.Errorf("axe-core: %w", err))
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Headless, chromedp.DisableGPU, chromedp.NoSandbox,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Flag("hide-scrollbars", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-background-timer-throttling", true), chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.Flag("disable-backgrounding-occluded-windows", true), chromedp.Flag("disable-extensions", true), chromedp.WSURLReadTimeout(patience),
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

// chromium prefers the build without windows, profiles and extensions: the same engine, for two thirds of the processor's time.
func chromium() (string, error) {
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium is installed")
}
