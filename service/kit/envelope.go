package kit

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/mintreu/mintreu/licensing"
)

// Envelope is another form of a body: an object whose members are headers, and the body one member beside them. Source: the binary content mode of
// the HTTP protocol binding of CloudEvents 1.0.2, §3.1.
type Envelope struct {
	// Prefix begins the names of the headers, as [http.CanonicalHeaderKey] writes it. What follows, in lower case, names the member.
	Prefix string
	// Mark is the header by which a request says that it has this form.
	Mark string
	// Data is the member that the body becomes. Without a body there is none.
	Data string
	// Wrap is what the object is put between.
	Wrap Wrap
}

// marks reports whether a request has this form. One whose body has a media type of its own has not, whatever headers stand beside it.
func (e *Envelope) marks(h http.Header, wraps map[string]Wrap) bool {
	if e == nil || len(h[e.Mark]) == 0 {
		return false
	}
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	_, wrapped := wraps[strings.ToLower(strings.TrimSpace(media))]
	return !wrapped
}

// open returns the body that the operation takes, from the headers and what the request had for one: nothing, or a value of JSON.
func (e *Envelope) open(h http.Header, data []byte) ([]byte, error) {
	bad := licensing.Fail(licensing.Invalid, "invalid-headers", "The request's headers are not right; see errors for each.")
	out := append([]byte(e.Wrap.Open), '{')
	for _, header := range slices.Sorted(maps.Keys(h)) {
		name, ours := strings.CutPrefix(header, e.Prefix)
		if !ours {
			continue
		}
		name = strings.ToLower(name)
		text, ok := plain(h[header][0])
		switch {
		case len(h[header]) > 1:
			bad = bad.With(header, "must be given once")
		case name == e.Data:
			bad = bad.With(header, "must be the body")
		case name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") != "":
			bad = bad.With(header, "must be named by letters and digits after %s", e.Prefix)
		case !ok:
			bad = bad.With(header, "must be UTF-8, percent-encoded where it is not printable ASCII")
		default:
			if out[len(out)-1] != '{' {
				out = append(out, ',')
			}
			out, _ = jsontext.AppendQuote(out, name) // letters and digits
			out, _ = jsontext.AppendQuote(append(out, ':'), text)
		}
	}
	if len(bad.Fields) > 0 {
		return nil, bad
	}
	if data != nil {
		out, _ = jsontext.AppendQuote(append(out, ','), e.Data)
		out = append(append(out, ':'), data...)
	}
	return append(append(out, '}'), e.Wrap.Close...), nil
}

// plain is the text of a header's value, of which quotes are taken off and percent-encoding decoded, and whether it is one.
func plain(value string) (text string, ok bool) {
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		var b strings.Builder
		for i := 1; i < n-1; i++ {
			if value[i] == '\\' && i < n-2 {
				i++
			}
			b.WriteByte(value[i])
		}
		value = b.String()
	}
	text, err := url.PathUnescape(value)
	if err != nil {
		return "", false
	}
	_, err = jsontext.AppendQuote(nil, text)
	return text, err == nil
}
