package httpapi

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/download"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
)

// sending sends the bytes of a link: GET, HEAD, one range at a time, conditions by ETag. Only a GET that sends bytes spends
// anything.
type sending struct {
	Downloads
	meter *downloadMeter
}

// ServeHTTP implements http.Handler.
func (t *sending) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	artifactHeaders(w.Header())
	if r.URL.RawQuery != "" || r.URL.RawPath != "" {
		kit.WriteError(w, r, download.ErrLink)
		return
	}
	ticket, err := t.Service.Transfer(r.Context(), r.PathValue("token"))
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		t.send(w, r, ticket)
	default:
		onlyMethods(w, r, "GET, HEAD, OPTIONS")
	}
}

// artifactHeaders keep what is served from being rendered, guessed at, framed, kept or told about.
func artifactHeaders(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "private, no-store, no-transform")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Robots-Tag", "noindex")
}

// onlyMethods answers OPTIONS, and refuses the rest, once the link has been found good.
func onlyMethods(w http.ResponseWriter, r *http.Request, allow string) {
	w.Header().Set("Allow", allow)
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	kit.WriteError(w, r, download.ErrLink)
}

func (t *sending) send(w http.ResponseWriter, r *http.Request, ticket download.Ticket) {
	f, h := &ticket.File, w.Header()
	tag := `"` + hex.EncodeToString(f.SHA256) + `"`
	h.Set("ETag", tag)
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", disposition(f.Name))
	if matches(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if m := r.Header.Get("If-Match"); m != "" && !matches(m, tag) {
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	}
	part, status := wanted(r.Header, tag, f.Size)
	switch status {
	case http.StatusRequestedRangeNotSatisfiable:
		h.Set("Content-Range", fmt.Sprintf("bytes */%d", f.Size))
		w.WriteHeader(status)
		return
	case http.StatusPartialContent:
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.from, part.from+part.length-1, f.Size))
	}
	if r.Method == http.MethodHead {
		h.Set("Content-Length", strconv.FormatInt(part.length, 10))
		w.WriteHeader(status)
		return
	}
	run, err := t.Service.Begin(r.Context(), ticket, part.from, part.length)
	if err != nil {
		for _, name := range []string{"ETag", "Accept-Ranges", "Content-Disposition", "Content-Range"} {
			h.Del(name)
		}
		kit.WriteError(w, r, err)
		return
	}
	h.Set("Content-Length", strconv.FormatInt(part.length, 10))
	t.pump(w, r, run, status)
}

// pump sends what the run gives, slice by slice, each with its own deadline, so that a slow reader is let go and holds nobody up.
// A transfer that cannot go on is cut off, so that the client knows that it is not whole.
func (t *sending) pump(w http.ResponseWriter, r *http.Request, run *download.Run, status int) {
	t.meter.running.Inc()
	var sent int64
	err := error(nil)
	defer func() {
		t.meter.running.Dec()
		t.meter.ended(run.First(), err == nil, run.Complete(), sent)
		if e := run.End(r.Context()); e != nil {
			t.Stack.Logger.ErrorContext(r.Context(), "the end of a download was not written", "error", e.Error())
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}()
	control := http.NewResponseController(w)
	w.WriteHeader(status)
	for !run.Over() {
		var part []byte
		if part, err = run.Next(r.Context(), slice); err != nil {
			return
		}
		_ = control.SetWriteDeadline(time.Now().Add(t.Patience)) // the connection's, so wall time; a test's recorder has none
		var n int
		if n, err = w.Write(part); err == nil && run.Over() {
			if err = control.Flush(); errors.Is(err, http.ErrNotSupported) {
				err = nil
			} else if err != nil { // the last bytes were buffered and never left
				return
			}
		}
		sent += int64(n)
		if e := run.Sent(r.Context(), n); err != nil || e != nil {
			err = errors.Join(err, e)
			return
		}
	}
}

// disposition makes every browser save the file under its name (RFC 6266).
func disposition(name string) string {
	return `attachment; filename="` + strings.Map(func(r rune) rune {
		if r == '"' || r == '\\' || r < ' ' || r > '~' {
			return '_'
		}
		return r
	}, name) + `"; filename*=UTF-8''` + strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
}

type span struct{ from, length int64 }

// wanted is the part of a file that the request asks for. Several ranges at once are answered with the whole file, as HTTP allows;
// so is a range on condition of another content.
func wanted(h http.Header, tag string, size int64) (span, int) {
	whole := span{0, size}
	spec, ok := strings.CutPrefix(h.Get("Range"), "bytes=")
	if !ok || strings.Contains(spec, ",") {
		return whole, http.StatusOK
	}
	if c := h.Get("If-Range"); c != "" && c != tag {
		return whole, http.StatusOK
	}
	first, last, ok := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok {
		return whole, http.StatusOK
	}
	if first == "" { // the last n bytes
		n, err := digits(last)
		if err != nil {
			return whole, http.StatusOK
		}
		if n == 0 {
			return span{}, http.StatusRequestedRangeNotSatisfiable
		}
		n = min(n, size)
		return span{size - n, n}, http.StatusPartialContent
	}
	from, err := digits(first)
	to := size - 1
	if err == nil && last != "" {
		to, err = digits(last)
	}
	if err != nil || last != "" && to < from {
		return whole, http.StatusOK
	}
	if from >= size {
		return span{}, http.StatusRequestedRangeNotSatisfiable
	}
	return span{from, min(to, size-1) - from + 1}, http.StatusPartialContent
}

func digits(s string) (int64, error) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseInt(s, 10, 64)
}

// refuse answers people with a page and programs with a problem.
func (d Downloads) refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := kit.Public(err)
	if !strings.Contains(r.Header.Get("Accept"), "text/html") || e.Kind == licensing.Internal {
		kit.WriteError(w, r, err)
		return
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10))
	}
	d.Page(w, r, kit.Status(err), DownloadView{Title: "No download here", Problem: e.Text})
}
