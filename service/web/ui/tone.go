package ui

import (
	"strings"

	"github.com/a-h/templ"
)

// tones is how each state of anything is coloured; a state that is missing has no colour.
var tones = map[string]string{
	"active": "good", "fulfilled": "good", "paid": "good", "published": "good", "approved": "good", "sent": "good", "ok": "good", "completed": "good", "applied": "good", "solved": "good", "on": "good",
	"pending": "wait", "awaiting_funds": "wait", "draft": "wait", "proposed": "wait", "sunset": "wait", "suspended": "wait", "warn": "wait", "retryable": "wait", "running": "wait", "scheduled": "wait", "available": "wait", "open": "wait", "disabled": "wait", "high": "wait", "test": "wait",
	"revoked": "bad", "parked": "bad", "refunded": "bad", "failed": "bad", "rejected": "bad", "withdrawn": "bad", "bad": "bad", "discarded": "bad", "expired": "bad", "urgent": "bad", "off": "bad",
}

// Tone is the colour of a state: "good", "wait", "bad" or "".
func Tone(state string) string { return tones[state] }

// toned is the attribute class of an element with a tone, "" for none. Written as an expression of classes it would cost three times as much,
// and pages are full of them.
func toned(class, tone string) templ.OrderedAttributes {
	if tone != "" {
		class += " " + tone
	}
	return templ.OrderedAttributes{{Key: "class", Value: class}}
}

// Words is a state or a kind as people read it: "awaiting_funds" is "Awaiting funds".
func Words(state string) string {
	out := strings.ReplaceAll(state, "_", " ")
	if out == "" {
		return out
	}
	return strings.ToUpper(out[:1]) + out[1:]
}
