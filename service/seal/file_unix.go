//go:build unix

package seal

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// owned fails when the file belongs to another user.
func owned(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if me := os.Geteuid(); int(stat.Uid) != me {
		return fmt.Errorf("belongs to user %d, not to user %d, who runs this", stat.Uid, me)
	}
	return nil
}
