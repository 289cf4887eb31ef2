package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// templ is the program that makes Go of the pages' templ files, of the version of the library that go.mod requires.
func templ(ctx context.Context) ([]string, error) {
	version, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", "github.com/a-h/templ").Output()
	return []string{"run", "github.com/a-h/templ/cmd/templ@" + strings.TrimSpace(string(version)), "generate", "-path", "service/web"}, err
}

type generateCommand struct{}

// Run makes the Go files of the pages anew.
func (*generateCommand) Run(ctx context.Context) error {
	args, err := templ(ctx)
	if err != nil {
		return err
	}
	return run(ctx, nil, "go", args...)
}

// generated fails when a page's Go file is not what templ makes of its templ file.
func generated(ctx context.Context) error {
	if err := new(generateCommand).Run(ctx); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--", "service/web").Output()
	if err != nil {
		return fmt.Errorf("git status: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasSuffix(strings.TrimSpace(line), "_templ.go") {
			return fmt.Errorf("not committed as it was generated: %s", line)
		}
	}
	return nil
}

// gofmt fails with the names of the files that are not formatted.
func gofmt(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "gofmt", "-l", "sdk", "licensing", "commerce", "service", "api", "examples").CombinedOutput()
	if err != nil {
		return fmt.Errorf("gofmt: %w\n%s", err, out)
	}
	if len(bytes.TrimSpace(out)) > 0 {
		return fmt.Errorf("not formatted; run gofmt -w on:\n%s", out)
	}
	return nil
}
