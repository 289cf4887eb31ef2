package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// fuzzTarget is a function that go test can fuzz, which it does from within the target's own module alone.
type fuzzTarget struct {
	module string // "sdk", or "" for the root module
	dir    string // of its package, within the module
	name   string
}

var fuzzName = regexp.MustCompile(`(?m)^func (Fuzz[A-Za-z0-9_]+)\(f \*testing\.F\)`)

// fuzzTargets finds the fuzz targets of both modules.
func fuzzTargets() (out []fuzzTarget, err error) {
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range fuzzName.FindAllStringSubmatch(string(text), -1) {
			f := fuzzTarget{dir: filepath.ToSlash(filepath.Dir(path)), name: m[1]}
			if rest, ok := strings.CutPrefix(f.dir+"/", "sdk/"); ok {
				f.module, f.dir = "sdk", strings.TrimSuffix(rest, "/")
			}
			out = append(out, f)
		}
		return nil
	})
	return out, err
}
