package blob_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/blob"
)

// TestDir_KeepsAndReplaces: what was put is read back whole, a second put replaces it, and only the owner may read the files.
func TestDir_KeepsAndReplaces(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "files")
	s, err := blob.Open("file:" + dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "two, longer"} {
		if err := s.Put(t.Context(), "a/b.txt", []byte(text)); err != nil {
			t.Fatal(err)
		}
		r, err := s.Open(t.Context(), "a/b.txt")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil || string(got) != text {
			t.Errorf("read %q, %v; want %q", got, err, text)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "a/b.txt")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := s.Open(t.Context(), "a/none"); !errors.Is(err, licensing.ErrNotFound) {
		t.Errorf("a missing blob: %v", err)
	}
}

// TestD04_NoNameLeavesTheDirectory: traversal, absolute names, odd bytes and a symbolic link that leads out are all refused.
func TestD04_NoNameLeavesTheDirectory(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	if err := os.WriteFile(filepath.Join(base, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := blob.OpenDir(filepath.Join(base, "files"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := os.Symlink(filepath.Join(base, "secret"), filepath.Join(base, "files", "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../secret", "a/../../secret", "/etc/passwd", `..\secret`, "a\x00b", "", ".", "link", "a//b", ".part-1-0"} {
		if r, err := s.Open(t.Context(), name); err == nil {
			_ = r.Close()
			t.Errorf("%q was opened", name)
		}
	}
	for _, name := range []string{"../out", "/tmp/out", "link/x"} {
		if err := s.Put(t.Context(), name, []byte("x")); err == nil {
			t.Errorf("%q was written", name)
		}
	}
	if text, err := os.ReadFile(filepath.Join(base, "secret")); err != nil || string(text) != "x" {
		t.Errorf("the file outside is now %q, %v", text, err)
	}
}
