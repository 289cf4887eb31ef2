package kit

import (
	"fmt"
	"path"
	"reflect"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
)

// typ returns the schema of t, a reference where t is a named struct.
func (d *documenter) typ(t reflect.Type, where uint8) (object, error) {
	sh, err := d.shapes.of(t)
	if err != nil {
		return nil, err
	}
	return d.schema(sh, where)
}

func (d *documenter) schema(sh *shape, where uint8) (object, error) {
	if sh.points != nil {
		sh = sh.points
	}
	switch sh.form {
	case formObject:
		if sh.typ.Name() == "" {
			return d.properties(sh, where)
		}
		return d.reference(sh, where)
	case formArray:
		items, err := d.schema(sh.elem, where)
		return object{"type": "array", "items": items}, err
	case formMap:
		values, err := d.schema(sh.elem, where)
		return object{"type": "object", "additionalProperties": values}, err
	case formString, formText:
		return object{"type": "string"}, nil
	case formTime:
		return object{"type": "string", "format": "date-time"}, nil
	case formBytes:
		return object{"type": "string", "contentEncoding": "base64"}, nil
	case formNumber:
		return object{"type": "number"}, nil
	case formBoolean:
		return object{"type": "boolean"}, nil
	case formInteger:
		s := object{"type": "integer", "format": "int64"}
		if sh.typ.Bits() <= 32 {
			s["format"] = "int32"
		}
		if k := sh.typ.Kind(); k >= reflect.Uint && k <= reflect.Uint64 {
			s["minimum"] = 0
		}
		return s, nil
	}
	return object{}, nil
}

// reference puts the schema of a named struct among the components, once, and refers to it.
func (d *documenter) reference(sh *shape, where uint8) (object, error) {
	name := schemaName(sh.typ)
	ref := object{"$ref": "#/components/schemas/" + name}
	if known, ok := d.names[name]; ok && known != sh.typ {
		return nil, fmt.Errorf("%s and %s would both be the schema %s; rename one", known, sh.typ, name)
	}
	if d.used[name]&where != 0 {
		return ref, nil
	}
	first := d.used[name] == 0
	d.names[name] = sh.typ
	d.used[name] |= where
	schema, err := d.properties(sh, where)
	if first {
		d.schemas[name] = schema
	}
	return ref, err
}

func (d *documenter) properties(sh *shape, where uint8) (object, error) {
	properties, required := object{}, []string{}
	for _, m := range sh.members {
		if strings.TrimSpace(m.doc) == "" && d.used[schemaName(sh.typ)]&^where == 0 {
			d.wrong = append(d.wrong, fmt.Errorf("field %s has no doc", m.field))
		}
		schema, err := d.schema(m.shape, where)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.field, err)
		}
		if m.enum != nil {
			schema["enum"] = m.enum
		}
		if m.shape.points != nil && !m.omitted {
			schema = nullable(schema)
		}
		schema["description"] = m.doc
		if m.example != "" {
			schema["examples"] = []any{example(m.shape.typ, m.example)}
		}
		if m.once {
			schema["x-secret"] = "once"
		}
		properties[m.name] = schema
		if !m.optional {
			required = append(required, m.name)
		}
	}
	out := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out, nil
}

// nullable adds null to what a schema allows.
func nullable(schema object) object {
	if t, ok := schema["type"].(string); ok {
		schema["type"] = []string{t, "null"}
		return schema
	}
	if _, ok := schema["$ref"]; ok {
		return object{"anyOf": []object{schema, {"type": "null"}}}
	}
	return schema
}

// close marks the schemas that occur in requests alone as complete: they take no further members.
func (d *documenter) close() {
	for name, where := range d.used {
		if where == inRequest {
			d.schemas[name].(object)["additionalProperties"] = false
		}
	}
}

// example reads the text of an example tag as a value of type t; text that is not JSON stays text.
func example(t reflect.Type, text string) any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var v any
	if t.Kind() == reflect.String || t == timeType || json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	return v
}

// schemaName is how a named struct is called in the document: its package and its name, "LicenseSuspendRequest", without the
// package where the name says it already.
func schemaName(t reflect.Type) string {
	if t.Name() == "" {
		return ""
	}
	return typeName(t.PkgPath() + "." + t.Name())
}

// typeName names "path/pkg.Name" and "path/pkg.Name[path/pkg.Argument]".
func typeName(full string) string {
	full, arguments, generic := strings.Cut(strings.TrimSuffix(full, "]"), "[")
	pkg, name, qualified := strings.Cut(path.Base(full), ".")
	out := pascal(pkg)
	if qualified {
		out = pascal(name)
		prefix := pascal(strings.TrimSuffix(pkg, "_test"))
		if !strings.HasPrefix(strings.ToLower(name), strings.ToLower(prefix)) && prefix != "Licensing" && prefix != "Kit" {
			out = prefix + out
		}
	}
	if generic {
		out += "Of"
		for argument := range strings.SplitSeq(arguments, ",") {
			out += typeName(argument)
		}
	}
	return out
}

func pascal(s string) string {
	out := []rune{}
	up := true
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			up = true
			continue
		}
		if up {
			r = unicode.ToUpper(r)
		}
		up = false
		out = append(out, r)
	}
	return string(out)
}
