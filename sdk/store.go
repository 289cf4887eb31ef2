package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/mintreu/mintreu/sdk/spool"
)

// Store keeps the client's state, one small text. It must be safe for concurrent
// use. Losing the state is harmless: activating again takes the same seat, and
// no time starts anew.
type Store interface {
	// Load returns the state, or nil if there is none.
	Load(ctx context.Context) ([]byte, error)
	// Save replaces the state at once: a reader sees the old or the new one.
	Save(ctx context.Context, state []byte) error
}

var (
	_ Store = (*FileStore)(nil)
	_ Store = (*MemoryStore)(nil)
)

// maxState is more than any state needs; a longer file counts as absent.
const maxState = 1 << 20

// FileStore keeps the state in a file that only its owner can read.
type FileStore struct {
	path string
	disk disk
}

// NewFileStore keeps the state at path, in a directory that is made if need be.
func NewFileStore(path string) *FileStore { return &FileStore{path: path, disk: osDisk{spool.OS()}} }

// disk is what a FileStore asks of the system to write. Tests replace it, to let any step fail.
type disk interface {
	Create(path string) (diskFile, error) // must not be there; for this user alone
	Rename(from, to string) error
	Remove(path string) error
	SyncDir(dir string) error
}

type diskFile interface {
	io.WriteCloser
	Sync() error
}

type osDisk struct{ spool.FS }

// Create implements disk.
func (osDisk) Create(path string) (diskFile, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// DefaultPath returns where the state of a product is kept unless said
// otherwise: mintreu/<product>/state in the user's directory for configuration.
func DefaultPath(product string) (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("no directory for the license state: %w", err)
	}
	return filepath.Join(dir, "mintreu", product, "state"), nil
}

// Load reads the file.
func (s *FileStore) Load(context.Context) ([]byte, error) {
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxState+1))
}

// Save writes a new file beside the old one, makes it durable, renames it and makes the name durable too: what was saved outlasts a loss of
// power. After an error the old state is there or, if only the last step failed, the new one.
func (s *FileStore) Save(_ context.Context, state []byte) error {
	dir := filepath.Dir(s.path)
	grown, err := makeDir(dir)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, ".state-"+random())
	if err := s.write(name, state); err != nil {
		s.disk.Remove(name)
		return err
	}
	if err := s.disk.Rename(name, s.path); err != nil {
		s.disk.Remove(name)
		return err
	}
	for _, d := range append(grown, dir) {
		if err := s.disk.SyncDir(d); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) { // some systems keep names by themselves
			return err
		}
	}
	return nil
}

// write makes a durable file, which must not be there.
func (s *FileStore) write(name string, text []byte) error {
	f, err := s.disk.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// makeDir makes a directory for this user alone, with those above it that are missing, and returns the directories in which one was made.
func makeDir(dir string) (grown []string, err error) {
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) || d == filepath.Dir(d) {
			break
		}
		grown = append(grown, filepath.Dir(d))
	}
	return grown, os.MkdirAll(dir, 0o700)
}

// MemoryStore keeps the state for as long as the process runs. The zero value
// is ready for use.
type MemoryStore struct {
	mu    sync.Mutex
	state []byte
}

// Load returns the state.
func (s *MemoryStore) Load(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]byte(nil), s.state...), nil
}

// Save replaces the state.
func (s *MemoryStore) Save(_ context.Context, state []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = append([]byte(nil), state...)
	return nil
}
