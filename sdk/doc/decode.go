package doc

import (
	"fmt"
	"slices"
)

// Document is a payload that this package can sign and read: License, Lease,
// Keyset, StatusList, Release or Receipt.
type Document interface {
	// Typ is the document's typ, such as "license+jwt".
	Typ() string

	// check reads a payload of this type and says what is wrong with it.
	check(payload string) error
}

var (
	_ Document = (*License)(nil)
	_ Document = (*Lease)(nil)
	_ Document = (*Keyset)(nil)
	_ Document = (*StatusList)(nil)
	_ Document = (*Release)(nil)
	_ Document = (*Receipt)(nil)
)

// finish reports what was wrong with a payload that p has read.
func (p *scanner) finish(must, known []string) error {
	p.end()
	if p.fault == unknownWord {
		return fmt.Errorf("%w: unknown word (byte %d)", ErrUnsupported, p.i)
	}
	if p.fault != "" {
		return fmt.Errorf("%w: %s (byte %d)", ErrPayload, p.fault, p.i)
	}
	for _, m := range must {
		if !slices.Contains(known, m) {
			return fmt.Errorf("%w: %q", ErrUnsupported, m)
		}
	}
	return nil
}

// need fails unless every given member has a value.
func (p *scanner) need(why string, ok bool) {
	if !ok {
		p.fail(why)
	}
}

const unknownWord = "unknown word"

// word reads one of the given words. Another word comes from a later release,
// whose meaning cannot be guessed.
func (p *scanner) word(words ...string) string {
	s := p.str()
	for _, w := range words {
		if s == w {
			return w
		}
	}
	p.fail(unknownWord)
	return ""
}

// ident reads a text of 1 to 512 bytes of printable ASCII without spaces.
func (p *scanner) ident() string {
	s := p.str()
	if len(s) == 0 || len(s) > 512 {
		p.fail("expected an identifier")
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			p.fail("expected an identifier")
		}
	}
	return s
}

// label reads a text of up to 512 bytes for people.
func (p *scanner) label() string {
	s := p.str()
	if len(s) > 512 {
		p.fail("text too long")
	}
	return s
}

// ValidCode reports whether s is a code as plans, entitlements and meters have:
// 1 to 64 of a-z, 0-9, "_", "." and "-".
func ValidCode(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

func (p *scanner) code() string {
	s := p.str()
	if p.fault == "" && !ValidCode(s) {
		p.fail("expected a code")
	}
	return s
}

func (p *scanner) codes() []string {
	var list []string
	p.array(256, func() { list = append(list, p.code()) })
	return list
}

func (p *scanner) idents() []string {
	var list []string
	p.array(256, func() { list = append(list, p.ident()) })
	return list
}

func (p *scanner) entitlements() map[string]Value {
	m := make(map[string]Value, 8)
	var o object
	p.open(&o)
	for p.next(&o) {
		if !ValidCode(o.name) {
			p.fail("expected a code")
		}
		m[o.name] = p.value()
	}
	return m
}

func (p *scanner) times() map[string]int64 {
	m := make(map[string]int64, 8)
	var o object
	p.open(&o)
	for p.next(&o) {
		if !ValidCode(o.name) {
			p.fail("expected a code")
		}
		m[o.name] = p.time()
	}
	return m
}

func (p *scanner) digests() map[string]string {
	m := make(map[string]string, 8)
	var o object
	p.open(&o)
	for p.next(&o) {
		if !ValidCode(o.name) {
			p.fail("expected a code")
		}
		m[o.name] = p.ident()
	}
	return m
}
