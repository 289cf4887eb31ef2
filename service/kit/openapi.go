package kit

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/mintreu/mintreu/licensing"
)

// Info heads the OpenAPI document.
type Info struct {
	Title       string
	Version     string
	Description string
}

// object is a JSON object of the document; members are written in alphabetical order.
type object = map[string]any

// Document writes the OpenAPI 3.1 document of the routes, the same bytes for the same routes in whatever order. It is an error,
// naming each place, when an operation has no summary or tag, or a field of a request or response no doc.
func Document(info Info, routes []Route) ([]byte, error) {
	d := &documenter{schemas: object{}, names: map[string]reflect.Type{}, used: map[string]uint8{}}
	paths, tags := object{}, []string{}
	for _, route := range routes {
		spec := route.Spec()
		op, err := d.operation(spec, route)
		if err != nil {
			d.wrong = append(d.wrong, fmt.Errorf("operation %s: %w", spec.Name, err))
			continue
		}
		item, ok := paths[spec.Path].(object)
		if !ok {
			item = object{}
			paths[spec.Path] = item
		}
		item[strings.ToLower(spec.Method)] = op
		if !slices.Contains(tags, spec.Tag) {
			tags = append(tags, spec.Tag)
		}
	}
	problem, err := d.typ(reflect.TypeFor[Problem](), inResponse)
	if err != nil {
		d.wrong = append(d.wrong, err)
	}
	if err := errors.Join(d.wrong...); err != nil {
		return nil, err
	}
	d.close()
	slices.Sort(tags)
	named := []object{}
	for _, t := range tags {
		named = append(named, object{"name": t})
	}
	doc := object{
		"openapi": "3.1.0",
		"info":    object{"title": info.Title, "version": info.Version, "description": info.Description},
		"servers": []object{{"url": "/"}},
		"tags":    named,
		"paths":   paths,
		"components": object{
			"schemas": d.schemas,
			"responses": object{"Problem": object{
				"description": "A failure, as RFC 9457 problem details. code is stable; detail is for people.",
				"content":     object{"application/problem+json": object{"schema": problem}},
			}},
			"securitySchemes": securitySchemes,
		},
	}
	out, err := json.Marshal(doc, json.Deterministic(true), jsontext.WithIndent("  "))
	return append(out, '\n'), err
}

var securitySchemes = object{
	"session":      object{"type": "http", "scheme": "bearer", "description": "A person's session from POST /v1/sessions. Staff operations name the roles that may call. A customer who acts for an organisation as a member reads, downloads and asks for help; most other changes are refused."},
	"machineToken": object{"type": "http", "scheme": "bearer", "description": "A machine token made by staff, with the scopes named."},
	"apiKey":       object{"type": "http", "scheme": "bearer", "description": "An API key with the scopes named."},
	"license":      object{"type": "apiKey", "in": "header", "name": "Authorization", "description": "Authorization: License, a space, and a license key or license token."},
	"lease":        object{"type": "apiKey", "in": "header", "name": "Authorization", "description": "Authorization: Lease, a space, and a lease."},
}

// security lists the credentials that would do, each an alternative.
func (a Allow) security() []object {
	var out []object
	if a.Anonymous {
		out = append(out, object{})
	}
	if a.Customer {
		out = append(out, object{"session": []string{"customer"}})
	}
	if len(a.Staff) > 0 {
		roles := []string{}
		for _, r := range licensing.AllRoles() {
			if r == licensing.RoleOwner || slices.Contains(a.Staff, r) {
				roles = append(roles, "staff:"+string(r))
			}
		}
		out = append(out, object{"session": roles})
	}
	if a.Machine != "" {
		for _, scope := range strings.Fields(a.Machine) {
			out = append(out, object{"machineToken": []string{scope}})
		}
	}
	if a.APIKey != "" {
		out = append(out, object{"apiKey": []string{a.APIKey}})
	}
	if a.Holder {
		out = append(out, object{"license": []string{}})
	}
	if a.Device {
		out = append(out, object{"lease": []string{}})
	}
	return out
}

// documenter collects the schemas that the operations name.
type documenter struct {
	shapes  shapes
	schemas object
	names   map[string]reflect.Type
	used    map[string]uint8 // where a schema occurs: inRequest | inResponse
	wrong   []error
}

const (
	inRequest uint8 = 1 << iota
	inResponse
)

func (d *documenter) operation(spec Spec, route Route) (object, error) {
	if spec.Summary == "" || strings.HasSuffix(spec.Summary, ".") || spec.Tag == "" {
		return nil, errors.New("needs a Summary (without a full stop) and a Tag")
	}
	req, resp := route.types()
	p, err := newPlan(&d.shapes, req, spec.Path)
	if err != nil {
		return nil, err
	}
	op := object{
		"operationId": spec.Name, "summary": spec.Summary, "tags": []string{spec.Tag}, "security": spec.Access.security(),
		"parameters": d.parameters(spec, p),
	}
	if spec.Detail != "" {
		op["description"] = spec.Detail
	}
	if len(p.body.members) > 0 {
		schema, err := d.typ(req, inRequest)
		if err != nil {
			return nil, err
		}
		op["requestBody"] = object{
			"required": slices.ContainsFunc(p.body.members, func(m member) bool { return !m.optional }),
			"content":  object{"application/json": object{"schema": schema}},
		}
	}
	success := object{"description": http.StatusText(spec.Status)}
	if spec.Status != http.StatusNoContent {
		schema, err := d.typ(resp, inResponse)
		if err != nil {
			return nil, err
		}
		content := object{"application/json": object{"schema": schema}}
		if resp.Implements(reflect.TypeFor[tabler]()) {
			content["text/csv"] = object{"schema": object{"type": "string", "description": "The same as a table, for who accepts text/csv and no JSON."}}
		}
		success["content"] = content
	}
	if spec.Idempotent() {
		success["headers"] = object{"Idempotency-Replayed": object{
			"description": "true when the Idempotency-Key led to this result before.", "schema": object{"type": "string", "enum": []string{"true"}}}}
	}
	op["responses"] = failures(spec, p, success)
	return op, nil
}

// failures lists the answers of an operation: its success and the failures it can have.
func failures(spec Spec, p *plan, success object) object {
	out := object{strconv.Itoa(spec.Status): success}
	statuses := []string{"400", "401", "429", "500", "503", "default"}
	if !spec.Access.Anonymous {
		statuses = append(statuses, "403")
	}
	if len(p.path) > 0 {
		statuses = append(statuses, "404")
	}
	if spec.Mutates() {
		statuses = append(statuses, "409")
	}
	if len(p.body.members) > 0 {
		statuses = append(statuses, "408", "413", "415")
	}
	if spec.Idempotent() {
		statuses = append(statuses, "422")
	}
	for _, s := range statuses {
		out[s] = object{"$ref": "#/components/responses/Problem"}
	}
	return out
}

func (d *documenter) parameters(spec Spec, p *plan) []object {
	out := []object{}
	add := func(where string, q *param) {
		if q.doc == "" {
			d.wrong = append(d.wrong, fmt.Errorf("operation %s: parameter %s has no doc", spec.Name, q.name))
		}
		schema, err := d.typ(q.typ, inRequest)
		if err != nil {
			d.wrong = append(d.wrong, fmt.Errorf("operation %s: parameter %s: %w", spec.Name, q.name, err))
		}
		if q.enum != nil {
			schema["enum"] = q.enum
		}
		if where == "query" && q.name == "limit" && p.page != nil {
			schema["minimum"], schema["maximum"], schema["default"] = 1, maxLimit, defaultLimit
		}
		param := object{"name": q.name, "in": where, "required": !q.optional, "description": q.doc, "schema": schema}
		if q.example != "" {
			param["example"] = example(q.typ, q.example)
		}
		out = append(out, param)
	}
	for i := range p.path {
		add("path", &p.path[i])
	}
	for i := range p.query {
		add("query", &p.query[i])
	}
	if spec.Idempotent() {
		out = append(out, object{
			"name": IdempotencyHeader, "in": "header", "required": spec.KeyRequired,
			"description": "A random UUID, kept for retries: the same key with the same request is done once, and every repetition answers with the first one's result.",
			"schema":      object{"type": "string", "minLength": 1, "maxLength": 255},
		})
	}
	return out
}
