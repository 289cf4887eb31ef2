package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

// issue writes a license file of a license that needs no activation, with its issuer away from then on.
func issue(t *testing.T) (srv *sdktest.Server, file string) {
	t.Helper()
	srv = sdktest.NewServer()
	t.Cleanup(srv.Close)
	policy := sdktest.Policy()
	policy.Activation = doc.ActivationNone
	key := srv.Issue(sdktest.Spec{Product: "editor", Policy: &policy, Ent: map[string]doc.Value{"export": doc.On(), "projects": doc.Int(25)}})
	text, err := doc.EncodeFile(doc.File{License: srv.Token(key), Keyset: srv.Keyset()})
	if err != nil {
		t.Fatal(err)
	}
	srv.Fail(sdktest.Down)
	file = filepath.Join(t.TempDir(), "license.txt")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return srv, file
}

// TestOffline: an authentic file is accepted without one call to the server, and its features are listed.
func TestOffline(t *testing.T) {
	t.Parallel()
	srv, file := issue(t)
	var out strings.Builder
	before := srv.Requests()
	if err := run(context.Background(), []string{"-product", "editor", "-root", srv.Root(), file}, &out, srv.Options()...); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"decision  VALID", "export       allowed true", "plan pro"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	if n := srv.Requests() - before; n != 0 {
		t.Errorf("%d calls to the server", n)
	}
}

// TestOffline_Refuses: another vendor's root, another product, a changed byte and a missing file are refused.
func TestOffline_Refuses(t *testing.T) {
	t.Parallel()
	srv, file := issue(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(t.TempDir(), "changed.txt")
	middle := len(text) / 2
	text[middle] ^= 1
	if err := os.WriteFile(changed, text, 0o600); err != nil {
		t.Fatal(err)
	}
	stranger := doc.FormatPublicKey(sdktest.Public(sdktest.Key("stranger")))
	for name, args := range map[string][]string{
		"another vendor":  {"-product", "editor", "-root", stranger, file},
		"another product": {"-product", "player", "-root", srv.Root(), file},
		"changed":         {"-product", "editor", "-root", srv.Root(), changed},
		"no file":         {"-product", "editor", "-root", srv.Root()},
	} {
		var out strings.Builder
		if err := run(context.Background(), args, &out, srv.Options()...); err == nil || strings.Contains(err.Error(), "key for tests") {
			t.Errorf("%s: %v\n%s", name, err, out.String())
		}
	}
}
