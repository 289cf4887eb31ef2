package kit

import (
	"encoding"
	stdjson "encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// form is the JSON form of a Go type.
type form uint8

const (
	formAny form = iota // whatever JSON: interface types and types that decode themselves
	formObject
	formMap
	formArray
	formString
	formText // a string that the type parses itself (encoding.TextUnmarshaler)
	formTime
	formBytes
	formInteger
	formNumber
	formBoolean
)

// maxFields is how many members a struct may have.
const maxFields = 64

// shape describes the JSON of one Go type: the strict decoder and the OpenAPI document are both read from it, so that they
// cannot disagree.
type shape struct {
	typ     reflect.Type
	form    form
	points  *shape   // of a pointer: what it points to; null is allowed too
	elem    *shape   // of an array or a map
	members []member // of an object, in the order of the struct
	byName  map[string]int
}

// member is one member of a JSON object.
type member struct {
	name     string
	field    string // Go's name, for messages to programmers
	doc      string
	example  string
	enum     []string
	once     bool // a secret shown once
	optional bool // may be absent: a pointer, or omitted when empty
	omitted  bool // is left out when empty
	shape    *shape
}

var (
	timeType    = reflect.TypeFor[time.Time]()
	bytesType   = reflect.TypeFor[[]byte]()
	durations   = reflect.TypeFor[time.Duration]()
	rawTypes    = []reflect.Type{reflect.TypeFor[stdjson.RawMessage](), reflect.TypeFor[jsontext.Value]()}
	decodesJSON = []reflect.Type{reflect.TypeFor[stdjson.Unmarshaler](), reflect.TypeFor[json.UnmarshalerFrom](), reflect.TypeFor[stdjson.Marshaler](), reflect.TypeFor[json.MarshalerTo]()}
	decodesText = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// shapes keeps what has been worked out, so that recursive types end. It is safe for concurrent use.
type shapes struct {
	mu    sync.Mutex
	known map[reflect.Type]*shape
}

// of returns the shape of t, or an error that names the type and field that JSON cannot carry strictly.
func (s *shapes) of(t reflect.Type) (*shape, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[reflect.Type]*shape{}
	}
	return s.make(t)
}

func (s *shapes) make(t reflect.Type) (*shape, error) {
	if known, ok := s.known[t]; ok {
		return known, nil
	}
	sh := &shape{typ: t}
	s.known[t] = sh
	if err := s.fill(sh, t); err != nil {
		delete(s.known, t)
		return nil, err
	}
	return sh, nil
}

func (s *shapes) fill(sh *shape, t reflect.Type) (err error) {
	if t.Kind() == reflect.Pointer {
		elem, err := s.make(t.Elem())
		if err != nil {
			return err
		}
		sh.points, sh.form = elem, elem.form
		return nil
	}
	switch {
	case t == timeType:
		sh.form = formTime
		return nil
	case t == bytesType:
		sh.form = formBytes
		return nil
	case t == durations:
		return fmt.Errorf("%s has no JSON form: state whole seconds as int64", t)
	case slices.Contains(rawTypes, t) || implements(t, decodesJSON...):
		sh.form = formAny
		return nil
	case implements(t, decodesText):
		sh.form = formText
		return nil
	}
	switch t.Kind() {
	case reflect.String:
		sh.form = formString
	case reflect.Bool:
		sh.form = formBoolean
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		sh.form = formInteger
	case reflect.Float32, reflect.Float64:
		sh.form = formNumber
	case reflect.Interface:
		sh.form = formAny
	case reflect.Slice, reflect.Array:
		sh.form = formArray
		sh.elem, err = s.make(t.Elem())
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return fmt.Errorf("%s: map keys must be strings", t)
		}
		sh.form = formMap
		sh.elem, err = s.make(t.Elem())
	case reflect.Struct:
		sh.form = formObject
		sh.members, err = s.members(t)
		if len(sh.members) > maxFields {
			return fmt.Errorf("%s has more than %d members", t, maxFields)
		}
		sh.byName = make(map[string]int, len(sh.members))
		for i, m := range sh.members {
			if _, twice := sh.byName[m.name]; twice {
				return fmt.Errorf("%s has two members %q", t, m.name)
			}
			sh.byName[m.name] = i
		}
	default:
		return fmt.Errorf("%s has no JSON form", t)
	}
	return err
}

// members lists the JSON members of a struct; fields that a path or the query fills are not among them.
func (s *shapes) members(t reflect.Type) ([]member, error) {
	var out []member
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			inner, err := s.members(f.Type)
			if err != nil {
				return nil, err
			}
			out = append(out, inner...)
			continue
		case !f.IsExported() || tag == "-":
			continue
		case f.Tag.Get("path") != "" || f.Tag.Get("query") != "":
			continue
		case !tagged || name == "":
			return nil, fmt.Errorf("%s.%s has no path, query or json tag", t, f.Name)
		}
		sh, err := s.make(f.Type)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
		m := member{
			name: name, field: t.String() + "." + f.Name, doc: f.Tag.Get("doc"), example: f.Tag.Get("example"), once: f.Tag.Get("secret") == "once",
			omitted: hasOption(options, "omitempty") || hasOption(options, "omitzero"), shape: sh,
		}
		m.optional = m.omitted || f.Type.Kind() == reflect.Pointer
		if enum := f.Tag.Get("enum"); enum != "" {
			m.enum = strings.Split(enum, ",")
		}
		out = append(out, m)
	}
	return out, nil
}

func hasOption(options, want string) bool { return slices.Contains(strings.Split(options, ","), want) }

// implements reports whether t or a pointer to it implements one of the interfaces.
func implements(t reflect.Type, interfaces ...reflect.Type) bool {
	return slices.ContainsFunc(interfaces, func(i reflect.Type) bool {
		return t.Implements(i) || t.Kind() != reflect.Interface && reflect.PointerTo(t).Implements(i)
	})
}

// secret reports whether a value of the shape holds, however deep, a secret shown once. seen ends recursion.
func (s *shape) secret(seen map[*shape]bool) bool {
	if s == nil || seen[s] {
		return false
	}
	seen[s] = true
	for i := range s.members {
		if s.members[i].once || s.members[i].shape.secret(seen) {
			return true
		}
	}
	return s.points.secret(seen) || s.elem.secret(seen)
}
