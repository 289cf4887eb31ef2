package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
)

// peers is the module of the benchmarks that set the product beside other libraries, which are no dependencies of it.
const peers = "service/bench/peer"

type benchCommand struct {
	Time string `help:"How long each benchmark runs." default:"1s"`
}

// Run runs the benchmarks and prints, beside each figure, its ratio to the base line of its group in the same run: the benchmark
// whose name ends in "/base"; a benchmark that measures both in turn reports the ratio itself.
func (c *benchCommand) Run(ctx context.Context) error {
	env, stop, err := prepare(ctx)
	if err != nil {
		return err
	}
	defer stop()
	var raw bytes.Buffer
	for _, p := range []string{"sdk/doc", "sdk/spool", "service/bench", peers} {
		fmt.Println("measuring", p, "…")
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", ".", "-benchmem", "-benchtime", c.Time, "github.com/mintreu/mintreu/"+p)
		if p == peers {
			cmd.Dir = peers
		}
		cmd.Env = append(os.Environ(), env...)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", p, err, out)
		}
		raw.Write(out)
	}
	return ratios(raw.String())
}

var benchLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op(.*)$`)

// besideLine matches a ratio that a benchmark measured itself, its base line and itself in turn.
var besideLine = regexp.MustCompile(`([\d.e-]+) ×(base|throughput|cpu)`)

// ratios prints the figures by group, each beside its group's base line.
func ratios(out string) error {
	lines := benchLine.FindAllStringSubmatch(out, -1)
	if len(lines) == 0 {
		return fmt.Errorf("no benchmark ran:\n%s", out)
	}
	base := map[string]float64{}
	for _, l := range lines {
		if group, ok := strings.CutSuffix(l[1], "/base"); ok {
			base[group], _ = strconv.ParseFloat(l[2], 64)
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "benchmark\tns/op\tratio to base\tallocs\t")
	for _, l := range lines {
		ns, _ := strconv.ParseFloat(l[2], 64)
		group := l[1][:max(strings.LastIndexByte(l[1], '/'), 0)]
		ratio := "-"
		if all := besideLine.FindAllStringSubmatch(l[3], -1); all != nil {
			ratio = ""
			for _, m := range all {
				ratio = strings.TrimPrefix(ratio+", "+m[1]+strings.TrimPrefix(" "+m[2], " base"), ", ")
			}
		} else if b := base[group]; b > 0 {
			ratio = fmt.Sprintf("%.2f", ns/b)
		}
		allocs := "-"
		if m := regexp.MustCompile(`(\d+) allocs/op`).FindStringSubmatch(l[3]); m != nil {
			allocs = m[1]
		}
		_, _ = fmt.Fprintf(w, "%s\t%.0f\t%s\t%s\t\n", l[1], ns, ratio, allocs)
	}
	return w.Flush()
}
