package spool

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"
)

// faultFS is the real file system with one operation that goes wrong: it fails with err, a write after half of its bytes, or
// the process dies there.
type faultFS struct {
	FS
	mu   sync.Mutex
	n    int // operations so far
	at   int // the operation that goes wrong, from 1; 0 for none
	last int // and the last one that does; at if 0
	err  error
	kill bool
	only string // name of the operations that count; "" for all
	hits []string
}

func (f *faultFS) step(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.only != "" && f.only != op {
		return nil
	}
	f.n++
	if f.at == 0 || f.n < f.at || f.n > max(f.at, f.last) {
		return nil
	}
	f.hits = append(f.hits, op)
	if f.kill {
		return errKill
	}
	return f.err
}

var errKill = errors.New("kill")

// die ends the process as kill -9 does.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func (f *faultFS) do(op string, work func() error) error {
	switch err := f.step(op); {
	case errors.Is(err, errKill):
		die()
	case err != nil:
		return err
	}
	return work()
}

func (f *faultFS) Dir(path string) error { return f.do("dir", func() error { return f.FS.Dir(path) }) }

func (f *faultFS) Open(path string, mode Mode) (file File, err error) {
	err = f.do("open", func() error {
		var e error
		file, e = f.FS.Open(path, mode)
		return e
	})
	if err != nil {
		return nil, err
	}
	return &faultFile{file, f}, nil
}

func (f *faultFS) List(dir string) (names []string, err error) {
	err = f.do("list", func() error { names, err = f.FS.List(dir); return err })
	return names, err
}

func (f *faultFS) Rename(from, to string) error {
	return f.do("rename", func() error { return f.FS.Rename(from, to) })
}

func (f *faultFS) Remove(path string) error {
	return f.do("remove", func() error { return f.FS.Remove(path) })
}

func (f *faultFS) SyncDir(dir string) error {
	return f.do("syncdir", func() error { return nil })
}

type faultFile struct {
	File
	f *faultFS
}

func (f *faultFile) Write(b []byte) (int, error) {
	if err := f.f.step("write"); err != nil {
		n, _ := f.File.Write(b[:len(b)/2])
		if errors.Is(err, errKill) {
			die()
		}
		return n, err
	}
	return f.File.Write(b)
}

// Sync does nothing but fail: neither a failing step nor the end of a process loses what the kernel has.
func (f *faultFile) Sync() error { return f.f.do("sync", func() error { return nil }) }

func (f *faultFile) Truncate(n int64) error {
	return f.f.do("truncate", func() error { return f.File.Truncate(n) })
}

func (f *faultFile) Lock(wait bool) (ok bool, err error) {
	err = f.f.do("lock", func() error { ok, err = f.File.Lock(wait); return err })
	return ok, err
}

func (f *faultFile) ReadAt(b []byte, at int64) (n int, err error) {
	err = f.f.do("read", func() error { n, err = f.File.ReadAt(b, at); return err })
	return n, err
}

func (f *faultFile) Close() error {
	switch err := f.f.step("close"); {
	case errors.Is(err, errKill):
		die()
	case err != nil:
		_ = f.File.Close() // the descriptor is gone whatever close says
		return err
	}
	return f.File.Close()
}

// fastDir is a directory in memory where there is one: what no crash of the machine is part of needs no disk.
func fastDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "spool-")
	if err != nil {
		return t.TempDir() + "/s"
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir + "/s"
}
