package doc

import (
	"encoding/json"
	"errors"
	"strconv"
)

// maxSafe is the largest integer that every JSON reader carries exactly.
const maxSafe = 1<<53 - 1

// Value is what an entitlement holds: a mere yes, a number or a text. The zero
// Value means "not entitled" and is never part of a document.
type Value struct {
	kind kind
	num  int64
	str  string
}

type kind uint8

const (
	kindNone kind = iota
	kindOn
	kindInt
	kindText
)

// On is the value of a feature that is simply granted.
func On() Value { return Value{kind: kindOn} }

// Int is the value of a feature with a number, such as a limit. Numbers beyond
// ±(2^53-1) cannot be signed.
func Int(n int64) Value { return Value{kind: kindInt, num: n} }

// Text is the value of a feature with a text, such as the name of a tier.
func Text(s string) Value { return Value{kind: kindText, str: s} }

// IsZero reports whether v is the zero Value.
func (v Value) IsZero() bool { return v.kind == kindNone }

// IsOn reports whether v is a mere yes.
func (v Value) IsOn() bool { return v.kind == kindOn }

// Int returns the number and whether v holds one.
func (v Value) Int() (int64, bool) { return v.num, v.kind == kindInt }

// Text returns the text and whether v holds one.
func (v Value) Text() (string, bool) { return v.str, v.kind == kindText }

// String returns v as a person would write it: "true", "25", "gold".
func (v Value) String() string {
	switch v.kind {
	case kindOn:
		return "true"
	case kindInt:
		return strconv.FormatInt(v.num, 10)
	case kindText:
		return v.str
	}
	return ""
}

// MarshalJSON writes true, a number or a string.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.kind {
	case kindOn:
		return []byte("true"), nil
	case kindInt:
		return strconv.AppendInt(nil, v.num, 10), nil
	case kindText:
		return json.Marshal(v.str)
	}
	return nil, errors.New("entitlement without a value")
}

// UnmarshalJSON reads true, an integer within ±(2^53-1) or a string.
func (v *Value) UnmarshalJSON(b []byte) error {
	p := scanner{s: string(b)}
	got := p.value()
	p.end()
	if p.fault != "" {
		return errors.New("entitlement value: " + p.fault)
	}
	*v = got
	return nil
}
