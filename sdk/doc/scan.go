package doc

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is the deepest nesting of objects and arrays in a payload.
const maxDepth = 8

// maxTime is the last second of the year 9999.
const maxTime = 253402300799

// scanner reads one JSON text strictly: RFC 8259 grammar, valid UTF-8, no lone
// surrogate, no duplicate member in any object, bounded depth. Its methods do
// nothing once fault is set, so callers look at it once, at the end.
//
// Strings without escapes are returned as parts of s, without copying.
type scanner struct {
	s     string
	i     int
	depth int
	fault string
	names [40]string // members seen in the open objects, innermost last
	n     int        // how many of them
}

// object is the state of one object being read.
type object struct {
	name  string
	base  int // where its names start in scanner.names
	more  bool
	index map[string]struct{} // instead, once scanner.names is full
}

func (p *scanner) fail(why string) {
	if p.fault == "" {
		p.fault = why
	}
}

// text sets s, which must be valid UTF-8 without a byte order mark.
func (p *scanner) text(s string) {
	p.s = s
	if !utf8.ValidString(s) {
		p.fail("not UTF-8")
	}
}

func (p *scanner) space() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

// take consumes c after white space and reports whether it was there.
func (p *scanner) take(c byte) bool {
	if p.fault != "" {
		return false
	}
	p.space()
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

// peek returns the next byte after white space, or 0 at the end.
func (p *scanner) peek() byte {
	p.space()
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

// end demands that nothing but white space is left.
func (p *scanner) end() {
	p.space()
	if p.i != len(p.s) {
		p.fail("text after the value")
	}
}

func (p *scanner) enter(c byte) bool {
	if !p.take(c) {
		p.fail("expected " + string(c))
		return false
	}
	p.depth++
	if p.depth > maxDepth {
		p.fail("nested too deeply")
		return false
	}
	return true
}

// open starts an object; read its members with next.
func (p *scanner) open(o *object) {
	*o = object{base: p.n}
	p.enter('{')
}

// next moves to the next member, sets o.name and reports whether there is one.
// The caller must consume the member's value before calling next again.
func (p *scanner) next(o *object) bool {
	if p.fault != "" {
		return false
	}
	if p.take('}') {
		p.depth--
		p.n = o.base
		return false
	}
	if o.more && !p.take(',') {
		p.fail("expected , or }")
		return false
	}
	o.more = true
	o.name = p.str()
	if !p.take(':') {
		p.fail("expected :")
		return false
	}
	p.unique(o)
	return p.fault == ""
}

// unique notes o.name and fails if the object had it before.
func (p *scanner) unique(o *object) {
	if o.index == nil {
		for _, n := range p.names[o.base:p.n] {
			if n == o.name {
				p.fail("duplicate member")
				return
			}
		}
		if p.n < len(p.names) {
			p.names[p.n] = o.name
			p.n++
			return
		}
		o.index = make(map[string]struct{}, 2*len(p.names))
		for _, n := range p.names[o.base:p.n] {
			o.index[n] = struct{}{}
		}
	}
	if _, dup := o.index[o.name]; dup {
		p.fail("duplicate member")
	}
	o.index[o.name] = struct{}{}
}

// skipUnknown passes over the value of a member that is not one of known. A
// name that differs from a known one in case alone is refused, since other
// readers would take it for the known one.
func (p *scanner) skipUnknown(o *object, known []string) {
	for _, k := range known {
		if len(k) <= len(o.name) && strings.EqualFold(k, o.name) {
			p.fail("member differs from " + k + " in case")
			return
		}
	}
	p.skip()
}

// array calls each for every element of an array, up to limit of them.
func (p *scanner) array(limit int, each func()) {
	if !p.enter('[') {
		return
	}
	if p.take(']') {
		p.depth--
		return
	}
	for n := 0; p.fault == ""; n++ {
		if n == limit {
			p.fail("too many elements")
			return
		}
		each()
		if p.take(',') {
			continue
		}
		if !p.take(']') {
			p.fail("expected , or ]")
			return
		}
		p.depth--
		return
	}
}

// skip passes over any valid value.
func (p *scanner) skip() {
	switch c := p.peek(); {
	case p.fault != "":
	case c == '{':
		var o object
		p.open(&o)
		for p.next(&o) {
			p.skip()
		}
	case c == '[':
		p.array(len(p.s), p.skip)
	case c == '"':
		p.str()
	case c == '-' || c >= '0' && c <= '9':
		p.number()
	default:
		p.literal()
	}
}

// literal reads true, false or null and returns its text.
func (p *scanner) literal() string {
	p.space()
	for _, w := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(p.s[p.i:], w) {
			p.i += len(w)
			return w
		}
	}
	p.fail("expected a value")
	return ""
}

// number reads a number by the JSON grammar and returns its text.
func (p *scanner) number() string {
	p.space()
	start := p.i
	p.accept('-', '-')
	if !p.accept('0', '0') && !p.digits() {
		p.fail("bad number")
		return ""
	}
	if p.accept('.', '.') && !p.digits() {
		p.fail("bad number")
	}
	if p.accept('e', 'e') || p.accept('E', 'E') {
		if !p.accept('+', '+') {
			p.accept('-', '-')
		}
		if !p.digits() {
			p.fail("bad number")
		}
	}
	return p.s[start:p.i]
}

// accept consumes one byte from lo to hi.
func (p *scanner) accept(lo, hi byte) bool {
	if p.i < len(p.s) && p.s[p.i] >= lo && p.s[p.i] <= hi {
		p.i++
		return true
	}
	return false
}

func (p *scanner) digits() bool {
	start := p.i
	for p.accept('0', '9') {
	}
	return p.i > start
}

// integer reads a whole number within ±(2^53-1), without fraction or exponent.
func (p *scanner) integer() int64 {
	if p.fault != "" {
		return 0
	}
	t := p.number()
	n, err := strconv.ParseInt(t, 10, 64)
	if err != nil || n > maxSafe || n < -maxSafe || t == "-0" {
		p.fail("expected an integer")
		return 0
	}
	return n
}

// count reads an integer that is not negative.
func (p *scanner) count() int64 {
	n := p.integer()
	if n < 0 {
		p.fail("expected an integer that is not negative")
	}
	return n
}

// time reads an instant in seconds, after 1970 and before the year 10000.
func (p *scanner) time() int64 {
	n := p.integer()
	if n <= 0 || n > maxTime {
		p.fail("expected a time in seconds")
	}
	return n
}

// boolean reads true or false.
func (p *scanner) boolean() bool {
	if p.fault != "" {
		return false
	}
	switch p.literal() {
	case "true":
		return true
	case "false":
		return false
	}
	p.fail("expected true or false")
	return false
}

// value reads an entitlement's value.
func (p *scanner) value() Value {
	if p.fault != "" {
		return Value{}
	}
	switch c := p.peek(); {
	case c == '"':
		return Text(p.str())
	case c == 't':
		p.literal()
		return On()
	case c == '-' || c >= '0' && c <= '9':
		return Int(p.integer())
	}
	p.fail("expected true, an integer or a string")
	return Value{}
}
