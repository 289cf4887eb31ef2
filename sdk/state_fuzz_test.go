package sdk

import (
	"bytes"
	"testing"
)

// FuzzState reads any bytes as a state file: it neither panics nor takes for good what encode did not write, and what it takes it
// writes again in a form that is good.
func FuzzState(f *testing.F) {
	s, _ := decodeState("editor", nil)
	s.License, s.Lease, s.Activation, s.Marks = "a.b.c", "d.e.f", "act_1", marks{Signed: 5, Own: 7}
	good, err := s.encode("editor")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), ' '))
	f.Add([]byte(stateMagic + " x 00\n{}"))
	f.Add([]byte("\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		got, ok := decodeState("editor", text)
		if got == nil || got.Install == "" {
			t.Fatal("no state")
		}
		if !ok {
			if got.License != "" || got.Marks != (marks{}) {
				t.Fatalf("a state that is not good left %+v", got)
			}
			return
		}
		if other, ok := decodeState("player", text); ok {
			t.Fatalf("good for another product: %+v", other)
		}
		again, err := got.encode("editor")
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := decodeState("editor", again); !ok {
			t.Fatal("what was good is not good again")
		}
	})
}
