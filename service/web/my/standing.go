package my

import (
	"strings"

	"github.com/mintreu/mintreu/licensing/explain"
	"github.com/mintreu/mintreu/licensing/license"
)

// telling is where a license stands, for people.
type telling = explain.Telling

// standing is where a license stands: first what decides, then whatever else was found.
func standing(v *license.View) []telling {
	return explain.Decision(v.Decision, explain.Of(v))
}

func text(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

// lower is a word as it stands within a sentence.
func lower(word string) string {
	if word == "" {
		return ""
	}
	return strings.ToLower(word[:1]) + word[1:]
}
