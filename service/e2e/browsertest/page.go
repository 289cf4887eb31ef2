package browsertest

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Look is how a visitor looks at pages.
type Look struct {
	Dark     bool
	NoScript bool // JavaScript is switched off
	Narrow   bool // a telephone instead of a desk
}

// Page is a tab. Its methods are for one goroutine.
type Page struct {
	ctx     context.Context
	browser *Browser
	look    Look

	mu       sync.Mutex
	requests []string
	frame    cdp.FrameID       // of the page itself
	document network.RequestID // of what was served last in it
	said     []string          // console errors, exceptions, violations of the policy
	bytes    float64
}

// Open opens a tab that ends with the test.
func (b *Browser) Open(t testing.TB, look Look) *Page {
	t.Helper()
	return b.open(t, look)
}

func (b *Browser) open(t testing.TB, look Look, options ...chromedp.ContextOption) *Page {
	t.Helper()
	ctx, end := chromedp.NewContext(b.ctx, options...)
	t.Cleanup(end)
	p := &Page{ctx: ctx, browser: b, look: look}
	chromedp.ListenTarget(ctx, p.hear)
	if err := chromedp.Run(ctx); err != nil { // the tab lives as long as the context that opens it, so without a deadline
		t.Fatalf("open a tab: %v", err)
	}
	p.mu.Lock()
	p.frame = cdp.FrameID(chromedp.FromContext(ctx).Target.TargetID)
	p.mu.Unlock()
	p.run(t, "open a tab", network.Enable(), log.Enable(), page.Enable())
	p.Turn(t, look)
	return p
}

// hear notes what happens in the tab.
func (p *Page) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
		if e.Type == network.ResourceTypeDocument && e.FrameID == p.frame {
			p.document = e.RequestID
		}
	case *network.EventLoadingFinished:
		p.bytes += e.EncodedDataLength
	case *page.EventJavascriptDialogOpening:
		p.said = append(p.said, "dialog: "+e.Message)
		go func() { _ = chromedp.Run(p.ctx, page.HandleJavaScriptDialog(false)) }() // the tab stands still until it is closed
	case *runtime.EventExceptionThrown:
		p.said = append(p.said, "exception: "+e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning || e.Type == runtime.APITypeAssert {
			for _, a := range e.Args {
				p.said = append(p.said, fmt.Sprintf("console %s: %s", e.Type, a.Value))
			}
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
			p.said = append(p.said, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	}
}

func (p *Page) run(t testing.TB, what string, actions ...chromedp.Action) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// Visit opens an address and forgets what happened before.
func (p *Page) Visit(t testing.TB, address string) {
	t.Helper()
	p.forget()
	p.run(t, "visit "+address, chromedp.Navigate(address), chromedp.WaitReady("body"))
}

func (p *Page) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests, p.said, p.bytes = nil, nil, 0
}

// Wait waits until the page has an element.
func (p *Page) Wait(t testing.TB, selector string) {
	t.Helper()
	p.run(t, "wait for "+selector, chromedp.WaitVisible(selector, chromedp.ByQuery))
}

// Click clicks an element as a person would, which must be there to see.
func (p *Page) Click(t testing.TB, selector string) {
	t.Helper()
	p.run(t, "click "+selector, chromedp.Click(selector, chromedp.ByQuery, chromedp.NodeVisible))
}

// Submit clicks an element and waits for the page that follows; what happened before is forgotten.
func (p *Page) Submit(t testing.TB, selector string) {
	t.Helper()
	p.follow(t, "submit "+selector, chromedp.Click(selector, chromedp.ByQuery, chromedp.NodeVisible))
}

// follow does something that leads to another page, and waits for that.
func (p *Page) follow(t testing.TB, what string, action chromedp.Action) {
	t.Helper()
	p.forget()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, action); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	p.run(t, "the page after: "+what, chromedp.WaitReady("body"))
}

// Text returns the text of an element.
func (p *Page) Text(t testing.TB, selector string) string {
	t.Helper()
	var out string
	p.run(t, "read "+selector, chromedp.Text(selector, &out, chromedp.ByQuery))
	return out
}

// Address returns where the tab is.
func (p *Page) Address(t testing.TB) string {
	t.Helper()
	var out string
	p.run(t, "read the address", chromedp.Location(&out))
	return out
}

// Quiet fails the test if the page called another host than its own, said something on the console, broke its content security
// policy, or weighed more than limit bytes. expected are texts of messages that belong to the case, such as a refusal's status, or of
// addresses, such as that of an API elsewhere.
func (p *Page) Quiet(t testing.TB, limit float64, expected ...string) {
	t.Helper()
	own, err := url.Parse(p.Address(t))
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	known := func(said string) bool {
		return slices.ContainsFunc(expected, func(e string) bool { return strings.Contains(said, e) })
	}
	for _, r := range p.requests {
		if u, err := url.Parse(r); err != nil || u.Scheme != "data" && u.Host != own.Host && !known(r) {
			t.Errorf("%s: a request to %s", own, r)
		}
	}
	for _, s := range p.said {
		if !known(s) {
			t.Errorf("%s: %s", own, s)
		}
	}
	if p.bytes > limit {
		t.Errorf("%s: %.0f bytes, at most %.0f", own, p.bytes, limit)
	}
}
