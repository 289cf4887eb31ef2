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

// m is a JSON object, or a merge patch of one (RFC 7396).
type m = map[string]any

// vectors is one file of cases, in the format that the README beside them describes: every case starts from the file's license, lease and
// request and changes them by merge patches.
type vectors struct {
	About   string  `json:"about"`
	License m       `json:"license"`
	Lease   m       `json:"lease"`
	Request m       `json:"request"`
	Cases   []vcase `json:"cases"`
}

// vcase is one question and its answer. A license or lease of null means that there is none.
type vcase struct {
	Name    string          `json:"name"`
	Says    string          `json:"says"`
	Now     int64           `json:"now"`
	License json.RawMessage `json:"license,omitempty"`
	Lease   json.RawMessage `json:"lease,omitempty"`
	Request m               `json:"request,omitempty"`
	Status  *eval.Status    `json:"status,omitempty"`
	Known   []eval.Finding  `json:"known,omitempty"`
	Want    want            `json:"want"`
}

type want struct {
	Allowed   bool      `json:"allowed"`
	Mode      string    `json:"mode"`
	Code      eval.Code `json:"code"`
	Findings  []string  `json:"findings"`
	RecheckAt int64     `json:"recheck_at"`
}

// input is what Evaluate is asked in a case.
func (v *vectors) input(t testing.TB, c *vcase) eval.Input {
	t.Helper()
	in := eval.Input{Now: c.Now, Status: c.Status, Known: c.Known}
	if string(c.License) != "null" {
		in.License = new(doc.License)
		into(t, merge(v.License, patch(t, c.License)), in.License)
	}
	if string(c.Lease) != "null" && (v.Lease != nil || c.Lease != nil) {
		in.Lease = new(doc.Lease)
		into(t, merge(v.Lease, patch(t, c.Lease)), in.Lease)
	}
	into(t, merge(v.Request, c.Request), &in.Request)
	return in
}

// answer is what a vector says of a decision.
func answer(d eval.Decision) want {
	w := want{d.Allowed, d.Mode, d.Code, []string{}, d.RecheckAt}
	for _, f := range d.Findings {
		w.Findings = append(w.Findings, string(f.Code)+":"+f.Effect)
	}
	return w
}

// merge applies a JSON merge patch.
func merge(target any, patch m) m {
	out := m{}
	if have, ok := target.(m); ok {
		for k, v := range have {
			out[k] = v
		}
	}
	for k, v := range patch {
		if v == nil {
			delete(out, k)
		} else if p, ok := v.(m); ok {
			out[k] = merge(out[k], p)
		} else {
			out[k] = v
		}
	}
	return out
}

func patch(t testing.TB, raw json.RawMessage) (p m) {
	t.Helper()
	if raw != nil {
		decode(t, raw, &p)
	}
	return p
}

func decode(t testing.TB, b []byte, v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatal(err)
	}
}

// into turns a merged object into a struct.
func into(t testing.TB, merged m, v any) {
	t.Helper()
	b, err := json.Marshal(merged)
	if err != nil {
		t.Fatal(err)
	}
	decode(t, b, v)
}

// vectorFiles reads every file of vectors.
func vectorFiles(t testing.TB) map[string]*vectors {
	t.Helper()
	paths, err := filepath.Glob("../testdata/vectors/eval/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatal("no vectors", err)
	}
	files := map[string]*vectors{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		v := new(vectors)
		decode(t, text, v)
		files[filepath.Base(path)] = v
	}
	return files
}

// Every vector gives the decision it says, twice the same; its own instant of change is the first at which anything changes; and every code of
// the package has a vector. Each has a name, unique in its file, and a sentence.
func TestEvaluate_Vectors(t *testing.T) {
	t.Parallel()
	cases, seen := 0, map[eval.Code]bool{}
	for file, v := range vectorFiles(t) {
		names := map[string]bool{}
		for _, c := range v.Cases {
			cases++
			if c.Name == "" || names[c.Name] || len(c.Says) < 5 {
				t.Errorf("%s: case %q has no name of its own, or no sentence", file, c.Name)
			}
			names[c.Name] = true
			in := v.input(t, &c)
			d := eval.Evaluate(in)
			if got := answer(d); !reflect.DeepEqual(got, c.Want) {
				t.Errorf("%s/%s: %s\ngot  %+v\nwant %+v", file, c.Name, c.Says, got, c.Want)
			}
			for _, f := range d.Findings {
				seen[f.Code] = true
			}
			seen[d.Code] = true
			if d.Explanation == "" && c.Known == nil {
				t.Errorf("%s/%s: no explanation", file, c.Name)
			}
			if again := eval.Evaluate(in); !reflect.DeepEqual(d, again) {
				t.Errorf("%s/%s: a second evaluation differs", file, c.Name)
			}
			if d.RecheckAt != 0 {
				in.Now = d.RecheckAt - 1
				if before := eval.Evaluate(in); before.Code != d.Code || before.Allowed != d.Allowed || before.Mode != d.Mode {
					t.Errorf("%s/%s: %s a second before the instant of change, not %s", file, c.Name, before.Code, d.Code)
				}
			}
		}
	}
	if cases < 400 {
		t.Errorf("only %d vectors", cases)
	}
	for _, code := range eval.Codes() {
		if !seen[code] {
			t.Errorf("no vector has %s", code)
		}
	}
	t.Logf("%d vectors", cases)
}
