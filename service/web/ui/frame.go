package ui

import (
	"strconv"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/explain"
)

// Shopfront is how a shop presents itself on every page. Terms, Privacy and Imprint are addresses of pages of the shop's own; empty ones
// are not shown.
type Shopfront struct {
	Name, Tagline           string
	Terms, Privacy, Imprint string
}

// Frame is what surrounds a page: who looks at it, where it is, and what is to be said above it.
type Frame struct {
	Shop  Shopfront
	Title string
	// Path is where the page is, for the navigation.
	Path string
	// Actor is who looks. Anonymous visitors are offered to sign in.
	Actor licensing.Actor
	// Banner is said at the top of every page, like that this is a session of support in a customer's account; "" for none.
	Banner string
	// Said are messages about what was just done.
	Said []Flash
	// Refresh is after how many seconds the page looks whether what it waits for has come, which shows in its title; 0 never.
	Refresh int
	// Secret marks a page whose address holds a secret, which must not travel on in a Referer.
	Secret bool
	// Crumbs lead back to the page above.
	Crumbs []Link
}

// Flash is a message about what was just done. Tone is "good", "wait" or "bad".
type Flash struct {
	Tone string `json:"t"`
	Text string `json:"x"`
}

// Link is a place with its name.
type Link struct {
	Href, Name string
}

// Titled returns the frame with a title, and crumbs that lead to it.
func (f Frame) Titled(title string, crumbs ...Link) Frame {
	f.Title, f.Crumbs = title, crumbs
	return f
}

// SignedIn reports whether a person looks.
func (f Frame) SignedIn() bool {
	return f.Actor.Kind == licensing.Customer || f.Actor.Kind == licensing.Staff
}

// Staff reports whether a person of the staff looks.
func (f Frame) Staff() bool { return f.Actor.Kind == licensing.Staff }

// below are the places of the navigation under which pages stand whose addresses say something else.
func below(path string) string {
	for _, b := range []struct{ under, place string }{{"/admin/activations", "/admin/licenses"}, {"/admin/root-exports", "/admin/signing-keys"}, {"/admin/plans", "/admin/products"}, {"/admin/releases", "/admin/files"}, {"/admin/release-files", "/admin/files"},
		{"/admin/canned", "/admin/tickets"}, {"/admin/outbox", "/admin/mail"}, {"/admin/deliveries", "/admin/webhooks"}, {"/tickets", "/account/tickets"}, {"/account/transfers", "/account/licenses"}, {"/account/access", "/account/licenses"}} {
		if within(path, b.under) {
			return b.place + path[len(b.under):]
		}
	}
	return path
}

// within reports whether path is place or lies below it.
func within(path, place string) bool {
	rest, ok := strings.CutPrefix(path, place)
	return ok && (rest == "" || rest[0] == '/')
}

// current reports whether a link to href leads to the page itself or, unless exact, to what it lies below.
func (f Frame) current(href string, exact bool) bool {
	path := below(f.Path)
	return path == href || !exact && within(path, href)
}

// legal are the shop's own pages that law asks for.
func (s Shopfront) legal() []Link {
	var out []Link
	for _, l := range []Link{{s.Terms, "Terms of sale"}, {s.Privacy, "Privacy"}, {s.Imprint, "Imprint"}} {
		if l.Href != "" {
			out = append(out, l)
		}
	}
	return out
}

// Group is a part of the console's navigation.
type Group struct {
	Name  string
	Links []Link
}

// consoleGroups is the navigation of the console.
func consoleGroups() []Group {
	return []Group{
		{"Today", []Link{{"/admin", "Overview"}, {"/admin/orders", "Orders"}, {"/admin/tickets", "Tickets"}, {"/admin/customers", "Customers"}, {"/admin/organisations", "Organisations"}}},
		{"Access", []Link{{"/admin/access", "Why access?"}, {"/admin/licenses", "Licenses"}, {"/admin/transfers", "Transfers"}, {"/admin/runs", "Runs"}, {"/admin/keys", "API keys"}, {"/admin/usage", "Usage"}, {"/admin/meters", "Meters"}, {"/admin/policies", "Policies"}}},
		{"Shop", []Link{{"/admin/products", "Products"}, {"/admin/import", "Import"}, {"/admin/files", "Files"}, {"/admin/faq", "FAQ"}}},
		{"Operation", []Link{{"/admin/switches", "Switches"}, {"/admin/payments", "Payment events"}, {"/admin/webhooks", "Webhooks"}, {"/admin/mail", "Mail"}, {"/admin/jobs", "Jobs"}, {"/admin/signing-keys", "Signing keys"}, {"/admin/audit", "Audit"}}},
		{"Team", []Link{{"/admin/staff", "Staff"}, {"/admin/tokens", "Machine tokens"}, {"/admin/settings", "My account"}}},
	}
}

// When is an instant as pages show it, in UTC.
func When(t time.Time) string { return explain.When(t) }

// WhenPtr is [When] of an instant that may be absent.
func WhenPtr(t *time.Time) string {
	if t == nil {
		return "–"
	}
	return When(*t)
}

// Day is the day of an instant, in UTC.
func Day(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2 January 2006")
}

// Machine is an instant for the datetime attribute.
func Machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Size is a number of bytes for people.
func Size(n int64) string {
	for _, unit := range []struct {
		bits uint
		name string
	}{{30, "GiB"}, {20, "MiB"}, {10, "KiB"}} {
		if n >= 1<<unit.bits {
			return strconv.FormatFloat(float64(n)/float64(int64(1)<<unit.bits), 'f', 1, 64) + " " + unit.name
		}
	}
	return Plural(n, "byte", "bytes")
}

// Short is the last eight characters of an id, to tell objects apart at a glance.
func Short(id string) string { return explain.Short(id) }

// Plural is "1 device" or "3 devices".
func Plural(n int64, one, many string) string {
	word := many
	if n == 1 {
		word = one
	}
	return Number(n) + " " + word
}

// Number is a whole number with thin groups of three digits.
func Number(n int64) string {
	text := strconv.FormatInt(n, 10)
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return sign + text
}

// Plain is a whole number without groups, for a form.
func Plain(n int64) string { return strconv.FormatInt(n, 10) }
