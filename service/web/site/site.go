// Package site is what every page stands on. A [Page] is a pattern, whom it is for and a function; [Site] turns it into a handler that
// knows the visitor by the session cookie, refuses forms that another site sent, reads the form, and answers failures with a page that
// says what to do. Pages call operations with [Visit.Ctx], so that role, switch, limit and audit are those of the API.
//
// Cookies are used here and nowhere else; operations never see one. A visitor's session is the same as on the API; a second cookie renews
// it without a word when its hour is over.
package site

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/download"
	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/ui"
)

// Config is what a [Site] is made of. All but Logger and PayOrigins is required.
type Config struct {
	// Shop is how the shop presents itself, BaseURL where people reach it, without a slash at its end.
	Shop    ui.Shopfront
	BaseURL string
	// Key authenticates the messages that travel in a cookie: 16 bytes or more, the same on every replica.
	Key []byte
	// Auth turns the text of a session into an actor; it is the one that the API uses.
	Auth kit.Authenticator
	// Routes are the operations that pages call.
	Routes []kit.Route
	Clock  licensing.Clock
	// Logger is told of failures of ours; nil for nobody. It must keep secrets out by itself, as that of the whole service does.
	Logger *slog.Logger
	// Upload stores a file of a release as it arrives from a form, for the actor of ctx, whose role it checks.
	Upload func(ctx context.Context, u *download.Upload) (download.FileView, error)
	// Attachments takes and sends the files of tickets.
	Attachments Attachments
	// PayOrigins are where the payment page may be, apart from the service itself: "https://checkout.stripe.com".
	PayOrigins []string
	// Warning is what staff must know of the service now, said at the top of every page of the console; "" for nothing. Nil never says anything.
	Warning func() string
}

// Attachments is what pages need besides operations to take the files of tickets from forms and to send them.
type Attachments struct {
	// Take stores a file as it comes, for the actor of ctx.
	Take func(ctx context.Context, u support.Upload) (support.FileView, error)
	// Send answers with a file, to be saved, for the actor of r's context.
	Send func(w http.ResponseWriter, r *http.Request, o support.OpenRequest) error
}

// Audience is whom a page is for. Others are asked to sign in; what an operation refuses is refused all the same.
type Audience uint8

// The audiences.
const (
	Anyone Audience = iota
	Customers
	Staff
)

// Page is one page: GET or POST of a path.
type Page struct {
	// Name is "page.noun", for log and metrics.
	Name string
	// Pattern is net/http's: "GET /account/licenses/{id}".
	Pattern string
	For     Audience
	// Serve answers. What it returns becomes an error page.
	Serve func(v *Visit) error
	// Stream leaves the body of a POST unread, for uploads. Such a page reads it by itself and gets no form.
	Stream bool
	// Limit is the largest form in bytes, a mebibyte unless said; a larger one, with a file in it, has more time to arrive.
	Limit int64
	// Secret marks a path that holds a secret: nothing of it leaves in a Referer.
	Secret bool
}

// Site serves pages. It is safe for concurrent use.
type Site struct {
	Config
	secure bool
	ops    operations
	cross  *http.CrossOriginProtection
	specs  map[string]kit.Spec // of the operations, by name
}

// operations are those that the site itself needs.
type operations struct {
	Renew kit.Op[account.RenewRequest, account.SignInResponse] `op:"session.renew"`
}

// New makes a Site.
func New(c Config) (*Site, error) {
	s := &Site{Config: c, secure: strings.HasPrefix(c.BaseURL, "https://"), cross: http.NewCrossOriginProtection()}
	s.specs = make(map[string]kit.Spec, len(c.Routes))
	for _, r := range c.Routes {
		s.specs[r.Spec().Name] = r.Spec()
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	if len(c.Key) < 16 {
		return nil, errors.New("site: the key is too short")
	}
	return s, kit.Fill(c.Routes, &s.ops)
}

// Handler makes the handler of a page.
func (s *Site) Handler(p Page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &Visit{W: w, R: r, Site: s, page: &p}
		s.headers(v)
		if err := s.serve(v, p); err != nil {
			s.fail(v, err)
		}
	})
}

func (s *Site) serve(v *Visit, p Page) error {
	if err := s.identify(v); err != nil {
		return err
	}
	if v.Posted() {
		if err := s.ours(v.R); err != nil {
			return err
		}
	}
	switch {
	case p.For == Anyone, p.For == Customers && v.Actor.Kind == licensing.Customer, p.For == Staff && v.Actor.Kind == licensing.Staff:
	case v.Actor.Kind == licensing.Anonymous:
		return errSignIn
	case p.For == Customers:
		return licensing.Fail(licensing.Forbidden, "not-a-customer", "These are the pages of customers, and you are signed in as staff. What customers have is in the console.")
	default:
		return licensing.ErrNotFound // a customer learns of no console
	}
	if v.Posted() && !p.Stream {
		if err := v.parse(); err != nil {
			return err
		}
	}
	return p.Serve(v)
}

// Around answers a request that another handler took with a page whose address is secret: with the headers of a page, for whoever visits.
func (s *Site) Around(w http.ResponseWriter, r *http.Request, status int, title string, draw func(f ui.Frame) templ.Component) {
	v := &Visit{W: w, R: r, Site: s, page: &Page{Name: "page.around", Secret: true}}
	s.headers(v)
	if err := s.identify(v); err != nil {
		v.Actor = licensing.Actor{Kind: licensing.Anonymous}
	}
	if err := v.Render(status, draw(v.Frame(title))); err != nil {
		s.fail(v, err)
	}
}

// errSignIn leads to the sign-in page and from there back.
var errSignIn = licensing.Fail(licensing.Unauthorized, "sign-in", "Sign in to see this page.")

// errForeign refuses a form that no page of ours sent.
var errForeign = licensing.Fail(licensing.Forbidden, "foreign-form", "This form did not come from a page of this site. Open the page here and send it again.")

// ours refuses a POST that a page of another site may have sent. Browsers say where a form comes from in Sec-Fetch-Site or Origin; a
// request with neither is no browser's and is refused too (keys-and-usage §5).
func (s *Site) ours(r *http.Request) error {
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
		return errForeign.Because(errors.New("neither Origin nor Sec-Fetch-Site"))
	}
	if err := s.cross.Check(r); err != nil {
		return errForeign.Because(err)
	}
	return nil
}

// headers are those of every page.
func (s *Site) headers(v *Visit) {
	h := v.W.Header()
	h.Set("Content-Security-Policy", strings.Join(append([]string{"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; " +
		"require-trusted-types-for 'script'; trusted-types 'none'; form-action 'self'"}, s.PayOrigins...), " "))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()")
	h.Set("Referrer-Policy", "same-origin")
	if v.page.Secret {
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Robots-Tag", "noindex")
	}
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Cookie")
}

// fail answers with a page that says what went wrong and what to do.
func (s *Site) fail(v *Visit, err error) {
	told := kit.Public(err)
	switch {
	case told.Code == "sign-in" || told.Kind == licensing.Unauthorized && v.Actor.Kind == licensing.Anonymous:
		v.to("/sign-in?next=" + url.QueryEscape(v.here()))
		return
	case told.Code == "totp-required" && v.Actor.Kind == licensing.Staff:
		v.to("/admin/settings/two-step")
		return
	case told.Code == "sign-in-again":
		v.to("/sign-in/again?next=" + url.QueryEscape(v.here()))
		return
	}
	status := kit.Status(err)
	if told.RetryAfter > 0 {
		v.W.Header().Set("Retry-After", fmt.Sprint(int64((told.RetryAfter+time.Second-1)/time.Second)))
	}
	if told.Kind == licensing.Internal {
		v.Log(err)
	}
	_ = v.Render(status, ui.Failure(v.Frame(failureTitle(told)), failureText(told), licensing.CallFrom(v.R.Context()).RequestID))
}

func failureTitle(e *licensing.Error) string {
	switch e.Kind {
	case licensing.NotFound:
		return "Page not found"
	case licensing.Forbidden, licensing.Unauthorized:
		return "Not permitted"
	case licensing.TooMany:
		return "Too many requests"
	case licensing.Unavailable, licensing.Timeout:
		return "Not available at the moment"
	case licensing.Gone:
		return "This is over"
	case licensing.Internal:
		return "Something went wrong"
	}
	return "That did not work"
}

func failureText(e *licensing.Error) string {
	if e.Code == licensing.ErrNotFound.Code {
		return "There is nothing at this address, or it is not yours to see. Check the address, or start from the home page."
	}
	text := e.Text
	for _, f := range e.Fields {
		text += " " + strings.TrimPrefix(f.Name, "/") + " " + f.Detail + "."
	}
	return text
}

// Missing answers every address that nothing else takes: with a page to browsers, with problem details to programs.
func (s *Site) Missing() http.Handler {
	page := s.Handler(Page{Name: "page.missing", Serve: func(*Visit) error { return licensing.ErrNotFound }})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && !strings.HasPrefix(r.URL.Path, "/v1/") && strings.Contains(r.Header.Get("Accept"), "text/html") {
			page.ServeHTTP(w, r)
			return
		}
		kit.NoRoute(w, r)
	})
}

// as returns a context in which actor calls.
func as(ctx context.Context, actor licensing.Actor) context.Context {
	call := *licensing.CallFrom(ctx)
	call.Actor = actor
	return licensing.WithCall(ctx, &call)
}

// once is a new token for a form.
func once() string { return rand.Text() }

// Inside returns path if it leads to a page of this site, and fallback otherwise, so that nobody is sent elsewhere after signing in.
func Inside(path, fallback string) string {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") ||
		strings.ContainsAny(path, "\\\r\n\t") || len(path) > 1000 || slices.Contains([]string{"/sign-out", "/sign-in"}, u.Path) {
		return fallback
	}
	return path
}
