package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestQ10_ToolsSeeNoSecret: what pg_dump and pg_restore are started with, which the list of processes and their environment show, holds
// neither the database's password nor any secret of our own environment; the password reaches them by a file for this user alone.
func TestQ10_ToolsSeeNoSecret(t *testing.T) {
	dir := t.TempDir()
	tool := filepath.Join(dir, "pg_dump")
	script := "#!/bin/sh\n{ echo \"$0 $@\"; env; } > '" + dir + "/seen'\ncp \"$PGPASSFILE\" '" + dir + "/pass'\nls -l \"$PGPASSFILE\" > '" + dir + "/mode'\n"
	if err := os.WriteFile(tool, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("PGPASSWORD", "hunter2:\\")
	t.Setenv("MINTREU_POSTGRES_URL", "postgres://u:hunter2@h/d")
	t.Setenv("STRIPE_KEY", "sk_live_hunter2")
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("hunter2:\\\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Config{
		"in the URL":     {PostgresURL: "postgres://u:hunter2%3A%5C@h:5432/d?sslmode=disable"},
		"as a parameter": {PostgresURL: "postgres://u@h:5432/d?sslmode=disable&password=hunter2%3A%5C&pool_max_conns=3"},
		"with settings":  {PostgresURL: "postgres://u:hunter2%3A%5C@h:5432/d?sslmode=disable&lock_timeout=60000&search_path=a,b&default_query_exec_mode=exec&pool_max_conns=3"},
		"in a file":      {PostgresURL: "postgres://u@h:5432/d?sslmode=disable", PostgresPasswordFile: secret},
	} {
		if err := postgresTool(t.Context(), c, t.TempDir(), "pg_dump", "--format=custom"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		seen := read(t, filepath.Join(dir, "seen"))
		if strings.Contains(seen, "hunter2") {
			t.Errorf("%s: the tool was started with a secret: %s", name, seen)
		}
		if !strings.Contains(seen, "--dbname=postgres://u@h:5432/d?sslmode=disable --format=custom") {
			t.Errorf("%s: started as %s", name, seen)
		}
		if pass := read(t, filepath.Join(dir, "pass")); pass != `*:*:*:*:hunter2\:\\`+"\n" {
			t.Errorf("%s: password file %q", name, pass)
		}
		if mode := read(t, filepath.Join(dir, "mode")); !strings.HasPrefix(mode, "-rw------- ") {
			t.Errorf("%s: password file with mode %s", name, mode)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
