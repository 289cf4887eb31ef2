//go:build failpoint

package failpoint

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// A process told to die at the third hit dies there, by SIGKILL, and its log shows exactly three hits.
func TestFailpoint_KillAtTheNthHit(t *testing.T) {
	if os.Getenv(Variable) != "" {
		for range 10 {
			Hit("step")
		}
		os.Exit(0)
	}
	log := filepath.Join(t.TempDir(), "hits")
	cmd := exec.Command(os.Args[0], "-test.run", "^TestFailpoint_KillAtTheNthHit$")
	cmd.Env = append(os.Environ(), Variable+"=step=kill@3", LogVariable+"="+log)
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the process ended with %v, want SIGKILL", err)
	}
	if text, _ := os.ReadFile(log); string(text) != "step\nstep\nstep\n" {
		t.Fatalf("hits %q, want three", text)
	}
}

// While the file that arms the failpoints is missing, hits neither act nor count.
func TestFailpoint_OnlyWhileArmed(t *testing.T) {
	t.Parallel()
	p, err := parse("step=error@2")
	if err != nil {
		t.Fatal(err)
	}
	p.when = filepath.Join(t.TempDir(), "armed")
	acts := func() (acted bool) {
		defer func() { acted = recover() != nil }()
		p.hit("step")
		return false
	}
	for range 3 {
		if acts() {
			t.Fatal("a hit acted before the failpoint was armed")
		}
	}
	if err := os.WriteFile(p.when, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if first, second := acts(), acts(); first || !second {
		t.Errorf("armed, the hits acted %t and %t; want the second alone", first, second)
	}
}

// Each verb is understood, mistakes are refused, and error panics with the step's name at every hit.
func TestFailpoint_Parse(t *testing.T) {
	t.Parallel()
	p, err := parse("a=error, b=sleep:1ms@2")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		func() {
			defer func() {
				if got, ok := recover().(Injected); !ok || got.Name != "a" {
					t.Errorf("panicked with %v", got)
				}
			}()
			p.hit("a")
		}()
	}
	p.hit("b")
	p.hit("elsewhere")
	for _, bad := range []string{"a", "=kill", "a=explode", "a=kill@0", "a=sleep:long"} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
