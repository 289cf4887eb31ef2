package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
)

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
