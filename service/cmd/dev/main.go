// Command dev is the developer's one tool: it checks the tree, runs every test of both modules against private servers,
// measures, and releases. It installs what a bare Debian machine lacks.
//
//	go run ./service/cmd/dev check   formatting, vet, static analysis
//	go run ./service/cmd/dev generate   make the Go files of pages anew
//	go run ./service/cmd/dev test    every test, with PostgreSQL, Redis and a browser
//	go run ./service/cmd/dev e2e     the golden path and the faults alone
//	go run ./service/cmd/dev bench   figures, as ratios within one run
//	go run ./service/cmd/dev cases   the threat and fault cases that have tests
//	go run ./service/cmd/dev soak    the long forms of the race and fault tests
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/alecthomas/kong"
)

type command struct {
	Check    checkCommand    `cmd:"" help:"Check formatting, vet and static analysis of both modules."`
	Generate generateCommand `cmd:"" help:"Make the Go files of the pages' templ files anew."`
	Test     testCommand     `cmd:"" help:"Run every test of both modules; installs and starts what it needs."`
	E2E      e2eCommand      `cmd:"" name:"e2e" help:"Run the golden path and the fault tests alone."`
	Bench    benchCommand    `cmd:"" help:"Measure; print ratios within one run."`
	Cases    casesCommand    `cmd:"" help:"List the threat and fault cases that have tests."`
	Soak     soakCommand     `cmd:"" help:"Run the long forms of the race and fault tests."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c command
	k := kong.Parse(&c, kong.Name("dev"), kong.Description("Check, test and measure Mintreu."), kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)))
	if err := atRoot(); err != nil {
		k.FatalIfErrorf(err)
	}
	if err := k.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "dev:", err)
		stop()
		os.Exit(1)
	}
}

// atRoot changes to the directory of the root module, so that dev works from anywhere inside the tree.
func atRoot() error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "service", "cmd", "dev", "main.go")); err == nil {
			return os.Chdir(dir)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return errors.New("not inside the repository")
		}
		dir = parent
	}
}

// run runs a command with its output passed through.
func run(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
