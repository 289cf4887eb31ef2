//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly && !windows

package spool

import (
	"errors"
	"io/fs"
	"os"
)

const noFollow = 0

func private(info fs.FileInfo) bool { return info.Mode()&fs.ModeSymlink == 0 }

// lock refuses, for without locks processes could not be kept apart.
func lock(*os.File, bool) (bool, error) { return false, errors.ErrUnsupported }

func unlock(*os.File) {}

func (osFS) SyncDir(string) error { return nil }
