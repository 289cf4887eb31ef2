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
type FileStore struct{ path string }

// NewFileStore keeps the state at path, in a directory that is made if need be.
func NewFileStore(path string) *FileStore { return &FileStore{path: path} }

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

// Save writes a new file beside the old one, makes it durable and renames it.
func (s *FileStore) Save(_ context.Context, state []byte) (err error) {
	dir := filepath.Dir(s.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".state-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(state)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), s.path)
	}
	return err
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
