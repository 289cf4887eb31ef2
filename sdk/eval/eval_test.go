package eval_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// vectors is one file of cases. Every case starts from the file's license, lease
// and request and changes them by JSON merge patches (RFC 7396); a lease of null
// means that there is none.
type vectors struct {
	About   string         `json:"about"`
	License map[string]any `json:"license"`
	Lease   map[string]any `json:"lease"`
	Request map[string]any `json:"request"`
	Cases   []struct {
		Name    string          `json:"name"`
		Now     int64           `json:"now"`
		License map[string]any  `json:"license"`
		Lease   json.RawMessage `json:"lease"`
		Request map[string]any  `json:"request"`
		Status  *eval.Status    `json:"status"`
		Known   []eval.Finding  `json:"known"`
		Want    want            `json:"want"`
	} `json:"cases"`
}

type want struct {
	Allowed   bool      `json:"allowed"`
	Mode      string    `json:"mode"`
	Code      eval.Code `json:"code"`
	Findings  []string  `json:"findings"`
	RecheckAt int64     `json:"recheck_at"`
}

// merge applies a JSON merge patch.
func merge(target any, patch map[string]any) map[string]any {
	out := map[string]any{}
	if m, ok := target.(map[string]any); ok {
		for k, v := range m {
			out[k] = v
		}
	}
	for k, v := range patch {
		if v == nil {
			delete(out, k)
		} else if p, ok := v.(map[string]any); ok {
			out[k] = merge(out[k], p)
		} else {
			out[k] = v
		}
	}
	return out
}

func decode(t *testing.T, b []byte, v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatal(err)
	}
}

// into turns merged JSON into a struct.
func into(t *testing.T, m map[string]any, v any) {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	decode(t, b, v)
}

// Every vector gives the decision it says, and every code has one.
func TestEvaluate_Vectors(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../testdata/vectors/eval/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no vectors", err)
	}
	cases, seen := 0, map[eval.Code]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v vectors
		decode(t, text, &v)
		for _, c := range v.Cases {
			cases++
			t.Run(filepath.Base(file)+"/"+c.Name, func(t *testing.T) {
				in := eval.Input{Now: c.Now, Status: c.Status, Known: c.Known}
				if c.License["none"] == nil {
					in.License = new(doc.License)
					into(t, merge(v.License, c.License), in.License)
				}
				if patch := map[string]any(nil); string(c.Lease) != "null" && (v.Lease != nil || c.Lease != nil) {
					if c.Lease != nil {
						decode(t, c.Lease, &patch)
					}
					in.Lease = new(doc.Lease)
					into(t, merge(v.Lease, patch), in.Lease)
				}
				into(t, merge(v.Request, c.Request), &in.Request)
				d := eval.Evaluate(in)
				got := want{d.Allowed, d.Mode, d.Code, []string{}, d.RecheckAt}
				for _, f := range d.Findings {
					got.Findings = append(got.Findings, string(f.Code)+":"+f.Effect)
					seen[f.Code] = true
				}
				seen[d.Code] = true
				if !reflect.DeepEqual(got, c.Want) {
					t.Errorf("got  %+v\nwant %+v", got, c.Want)
				}
				if d.Explanation == "" && c.Known == nil {
					t.Error("no explanation")
				}
				again := eval.Evaluate(in)
				if !reflect.DeepEqual(d, again) {
					t.Error("a second evaluation differs")
				}
				// nothing changes before the instant at which it may
				if d.RecheckAt != 0 {
					in.Now = d.RecheckAt - 1
					if before := eval.Evaluate(in); before.Code != d.Code || before.Allowed != d.Allowed || before.Mode != d.Mode {
						t.Errorf("%s a second before the instant of change, not %s", before.Code, d.Code)
					}
				}
			})
		}
	}
	if cases < 60 {
		t.Errorf("only %d vectors", cases)
	}
	for _, code := range eval.Codes() {
		if !seen[code] {
			t.Errorf("no vector has %s", code)
		}
	}
}

// Versions are compared number by number, as far as the limit goes.
func TestCovers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit, version string
		want           bool
	}{
		{"2", "2", true}, {"2", "2.0", true}, {"2", "1.99", true}, {"2", "3", false}, {"2", "10", false}, {"10", "9", true}, {"2.5", "2.5.9", true}, {"2.5", "2.6", false},
		{"2.5", "2", true}, {"2.0", "2.0.1", true}, {"2.0.0", "2.0.1", false}, {"v2", "v2.1", true}, {"2", "02.1", true}, {"2", "2.1-beta.3", true}, {"2", "2.1+build5", true},
		{"2", "", false}, {"2", "x", false}, {"2", "2..1", false}, {"2", ".2", false}, {"2", "2.", false}, {"2.x", "2.1", false}, {"2", "2.1.x", false},
		{"2", "99999999999999999999999999", false}, {"99999999999999999999999999", "2", true},
	} {
		if got := eval.Covers(c.limit, c.version); got != c.want {
			t.Errorf("Covers(%q, %q) = %v", c.limit, c.version, got)
		}
	}
}
