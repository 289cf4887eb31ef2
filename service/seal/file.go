package seal

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// fileMark starts the one line of a key file, so that another file is not taken for one.
const fileMark = "mintreu-master-key-1 "

// maxFile is the longest file that is looked at.
const maxFile = 1 << 10

// ErrUnsafeFile says that the key file could be read or replaced by somebody else.
var ErrUnsafeFile = errors.New("seal: the master key file is not safe")

// Load reads a key file. It must be a regular file, no symbolic link, that belongs to the user who runs the program, and that
// nobody else may read or write; otherwise the error is [ErrUnsafeFile] and says what to do. A file that does not exist is
// [fs.ErrNotExist].
func Load(path string) (*Key, error) {
	f, err := openPlain(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", ErrUnsafeFile, path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o and can be used by others; chmod 600 it", ErrUnsafeFile, path, info.Mode().Perm())
	}
	if err := owned(info); err != nil {
		return nil, fmt.Errorf("%w: %s %w", ErrUnsafeFile, path, err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, err
	}
	body, ok := strings.CutPrefix(strings.TrimSuffix(string(text), "\n"), fileMark)
	master, err := base64.StdEncoding.Strict().DecodeString(body)
	if !ok || err != nil || len(master) != Size {
		return nil, fmt.Errorf("seal: %s is no master key file", path)
	}
	return New(master)
}

// openPlain opens path unless it is a symbolic link.
func openPlain(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return nil, fmt.Errorf("%w: %s is a symbolic link; name the file itself", ErrUnsafeFile, path)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, err
	}
	if now, err := f.Stat(); err != nil || !os.SameFile(info, now) {
		_ = f.Close()
		return nil, fmt.Errorf("%w: %s changed while it was opened", ErrUnsafeFile, path)
	}
	return f, nil
}

// Create makes a new random key and writes its file, mode 0600, durably. It fails with [fs.ErrExist] when the path exists,
// and never overwrites. The file appears whole or not at all.
func Create(path string) (*Key, error) {
	var master [Size]byte
	if _, err := rand.Read(master[:]); err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, ".master-key-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(fileMark + base64.StdEncoding.EncodeToString(master[:]) + "\n")
	if err := errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(f.Name(), path); err != nil { // unlike rename, link does not replace
		return nil, err
	}
	if err := syncDir(dir); err != nil {
		return nil, err
	}
	return New(master[:])
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
