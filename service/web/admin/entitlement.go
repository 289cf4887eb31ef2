package admin

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/web/ui"
)

// entitlement is one feature in words.
type entitlement struct{ Name, Value string }

// sorted are features in the order of their codes.
func sorted(e license.Entitlements) []entitlement {
	var out []entitlement
	for _, name := range slices.Sorted(maps.Keys(e)) {
		text := e[name].String()
		if e[name].IsOn() {
			text = "On"
		}
		out = append(out, entitlement{name, text})
	}
	return out
}

// entitlementLines are features as a form shows them, one a line.
func entitlementLines(e license.Entitlements) string {
	var b strings.Builder
	for _, one := range sorted(e) {
		b.WriteString(one.Name)
		if !e[one.Name].IsOn() {
			text := one.Value
			if t, ok := e[one.Name].Text(); ok {
				if text = t; needsQuotes(t) {
					text = strconv.Quote(t)
				}
			}
			b.WriteString(" = " + text)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// needsQuotes reports whether a text would be read as something else without them.
func needsQuotes(t string) bool {
	_, err := strconv.ParseInt(t, 10, 64)
	return err == nil || t != strings.TrimSpace(t) || strings.HasPrefix(t, `"`) || strings.ContainsAny(t, "\n\r")
}

// entitlements reads features, one a line: "export", "projects = 10", "tier = gold".
func entitlements(f *ui.Form, field string) license.Entitlements {
	out := license.Entitlements{}
	for line := range strings.SplitSeq(f.Get(field), "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, value, has := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch n, err := strconv.ParseInt(value, 10, 64); {
		case name == "" || strings.ContainsAny(name, " \t"):
			f.Wrong(field, "the line “"+line+"” must be a code without spaces, or a code, = and a value")
		case !has, strings.EqualFold(value, "true"):
			out[name] = doc.On()
		case strings.EqualFold(value, "false"):
			f.Wrong(field, "“"+line+"”: a feature is granted or left out; leave out the line")
		case err == nil:
			out[name] = doc.Int(n)
		default:
			if text, err := strconv.Unquote(value); err == nil {
				value = text
			}
			out[name] = doc.Text(value)
		}
	}
	return out
}
