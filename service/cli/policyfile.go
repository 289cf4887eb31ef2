package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/app"
)

// policyFile is a document of a file of policies.
type policyFile struct {
	Product  string       `yaml:"product"`
	Policies []filePolicy `yaml:"policies"`
}

// filePolicy is a policy as a file has it. Terms that it leaves out have their defaults.
type filePolicy struct {
	Code  string         `yaml:"code"`
	Name  string         `yaml:"name"`
	Terms map[string]any `yaml:"terms"`
}

// wanted is a policy of a file, and what it changes.
type wanted struct {
	Policy  string   `json:"policy"`
	Outcome string   `json:"outcome"` // create, change, unchanged
	Changes []string `json:"changes,omitempty"`

	product, id string
	version     int64
	code, name  string
	terms       license.Terms
}

type policyApply struct {
	output
	consent
	File   string `arg:"" help:"YAML file with policies; - reads standard input."`
	DryRun bool   `help:"Show what would change, and change nothing."`
}

// Run compares the policies of a file with those that stand, shows the difference, asks, and makes them so.
func (c *policyApply) Run(ctx context.Context, cfg app.Config, s streams) error {
	text, err := readAll(s.in, c.File, maxInspect)
	if err != nil {
		return err
	}
	files, err := readPolicies(text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	return with(ctx, cfg, func(o *operator) error {
		all, err := o.compare(ctx, files)
		if err != nil {
			return err
		}
		open := slices.DeleteFunc(slices.Clone(all), func(w wanted) bool { return w.Outcome == "unchanged" })
		if c.JSON {
			err = c.value(s.out, all)
		} else {
			err = printWanted(s.out, all)
		}
		if err != nil || c.DryRun || len(open) == 0 {
			return err
		}
		if err := c.ask(ctx, s, "Apply "+count(len(open), "change")+"? Licenses that were issued keep their terms."); err != nil {
			return err
		}
		for _, w := range open {
			if err := o.apply(ctx, w); err != nil {
				return fmt.Errorf("%s: %w", w.Policy, err)
			}
		}
		if !c.JSON {
			_, err = fmt.Fprintln(s.out, "Applied.")
		}
		return err
	})
}

func printWanted(w io.Writer, all []wanted) error {
	var err error
	for _, p := range all {
		_, err = fmt.Fprintf(w, "%-10s %s\n", p.Outcome, word(p.Policy))
		for _, line := range p.Changes {
			_, err = fmt.Fprintf(w, "             %s\n", printable(line, false))
		}
	}
	return err
}

// readPolicies reads the documents of a file, strictly.
func readPolicies(text string) ([]policyFile, error) {
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	var out []policyFile
	for {
		var f policyFile
		err := d.Decode(&f)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if f.Product == "" || len(f.Policies) == 0 {
			return nil, errors.New("each document needs product, and policies with code, name and terms")
		}
		out = append(out, f)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no policy in it")
	}
	return out, nil
}

// compare finds what the policies of files change.
func (o *operator) compare(ctx context.Context, files []policyFile) ([]wanted, error) {
	var out []wanted
	for _, f := range files {
		product, err := o.product(ctx, f.Product)
		if err != nil {
			return nil, err
		}
		standing, err := o.standing(ctx, product)
		if err != nil {
			return nil, err
		}
		for _, p := range f.Policies {
			at := f.Product + "/" + p.Code
			if slices.ContainsFunc(out, func(w wanted) bool { return w.product == product && w.code == p.Code }) { // its product by slug, and by id
				return nil, fmt.Errorf("%s is in the file twice", at)
			}
			w := wanted{Policy: at, Outcome: "create", product: product, code: p.Code, name: p.Name}
			if w.terms, err = readTerms(p.Terms); err == nil { // whatever would be refused is, before anything is done
				err = license.CreatePolicyRequest{ProductID: product, Code: p.Code, Name: p.Name, Terms: w.terms}.Validate()
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", at, explained(err))
			}
			var was map[string]string
			if is, ok := standing[p.Code]; ok {
				w.id, w.version, w.Outcome = is.ID, is.Version, "change"
				if was, err = flat(is.Name, is.Terms); err != nil {
					return nil, err
				}
			}
			now, err := flat(p.Name, w.terms)
			if err != nil {
				return nil, err
			}
			if w.Changes = difference(was, now); len(w.Changes) == 0 {
				w.Outcome = "unchanged"
			}
			out = append(out, w)
		}
	}
	return out, nil
}

// standing are the policies of a product, by code.
func (o *operator) standing(ctx context.Context, product string) (map[string]license.PolicyView, error) {
	rows, err := o.all(ctx, "/v1/policies"+filter("product", product))
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return nil, err
	}
	var list []license.PolicyView
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	out := make(map[string]license.PolicyView, len(list))
	for _, p := range list {
		out[p.Code] = p
	}
	return out, nil
}

func (o *operator) apply(ctx context.Context, w wanted) error {
	if w.id == "" {
		return o.call(ctx, http.MethodPost, "/v1/policies", map[string]any{"product_id": w.product, "code": w.code, "name": w.name, "terms": w.terms}, nil)
	}
	return o.call(ctx, http.MethodPut, "/v1/policies/"+url.PathEscape(w.id), map[string]any{"version": w.version, "name": w.name, "terms": w.terms}, nil)
}

// readTerms reads the terms of a file, in which spans may be written like 30d, and completes and checks them.
func readTerms(in map[string]any) (license.Terms, error) {
	var t license.Terms
	text, err := json.Marshal(spans(in, false, inSeconds))
	if err != nil {
		return t, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		return t, fmt.Errorf("terms: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	t = t.WithDefaults()
	return t, t.Validate()
}

// explained is an error with what it says of single fields.
func explained(err error) error {
	var e *licensing.Error
	if !errors.As(err, &e) || len(e.Fields) == 0 {
		return err
	}
	said := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		said[i] = strings.TrimPrefix(f.Name, "/") + ": " + f.Detail
	}
	return errors.New(strings.Join(said, "; "))
}

// spanFields are the members of terms that are lengths of time, entitled_for each of its members.
var spanFields = []string{"duration", "expiry_grace", "updates_for", "recheck", "fresh", "stale", "grace", "revive_within", "dead_after", "status_max_age", "period"}

// spans applies do to each length of time in terms.
func spans(in map[string]any, all bool, do func(any) any) map[string]any {
	out := make(map[string]any, len(in))
	for name, v := range in {
		inner, nested := v.(map[string]any)
		switch {
		case name == "entitlements" || name == "meters":
			out[name] = v
		case nested:
			out[name] = spans(inner, name == "entitled_for", do)
		case all || slices.Contains(spanFields, name):
			out[name] = do(v)
		default:
			out[name] = v
		}
	}
	return out
}

var span = regexp.MustCompile(`^([0-9]{1,10})([smhdwy])$`)

var spanUnits = []struct {
	letter  string
	seconds int64
}{{"y", 365 * 86400}, {"w", 7 * 86400}, {"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}}

// inSeconds is a length of time in seconds: a number, or one with a unit.
func inSeconds(v any) any {
	text, _ := v.(string)
	m := span.FindStringSubmatch(text)
	if m == nil {
		return v
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	for _, u := range spanUnits {
		if u.letter == m[2] {
			n *= u.seconds
		}
	}
	return n
}

// inUnits is a number of seconds in the largest unit that it is whole in, but weeks.
func inUnits(v any) any {
	n, ok := v.(float64)
	if !ok || n == 0 {
		return v
	}
	for _, u := range spanUnits {
		if u.letter != "w" && int64(n)%u.seconds == 0 {
			return fmt.Sprintf("%d%s", int64(n)/u.seconds, u.letter)
		}
	}
	return v
}

// plainTerms are terms as JSON has them.
func plainTerms(t license.Terms) (out map[string]any, err error) {
	text, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	return out, json.Unmarshal(text, &out)
}

// flat is a policy as lines by path.
func flat(name string, t license.Terms) (map[string]string, error) {
	terms, err := plainTerms(t)
	if err != nil {
		return nil, err
	}
	out := map[string]string{"name": name}
	var walk func(at string, in map[string]any)
	walk = func(at string, in map[string]any) {
		for name, v := range in {
			if inner, ok := v.(map[string]any); ok {
				walk(at+"."+name, inner)
				continue
			}
			text, _ := json.Marshal(v)
			out[at+"."+name] = string(text)
		}
	}
	walk("terms", spans(terms, false, inUnits))
	return out, nil
}

// difference tells what differs, line by line; was is nil for what is new.
func difference(was, now map[string]string) []string {
	var out []string
	all := map[string]bool{}
	for name := range was {
		all[name] = true
	}
	for name := range now {
		all[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		before, had := was[name]
		after, has := now[name]
		switch {
		case !had:
			out = append(out, "+ "+name+": "+after)
		case !has:
			out = append(out, "- "+name+": "+before)
		case before != after:
			out = append(out, "~ "+name+": "+before+" → "+after)
		}
	}
	return out
}

type policyExport struct {
	Product string `arg:"" optional:"" help:"Only those of this product, by slug or id."`
}

// Run writes policies as a file that applies as unchanged.
func (c *policyExport) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		products, err := o.all(ctx, "/v1/products")
		if err != nil {
			return err
		}
		e := yaml.NewEncoder(s.out)
		e.SetIndent(2)
		found := false
		for _, product := range products {
			if c.Product != "" && product["slug"] != c.Product && product["id"] != c.Product {
				continue
			}
			standing, err := o.standing(ctx, cell(product["id"]))
			if err != nil {
				return err
			}
			f := policyFile{Product: cell(product["slug"])}
			for _, code := range slices.Sorted(maps.Keys(standing)) {
				terms, err := plainTerms(standing[code].Terms)
				if err != nil {
					return err
				}
				f.Policies = append(f.Policies, filePolicy{Code: code, Name: standing[code].Name, Terms: whole(spans(terms, false, inUnits))})
			}
			if len(f.Policies) > 0 {
				found = true
				if err := e.Encode(f); err != nil {
					return err
				}
			}
		}
		if !found {
			return errors.New("there are no such policies")
		}
		return e.Close()
	})
}

// whole turns the numbers of JSON into whole ones, which YAML writes without an exponent.
func whole(in map[string]any) map[string]any {
	for name, v := range in {
		switch v := v.(type) {
		case float64:
			in[name] = int64(v)
		case map[string]any:
			in[name] = whole(v)
		}
	}
	return in
}
