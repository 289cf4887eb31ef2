package seal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mintreu/mintreu/service/seal"
	"github.com/mintreu/mintreu/service/store"
	"github.com/mintreu/mintreu/service/store/storetest"
)

func newKey(t *testing.T, fill byte) *seal.Key {
	t.Helper()
	k, err := seal.New(bytes.Repeat([]byte{fill}, seal.Size))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// What was sealed for one place opens there and nowhere else, so that two rows' ciphertexts cannot be swapped; and no byte of it
// can be changed.
func TestQ02_SwappedCiphertextDoesNotOpen(t *testing.T) {
	t.Parallel()
	k := newKey(t, 1)
	sealed, err := k.Seal([]byte("secret"), "license/lic_1/key")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := k.Open(sealed, "license/lic_1/key"); err != nil || string(text) != "secret" {
		t.Fatalf("opened %q, %v", text, err)
	}
	for _, place := range []string{"license/lic_2/key", "license/lic_1/note", "license/lic_1/key/", ""} {
		if _, err := k.Open(sealed, place); !errors.Is(err, seal.ErrAltered) {
			t.Errorf("opened at %q: %v", place, err)
		}
	}
	for i := range sealed {
		bent := bytes.Clone(sealed)
		bent[i] ^= 1
		if _, err := k.Open(bent, "license/lic_1/key"); err == nil {
			t.Errorf("byte %d could be changed", i)
		}
		if _, err := k.Open(sealed[:i], "license/lic_1/key"); err == nil {
			t.Errorf("the first %d bytes opened", i)
		}
	}
	if _, err := newKey(t, 2).Open(sealed, "license/lic_1/key"); !errors.Is(err, seal.ErrOtherKey) {
		t.Errorf("another key: %v", err)
	}
}

// A million sealings of one text never use a nonce twice.
func TestQ04_NoncesDoNotRepeat(t *testing.T) {
	t.Parallel()
	k := newKey(t, 1)
	n := 1_000_000
	if testing.Short() {
		n = 20_000
	}
	seen := make(map[[24]byte]struct{}, n)
	for range n {
		sealed, err := k.Seal(nil, "p")
		if err != nil {
			t.Fatal(err)
		}
		seen[[24]byte(sealed[9:33])] = struct{}{}
	}
	if len(seen) != n {
		t.Fatalf("%d different nonces in %d values", len(seen), n)
	}
}

// Derived keys differ by purpose and by master key, and a printed key shows no secret byte.
func TestDeriveSeparatesPurposes(t *testing.T) {
	t.Parallel()
	a, b := newKey(t, 1), newKey(t, 2)
	if bytes.Equal(a.Derive("x"), a.Derive("y")) || bytes.Equal(a.Derive("x"), b.Derive("x")) || len(a.Derive("x")) != 32 {
		t.Error("derived keys are not separate")
	}
	if text := fmt.Sprintf("%v %+v %#v %s", a, a, a, a); strings.Contains(text, "1, 1") || strings.Contains(text, "0x1") {
		t.Errorf("printing shows the key: %s", text)
	}
}

// A key file that others can read, that is a symbolic link, that belongs to somebody else, or that holds something else is
// refused; a good one is mode 0600, loads, and is never overwritten.
func TestK09_UnsafeKeyFileRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "master.key")
	made, err := seal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	loaded, err := seal.Load(path)
	if err != nil || loaded.ID() != made.ID() {
		t.Fatalf("loaded %v, %v", loaded, err)
	}
	if _, err := seal.Create(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second create: %v", err)
	}
	link := filepath.Join(dir, "link.key")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func() string{
		"symlink":   func() string { return link },
		"directory": func() string { return dir },
		"0644":      func() string { return with(t, path, 0o644) },
		"0640":      func() string { return with(t, path, 0o640) },
		"0602":      func() string { return with(t, path, 0o602) },
	} {
		if _, err := seal.Load(spoil()); !errors.Is(err, seal.ErrUnsafeFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	with(t, path, 0o600)
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if _, err := seal.Load(path); !errors.Is(err, seal.ErrUnsafeFile) {
			t.Errorf("another user's file: %v", err)
		}
	}
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Load(other); err == nil {
		t.Error("a file with other content was taken for a key")
	}
}

func with(t *testing.T, path string, mode fs.FileMode) string {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// The key file is 0600 and its new directory 0700 whatever the umask of the process is.
func TestQ12_KeyFileModeWithoutUmask(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "data", "master.key")
	if _, err := seal.Create(path); err != nil {
		t.Fatal(err)
	}
	file, _ := os.Stat(path)
	dir, _ := os.Stat(filepath.Dir(path))
	if file.Mode().Perm() != 0o600 || dir.Mode().Perm() != 0o700 {
		t.Errorf("file %v, directory %v", file.Mode(), dir.Mode())
	}
}

// A database that was sealed under one key refuses to start with another and without one; nothing is overwritten, and the right
// key opens it afterwards.
func TestK08_WrongMasterKeyRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		ctx, dir := t.Context(), t.TempDir()
		right, wrong := filepath.Join(dir, "right.key"), filepath.Join(dir, "wrong.key")
		first, err := seal.Bootstrap(ctx, right, e.Store)
		if err != nil {
			t.Fatal(err)
		}
		canary, err := e.Store.Setting(ctx, "seal.canary")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := seal.Bootstrap(ctx, filepath.Join(dir, "absent.key"), e.Store); !errors.Is(err, seal.ErrKeyMissing) {
			t.Errorf("missing key: %v", err)
		}
		if _, err := os.Lstat(filepath.Join(dir, "absent.key")); !errors.Is(err, fs.ErrNotExist) {
			t.Error("a new key was made for a database that has one")
		}
		if _, err := seal.Create(wrong); err != nil {
			t.Fatal(err)
		}
		if _, err := seal.Bootstrap(ctx, wrong, e.Store); !errors.Is(err, seal.ErrWrongKey) {
			t.Errorf("wrong key: %v", err)
		}
		again, err := seal.Bootstrap(ctx, right, e.Store)
		if err != nil || again.ID() != first.ID() {
			t.Fatalf("right key: %v, %v", again, err)
		}
		if now, _ := e.Store.Setting(ctx, "seal.canary"); !bytes.Equal(now, canary) {
			t.Error("the stored proof was overwritten")
		}
	})
}

// Of two processes that start at once on one new database with different master keys, exactly one goes on.
func TestK14_SecondMasterKeyRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		dir := t.TempDir()
		results := make(chan error, 2)
		for _, name := range []string{"a.key", "b.key"} {
			go func() { results <- start(t.Context(), filepath.Join(dir, name), e.Store) }()
		}
		first, second := <-results, <-results
		if (first == nil) == (second == nil) {
			t.Fatalf("want one refused, got %v and %v", first, second)
		}
		if err := errors.Join(first, second); !errors.Is(err, seal.ErrWrongKey) && !errors.Is(err, seal.ErrKeyMissing) {
			t.Errorf("refused with %v", err)
		}
	})
}

func start(ctx context.Context, path string, s *store.Store) error {
	_, err := seal.Bootstrap(ctx, path, s)
	return err
}
