package sdk

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mintreu/mintreu/sdk/spool"
)

// faultFS is the real file system, of which one step fails. It notes the steps.
type faultFS struct {
	disk
	at    int // the step that fails, from 1; 0 for none
	steps []string
}

var errDisk = errors.New("input/output error")

func (f *faultFS) do(op string, work func() error) error {
	if f.steps = append(f.steps, op); len(f.steps) == f.at {
		return errDisk
	}
	return work()
}

func (f *faultFS) Create(path string) (file diskFile, err error) {
	err = f.do("create", func() error { file, err = f.disk.Create(path); return err })
	return &faultFile{file, f}, err
}

func (f *faultFS) Rename(from, to string) error {
	return f.do("rename", func() error { return f.disk.Rename(from, to) })
}

func (f *faultFS) SyncDir(dir string) error {
	return f.do("syncdir "+filepath.Base(dir), func() error { return f.disk.SyncDir(dir) })
}

type faultFile struct {
	diskFile
	f *faultFS
}

func (f *faultFile) Write(b []byte) (n int, err error) {
	err = f.f.do("write", func() error { n, err = f.diskFile.Write(b); return err })
	if errors.Is(err, errDisk) {
		n, _ = f.diskFile.Write(b[:len(b)/2])
	}
	return n, err
}

func (f *faultFile) Sync() error { return f.f.do("sync", f.diskFile.Sync) }

func (f *faultFile) Close() error {
	closed := f.diskFile.Close() // the descriptor is gone whatever close says
	return f.f.do("close", func() error { return closed })
}

// A state that was saved outlasts a loss of power, its name too, and those of directories made for it: each step is there, in order, and one that
// fails is told. The state is the old one then or, behind the rename, the new one, and nothing is left beside it.
func TestL15_StateOnABrokenDisk(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	// after a failed step the file made beside it is removed, which is no step
	whole := []string{"create", "write", "sync", "close", "rename", "syncdir state.d"}
	fresh := &faultFS{disk: osDisk{spool.OS()}}
	s := &FileStore{filepath.Join(root, "mintreu", "state.d", "state"), fresh}
	if err := s.Save(t.Context(), []byte("old")); err != nil {
		t.Fatal(err)
	}
	if want := slices.Concat(whole[:5], []string{"syncdir mintreu", "syncdir " + filepath.Base(root)}, whole[5:]); !slices.Equal(fresh.steps, want) {
		t.Errorf("the first state: %q, want %q", fresh.steps, want)
	}
	for at := 1; at <= len(whole)+1; at++ {
		f := &faultFS{disk: osDisk{spool.OS()}, at: at}
		s.disk = f
		err := s.Save(t.Context(), []byte("new"))
		if failed := at <= len(whole); errors.Is(err, errDisk) != failed || !failed && (err != nil || !slices.Equal(f.steps, whole)) {
			t.Fatalf("step %d of %q: %v", at, f.steps, err)
		}
		want := "old"
		if at >= len(whole) { // the name was changed
			want = "new"
		}
		if text, err := s.Load(t.Context()); err != nil || string(text) != want {
			t.Errorf("after step %d failed there is %q, %v; want %q", at, text, err, want)
		}
		if names, _ := os.ReadDir(filepath.Dir(s.path)); len(names) != 1 {
			t.Errorf("after step %d failed there are %v", at, names)
		}
	}
}
