package kit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
)

// Breaking compares two OpenAPI documents that [Document] wrote and lists what breaks callers of the old one, in words: an
// operation, parameter, member, enum value or way to authenticate that is gone, another type, a status of success that moved,
// something newly demanded of a request, something no longer promised of an answer. Additions are not among it.
func Breaking(before, after []byte) ([]string, error) {
	c := &comparison{seen: map[string]bool{}}
	if err := json.Unmarshal(before, &c.before); err != nil {
		return nil, fmt.Errorf("the old document: %w", err)
	}
	if err := json.Unmarshal(after, &c.after); err != nil {
		return nil, fmt.Errorf("the new document: %w", err)
	}
	for path, item := range obj(c.before["paths"]) {
		for method, op := range obj(item) {
			if kept, ok := obj(obj(c.after["paths"])[path])[method]; ok {
				c.operation(fmt.Sprint(obj(op)["operationId"]), obj(op), obj(kept))
				continue
			}
			c.say("%s: the operation is gone", obj(op)["operationId"])
		}
	}
	slices.Sort(c.found)
	return slices.Compact(c.found), nil
}

type comparison struct {
	before, after object
	seen          map[string]bool // pairs of schemas under comparison, so that recursion ends
	found         []string
}

func (c *comparison) say(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

func obj(v any) object { o, _ := v.(object); return o }

func list(v any) []any { l, _ := v.([]any); return l }

func has(l []any, v any) bool {
	return slices.ContainsFunc(l, func(x any) bool { return fmt.Sprint(x) == fmt.Sprint(v) })
}

func (c *comparison) operation(name string, before, after object) {
	if was, is := before["operationId"], after["operationId"]; was != is {
		c.say("%s: is called %s now", name, is)
	}
	for _, way := range list(before["security"]) {
		for scheme, who := range obj(way) {
			for _, w := range list(who) {
				if !slices.ContainsFunc(list(after["security"]), func(v any) bool { return has(list(obj(v)[scheme]), w) }) && !has(list(after["security"]), object{}) {
					c.say("%s: %s %v may no longer call", name, scheme, w)
				}
			}
		}
		if len(obj(way)) == 0 && !has(list(after["security"]), object{}) {
			c.say("%s: the anonymous may no longer call", name)
		}
	}
	c.parameters(name, list(before["parameters"]), list(after["parameters"]))
	was, is := media(before["requestBody"]), media(after["requestBody"])
	switch {
	case was != nil && is == nil:
		c.say("%s: the body is gone", name)
	case was == nil && is != nil && obj(after["requestBody"])["required"] == true:
		c.say("%s: a body is demanded", name)
	case was != nil:
		c.schema(name+" request", was, is, true)
	}
	for status, response := range obj(before["responses"]) {
		if status[0] != '2' {
			continue
		}
		kept, ok := obj(after["responses"])[status]
		if !ok {
			c.say("%s: no longer answers %s", name, status)
			continue
		}
		if was, is := media(response), media(kept); was != nil && is == nil {
			c.say("%s: the answer has no body any more", name)
		} else if was != nil {
			c.schema(name+" answer", was, is, false)
		}
	}
}

func media(v any) object {
	return obj(obj(obj(obj(v)["content"])["application/json"])["schema"])
}

func (c *comparison) parameters(name string, before, after []any) {
	key := func(p any) string { return fmt.Sprint(obj(p)["in"], " ", obj(p)["name"]) }
	old, now := map[string]object{}, map[string]object{}
	for _, p := range before {
		old[key(p)] = obj(p)
	}
	for _, p := range after {
		now[key(p)] = obj(p)
	}
	for k, p := range old {
		q, ok := now[k]
		if !ok {
			c.say("%s: parameter %s is gone", name, k)
			continue
		}
		c.schema(name+" parameter "+k, obj(p["schema"]), obj(q["schema"]), true)
	}
	for k, q := range now {
		if p, ok := old[k]; q["required"] == true && (!ok || p["required"] != true) {
			c.say("%s: parameter %s is demanded", name, k)
		}
	}
}

// resolve follows references; the second value is the reference followed, "" when there was none.
func resolve(doc, schema object) (object, string) {
	ref, ok := schema["$ref"].(string)
	if !ok {
		return schema, ""
	}
	const prefix = "#/components/schemas/"
	return obj(obj(obj(doc["components"])["schemas"])[ref[min(len(prefix), len(ref)):]]), ref
}

func (c *comparison) schema(at string, before, after object, request bool) {
	enumWas, enumIs := list(before["enum"]), list(after["enum"])
	before, refWas := resolve(c.before, before)
	after, refIs := resolve(c.after, after)
	if pair := cmp.Or(refWas, refIs); pair != "" {
		pair = fmt.Sprint(refWas, refIs, request, at[:min(len(at), 40)])
		if c.seen[pair] {
			return
		}
		c.seen[pair] = true
	}
	if enumWas == nil && enumIs == nil {
		enumWas, enumIs = list(before["enum"]), list(after["enum"])
	}
	if was, is := fmt.Sprint(before["type"], before["format"], before["contentEncoding"]), fmt.Sprint(after["type"], after["format"], after["contentEncoding"]); was != is {
		c.say("%s: the type changed", at)
		return
	}
	for _, v := range enumWas {
		if enumIs != nil && !has(enumIs, v) {
			c.say("%s: the value %v is gone", at, v)
		}
	}
	if request && enumWas == nil && enumIs != nil {
		c.say("%s: only some values are taken", at)
	}
	c.members(at, before, after, request)
	for _, inner := range []string{"items", "additionalProperties"} {
		if was, is := obj(before[inner]), obj(after[inner]); was != nil && is != nil {
			c.schema(at+"/*", was, is, request)
		}
	}
	was, is := list(before["anyOf"]), list(after["anyOf"])
	if len(was) != len(is) {
		c.say("%s: the type changed", at)
		return
	}
	for i := range was {
		c.schema(at, obj(was[i]), obj(is[i]), request)
	}
}

func (c *comparison) members(at string, before, after object, request bool) {
	was, is := obj(before["properties"]), obj(after["properties"])
	for _, name := range slices.Sorted(maps.Keys(was)) {
		kept, ok := is[name]
		if !ok {
			c.say("%s/%s: is gone", at, name)
			continue
		}
		c.schema(at+"/"+name, obj(was[name]), obj(kept), request)
		if demanded, promised := has(list(after["required"]), name), has(list(before["required"]), name); request && demanded && !promised {
			c.say("%s/%s: is demanded", at, name)
		} else if !request && promised && !demanded {
			c.say("%s/%s: is no longer promised", at, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if _, ok := was[name]; !ok && request && has(list(after["required"]), name) {
			c.say("%s/%s: is demanded", at, name)
		}
	}
}
