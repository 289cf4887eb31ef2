// Package blob keeps files: the audit trail's checkpoints, backups' companions and, later, what customers download. A place is
// a URL; today "file:/path" is understood, a directory of which nothing outside can be reached.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"

	"github.com/mintreu/mintreu/licensing"
)

// Store keeps named byte strings. Names are slash-separated relative paths without "." and ".."; see [fs.ValidPath].
// Implementations are safe for concurrent use.
type Store interface {
	// Put writes a whole blob under name, replacing what was there. Readers see the old or the new content, never a part.
	Put(ctx context.Context, name string, content []byte) error
	// Open reads a blob; the error is [licensing.ErrNotFound] when there is none. The caller closes it.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
}

// Open opens the place that a URL names.
func Open(place string) (Store, error) {
	u, err := url.Parse(place)
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	if u.Scheme != "file" || u.Host != "" || u.Path == "" {
		return nil, fmt.Errorf("blob: %q is no place for files; want file:/path", place)
	}
	return OpenDir(u.Path)
}

// Dir keeps blobs in a directory of the local disk, readable by its owner alone. Symbolic links that lead out of it are refused.
type Dir struct {
	root *os.Root
}

var _ Store = (*Dir)(nil)

// OpenDir opens a directory and makes it when it is missing.
func OpenDir(dir string) (*Dir, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a directory needs its x bit
		return nil, fmt.Errorf("blob: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	return &Dir{root}, nil
}

// Close releases the directory.
func (d *Dir) Close() error { return d.root.Close() }

// Put implements [Store]: it writes beside the target, syncs, and renames.
func (d *Dir) Put(_ context.Context, name string, content []byte) (err error) {
	if err := check(name); err != nil {
		return err
	}
	dir := path.Dir(name)
	if err := d.root.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, part, err := d.part(dir)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = d.root.Rename(part, name)
	}
	if err != nil {
		return errors.Join(err, d.root.Remove(part))
	}
	return d.syncDir(dir)
}

// part makes a new file beside the target.
func (d *Dir) part(dir string) (*os.File, string, error) {
	for i := 0; ; i++ {
		name := path.Join(dir, fmt.Sprintf(".part-%d-%d", os.Getpid(), i))
		f, err := d.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil || !errors.Is(err, fs.ErrExist) || i > 1000 {
			return f, name, err
		}
	}
}

func (d *Dir) syncDir(dir string) error {
	f, err := d.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Open implements [Store].
func (d *Dir) Open(_ context.Context, name string) (io.ReadCloser, error) {
	if err := check(name); err != nil {
		return nil, err
	}
	f, err := d.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, licensing.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(licensing.ErrNotFound, err, f.Close())
	}
	return f, nil
}

func check(name string) error {
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\\x00") || strings.HasPrefix(path.Base(name), ".part-") {
		return licensing.Fail(licensing.Invalid, "bad-name", "%q is no name for a file.", name)
	}
	return nil
}
