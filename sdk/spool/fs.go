package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
)

// Mode is how a file is opened.
type Mode int

// The modes. Files are made for this user alone, and none is opened through a symbolic link.
const (
	ReadOnly  Mode = iota
	ReadWrite      // made if it is not there
	Create         // must not be there; writes append
	Replace        // made, or emptied
)

// FS is what the spool asks of a file system. Replace it in tests, to let any step fail.
type FS interface {
	// Dir makes a directory for this user alone, or checks that it is one.
	Dir(path string) error
	// Open opens a file and checks that it is a regular one of this user, closed to others.
	Open(path string, mode Mode) (File, error)
	// List returns the names in a directory, sorted.
	List(dir string) ([]string, error)
	Size(path string) (int64, error)
	Rename(from, to string) error
	Remove(path string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
}

// File is an open file. Closing it gives its lock back.
type File interface {
	io.ReaderAt
	io.Writer
	io.Closer
	Sync() error
	Truncate(size int64) error
	// Lock takes the file's lock for this File alone, at once or, with wait, when it is free. It ends with the process.
	Lock(wait bool) (bool, error)
}

// OS is the real file system, for a file system of a test that wraps it.
func OS() FS { return osFS{} }

type osFS struct{}

type osFile struct{ *os.File }

func (osFS) Dir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if !info.IsDir() || !private(info) {
		return fmt.Errorf("%w: directory %s", ErrUnsafe, path)
	}
	return nil
}

func (osFS) Open(path string, mode Mode) (File, error) {
	flags := map[Mode]int{ReadOnly: os.O_RDONLY, ReadWrite: os.O_RDWR | os.O_CREATE,
		Create: os.O_RDWR | os.O_CREATE | os.O_EXCL | os.O_APPEND, Replace: os.O_RDWR | os.O_CREATE}[mode]
	f, err := os.OpenFile(path, flags|noFollow, 0o600)
	if err != nil {
		if info, e := os.Lstat(path); e == nil && info.Mode()&fs.ModeSymlink != 0 {
			return nil, fmt.Errorf("%w: %s", ErrUnsafe, path)
		}
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || !private(info)) {
		err = fmt.Errorf("%w: %s", ErrUnsafe, path)
	}
	if err == nil && mode == Replace {
		err = f.Truncate(0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return osFile{f}, nil
}

func (osFS) List(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

func (osFS) Size(path string) (int64, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }
func (osFS) Remove(path string) error     { return os.Remove(path) }

func (f osFile) Lock(wait bool) (bool, error) { return lock(f.File, wait) }

// Close gives the lock back by itself: a child that is being started has the file open too until it runs, and closing alone would
// leave the lock with it.
func (f osFile) Close() error {
	unlock(f.File)
	return f.File.Close()
}
