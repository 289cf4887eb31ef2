package sandbox

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// params is a request's form in Stripe's spelling, "line_items[0][price_data][currency]=eur", as a tree. Every accessor marks
// what it read, so that a parameter nobody asked for can be refused as Stripe refuses it.
type params struct {
	name   string // spelling of this node in the request, for error texts
	value  string
	filled bool // a value was given
	used   bool
	kids   map[string]*params
}

// parseParams builds the tree of a form. It refuses a name that is not well formed and one given twice.
func parseParams(form url.Values) (*params, error) {
	root := &params{kids: map[string]*params{}}
	for name, values := range form {
		head, rest, _ := strings.Cut(name, "[")
		path := []string{head}
		if rest != "" {
			if !strings.HasSuffix(rest, "]") {
				return nil, invalid("", "", "Invalid parameter name: %s", name)
			}
			path = append(path, strings.Split(strings.TrimSuffix(rest, "]"), "][")...)
		}
		for i, value := range values {
			node := root
			for _, step := range path {
				if step == "" { // expand[]=a&expand[]=b
					step = strconv.Itoa(i)
				}
				node = node.child(step)
			}
			if node.filled {
				return nil, invalid("", name, "Parameter given twice: %s", name)
			}
			node.value, node.filled = value, true
		}
	}
	return root, nil
}

func (p *params) child(step string) *params {
	if p.kids == nil {
		p.kids = map[string]*params{}
	}
	kid := p.kids[step]
	if kid == nil {
		kid = &params{name: step}
		if p.name != "" {
			kid.name = p.name + "[" + step + "]"
		}
		p.kids[step] = kid
	}
	return kid
}

// at returns the node of a nested parameter, never nil.
func (p *params) at(path ...string) *params {
	for _, step := range path {
		if kid := p.kids[step]; kid != nil {
			p = kid
			continue
		}
		name := step
		if p.name != "" {
			name = p.name + "[" + step + "]"
		}
		p = &params{name: name}
	}
	p.used = true
	return p
}

// given reports whether the parameter or anything below it was sent.
func (p *params) given() bool { return p.filled || len(p.kids) > 0 }

// str returns a text parameter, "" when it is absent.
func (p *params) str(path ...string) string { return p.at(path...).value }

// integer returns a whole number; absent is 0.
func (p *params) integer(path ...string) (int64, error) {
	node := p.at(path...)
	if !node.filled {
		return 0, nil
	}
	n, err := strconv.ParseInt(node.value, 10, 64)
	if err != nil {
		return 0, invalid("parameter_invalid_integer", node.name, "Invalid integer: %s", node.value)
	}
	return n, nil
}

// items returns the members of a list parameter in the order of their numbers.
func (p *params) items(path ...string) ([]*params, error) {
	node := p.at(path...)
	numbers := make([]int, 0, len(node.kids))
	for step := range node.kids {
		n, err := strconv.Atoi(step)
		if err != nil || n < 0 {
			return nil, invalid("", node.name, "Invalid array: %s", node.name)
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	out := make([]*params, len(numbers))
	for i, n := range numbers {
		out[i] = node.at(strconv.Itoa(n))
	}
	return out, nil
}

// strings returns a list of texts.
func (p *params) strings(path ...string) ([]string, error) {
	items, err := p.items(path...)
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = item.value
	}
	return out, err
}

// metadata returns a map of texts, never nil.
func (p *params) metadata(path ...string) (map[string]string, error) {
	node := p.at(path...)
	out := map[string]string{}
	for step := range node.kids {
		value := node.str(step)
		if len(step) > 40 || len(value) > 500 {
			return nil, invalid("", node.name, "Metadata keys can have up to 40 characters and values up to 500.")
		}
		out[step] = value
	}
	if len(out) > 50 {
		return nil, invalid("", node.name, "Metadata can have up to 50 keys.")
	}
	return out, nil
}

// unknown returns an error for the first parameter that no accessor read.
func (p *params) unknown() error {
	var first string
	var walk func(*params)
	walk = func(n *params) {
		if n.filled && !n.used && (first == "" || n.name < first) {
			first = n.name
		}
		for _, kid := range n.kids {
			walk(kid)
		}
	}
	walk(p)
	if first == "" {
		return nil
	}
	return invalid("parameter_unknown", first, "Received unknown parameter: %s", first)
}

// apiError is a failure in Stripe's shape.
type apiError struct {
	status  int
	Type    string `json:"type"`
	Code    string `json:"code,omitempty"`
	Param   string `json:"param,omitempty"`
	Message string `json:"message"`
}

func (e *apiError) Error() string {
	return fmt.Sprintf("sandbox: %d %s: %s", e.status, e.Code, e.Message)
}

func invalid(code, param, text string, args ...any) *apiError {
	return &apiError{status: 400, Type: "invalid_request_error", Code: code, Param: param, Message: fmt.Sprintf(text, args...)}
}

func missing(kind, id string) *apiError {
	return &apiError{status: 404, Type: "invalid_request_error", Code: "resource_missing", Param: "id", Message: fmt.Sprintf("No such %s: '%s'", kind, id)}
}
