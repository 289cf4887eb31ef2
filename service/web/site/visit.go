package site

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/ui"
)

// maxForm is the largest form in bytes of a page that does not say, uploadTime how long a larger one may take.
const (
	maxForm    = 1 << 20
	uploadTime = 2 * time.Minute
)

// Visit is one request for a page. Its methods are for one goroutine.
type Visit struct {
	W     http.ResponseWriter
	R     *http.Request
	Site  *Site
	Actor licensing.Actor
	page  *Page
	form  *ui.Form
	said  []ui.Flash
}

// Posted reports whether the visitor sent a form.
func (v *Visit) Posted() bool { return v.R.Method == http.MethodPost }

// Ctx is the context in which operations are called: as the visitor, and with the form's token as Idempotency-Key.
func (v *Visit) Ctx() context.Context {
	ctx := as(v.R.Context(), v.Actor)
	if v.form != nil && v.Posted() && len(v.form.Once) >= 16 {
		ctx = kit.WithIdempotencyKey(ctx, v.form.Once)
	}
	return ctx
}

// Changing is [Visit.Ctx] for a change that is no operation, like taking a file: it is called as operation and must leave an audit row.
func (v *Visit) Changing(operation string) context.Context {
	call := *licensing.CallFrom(v.Ctx())
	call.Operation, call.Mutating = operation, true
	return licensing.WithCall(v.R.Context(), &call)
}

// As is [Visit.Ctx] for somebody else: the anonymous visitor who holds an access code, whoever is signed in.
func (v *Visit) As(actor licensing.Actor) context.Context { return as(v.Ctx(), actor) }

// Guest is [Visit.As] for the anonymous visitor.
func (v *Visit) Guest() context.Context {
	return v.As(licensing.Actor{Kind: licensing.Anonymous})
}

// Param is a wildcard of the pattern, Query a parameter of the address.
func (v *Visit) Param(name string) string { return v.R.PathValue(name) }

// Query is a parameter of the address.
func (v *Visit) Query(name string) string { return strings.TrimSpace(v.R.URL.Query().Get(name)) }

// Form is the form that was sent, or an empty one with a new token.
func (v *Visit) Form() *ui.Form {
	if v.form == nil {
		v.form = &ui.Form{Values: url.Values{}, Once: once()}
	}
	return v.form
}

// Filter is the form of a list's filter, which is in the address.
func (v *Visit) Filter() *ui.Form { return &ui.Form{Values: v.R.URL.Query()} }

// clean makes the lines of a field end as texts here do, and shows the character that no text holds.
var clean = strings.NewReplacer("\r\n", "\n", "\x00", "\uFFFD")

// parse reads the form. Only the two ways in which browsers send forms are taken.
func (v *Visit) parse() error {
	kind, _, err := mime.ParseMediaType(v.R.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" && kind != "multipart/form-data" {
		return licensing.Fail(licensing.Unsupported, "not-a-form", "A page takes a form as browsers send it.")
	}
	limit := int64(maxForm)
	if v.page.Limit > limit {
		limit = v.page.Limit
		_ = http.NewResponseController(v.W).SetReadDeadline(time.Now().Add(uploadTime)) // the connection's, so wall time; a test's recorder has none
	}
	v.R.Body = http.MaxBytesReader(v.W, v.R.Body, limit)
	if kind == "multipart/form-data" {
		err = v.R.ParseMultipartForm(maxForm)
	} else {
		err = v.R.ParseForm()
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return licensing.Fail(licensing.TooLarge, "form-too-large", "The form is too large. Shorten what you typed.")
	case err != nil:
		return licensing.Fail(licensing.Invalid, "form", "The form could not be read. Send it again.").Because(err)
	}
	values := url.Values{}
	for name, all := range v.R.PostForm {
		for _, text := range all {
			values.Add(name, clean.Replace(strings.ToValidUTF8(text, "\uFFFD")))
		}
	}
	v.form = &ui.Form{Values: values, Once: values.Get("once")}
	if len(v.form.Once) < 16 || len(v.form.Once) > 64 {
		v.form.Once = once()
	}
	return nil
}

// File is the file that was chosen in a field of the form; nil and "" when none was.
func (v *Visit) File(field string) (content io.ReadCloser, name string, err error) {
	file, head, err := v.R.FormFile(field)
	if errors.Is(err, http.ErrMissingFile) || errors.Is(err, http.ErrNotMultipart) || err == nil && head.Size == 0 && head.Filename == "" {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", licensing.Fail(licensing.Invalid, "file", "The file could not be read. Choose it again.").Because(err)
	}
	return file, head.Filename, nil
}

// again gives the form a new token. A form whose operation refused it is sent again with other values, which must not be taken for a
// repetition of the first.
func (v *Visit) again() {
	if v.form != nil && !v.form.OK() {
		v.form.Once = once()
	}
}

// Ready refuses a form to whoever may not send it, and leads to the page that asks for the password once more, if its operation needs a fresh
// sign-in and this one is not: before anything is typed. What is sent is the operation's to refuse.
func (v *Visit) Ready(spec kit.Spec) error {
	switch {
	case v.Posted():
		return nil
	case !spec.Access.Permits(v.Actor):
		return licensing.Fail(licensing.Forbidden, "forbidden", "Your role does not allow this.")
	}
	return spec.Closed(v.Actor)
}

// Frame is what surrounds the page.
func (v *Visit) Frame(title string, crumbs ...ui.Link) ui.Frame {
	f := ui.Frame{Shop: v.Site.Shop, Title: title, Path: v.R.URL.Path, Actor: v.Actor, Crumbs: crumbs, Secret: v.page.Secret, Said: append(v.flashes(), v.said...)}
	if v.page.For == Staff && v.Site.Warning != nil {
		f.Banner = v.Site.Warning()
	}
	if v.Actor.By != "" {
		f.Banner = "You look at a customer's account. Nothing can be changed, and no secret is shown. Sign out to end it."
	}
	return f
}

// Say shows a message on this page.
func (v *Visit) Say(tone, text string) { v.said = append(v.said, ui.Flash{Tone: tone, Text: text}) }

// Show answers with a page.
func (v *Visit) Show(c templ.Component) error {
	v.again()
	status := http.StatusOK
	if v.form != nil && v.Posted() && !v.form.OK() {
		status = http.StatusUnprocessableEntity
	}
	return v.Render(status, c)
}

// may reports whether the visitor may call an operation. To strangers every link is shown: theirs lead nowhere else.
func (v *Visit) may(operation string) bool {
	spec, known := v.Site.specs[operation]
	return v.Actor.Kind != licensing.Staff && v.Actor.Kind != licensing.Customer || known && spec.Opens(v.Actor)
}

// Render answers with a page and a status.
func (v *Visit) Render(status int, c templ.Component) error {
	out := templ.GetBuffer()
	defer templ.ReleaseBuffer(out)
	if err := c.Render(ui.WithMay(v.R.Context(), v.may), out); err != nil {
		return err
	}
	h := v.W.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	v.W.WriteHeader(status)
	_, _ = v.W.Write(out.Bytes())
	return nil
}

// Go leads to another page of the site after a form, with a message about what was done.
func (v *Visit) Go(to, tone, text string) error {
	if text != "" {
		v.flash(ui.Flash{Tone: tone, Text: text})
	}
	v.to(to)
	return nil
}

// Attach answers with a file of a media type, to be kept under a name of letters, digits, dots and dashes, which the caller writes.
func (v *Visit) Attach(name, media string) io.Writer {
	h := v.W.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	v.W.WriteHeader(http.StatusOK)
	return v.W
}

// Table is [Visit.Attach] for rows that spreadsheets read. The caller flushes it.
func (v *Visit) Table(name string) *csv.Writer {
	return csv.NewWriter(v.Attach(name, "text/csv; charset=utf-8"))
}

// Leave leads to an address outside of the site, such as the payment page.
func (v *Visit) Leave(to string) error {
	v.to(to)
	return nil
}

// to leads to an address. A script of ours that sent the form goes there by itself: were it led, it would load the page unseen, with the
// message in it.
func (v *Visit) to(address string) {
	v.W.Header().Set("Location", address)
	if v.R.Header.Get("X-Sent-By") == "script" {
		v.W.WriteHeader(http.StatusOK)
		return
	}
	v.W.WriteHeader(http.StatusSeeOther)
}

// here is the page to come back to after signing in: this one, or for a form the page that it stood on.
func (v *Visit) here() string {
	if !v.Posted() {
		return v.R.URL.RequestURI()
	}
	if from, err := url.Parse(v.R.Referer()); err == nil && from.Host == v.R.Host {
		return from.RequestURI()
	}
	return v.R.URL.Path
}

// Log notes a failure that the visitor is told of only in general.
func (v *Visit) Log(err error) {
	v.Site.Logger.ErrorContext(v.R.Context(), "page", "page", v.page.Name, "request_id", licensing.CallFrom(v.R.Context()).RequestID, "error", err)
}

// Fresh gives the form a new token: what it is sent for next is no repetition of what it was sent for.
func (v *Visit) Fresh() {
	if v.form != nil {
		v.form.Once = once()
	}
}
