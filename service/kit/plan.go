package kit

import (
	"encoding"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mintreu/mintreu/licensing"
)

// maxParam is the longest path or query value in bytes.
const maxParam = 1024

// plan is how a request type is filled from a path, a query and a body.
type plan struct {
	typ    reflect.Type
	body   *shape // the members a body has; none means that no body is expected
	path   []param
	query  []param
	page   []int // where the request embeds licensing.Page; nil when it is no list
	byName map[string]int
}

// param is one path or query parameter.
type param struct {
	name     string
	index    []int
	typ      reflect.Type
	doc      string
	example  string
	enum     []string
	optional bool
	many     bool // []string: the parameter may be repeated
}

var (
	pageType = reflect.TypeFor[licensing.Page]()
	listsOf  = reflect.TypeFor[licensing.List[struct{}]]().PkgPath()
)

// newPlan works out how to fill t, a struct, and checks it against the wildcards of the path.
func newPlan(s *shapes, t reflect.Type, path string) (*plan, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("the request %s is not a struct", t)
	}
	body, err := s.of(t)
	if err != nil {
		return nil, err
	}
	if body.form != formObject {
		return nil, fmt.Errorf("the request %s is not a plain struct", t)
	}
	p := &plan{typ: t, body: body, byName: map[string]int{}}
	if err := p.params(t, nil); err != nil {
		return nil, err
	}
	var wild []string
	for part := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			wild = append(wild, strings.TrimSuffix(name, "}"))
		}
	}
	for _, q := range p.path {
		if !slices.Contains(wild, q.name) {
			return nil, fmt.Errorf("%s reads path parameter %q, which %s does not have", t, q.name, path)
		}
	}
	if len(wild) != len(p.path) {
		return nil, fmt.Errorf("%s does not read every wildcard of %s", t, path)
	}
	return p, nil
}

func (p *plan) params(t reflect.Type, at []int) error {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(slices.Clone(at), i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct && f.Tag.Get("json") == "" {
			if f.Type == pageType {
				p.page = index
			}
			if err := p.params(f.Type, index); err != nil {
				return err
			}
			continue
		}
		q := param{index: index, typ: f.Type, doc: f.Tag.Get("doc"), example: f.Tag.Get("example")}
		if enum := f.Tag.Get("enum"); enum != "" {
			q.enum = strings.Split(enum, ",")
		}
		path, query := f.Tag.Get("path"), f.Tag.Get("query")
		if path == "" && query == "" {
			continue
		}
		q.name, _, _ = strings.Cut(path+query, ",")
		q.many = f.Type == reflect.TypeFor[[]string]()
		q.optional = query != "" && !strings.Contains(query, ",required")
		if _, err := parseParam(f.Type, ""); err != nil {
			return fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
		if path != "" {
			p.path = append(p.path, q)
			continue
		}
		if _, twice := p.byName[q.name]; twice {
			return fmt.Errorf("%s has query parameter %q twice", t, q.name)
		}
		p.byName[q.name] = len(p.query)
		p.query = append(p.query, q)
	}
	return nil
}

// fill sets the path and query parameters of v, the addressable request, from r.
func (p *plan) fill(v reflect.Value, r *http.Request) error {
	var faults []licensing.Field
	set := func(q *param, text string) {
		if detail := q.set(v.FieldByIndex(q.index), text); detail != "" {
			faults = append(faults, licensing.Field{Name: q.name, Detail: detail})
		}
	}
	for i := range p.path {
		set(&p.path[i], r.PathValue(p.path[i].name))
	}
	if r.URL.RawQuery != "" {
		values, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return licensing.Fail(licensing.Invalid, "malformed-query", "The query string cannot be read; encode it as name=value&name=value.")
		}
		for name, texts := range values {
			i, known := p.byName[name]
			switch {
			case !known:
				faults = append(faults, licensing.Field{Name: clip(name), Detail: "is not a query parameter of this operation" + p.known()})
			case len(texts) > 1 && !p.query[i].many:
				faults = append(faults, licensing.Field{Name: name, Detail: "is given more than once"})
			default:
				for _, text := range texts {
					set(&p.query[i], text)
				}
			}
		}
	}
	for i := range p.query {
		if q := &p.query[i]; !q.optional && !r.URL.Query().Has(q.name) {
			faults = append(faults, licensing.Field{Name: q.name, Detail: "is missing"})
		}
	}
	if len(faults) == 0 {
		return nil
	}
	slices.SortFunc(faults, func(a, b licensing.Field) int { return strings.Compare(a.Name, b.Name) })
	return invalid(faults[:min(len(faults), maxFaults)])
}

func (p *plan) known() string {
	if len(p.query) == 0 {
		return "; it has none"
	}
	var known []string
	for _, q := range p.query {
		known = append(known, q.name)
	}
	return "; it has " + strings.Join(known, ", ")
}

// clip makes a caller's text fit to be repeated to him.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > 64 {
		s = strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

// set puts the text into the field and returns what is wrong with it.
func (q *param) set(field reflect.Value, text string) string {
	switch {
	case len(text) > maxParam:
		return "is too long"
	case !utf8.ValidString(text):
		return "is not UTF-8"
	case strings.IndexByte(text, 0) >= 0:
		return "must not contain the character U+0000"
	case q.enum != nil && !slices.Contains(q.enum, text):
		return "must be one of " + strings.Join(q.enum, ", ")
	}
	if q.many {
		field.Set(reflect.Append(field, reflect.ValueOf(text)))
		return ""
	}
	v, err := parseParam(q.typ, text)
	if err != nil {
		return "is not usable"
	}
	if v.detail != "" {
		return v.detail
	}
	field.Set(v.value)
	return ""
}

// parsed is a parameter's value, or what is wrong with its text.
type parsed struct {
	value  reflect.Value
	detail string
}

// parseParam reads text as a value of type t. The error is for a type that no parameter can have.
func parseParam(t reflect.Type, text string) (parsed, error) {
	v := reflect.New(t).Elem()
	switch {
	case t.Kind() == reflect.Pointer:
		inner, err := parseParam(t.Elem(), text)
		if err == nil && inner.detail == "" {
			v.Set(reflect.New(t.Elem()))
			v.Elem().Set(inner.value)
		}
		return parsed{v, inner.detail}, err
	case t == timeType:
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return parsed{v, "must be " + names[formTime]}, nil
		}
		v.Set(reflect.ValueOf(at.UTC()))
		return parsed{value: v}, nil
	case implements(t, decodesText):
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			return parsed{v, "is not a value that fits here"}, nil
		}
		return parsed{value: v}, nil
	case t == reflect.TypeFor[[]string]():
		return parsed{value: v}, nil
	}
	switch t.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return parsed{v, "must be true or false"}, nil
		}
		v.SetBool(text == "true")
	case reflect.Int, reflect.Int64, reflect.Int32:
		if detail := wholeNumber(t, text); detail != "" {
			return parsed{v, detail}, nil
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return parsed{v, "must be a whole number in plain digits"}, nil
		}
		v.SetInt(n)
	default:
		return parsed{}, fmt.Errorf("%s cannot be a path or query parameter", t)
	}
	return parsed{value: v}, nil
}
