package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	{"Chromium", []string{lightBrowser, "chromium", "chromium-browser", "google-chrome"}, "chromium fonts-liberation"},
	{"Node.js", []string{"node"}, "nodejs"},
	{"npm", []string{"npm"}, "npm"},
	{"Python's cryptography", []string{"/usr/lib/python3/dist-packages/cryptography/*"}, "python3 python3-cryptography"},
}

// lightBrowser is Chromium without windows, profiles and extensions: the same engine, for two thirds of the processor's time. Where Debian has none
// of it for the Chromium that is installed, the tests take that.
const lightBrowser = "chromium-headless-shell"

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
	if light := (need{look: []string{lightBrowser}}); !light.present() {
		if apt, err := newInstaller(); err == nil {
			fmt.Printf("installing %s …\n", lightBrowser)
			if err := apt.bring(ctx, "--no-remove", lightBrowser, "fonts-liberation"); err != nil {
				fmt.Printf("   without it the tests take longer: %v\n", err)
			}
		}
	}
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
	apt, err := newInstaller()
	if err != nil {
		return fmt.Errorf("tests need %s and this is no Debian machine: install them with your package manager and run this again", strings.Join(names, ", "))
	}
	return apt.bring(ctx, missing...)
}

// installer is the command line with which packages are brought.
type installer []string

// newInstaller fails where there is no apt-get.
func newInstaller() (installer, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		return installer{"apt-get"}, nil
	}
	_, err := exec.LookPath("sudo")
	return installer{"sudo", "-n", "apt-get"}, err
}

// bring installs packages of the newest lists. It asks nothing.
func (i installer) bring(ctx context.Context, packages ...string) error {
	for _, args := range [][]string{{"update", "-qq"}, append([]string{"install", "-y", "-qq", "--no-install-recommends"}, packages...)} {
		cmd := exec.CommandContext(ctx, i[0], append(slices.Clone(i[1:]), args...)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
		}
	}
	return nil
}
