package reference

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Document is the API as its pages show it.
type Document struct {
	About string
	Tags  []*Tag
}

// Tag is a page: operations that belong together, and the objects they speak of.
type Tag struct {
	Name, Slug string
	Operations []*Operation
	Objects    []Object
}

// Operation is one thing that the API does.
type Operation struct {
	Name, Anchor, Method, Path, Summary, Detail string
	Callers                                     []string
	Params                                      []Member
	Body                                        []Member
	Answers                                     []Answer
	Failures                                    []string // statuses
	Call                                        string   // an example for a terminal
	text                                        string   // what a search looks through
}

// Answer is a success.
type Answer struct {
	Status, Text string
	Kind         Kind
}

// Object is a kind of value with members, described once a page.
type Object struct {
	Name    string
	Members []Member
}

// Member is a member of an object, or a parameter.
type Member struct {
	Name, Doc, Example string
	In                 string // path, query or header, for a parameter
	Kind               Kind
	Enum               []string
	Required, Once     bool
	Members            []Member // of an object within
}

// Kind is what a value is: "list of text", and the object whose members are told elsewhere on the page, if it is one.
type Kind struct{ Text, Object string }

// spec is what is read of an OpenAPI document.
type spec struct {
	Info struct {
		Description string `json:"description"`
	} `json:"info"`
	Paths      map[string]map[string]*call `json:"paths"`
	Components struct {
		Schemas map[string]*schema `json:"schemas"`
	} `json:"components"`
}

type call struct {
	ID          string                `json:"operationId"`
	Summary     string                `json:"summary"`
	Description string                `json:"description"`
	Tags        []string              `json:"tags"`
	Security    []map[string][]string `json:"security"`
	Parameters  []struct {
		Name, In, Description string
		Required              bool
		Schema                *schema
	} `json:"parameters"`
	RequestBody *struct{ Content content } `json:"requestBody"`
	Responses   map[string]struct {
		Ref         string `json:"$ref"`
		Description string
		Content     content
	} `json:"responses"`
}

type content map[string]struct{ Schema *schema }

// schema is a JSON Schema as package kit writes them.
type schema struct {
	Ref         string             `json:"$ref"`
	Type        any                `json:"type"` // a name, or names of which one may be null
	Description string             `json:"description"`
	Format      string             `json:"format"`
	Enum        []string           `json:"enum"`
	Items       *schema            `json:"items"`
	Properties  map[string]*schema `json:"properties"`
	Required    []string           `json:"required"`
	Additional  any                `json:"additionalProperties"`
	Examples    []any              `json:"examples"`
	Secret      string             `json:"x-secret"`
}

const refs = "#/components/schemas/"

// read makes a Document of OpenAPI's JSON.
func read(openapi []byte, base string) (*Document, error) {
	var s spec
	if err := json.Unmarshal(openapi, &s); err != nil {
		return nil, err
	}
	d := &Document{About: s.Info.Description}
	tags := map[string]*Tag{}
	for _, path := range slices.Sorted(maps.Keys(s.Paths)) {
		for _, method := range []string{"get", "post", "put", "patch", "delete"} {
			c := s.Paths[path][method]
			if c == nil {
				continue
			}
			if c.ID == "" || len(c.Tags) == 0 {
				return nil, fmt.Errorf("%s %s has no name or no tag", method, path)
			}
			t := tags[c.Tags[0]]
			if t == nil {
				t = &Tag{Name: c.Tags[0], Slug: slug(c.Tags[0])}
				tags[t.Name], d.Tags = t, append(d.Tags, t)
			}
			op, err := s.operation(c, strings.ToUpper(method), path, base)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.ID, err)
			}
			t.Operations = append(t.Operations, op)
		}
	}
	slices.SortFunc(d.Tags, func(a, b *Tag) int { return cmp.Compare(a.Slug, b.Slug) })
	for _, t := range d.Tags {
		if err := s.objects(t); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func slug(text string) string { return strings.ReplaceAll(strings.ToLower(text), " ", "-") }

func (s *spec) operation(c *call, method, path, base string) (*Operation, error) {
	op := &Operation{Name: c.ID, Anchor: strings.NewReplacer(".", "-", "_", "-").Replace(c.ID), Method: method, Path: path, Summary: c.Summary, Detail: c.Description, Callers: callers(c.Security)}
	op.text = strings.ToLower(strings.Join([]string{c.ID, method, path, c.Summary, c.Description, c.Tags[0]}, " "))
	for _, p := range c.Parameters {
		m, err := s.member(p.Name, p.Schema, p.Required, nil)
		if err != nil {
			return nil, err
		}
		m.In, m.Doc = p.In, cmp.Or(p.Description, m.Doc)
		op.Params = append(op.Params, m)
	}
	if c.RequestBody != nil {
		in, err := s.resolve(c.RequestBody.Content["application/json"].Schema)
		if err != nil {
			return nil, err
		}
		if op.Body, err = s.members(in, []*schema{in}); err != nil {
			return nil, err
		}
	}
	for _, status := range slices.Sorted(maps.Keys(c.Responses)) {
		r := c.Responses[status]
		switch {
		case status == "default":
		case status >= "400":
			op.Failures = append(op.Failures, status)
		default:
			a := Answer{Status: status, Text: r.Description}
			for _, c := range r.Content {
				a.Kind = s.kind(c.Schema)
			}
			op.Answers = append(op.Answers, a)
		}
	}
	op.Call = s.curl(c, op, base)
	return op, nil
}

// resolve follows a reference.
func (s *spec) resolve(in *schema) (*schema, error) {
	if in == nil {
		return nil, fmt.Errorf("a schema is missing")
	}
	if in.Ref == "" {
		return in, nil
	}
	out := s.Components.Schemas[strings.TrimPrefix(in.Ref, refs)]
	if out == nil {
		return nil, fmt.Errorf("there is no %s", in.Ref)
	}
	return out, nil
}

// members are those of an object, the required ones first. around are the objects it is in, whose members are not told again.
func (s *spec) members(in *schema, around []*schema) ([]Member, error) {
	var out []Member
	for _, name := range slices.Sorted(maps.Keys(in.Properties)) {
		m, err := s.member(name, in.Properties[name], slices.Contains(in.Required, name), around)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	slices.SortStableFunc(out, func(a, b Member) int {
		if a.Required == b.Required {
			return 0
		} else if a.Required {
			return -1
		}
		return 1
	})
	return out, nil
}

// member describes one member. With around, the members of objects within are told right there; without, the object is named.
func (s *spec) member(name string, in *schema, required bool, around []*schema) (Member, error) {
	to, err := s.resolve(in)
	if err != nil {
		return Member{}, err
	}
	m := Member{Name: name, Doc: cmp.Or(in.Description, to.Description), Enum: to.Enum, Required: required, Once: in.Secret == "once", Kind: s.kind(in)}
	if to.Items != nil && m.Enum == nil {
		m.Enum = to.Items.Enum
	}
	for _, e := range slices.Concat(in.Examples, to.Examples) {
		if text, ok := e.(string); ok && m.Example == "" {
			m.Example = text
		}
	}
	for to.Items != nil {
		if to, err = s.resolve(to.Items); err != nil {
			return Member{}, err
		}
	}
	if around != nil && len(to.Properties) > 0 && !slices.Contains(around, to) {
		m.Kind.Object = ""
		m.Members, err = s.members(to, append(around, to))
	}
	return m, err
}

// kind says what a value is.
func (s *spec) kind(in *schema) Kind {
	if in == nil {
		return Kind{Text: "text"}
	}
	if name, ok := strings.CutPrefix(in.Ref, refs); ok {
		if to := s.Components.Schemas[name]; to == nil || len(to.Properties) == 0 && to.Type != "object" {
			return s.kind(to)
		}
		return Kind{Text: "object", Object: name}
	}
	name := typeName(in)
	switch {
	case name == "array":
		of := s.kind(in.Items)
		return Kind{Text: "list of " + plural(of.Text), Object: of.Object}
	case name == "object" && in.Additional != nil && in.Additional != false:
		return Kind{Text: "object with members of your own"}
	case name == "":
		return Kind{Text: "any value"}
	}
	return Kind{Text: name}
}

func plural(kind string) string {
	if kind == "object" {
		return "objects"
	}
	return kind
}

// typeName is the type of a schema in a word that people understand.
func typeName(in *schema) string {
	name, _ := in.Type.(string)
	if names, ok := in.Type.([]any); ok { // of which one is null
		for _, n := range names {
			if n != "null" {
				name, _ = n.(string)
			}
		}
	}
	switch {
	case in.Format == "date-time":
		return "instant"
	case name == "string":
		return "text"
	case name == "boolean":
		return "true or false"
	case name == "integer":
		return "whole number"
	}
	return name
}

// objects lists the objects that the operations of a tag answer with, and those within them, each once.
func (s *spec) objects(t *Tag) error {
	seen := map[string]bool{}
	var add func(k Kind) error
	add = func(k Kind) error {
		if k.Object == "" || seen[k.Object] {
			return nil
		}
		seen[k.Object] = true
		members, err := s.members(s.Components.Schemas[k.Object], nil)
		if err != nil {
			return err
		}
		t.Objects = append(t.Objects, Object{Name: k.Object, Members: members})
		for _, m := range members {
			if err := add(m.Kind); err != nil {
				return err
			}
		}
		return nil
	}
	for _, op := range t.Operations {
		for _, a := range op.Answers {
			if err := add(a.Kind); err != nil {
				return err
			}
		}
		if err := within(op.Body, add); err != nil { // those that a body names without telling them again
			return err
		}
	}
	return nil
}

func within(members []Member, add func(Kind) error) error {
	for _, m := range members {
		if err := add(m.Kind); err != nil {
			return err
		}
		if err := within(m.Members, add); err != nil {
			return err
		}
	}
	return nil
}
