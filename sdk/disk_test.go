package sdk_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

// A seat that is given back on a disk that takes nothing is not forgotten in silence: a product that started again with the old state would take it
// once more.
func TestL15_DeactivateOnFullDisk(t *testing.T) {
	t.Parallel()
	s := server(t)
	key := s.Issue(sdktest.Spec{Product: "editor"})
	store := &brokenStore{}
	c := client(t, s, sdk.WithStore(store))
	activate(t, c, key)
	store.broken = true
	if err := c.Deactivate(t.Context()); err == nil || !strings.Contains(err.Error(), "write the license state") {
		t.Errorf("Deactivate: %v", err)
	}
	store.broken = false
	if err := c.Deactivate(t.Context()); err != nil {
		t.Error(err)
	}
	s.Clock.Advance(2 * day)
	if expect(t, check(t, client(t, s, sdk.WithStore(store))), false, eval.ActivationRequired); s.Seats(key) != 0 {
		t.Errorf("%d seats", s.Seats(key))
	}
}

// The directory of a product is removed while it runs, as by somebody who tidies up: what is reported afterwards is as safe as before, and the state
// is there again.
func TestReport_DirectoryRemovedWhileRunning(t *testing.T) {
	t.Parallel()
	s := server(t)
	key := s.Issue(sdktest.Spec{Product: "editor"})
	dir := filepath.Join(t.TempDir(), "mintreu")
	open := func() *sdk.Client {
		c, err := sdk.New(s.Config("editor"), sdk.WithClock(s.Clock), sdk.WithDevice(sdktest.Device("device 1")), sdk.WithStore(sdk.NewFileStore(filepath.Join(dir, "state"))))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	c := open()
	activate(t, c, key)
	if err := c.Report("pages", 1); err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	noted := int64(0)
	for range 3 {
		if err := c.Report("pages", 10); err == nil {
			noted += 10
		}
	}
	if noted == 0 {
		t.Fatal("nothing can be reported any more")
	}
	s.Clock.Advance(2 * time.Minute)
	expect(t, check(t, c), true, eval.Valid)
	c.Close()
	later := open()
	expect(t, check(t, later), true, eval.Valid)
	if err := later.Flush(t.Context()); err != nil || s.Usage(key)["pages"].Sum != 1+noted {
		t.Errorf("counted %v, want %d: %v", s.Usage(key), 1+noted, err)
	}
}
