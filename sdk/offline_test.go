package sdk_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/sdk/sdktest"
	"github.com/mintreu/mintreu/sdk/spool"
)

// noNetwork is an HTTP client whose every use is told.
func noNetwork(told func()) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		told()
		return nil, errors.New("there is no network")
	}}}
}

// betweenContacts is what a product does between contacts, on a state that an activated one left: it must need no network.
func betweenContacts(s sdk.Config, dir string, told func()) error {
	c, err := sdk.New(s, sdk.WithStore(sdk.NewFileStore(filepath.Join(dir, "state"))), sdk.WithDevice(sdktest.Device("device 1")),
		sdk.WithClock(sdktest.NewClock(sdktest.Start)), sdk.WithHTTPClient(noNetwork(told)), sdk.WithSpool(spool.Options{Dir: filepath.Join(dir, "usage")}))
	if err != nil {
		return err
	}
	defer c.Close()
	d, err := c.Check(context.Background())
	if err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(dir, "token"))
	if err != nil {
		return err
	}
	if _, err := c.Verify(string(token)); err != nil {
		return err
	}
	if _, err := c.Evaluate(context.Background(), "projects", 25); err != nil {
		return err
	}
	if d.Code != eval.Valid || !c.Allowed("export") || c.Limit("projects") != 25 || c.License() == nil {
		return errors.New("not allowed: " + d.Explanation)
	}
	return c.Report("pages", 1)
}

// Between contacts the product checks, verifies, allows and reports without any network: no dial of its HTTP client, a machine
// that has no network at all, and no system call that concerns one, where the tools for that are installed and permitted.
func TestL01_NoNetwork(t *testing.T) {
	if dir := os.Getenv("SDK_OFFLINE_DIR"); dir != "" {
		cfg := sdk.Config{BaseURL: os.Getenv("SDK_OFFLINE_URL"), Product: "editor", Roots: []string{os.Getenv("SDK_OFFLINE_ROOT")}}
		if err := betweenContacts(cfg, dir, func() { t.Error("dialled") }); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Parallel()
	s := server(t)
	dir := t.TempDir()
	online := client(t, s, sdk.WithStore(sdk.NewFileStore(filepath.Join(dir, "state"))))
	key := s.Issue(sdktest.Spec{Product: "editor", Ent: features})
	activate(t, online, key)
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(s.Token(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	before := s.Requests()
	if err := betweenContacts(s.Config("editor"), dir, func() { t.Error("dialled") }); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) error {
		cmd := exec.Command(name, append(args, os.Args[0], "-test.run", "^TestL01_NoNetwork$")...)
		cmd.Env = append(os.Environ(), "SDK_OFFLINE_DIR="+dir, "SDK_OFFLINE_URL="+s.URL(), "SDK_OFFLINE_ROOT="+s.Root())
		if out, err := cmd.CombinedOutput(); err != nil {
			return errors.New(err.Error() + ": " + string(out))
		}
		return nil
	}
	if exec.Command("unshare", "-n", "true").Run() == nil {
		if err := run("unshare", "-n"); err != nil {
			t.Errorf("without a network: %v", err)
		}
	} else {
		t.Log("no namespace without a network can be made here: the dialler stands alone")
	}
	if exec.Command("strace", "-o", "/dev/null", "true").Run() == nil {
		trace := filepath.Join(t.TempDir(), "trace")
		if err := run("strace", "-f", "-qq", "-e", "trace=network", "-e", "signal=none", "-o", trace); err != nil {
			t.Fatal(err)
		}
		calls, err := os.ReadFile(trace)
		if err != nil || strings.Contains(string(calls), "(") {
			t.Errorf("calls of the network: %.500s, %v", calls, err)
		}
	}
	if s.Requests() != before {
		t.Error("the server was asked")
	}
}

// The device says which of its components are not those of its activation.
func TestDeviceChanges(t *testing.T) {
	t.Parallel()
	s := server(t)
	store := sdk.WithStore(new(sdk.MemoryStore))
	c := client(t, s, store)
	if changed, _, err := c.DeviceChanges(); len(changed) != 0 || err != nil {
		t.Fatalf("without a lease: %v, %v", changed, err)
	}
	activate(t, c, s.Issue(sdktest.Spec{Product: "editor"}))
	f := sdktest.Device("device 1")
	f["disk"] = "another disk"
	delete(f, "network")
	moved := client(t, s, store, sdk.WithDevice(f))
	if changed, match, err := moved.DeviceChanges(); err != nil || match != 1 || strings.Join(changed, " ") != "disk network" {
		t.Fatalf("%v of %d, %v", changed, match, err)
	}
}
