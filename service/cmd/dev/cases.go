package main

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
)

type casesCommand struct{}

var (
	testName = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]+)\(`)
	caseID   = regexp.MustCompile(`^(?:[A-Z][0-9]{2}|INV[0-9]{1,2})$`)
)

// Run prints which threat, fault and invariant ids have tests that bear them in their names.
func (*casesCommand) Run(context.Context) error {
	covered := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range testName.FindAllStringSubmatch(string(text), -1) {
			for _, id := range idsOf(m[1]) {
				covered[id] = append(covered[id], filepath.ToSlash(filepath.Dir(path))+" "+m[1])
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "case\ttests\tfirst")
	for _, id := range slices.Sorted(maps.Keys(covered)) {
		slices.Sort(covered[id])
		_, _ = fmt.Fprintf(w, "%s\t%d\t%s\n", id, len(covered[id]), covered[id][0])
	}
	return w.Flush()
}

// idsOf are the ids in a test's name: TestJ01_J02_AlgorithmsRefused bears two.
func idsOf(name string) []string {
	var out []string
	name = strings.TrimPrefix(strings.TrimPrefix(name, "Test"), "Fuzz")
	for part := range strings.SplitSeq(name, "_") {
		if caseID.MatchString(part) {
			out = append(out, part)
		}
	}
	return out
}
