package doc

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// str reads a string.
func (p *scanner) str() string {
	if !p.take('"') {
		p.fail("expected a string")
		return ""
	}
	start := p.i
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case c == '"':
			p.i++
			return p.s[start : p.i-1]
		case c < 0x20:
			p.fail("control character in a string")
			return ""
		case c == '\\':
			return p.escaped(start)
		}
		p.i++
	}
	p.fail("string without end")
	return ""
}

// escaped reads the rest of a string that began at start and has an escape at i.
func (p *scanner) escaped(start int) string {
	b := append(make([]byte, 0, 64), p.s[start:p.i]...)
	for p.i < len(p.s) && p.fault == "" {
		c := p.s[p.i]
		p.i++
		switch {
		case c == '"':
			return string(b)
		case c < 0x20:
			p.fail("control character in a string")
		case c == '\\':
			b = p.escape(b)
		default:
			b = append(b, c)
		}
	}
	p.fail("string without end")
	return ""
}

// escape reads what follows a backslash and appends its meaning to b.
func (p *scanner) escape(b []byte) []byte {
	if p.i >= len(p.s) {
		return b
	}
	c := p.s[p.i]
	p.i++
	switch c {
	case '"', '\\', '/':
		return append(b, c)
	case 'b':
		return append(b, '\b')
	case 'f':
		return append(b, '\f')
	case 'n':
		return append(b, '\n')
	case 'r':
		return append(b, '\r')
	case 't':
		return append(b, '\t')
	case 'u':
		r := p.hex4()
		if utf16.IsSurrogate(r) {
			if !strings.HasPrefix(p.s[p.i:], `\u`) {
				p.fail("lone surrogate")
				return b
			}
			p.i += 2
			if r = utf16.DecodeRune(r, p.hex4()); r == utf8.RuneError {
				p.fail("lone surrogate")
			}
		}
		return utf8.AppendRune(b, r)
	}
	p.fail("unknown escape")
	return b
}

func (p *scanner) hex4() rune {
	if len(p.s)-p.i < 4 {
		p.fail("bad escape")
		return 0
	}
	var r rune
	for range 4 {
		c := p.s[p.i]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			p.fail("bad escape")
			return 0
		}
		r = r<<4 | rune(c)
		p.i++
	}
	return r
}
