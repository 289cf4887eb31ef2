package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// need is a program that tests use, and the Debian package that brings it.
type need struct {
	program string   // for messages
	look    []string // names on PATH or glob patterns; one of them suffices
	pkg     string   // one or more, separated by spaces
}

var needs = []need{
	{"PostgreSQL", []string{"/usr/lib/postgresql/*/bin/postgres", "postgres"}, "postgresql"},
	{"Redis", []string{"redis-server", "/usr/bin/redis-server"}, "redis-server"},
	{"nginx", []string{"nginx", "/usr/sbin/nginx"}, "nginx"},
	{"Chromium", []string{"chromium", "chromium-browser", "google-chrome"}, "chromium fonts-liberation"},
	{"Node.js", []string{"node"}, "nodejs"},
	{"npm", []string{"npm"}, "npm"},
	{"Python's cryptography", []string{"/usr/lib/python3/dist-packages/cryptography/*"}, "python3 python3-cryptography"},
}

func (n need) present() bool {
	for _, l := range n.look {
		if strings.ContainsAny(l, "*/") {
			if m, _ := filepath.Glob(l); len(m) > 0 {
				return true
			}
		} else if _, err := exec.LookPath(l); err == nil {
			return true
		}
	}
	return false
}

// gateway is an S3-compatible server for the tests of the file store; it is no Debian package.
const gateway = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

// toolDir is where programs for tests are built, outside of version control.
func toolDir() (string, error) { return filepath.Abs(filepath.Join(".cache", "bin")) }

// installGateway builds the S3-compatible server, once.
func installGateway(ctx context.Context) error {
	dir, err := toolDir()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "versitygw")); err == nil {
		return nil
	}
	fmt.Println("building an S3-compatible server for the tests …")
	return run(ctx, []string{"GOBIN=" + dir, "GOFLAGS=-buildvcs=false"}, "go", "install", gateway)
}

// install brings what is missing with apt-get, as root or through sudo, and says what to do where it cannot.
func install(ctx context.Context) error {
	var missing, names []string
	for _, n := range needs {
		if !n.present() {
			missing = append(missing, strings.Fields(n.pkg)...)
			names = append(names, n.program)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	fmt.Printf("installing %s …\n", strings.Join(names, ", "))
	apt := []string{"apt-get"}
	if os.Geteuid() != 0 {
		apt = []string{"sudo", "-n", "apt-get"}
	}
	if _, err := exec.LookPath(apt[len(apt)-1]); err != nil {
		return fmt.Errorf("tests need %s and this is no Debian machine: install them with your package manager and run this again", strings.Join(names, ", "))
	}
	env := []string{"DEBIAN_FRONTEND=noninteractive"}
	quiet := func(args ...string) error {
		cmd := exec.CommandContext(ctx, apt[0], append(apt[1:], args...)...)
		cmd.Env = append(os.Environ(), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
		}
		return nil
	}
	if err := quiet("update", "-qq"); err != nil {
		return err
	}
	return quiet(append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...)...)
}
