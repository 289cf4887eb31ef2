package ui

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/mintreu/mintreu/licensing"
)

// Form is what a form shows: the values typed so far, what is wrong with them, and a token that makes sending it twice do its work
// once. The zero Form is an empty one.
type Form struct {
	Values url.Values
	// Problem is a sentence about the whole form, Errors one on each field by name.
	Problem string
	Errors  map[string]string
	// Once is sent with the form as the field "once" and becomes the Idempotency-Key of the operations it calls.
	Once string
}

// Get is the value of a field.
func (f *Form) Get(name string) string { return f.Values.Get(name) }

// Text is the value of a field without surrounding space.
func (f *Form) Text(name string) string { return strings.TrimSpace(f.Values.Get(name)) }

// Has reports whether a checkbox was ticked.
func (f *Form) Has(name string) bool { return f.Values.Get(name) != "" }

// Int is the whole number in a field; it notes an error on the field and returns 0 when there is none. An empty field is fallback.
func (f *Form) Int(name string, fallback int64) int64 {
	text := f.Text(name)
	if text == "" {
		return fallback
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		f.Wrong(name, "must be a whole number, for example 10")
	}
	return n
}

// Default sets a field that has no value yet.
func (f *Form) Default(name, value string) {
	if f.Values == nil {
		f.Values = url.Values{}
	}
	if !f.Values.Has(name) {
		f.Values.Set(name, value)
	}
}

// Wrong notes what is wrong with a field; the first thing said stays.
func (f *Form) Wrong(name, detail string) {
	if f.Errors == nil {
		f.Errors = map[string]string{}
	}
	if f.Errors[name] == "" {
		f.Errors[name] = detail
	}
}

// OK reports whether nothing is wrong.
func (f *Form) OK() bool { return f.Problem == "" && len(f.Errors) == 0 }

// Refuse takes what an operation said against the form and returns nil, so that the form can be shown again; an error that is not about
// the form (of the service itself, not found, not permitted) is returned as it is. names maps the names by which the operation
// knows fields to those of the form, where they differ: "/lines/0/quantity" to "quantity". Fields without a place in the form join
// the sentence above it.
func (f *Form) Refuse(err error, names map[string]string) error {
	var told *licensing.Error
	if err == nil || !errors.As(err, &told) {
		return err
	}
	switch told.Kind {
	case licensing.Invalid, licensing.Conflict, licensing.Gone, licensing.TooLarge, licensing.Unsupported, licensing.Unprocessable, licensing.TooMany:
	default:
		return err
	}
	f.Problem = told.Text
	if told.Kind == licensing.Unprocessable { // the form was sent before, and something in it is another by now
		f.Problem = "This form was sent before with other values, and that is done. Look at it once more, and send it again if you mean it."
	}
	for _, field := range told.Fields {
		name, known := names[field.Name]
		if !known {
			name = strings.TrimPrefix(field.Name, "/")
		}
		if !known && !f.Values.Has(name) {
			f.Problem += " " + strings.TrimPrefix(field.Name, "/") + " " + field.Detail + "."
			continue
		}
		f.Wrong(name, field.Detail)
	}
	return nil
}

// Sentence is a field's error as people read it: with a capital letter and a full stop.
func Sentence(detail string) string {
	if detail == "" {
		return ""
	}
	out := strings.ToUpper(detail[:1]) + detail[1:]
	if !strings.HasSuffix(out, ".") {
		out += "."
	}
	return out
}

// Periods are the spans over which calls are counted, to choose from.
func Periods() []Option {
	return []Option{{Value: "1", Name: "a second"}, {Value: "60", Name: "a minute"}, {Value: "3600", Name: "an hour"}, {Value: "86400", Name: "a day"}}
}
