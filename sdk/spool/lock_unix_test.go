//go:build unix

package spool_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/mintreu/mintreu/sdk/spool"
)

// A lock ends when its file is closed, even while a child that is just being started has the file open too.
func TestL12_ChildKeepsNoLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	open := func() spool.File {
		f, err := spool.OS().Open(path, spool.ReadWrite)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	f, other := open(), open()
	if ok, err := f.Lock(false); !ok || err != nil {
		t.Fatal(ok, err)
	}
	child, err := syscall.Dup(int(f.(interface{ Fd() uintptr }).Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(child)
	if ok, err := other.Lock(false); ok || err != nil {
		t.Fatalf("two hold one lock: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if ok, err := other.Lock(false); !ok || err != nil {
		t.Fatalf("the lock outlives its file: %v", err)
	}
}
