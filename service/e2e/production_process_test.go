package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/failpoint"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// program is the real program, built once for the tests of this package, with failpoints when the tests have them.
var program struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// TestMain removes the program. Tests of killed processes mostly wait for what recovers by itself, so more of them run at a time.
func TestMain(m *testing.M) {
	flag.Parse()
	if failpoint.Enabled {
		if err := flag.Set("test.parallel", "8"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	code := m.Run()
	if program.dir != "" {
		if err := os.RemoveAll(program.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

// mintreu is the path of the program.
func mintreu(t *testing.T) string {
	t.Helper()
	program.once.Do(func() {
		if program.dir, program.err = os.MkdirTemp("", "mtrbin"); program.err != nil {
			return
		}
		program.path = filepath.Join(program.dir, "mintreu")
		args := []string{"build", "-buildvcs=false", "-o", program.path}
		if failpoint.Enabled {
			args = append(args, "-tags", "failpoint")
		}
		if out, err := exec.Command("go", append(args, "github.com/mintreu/mintreu/service/cmd/mintreu")...).CombinedOutput(); err != nil {
			program.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if program.err != nil {
		t.Fatalf("build the program: %v", program.err)
	}
	return program.path
}

// environment is the test's own without anything that configures the program.
func environment(extra ...string) []string {
	var out []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "MINTREU_") && !strings.HasPrefix(e, "OTEL_") {
			out = append(out, e)
		}
	}
	return append(out, extra...)
}

// command runs the program to its end and returns its status and what it said.
func command(t *testing.T, args ...string) (status int, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, mintreu(t), args...)
	cmd.Env = environment()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// process is a running "mintreu serve".
type process struct {
	cmd   *exec.Cmd
	out   *journal
	url   string // where it listens
	ended chan struct{}
}

const greeted = "Stop with Ctrl-C"

var (
	shopURL   = regexp.MustCompile(`shop and API +(http://127\.0\.0\.1:\d+)\n`)
	listensOn = regexp.MustCompile(`listens on +(http://127\.0\.0\.1:\d+)\n`)
	rootKey   = regexp.MustCompile(`root key +(\S+)`)
)

// serve starts the service and waits until it says where it is. Without a shop's name of its own the address is that of the shop.
func serve(ctx context.Context, path string, env []string, args ...string) (*process, error) {
	p := &process{out: &journal{}, ended: make(chan struct{})}
	p.cmd = exec.Command(path, append([]string{"serve", "--addr", "127.0.0.1:0", "--ops-addr", "off"}, args...)...)
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = environment(env...), p.out, p.out
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in its state
		close(p.ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if said := p.out.String(); strings.Contains(said, greeted) {
			for _, form := range []*regexp.Regexp{shopURL, listensOn} { // the second is said when it is not the first
				if found := form.FindStringSubmatch(said); found != nil {
					p.url = found[1]
				}
			}
			return p, nil
		}
		select {
		case <-p.ended:
			return nil, fmt.Errorf("the service ended with status %d: %s", p.cmd.ProcessState.ExitCode(), p.out)
		case <-ctx.Done():
			p.kill()
			return nil, fmt.Errorf("the service does not say where it listens: %s", p.out)
		case <-tick.C:
		}
	}
}

// root is the root key that the service says products should pin.
func (p *process) root(t *testing.T) string {
	t.Helper()
	found := rootKey.FindStringSubmatch(p.out.String())
	if found == nil {
		t.Fatalf("the service names no root key: %s", p.out)
	}
	return found[1]
}

// kill ends the process as SIGKILL does, if it has not ended, and waits for it.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// plant is a shop whose service is a process of its own, which may be killed and started again on the same database.
type plant struct {
	t        *testing.T
	balancer *balancer
	bank     *bank
	rows     db.DB
	config   app.Config
	args     []string
	env      []string
	path     string

	mu      sync.Mutex
	running *process
}

// newPlant prepares the shop on an engine; start starts its service.
func newPlant(t *testing.T, engine string) *plant {
	t.Helper()
	p := &plant{t: t, path: mintreu(t), balancer: newBalancer(t)}
	p.bank = newBank(t, &shiftedClock{}, p.balancer.url+"/v1/webhooks/stripe", completed)
	p.config = app.Config{DataDir: shortDir(t)}
	secrets := shortDir(t)
	p.args = []string{"--data-dir", p.config.DataDir, "--base-url", p.balancer.url, "--stripe-url", p.bank.url, "--stripe-account", bankAccount,
		"--stripe-key-file", secretFile(t, secrets, "key", bankKey), "--stripe-webhook-secret-file", secretFile(t, secrets, "webhook", bankSecret)}
	if engine == "postgres" {
		p.config.PostgresURL = storetest.PostgresURL(t)
		p.args = append(p.args, "--postgres-url", p.config.PostgresURL)
	}
	t.Cleanup(func() {
		if p.running != nil {
			p.running.kill()
		}
	})
	return p
}

func secretFile(t *testing.T, dir, name, value string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start starts the service, after which the shop's address leads to it.
func (p *plant) start(ctx context.Context, env ...string) (*process, error) {
	running, err := serve(ctx, p.path, append(env, p.env...), p.args...)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.running = running
	p.mu.Unlock()
	p.balancer.clear()
	p.balancer.add(running.url)
	return running, nil
}

// begin is start for the test's own goroutine; it also opens the database for reading.
func (p *plant) begin(t *testing.T, env ...string) *process {
	t.Helper()
	running, err := p.start(t.Context(), env...)
	if err != nil {
		t.Fatal(err)
	}
	if p.rows == nil {
		p.rows = openRows(t, p.config)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the service's log:\n%s", running.out.tail())
		}
	})
	return running
}

// operator calls an operation over the socket in the data directory.
func (p *plant) operator(ctx context.Context, method, at string, in, out any) error {
	client := &http.Client{Timeout: patient, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", p.config.Socket())
	}}}
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://mintreu"+at, body)
	if err != nil {
		return err
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s answered %d %s", method, at, res.StatusCode, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// verify runs "mintreu verify" beside the running service.
func (p *plant) verify(t *testing.T) {
	t.Helper()
	args := []string{"verify", "--data-dir", p.config.DataDir}
	if p.config.PostgresURL != "" {
		args = append(args, "--postgres-url", p.config.PostgresURL)
	}
	if status, said := command(t, args...); status != 0 || !strings.Contains(said, "Every invariant holds.") {
		t.Errorf("verify ended with status %d: %s", status, said)
	}
}
