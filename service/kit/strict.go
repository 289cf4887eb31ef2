package kit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/mintreu/mintreu/licensing"
)

const (
	maxDepth   = 32  // nesting of a request body
	maxFaults  = 16  // faults named in one answer
	maxMembers = 2e3 // members of one object whose names the type does not fix
)

// options are how bodies are written: ",omitempty" means what encoding/json taught everybody it means.
var options = json.JoinOptions(jsonv1.OmitEmptyWithLegacySemantics(true), json.Deterministic(true))

// checker reads a body once against its shape and collects what is wrong, each fault with the JSON pointer of its place.
type checker struct {
	dec    *jsontext.Decoder
	faults []licensing.Field
}

// errStop ends the reading after a fault that makes going on pointless.
var errStop = errors.New("kit: stop reading")

// decodeBody reads body into target, a pointer to a value of shape sh. It returns nil or a *licensing.Error of kind Invalid.
func decodeBody(body []byte, sh *shape, target any) error {
	if bytes.HasPrefix(body, []byte("\xef\xbb\xbf")) {
		return malformed("The body starts with a byte order mark; send UTF-8 JSON without one.")
	}
	c := &checker{dec: jsontext.NewDecoder(bytes.NewBuffer(body))}
	err := c.value(sh, nil)
	if err == nil {
		if _, end := c.dec.ReadToken(); end != io.EOF {
			return malformed("There is something after the JSON object; send exactly one object.")
		}
	}
	if err != nil && !errors.Is(err, errStop) {
		return c.syntax(err, int64(len(body)))
	}
	if len(c.faults) > 0 {
		return invalid(c.faults)
	}
	if err := json.Unmarshal(body, target, json.RejectUnknownMembers(true)); err != nil {
		return semantic(err)
	}
	return nil
}

func malformed(text string, args ...any) *licensing.Error {
	return licensing.Fail(licensing.Invalid, "malformed-json", text, args...)
}

func invalid(fields []licensing.Field) *licensing.Error {
	e := licensing.Fail(licensing.Invalid, "invalid-request", "The request is not right; see errors for each place.")
	e.Fields = fields
	return e
}

// syntax says where a text stops being JSON. It never repeats the text.
func (c *checker) syntax(err error, size int64) error {
	var se *jsontext.SyntacticError
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return malformed("The JSON ends too early, after %d bytes.", size)
	}
	if !errors.As(err, &se) {
		return malformed("The body is not JSON.")
	}
	place := pointer(se.JSONPointer)
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return malformed("An object has the same member twice.").With(place, "appears twice; send it once")
	}
	return malformed("The body is not strict JSON (RFC 8259, UTF-8) from byte %d on.", se.ByteOffset).With(place, "cannot be read as JSON here")
}

// semantic words the failure of a type that parses itself.
func semantic(err error) error {
	var se *json.SemanticError
	if errors.As(err, &se) {
		var told *licensing.Error
		if errors.As(se.Err, &told) {
			return invalid([]licensing.Field{{Name: pointer(se.JSONPointer), Detail: told.Text}})
		}
		return invalid([]licensing.Field{{Name: pointer(se.JSONPointer), Detail: "is not a value that fits here"}}).Because(err)
	}
	return malformed("The body cannot be read.").Because(err)
}

// pointer is how a place is named: its JSON pointer, cut when somebody made it long.
func pointer(p jsontext.Pointer) string {
	if p == "" {
		return "/"
	}
	if s := strings.ToValidUTF8(string(p), ""); len(s) <= 200 {
		return s
	}
	return strings.ToValidUTF8(string(p)[:200], "") + "…"
}

func (c *checker) fault(detail string, args ...any) error {
	c.faults = append(c.faults, licensing.Field{Name: pointer(c.dec.StackPointer()), Detail: fmt.Sprintf(detail, args...)})
	if len(c.faults) >= maxFaults {
		return errStop
	}
	return nil
}

// value reads one value of shape sh; enum lists the strings allowed, if they are listed.
func (c *checker) value(sh *shape, enum []string) error {
	if c.dec.StackDepth() >= maxDepth {
		c.fault("nests deeper than %d levels", maxDepth)
		return errStop
	}
	kind := c.dec.PeekKind()
	if sh.points != nil {
		if kind == 'n' {
			_, err := c.dec.ReadToken()
			return err
		}
		sh = sh.points
	}
	switch kind {
	case '{':
		return c.object(sh)
	case '[':
		return c.array(sh)
	}
	token, err := c.dec.ReadToken()
	if err != nil {
		return err
	}
	switch token.Kind() {
	case '"':
		return c.text(sh, token.String(), enum)
	case '0':
		return c.number(sh, token.String())
	case 't', 'f':
		if sh.form != formBoolean && sh.form != formAny {
			return c.wanted(sh)
		}
	case 'n':
		if sh.form != formAny {
			return c.wanted(sh)
		}
	}
	return nil
}

// names are what each form is called when it was expected.
var names = map[form]string{
	formObject: "an object", formMap: "an object", formArray: "an array", formString: "a string", formText: "a string",
	formTime: `a time such as "2027-01-31T09:00:00Z"`, formBytes: "base64 in a string", formInteger: "a whole number", formNumber: "a number", formBoolean: "true or false",
}

func (c *checker) wanted(sh *shape) error { return c.fault("must be %s", names[sh.form]) }

func (c *checker) text(sh *shape, s string, enum []string) error {
	if strings.IndexByte(s, 0) >= 0 {
		return c.fault("must not contain the character U+0000")
	}
	switch sh.form {
	case formTime:
		if _, err := time.Parse(time.RFC3339Nano, s); err != nil {
			return c.wanted(sh)
		}
	case formString:
		if enum != nil && !slices.Contains(enum, s) {
			return c.fault("must be one of %s", strings.Join(enum, ", "))
		}
	case formAny, formText, formBytes:
	default:
		return c.wanted(sh)
	}
	return nil
}

func (c *checker) number(sh *shape, raw string) error {
	switch sh.form {
	case formAny:
		return nil
	case formNumber:
		if f, err := strconv.ParseFloat(raw, 64); err != nil || math.IsInf(f, 0) {
			return c.fault("is too large")
		}
		return nil
	case formInteger:
	default:
		return c.wanted(sh)
	}
	if detail := wholeNumber(sh.typ, raw); detail != "" {
		return c.fault("%s", detail)
	}
	return nil
}

// wholeNumber says what is wrong with raw as a value of the integer type t, "" when nothing is: digits only, in range.
func wholeNumber(t reflect.Type, raw string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var err error
	if strings.ContainsAny(raw, ".eE+_xX") || raw == "-0" {
		return "must be a whole number in plain digits"
	}
	if t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64 {
		_, err = strconv.ParseUint(raw, 10, t.Bits())
	} else {
		_, err = strconv.ParseInt(raw, 10, t.Bits())
	}
	switch {
	case errors.Is(err, strconv.ErrRange):
		return "is out of range"
	case err != nil:
		return "must be a whole number in plain digits"
	}
	return ""
}

func (c *checker) array(sh *shape) error {
	elem := sh.elem
	switch sh.form {
	case formArray:
	case formAny:
		elem = anyShape
	default:
		if err := c.wanted(sh); err != nil {
			return err
		}
		elem = anyShape
	}
	if _, err := c.dec.ReadToken(); err != nil {
		return err
	}
	n := 0
	for c.dec.PeekKind() != ']' {
		if n++; sh.form == formArray && sh.typ.Kind() == reflect.Array && n > sh.typ.Len() {
			c.fault("has too many items")
			return errStop
		}
		if err := c.value(elem, nil); err != nil {
			return err
		}
	}
	_, err := c.dec.ReadToken()
	return err
}

// anyShape is the shape of values that nothing is known of.
var anyShape = &shape{form: formAny}

func (c *checker) object(sh *shape) error {
	elem := anyShape
	switch sh.form {
	case formObject:
		return c.members(sh)
	case formMap:
		elem = sh.elem
	case formAny:
	default:
		if err := c.wanted(sh); err != nil {
			return err
		}
	}
	if _, err := c.dec.ReadToken(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for c.dec.PeekKind() != '}' {
		token, err := c.dec.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		if len(seen) >= maxMembers {
			c.fault("has more than %d members", int(maxMembers))
			return errStop
		}
		if strings.IndexByte(name, 0) >= 0 {
			if err := c.fault("must not contain the character U+0000"); err != nil {
				return err
			}
		}
		if folded := strings.ToLower(name); seen[folded] {
			if err := c.fault("differs from another member in case alone"); err != nil {
				return err
			}
		} else {
			seen[folded] = true
		}
		if err := c.value(elem, nil); err != nil {
			return err
		}
	}
	_, err := c.dec.ReadToken()
	return err
}

// members reads an object whose members the type fixes.
func (c *checker) members(sh *shape) error {
	if _, err := c.dec.ReadToken(); err != nil {
		return err
	}
	var seen [maxFields]bool
	for c.dec.PeekKind() != '}' {
		token, err := c.dec.ReadToken()
		if err != nil {
			return err
		}
		i, known := sh.byName[token.String()]
		if !known {
			if err := c.unknown(sh, token.String()); err != nil {
				return err
			}
			if err := c.value(anyShape, nil); err != nil {
				return err
			}
			continue
		}
		seen[i] = true
		m := &sh.members[i]
		s := m.shape
		if m.optional && c.dec.PeekKind() == 'n' {
			s = anyShape // null stands for an optional member that is absent
		}
		if err := c.value(s, m.enum); err != nil {
			return err
		}
	}
	if _, err := c.dec.ReadToken(); err != nil {
		return err
	}
	for i := range sh.members {
		if m := &sh.members[i]; !m.optional && !seen[i] {
			c.faults = append(c.faults, licensing.Field{Name: pointer(c.dec.StackPointer().AppendToken(m.name)), Detail: "is missing; it must be " + names[m.shape.form]})
		}
	}
	if len(c.faults) >= maxFaults {
		return errStop
	}
	return nil
}

// unknown tells a caller of a member that does not exist, and of the one he may have meant.
func (c *checker) unknown(sh *shape, name string) error {
	for _, m := range sh.members {
		if strings.EqualFold(m.name, name) {
			return c.fault("is spelled %q", m.name)
		}
	}
	known := make([]string, len(sh.members))
	for i, m := range sh.members {
		known[i] = m.name
	}
	if len(known) == 0 {
		return c.fault("is not known; there are no members here")
	}
	return c.fault("is not known; there are %s", strings.Join(known, ", "))
}
