package lite_test

import (
	"path/filepath"
	"testing"

	"github.com/mintreu/mintreu/service/db/lite"
)

// TestCopy: a copy taken beside a running writer, from a read-only connection, holds what was committed and opens by itself.
func TestCopy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx := t.Context()
	main, err := lite.Open(ctx, lite.Config{Path: filepath.Join(dir, "main.sqlite")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = main.Close() }()
	if _, err := main.Exec(ctx, "CREATE TABLE thing (id text PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	if _, err := main.Exec(ctx, "INSERT INTO thing VALUES ($1)", "a"); err != nil {
		t.Fatal(err)
	}
	beside, err := lite.Open(ctx, lite.Config{Path: filepath.Join(dir, "main.sqlite"), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = beside.Close() }()
	to := filepath.Join(t.TempDir(), "copy.sqlite")
	if err := beside.Copy(ctx, to); err != nil {
		t.Fatal(err)
	}
	if err := beside.Copy(ctx, to); err == nil {
		t.Error("a copy overwrote a file")
	}
	if _, err := beside.Exec(ctx, "INSERT INTO thing VALUES ('b')"); err == nil {
		t.Error("the read-only database took a write after the copy")
	}
	back, err := lite.Open(ctx, lite.Config{Path: to, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = back.Close() }()
	var id string
	if err := back.QueryRow(ctx, "SELECT id FROM thing").Scan(&id); err != nil || id != "a" {
		t.Errorf("copied row: %q, %v", id, err)
	}
}
