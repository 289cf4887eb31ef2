package spool

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"unsafe"
)

const noFollow = 0

// private leaves it to the permissions that files inherit from the user's own directory.
func private(info fs.FileInfo) bool { return info.Mode()&fs.ModeSymlink == 0 }

// lock locks one byte far behind the end, since a locked byte could not be read by others.
func lock(f *os.File, wait bool) (bool, error) {
	const exclusive, atOnce, violation = 2, 1, syscall.Errno(33)
	how := uintptr(exclusive)
	if !wait {
		how |= atOnce
	}
	at := syscall.Overlapped{OffsetHigh: 1 << 30}
	r, _, err := syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx").Call(f.Fd(), how, 0, 1, 0, uintptr(unsafe.Pointer(&at)))
	switch {
	case r != 0:
		return true, nil
	case errors.Is(err, violation):
		return false, nil
	}
	return false, err
}

// unlock does nothing: no child inherits a file.
func unlock(*os.File) {}

// SyncDir does nothing: the system keeps names by itself.
func (osFS) SyncDir(string) error { return nil }
