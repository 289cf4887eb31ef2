package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sort"
	"strings"
	"time"
)

// testEvent is one line of "go test -json".
type testEvent struct {
	Action      string
	Package     string
	Test        string
	Elapsed     float64
	Output      string
	ImportPath  string
	FailedBuild string
}

// tally counts what a series of test runs did.
type tally struct {
	dir                     string // where tests run, "" for the root module
	passed, failed, skipped int
	broken                  []string // packages that did not build or died
	failures                []string
	skips                   []string
	measured                []string // what tests found out and said
	slow                    []slowTest
}

type slowTest struct {
	name    string
	seconds float64
}

// add takes over what another tally counted.
func (t *tally) add(o *tally) {
	t.passed, t.failed, t.skipped = t.passed+o.passed, t.failed+o.failed, t.skipped+o.skipped
	t.broken, t.failures, t.skips = append(t.broken, o.broken...), append(t.failures, o.failures...), append(t.skips, o.skips...)
	t.measured, t.slow = append(t.measured, o.measured...), append(t.slow, o.slow...)
}

// goTest runs "go test -json" with args, prints a line a package and the output of what failed, and adds to the tally.
func (t *tally) goTest(ctx context.Context, env []string, title string, args ...string) error {
	fmt.Printf("\n== %s\n", title)
	start := time.Now()
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Env, cmd.Dir = append(os.Environ(), env...), t.dir
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	before, ran := t.failed+len(t.broken), t.passed
	t.read(out)
	err = cmd.Wait()
	fmt.Printf("   %s in %s\n", title, time.Since(start).Round(time.Second))
	if err != nil && t.failed+len(t.broken) == before {
		t.broken = append(t.broken, title+": "+err.Error())
	}
	if err == nil && t.passed == ran {
		t.broken = append(t.broken, title+": no test ran")
	}
	return ctx.Err()
}

func (t *tally) read(out io.Reader) {
	output := map[string][]string{} // per package and test
	failedIn := map[string]bool{}
	lines := bufio.NewScanner(out)
	lines.Buffer(make([]byte, 1<<20), 16<<20)
	for lines.Scan() {
		var e testEvent
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Println(lines.Text())
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output":
			output[key] = append(output[key], e.Output)
		case "build-output":
			fmt.Print(e.Output)
		case "pass", "fail", "skip":
			t.settle(e, output[key], failedIn)
			delete(output, key)
		}
	}
}

func (t *tally) settle(e testEvent, output []string, failedIn map[string]bool) {
	short := strings.TrimPrefix(e.Package, "github.com/mintreu/mintreu/")
	if e.Test == "" {
		switch {
		case e.Action == "fail" && !failedIn[e.Package]:
			t.broken = append(t.broken, short)
			fmt.Printf("   FAIL %s\n%s", short, strings.Join(output, ""))
		case e.Action == "fail":
			fmt.Printf("   FAIL %s (%.1fs)\n", short, e.Elapsed)
		case e.Action == "pass":
			fmt.Printf("   ok   %s (%.1fs)\n", short, e.Elapsed)
		}
		return
	}
	name := short + " " + e.Test
	for _, line := range output {
		if _, said, ok := strings.Cut(line, ": measured: "); ok {
			t.measured = append(t.measured, strings.TrimSpace(said))
		}
	}
	switch e.Action {
	case "pass":
		t.passed++
	case "skip":
		t.skipped++
		t.skips = append(t.skips, name)
	case "fail":
		t.failed++
		failedIn[e.Package] = true
		t.failures = append(t.failures, name)
		fmt.Printf("--- FAIL %s\n%s", name, strings.Join(output, ""))
	}
	if !strings.Contains(e.Test, "/") {
		t.slow = append(t.slow, slowTest{name, e.Elapsed})
	}
}

// close prints the summary; its last line is "N passed, N failed, N skipped".
func (t *tally) close(start time.Time) error {
	sort.Slice(t.slow, func(i, j int) bool { return t.slow[i].seconds > t.slow[j].seconds })
	fmt.Printf("\n== summary, after %s\n", time.Since(start).Round(time.Second))
	for i, s := range t.slow {
		if i == 8 || s.seconds < 5 {
			break
		}
		fmt.Printf("   slow %6.1fs %s\n", s.seconds, s.name)
	}
	for _, m := range t.measured {
		fmt.Println("   measured", m)
	}
	for _, s := range t.skips {
		fmt.Println("   skipped", s)
	}
	for _, f := range t.failures {
		fmt.Println("   failed", f)
	}
	for _, b := range t.broken {
		fmt.Println("   did not run:", b)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", t.passed, t.failed+len(t.broken), t.skipped)
	switch {
	case t.failed+len(t.broken) > 0:
		return fmt.Errorf("%d tests or packages failed", t.failed+len(t.broken))
	case t.passed == 0:
		return fmt.Errorf("no test ran")
	}
	return nil
}
