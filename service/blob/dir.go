package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// Dir is a store in a directory of this machine. Directories are 0700 and files 0600, whatever the umask. Everything goes through
// an [os.Root], so that no name and no symbolic link inside leads out of it.
type Dir struct{ root *os.Root }

var _ Store = (*Dir)(nil)

// OpenDir opens the store in dir and makes the directory when there is none.
func OpenDir(dir string) (*Dir, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Dir{root}, nil
}

// Put implements [Store].
func (d *Dir) Put(ctx context.Context, name string, content []byte) error {
	_, err := d.PutFrom(ctx, name, bytes.NewReader(content))
	return err
}

// PutFrom implements [Store].
func (d *Dir) PutFrom(ctx context.Context, name string, content io.Reader) (n int64, err error) {
	if err := valid(name); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	parent := path.Dir(name)
	if err := d.root.MkdirAll(parent, 0o700); err != nil {
		return 0, err
	}
	draft := path.Join(parent, ".put-"+rand.Text())
	f, err := d.root.OpenFile(draft, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			_ = d.root.Remove(draft)
		}
	}()
	n, err = io.Copy(f, reader{ctx, content})
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return n, err
	}
	if err = d.root.Rename(draft, name); err != nil {
		return n, err
	}
	return n, d.sync(parent)
}

// sync makes the entries of a directory durable.
func (d *Dir) sync(dir string) error {
	f, err := d.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// reader stops when its context ends.
type reader struct {
	ctx context.Context
	r   io.Reader
}

// Read implements [io.Reader].
func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

type file struct {
	*os.File
	size int64
}

// Size implements [File].
func (f file) Size() int64 { return f.size }

// Open implements [Store].
func (d *Dir) Open(_ context.Context, name string) (File, error) {
	if err := valid(name); err != nil {
		return nil, err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return file{f, info.Size()}, nil
}

// Delete implements [Store]. Deleting what is not there is no error.
func (d *Dir) Delete(_ context.Context, name string) error {
	if err := valid(name); err != nil {
		return err
	}
	if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.sync(path.Dir(name))
}

// Close implements [Store].
func (d *Dir) Close() error { return d.root.Close() }
