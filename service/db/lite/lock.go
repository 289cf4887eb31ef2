package lite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ErrLocked is returned by [Open] when another process has the data directory open for writing.
var ErrLocked = errors.New("the data directory is in use by another process")

// fileLock is an exclusive lock on a data directory, given up by the operating system when the process ends in any way.
type fileLock struct{ file *os.File }

// lockDirectory takes the lock, which is the file "lock" in the directory. It holds the owner's process id for people.
func lockDirectory(dir string) (*fileLock, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		holder := make([]byte, 20)
		n, _ := f.ReadAt(holder, 0)
		closeErr := f.Close()
		if !errors.Is(err, ErrLocked) {
			return nil, errors.Join(err, closeErr)
		}
		return nil, fmt.Errorf("%w (process %s holds %s); stop it, or let it do the work through its socket",
			ErrLocked, strings.TrimSpace(string(holder[:n])), path)
	}
	if err := f.Truncate(0); err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return &fileLock{f}, nil
}

// release gives the lock up, and by itself: closing alone would leave it with a child that is just being started, which has the
// file open too until it runs. The file stays, since removing it would let two processes lock two different files.
func (l *fileLock) release() error { return errors.Join(unlockFile(l.file), l.file.Close()) }
