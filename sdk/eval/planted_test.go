package eval_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// runVectors runs the vectors in a process of their own, with some files of this package replaced, and returns what it printed.
func runVectors(t *testing.T, replaced map[string]string, args ...string) (string, error) {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := map[string]string{}
	for name, text := range replaced {
		overlay[filepath.Join(here, name)] = filepath.Join(dir, name)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", append([]string{"test", "-count=1", "-vet=off", "-run", "^TestEvaluate_Vectors$", "-overlay", filepath.Join(dir, "overlay.json")}, args...)...)
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Every branch of Evaluate and of the comparison of versions is taken by a vector: none of their statements runs in no case.
func TestVectors_TakeEveryBranch(t *testing.T) {
	t.Parallel()
	profile := filepath.Join(t.TempDir(), "profile")
	if out, err := runVectors(t, nil, "-coverprofile", profile); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(profile)
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "/eval/evaluate.go:") && !strings.Contains(line, "/eval/version.go:") {
			continue
		}
		blocks++
		if strings.HasSuffix(strings.TrimSpace(line), " 0") {
			t.Errorf("no vector takes %s", line)
		}
	}
	if blocks < 80 {
		t.Errorf("only %d blocks in the profile", blocks)
	}
}

// planted are wrong versions of a rule: what stands in the file, and what stands there instead.
var planted = []struct{ name, file, right, wrong string }{
	{"a warning decides before a denial", "evaluate.go", `return f.Effect != Warn`, `return true`},
	{"severity is not looked at", "evaluate.go", `if c := Severity(a.Code) - Severity(b.Code); c != 0 {`, `if c := 0; c != 0 {`},
	{"an end is inclusive", "evaluate.go", `case e.now < l.ValidUntil:`, `case e.now <= l.ValidUntil:`},
	{"grace hides behind expiry", "evaluate.go", `end := l.ValidUntil + l.Pol.ExpiryGrace`, `end := l.ValidUntil`},
	{"maintained licenses stop", "evaluate.go", `l.Pol.Expired == doc.ExpiredMaintain || l.Pol.Expired`, `l.Pol.Expired`},
	{"the skew is forgotten", "evaluate.go", `e.now+doc.Skew < l.NotBefore`, `e.now < l.NotBefore`},
	{"one component too few suffices", "evaluate.go", `if agree < e.lease.Match {`, `if agree+1 < e.lease.Match {`},
	{"an empty digest agrees", "evaluate.go", `d != "" && d == digest`, `d == digest`},
	{"another user may", "evaluate.go", `case got != "":`, `case got == "nobody":`},
	{"a lease's own end is not looked at", "evaluate.go", `if l.Expires != 0 {`, `if false {`},
	{"degraded keeps everything", "evaluate.go", `e.mode == ModeDegraded && !slices`, `false && !slices`},
	{"a limit is one too high", "evaluate.go", `ok && n > limit`, `ok && n > limit+1`},
	{"a negative amount is nothing", "evaluate.go", `|| n < 0 {`, `{`},
	{"a list outlives its end", "evaluate.go", `fresh = min(fresh, s.Expires)`, `fresh = max(fresh, s.Expires)`},
	{"a lease of another token proves freshness", "evaluate.go", `l != nil && l.RestsOn(e.lic) == nil {`, `l != nil {`},
	{"a required status only warns", "evaluate.go", `case pol.Status == doc.StatusRequire:`, `case false:`},
	{"a status without meaning is good", "evaluate.go", `case doc.StatusValid:`, `case doc.StatusValid, 3:`},
	{"any environment will do", "evaluate.go", `if env != e.lic.Env {`, `if env != e.lic.Env && false {`},
	{"features of the license, not of the lease", "evaluate.go", `return lease.Ent, lease.EntUntil`, `return lic.Ent, lic.EntUntil`},
	{"a feature's end is not looked at", "evaluate.go", `if e.now >= end {`, `if e.now > end+1 {`},
	{"the next change is forgotten", "evaluate.go", `e.at(early)`, ``},
	{"versions are compared as texts", "version.go", `if len(a) != len(b) {`, `if false {`},
	{"leading zeros count", "version.go", `strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")`, `a, b`},
	{"a pre-release is no version", "version.go", `strings.IndexAny(version, "-+")`, `strings.IndexAny(version, "+")`},
}

// Each planted wrong version of Evaluate fails at least one vector. The usual form tries every other of them, the short one three, the long
// one all.
func TestVectors_CatchWrongVersions(t *testing.T) {
	t.Parallel()
	vector := regexp.MustCompile(`generated-\S+json/\S+|(?:entitlement|lease|order|scope|status|term)\.json/\S+`)
	step := 2
	if testing.Short() {
		step = 8
	} else if os.Getenv("MINTREU_SOAK") == "1" {
		step = 1
	}
	for i := 0; i < len(planted); i += step {
		p := planted[i]
		text, err := os.ReadFile(p.file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(text), p.right) != 1 {
			t.Fatalf("%s: %s does not have %q once", p.name, p.file, p.right)
		}
		wrong := strings.Replace(string(text), p.right, p.wrong, 1)
		out, err := runVectors(t, map[string]string{p.file: wrong})
		if err == nil {
			t.Errorf("%s: every vector passes", p.name)
		} else if !vector.MatchString(out) {
			t.Errorf("%s: failed, but not in a vector:\n%s", p.name, out)
		}
	}
}
