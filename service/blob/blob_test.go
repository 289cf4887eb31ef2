package blob_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mintreu/mintreu/service/blob"
)

// What was put comes back whole, the last put counts, and a failed put leaves what was there and nothing else.
func TestPutOpenDelete(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := blob.Open(t.Context(), "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := t.Context()
	for _, text := range []string{"one", "two"} {
		if err := s.Put(ctx, "a/b/c.txt", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	broken := io.MultiReader(strings.NewReader("half"), failing{})
	if _, err := s.PutFrom(ctx, "a/b/c.txt", broken); err == nil {
		t.Error("a broken reader was taken")
	}
	f, err := s.Open(ctx, "a/b/c.txt")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(f)
	if string(text) != "two" || f.Size() != 3 {
		t.Errorf("read %q of %d bytes", text, f.Size())
	}
	_ = f.Close()
	if entries, _ := os.ReadDir(filepath.Join(dir, "a", "b")); len(entries) != 1 {
		t.Errorf("%d files are left", len(entries))
	}
	for range 2 {
		if err := s.Delete(ctx, "a/b/c.txt"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Open(ctx, "a/b/c.txt"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("after delete: %v", err)
	}
	if _, err := s.Open(ctx, "a/b"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("a directory: %v", err)
	}
}

// No name and no symbolic link leads out of the store.
func TestD04_NamesStayInside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := filepath.Join(dir, "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "blob")
	s, err := blob.OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for link, to := range map[string]string{"link": outside, "up": "..", "rel": "../secret"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{
		"", ".", "..", "../secret", "a/../../secret", "/etc/passwd", "a//b", "a/./b", `..\secret`, "a\x00b", "..%2fsecret", "%252e%252e", "a/", "．．/secret", "∕etc",
		".hidden", "link", "up/secret", "rel", outside,
	} {
		if f, err := s.Open(t.Context(), name); err == nil {
			_ = f.Close()
			t.Errorf("opened %q", name)
		}
		if name == "link" || name == "rel" {
			continue // a put replaces the link itself
		}
		if err := s.Put(t.Context(), name, []byte("x")); err == nil {
			t.Errorf("wrote %q", name)
		}
	}
	if err := s.Put(t.Context(), "link", []byte("x")); err != nil {
		t.Error(err)
	}
	if text, _ := os.ReadFile(outside); string(text) != "secret" {
		t.Errorf("the file outside now holds %q", text)
	}
}

// Files are 0600 and directories 0700 without any umask.
func TestQ12_BlobModesWithoutUmask(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	root := filepath.Join(t.TempDir(), "data", "blob")
	s, err := blob.OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Put(t.Context(), "a/b", []byte("x")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{filepath.Dir(root): 0o700, root: 0o700, root + "/a": 0o700, root + "/a/b": 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("broken") }
