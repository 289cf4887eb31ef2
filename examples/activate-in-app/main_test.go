package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

// product returns a function that starts the product once on one machine, which keeps its state between starts.
func product(t *testing.T, srv *sdktest.Server, machine string) func(args ...string) (string, error) {
	t.Helper()
	options := append(srv.Options(), sdk.WithStore(&sdk.MemoryStore{}), sdk.WithDevice(sdktest.Device(machine)))
	return func(args ...string) (string, error) {
		var out strings.Builder
		err := run(context.Background(), append([]string{"-server", srv.URL(), "-root", srv.Root(), "-product", "editor"}, args...), &out, options...)
		return out.String(), err
	}
}

// TestActivate: the paid feature is refused before activation, granted after it, also offline for as long as the policy says, and
// refused again once the seat was given back.
func TestActivate(t *testing.T) {
	t.Parallel()
	srv := sdktest.NewServer()
	t.Cleanup(srv.Close)
	key := srv.Issue(sdktest.Spec{Product: "editor", Seats: 1, Ent: map[string]doc.Value{"export": doc.On(), "projects": doc.Int(25)}})
	editor := product(t, srv, "laptop")

	if out, err := editor("export"); !errors.Is(err, errRefused) || !strings.Contains(out, "Activate a license") {
		t.Fatalf("before activation: %q, %v", out, err)
	}
	if out, err := editor("activate", key); err != nil || !strings.Contains(out, "VALID") {
		t.Fatalf("activate: %q, %v", out, err)
	}
	srv.Fail(sdktest.Down)
	srv.Clock.Advance(3 * 24 * time.Hour)
	if out, err := editor("export"); err != nil || out != "Exported up to 25 projects.\n" {
		t.Fatalf("offline for three days: %q, %v", out, err)
	}
	srv.Clock.Advance(365 * 24 * time.Hour)
	if out, err := editor("export"); !errors.Is(err, errRefused) {
		t.Fatalf("offline for a year: %q, %v", out, err)
	}
	srv.Fail(sdktest.None)
	if out, err := editor("status"); err != nil || !strings.Contains(out, "VALID") {
		t.Fatalf("online again: %q, %v", out, err)
	}
	if out, err := editor("deactivate"); err != nil {
		t.Fatalf("deactivate: %q, %v", out, err)
	}
	if out, err := editor("export"); !errors.Is(err, errRefused) {
		t.Fatalf("after deactivation: %q, %v", out, err)
	}
}

// TestActivate_Refused: a second machine gets no seat of a license for one, and a made-up key is no good; both are told why.
func TestActivate_Refused(t *testing.T) {
	t.Parallel()
	srv := sdktest.NewServer()
	t.Cleanup(srv.Close)
	key := srv.Issue(sdktest.Spec{Product: "editor", Seats: 1})
	if out, err := product(t, srv, "laptop")("activate", key); err != nil {
		t.Fatalf("first machine: %q, %v", out, err)
	}
	if out, err := product(t, srv, "desktop")("activate", key); !errors.Is(err, errRefused) || out == "" {
		t.Errorf("second machine: %q, %v", out, err)
	}
	if out, err := product(t, srv, "laptop")("activate", "MINT-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA"); !errors.Is(err, errRefused) || out == "" {
		t.Errorf("made-up key: %q, %v", out, err)
	}
}
