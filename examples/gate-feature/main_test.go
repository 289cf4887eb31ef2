package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

// installation is the application on one machine, before anything was activated.
func installation(t *testing.T) (*sdktest.Server, *sdk.Client, http.Handler) {
	t.Helper()
	srv := sdktest.NewServer()
	t.Cleanup(srv.Close)
	client, err := sdk.New(srv.Config("editor"), append(srv.Options(), sdk.WithStore(&sdk.MemoryStore{}), sdk.WithDevice(sdktest.Device("server")))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return srv, client, application(client)
}

func call(h http.Handler, method, path string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Code, w.Body.String()
}

// TestGate: without a license the application does what is free; with one, what the plan grants, also while the server is away; and
// when the license was revoked, what is free again.
func TestGate(t *testing.T) {
	t.Parallel()
	srv, client, app := installation(t)
	if err := unlock(t.Context(), client, ""); err != nil {
		t.Fatal(err)
	}
	want := func(method, path string, status int, text string) {
		t.Helper()
		if got, body := call(app, method, path); got != status || !strings.Contains(body, text) {
			t.Errorf("%s %s: %d %s; want %d %s", method, path, got, body, status, text)
		}
	}
	want("POST", "/export", 403, "feature-not-licensed")
	want("POST", "/projects", 200, "project 1")
	want("POST", "/projects", 403, "room for 1")

	key := srv.Issue(sdktest.Spec{Product: "editor", Ent: map[string]doc.Value{"export": doc.On(), "projects": doc.Int(3)}})
	if err := unlock(t.Context(), client, key); err != nil {
		t.Fatal(err)
	}
	srv.Fail(sdktest.Down)
	srv.Clock.Advance(48 * time.Hour)
	want("POST", "/projects", 200, "project 2")
	want("POST", "/projects", 200, "project 3")
	want("POST", "/projects", 403, "room for 3")
	want("POST", "/export", 200, "3 exported")
	want("GET", "/license", 200, `"code":"VALID"`)

	srv.Fail(sdktest.None)
	if err := client.Flush(t.Context()); err != nil { // as Run does
		t.Fatal(err)
	}
	if got := srv.Usage(key)["projects.exported"]; got.Events != 1 || got.Sum != 3 {
		t.Errorf("the server counted %+v, want one export of 3 projects", got)
	}
	srv.Revoke(key)
	srv.Clock.Advance(30 * 24 * time.Hour)
	want("GET", "/license", 200, `"allowed":false`)
	want("POST", "/export", 403, "feature-not-licensed")
	want("POST", "/projects", 403, "room for 1")
}

// TestRun_Refused: mistakes on the command line end the start with what is wrong.
func TestRun_Refused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"-product", "editor", "-server", "https://shop.example", "-root", "none"}, {"-unknown"}} {
		if err := run(t.Context(), args); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}
