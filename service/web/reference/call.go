package reference

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// callers says who may call, one way a line.
func callers(security []map[string][]string) []string {
	var out []string
	for _, way := range security {
		if len(way) == 0 {
			return []string{"Anyone"}
		}
		for _, scheme := range slices.Sorted(maps.Keys(way)) {
			out = append(out, caller(scheme, way[scheme]))
		}
	}
	return out
}

// allRoles is how many roles staff can have; an operation for all of them is for staff of any role.
const allRoles = 6

func caller(scheme string, scopes []string) string {
	var roles, others []string
	for _, s := range scopes {
		if role, ok := strings.CutPrefix(s, "staff:"); ok {
			roles = append(roles, role)
		} else {
			others = append(others, s)
		}
	}
	switch scheme {
	case "session":
		var who []string
		if slices.Contains(others, "customer") {
			who = append(who, "customers")
		}
		if len(roles) == allRoles {
			who = append(who, "staff of any role")
		} else if len(roles) > 0 {
			who = append(who, "staff: "+strings.Join(roles, ", "))
		}
		return "A session of " + strings.Join(who, " or ")
	case "machineToken":
		return "A machine token with " + strings.Join(others, ", ")
	case "apiKey":
		if len(others) == 0 || slices.Equal(others, []string{"*"}) {
			return "An API key"
		}
		return "An API key with " + strings.Join(others, ", ")
	case "license":
		return "Authorization: License, with a license key"
	case "lease":
		return "Authorization: Lease, with the lease of a device"
	}
	return scheme
}

// credential is the Authorization field of an example, "" where none is needed.
func credential(security []map[string][]string) string {
	by := map[string]string{"session": "Bearer $SESSION", "machineToken": "Bearer $MACHINE_TOKEN", "apiKey": "Bearer $API_KEY", "license": "License $LICENSE_KEY", "lease": "Lease $LEASE"}
	for _, way := range security {
		for _, scheme := range []string{"license", "lease", "apiKey", "machineToken", "session"} {
			if _, ok := way[scheme]; ok {
				return by[scheme]
			}
		}
		if len(way) == 0 {
			return ""
		}
	}
	return ""
}

// curl is the call of an operation in a terminal, with what it cannot do without.
func (s *spec) curl(c *call, op *Operation, base string) string {
	path, query, again := op.Path, []string{}, false
	for _, p := range op.Params {
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", "$"+strings.ToUpper(p.Name))
		case p.In == "query" && p.Required:
			query = append(query, p.Name+"="+cmp.Or(p.Example, "$"+strings.ToUpper(p.Name)))
		case p.In == "header" && p.Name == "Idempotency-Key":
			again = true
		}
	}
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	line := []string{`curl "` + base + path + `"`}
	if op.Method != "GET" && (op.Method != "POST" || c.RequestBody == nil) {
		line[0] = "curl -X " + op.Method + ` "` + base + path + `"`
	}
	if auth := credential(c.Security); auth != "" {
		line = append(line, `-H "Authorization: `+auth+`"`)
	}
	if again {
		line = append(line, `-H "Idempotency-Key: $(uuidgen)"`)
	}
	if c.RequestBody != nil {
		body, err := json.Marshal(s.sample("", c.RequestBody.Content["application/json"].Schema, 0))
		if err != nil {
			body = []byte("{}")
		}
		var text bytes.Buffer
		if len(body) > 80 && json.Indent(&text, body, "  ", "  ") == nil {
			body = text.Bytes()
		}
		line = append(line, `-H "Content-Type: application/json"`, "-d '"+strings.ReplaceAll(string(body), "'", `'\''`)+"'")
	}
	return strings.Join(line, " \\\n  ")
}

// samples are values for members whose name says what they hold.
var samples = map[string]any{"email": "ada@example.com", "name": "Ada", "country": "DE", "reason": "Asked for by the customer.", "quantity": 1, "amount": 4900, "currency": "EUR", "limit": 20}

// sample is a value that fits a schema: its example, or one by its type, with the required members of objects.
func (s *spec) sample(name string, in *schema, depth int) any {
	to, err := s.resolve(in)
	if err != nil || depth > 6 {
		return nil
	}
	for _, e := range slices.Concat(in.Examples, to.Examples) {
		return e
	}
	if len(to.Enum) > 0 {
		return to.Enum[0]
	}
	if v, ok := samples[name]; ok && typeName(to) != "object" {
		return v
	}
	switch typeName(to) {
	case "object":
		out := map[string]any{}
		names := to.Required
		if len(names) == 0 && depth == 0 {
			names = slices.Sorted(maps.Keys(to.Properties)) // a change: any of them
			names = names[:min(1, len(names))]
		}
		for _, n := range names {
			out[n] = s.sample(n, to.Properties[n], depth+1)
		}
		return out
	case "array":
		return []any{s.sample(name, to.Items, depth+1)}
	case "instant":
		return "2026-12-31T12:00:00Z"
	case "whole number", "number":
		return 1
	case "true or false":
		return true
	}
	return "…"
}
