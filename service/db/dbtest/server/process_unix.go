//go:build unix

package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"sync"
	"syscall"
)

// watcher runs a server until the end of its own standard input, which comes when the parent stops or dies, and cleans up.
// A line on its input starts a server again that was killed. $1 is the directory, $2 the signal that ends the server, the
// rest its command line.
const watcher = `trap "" INT HUP TERM
dir=$1; signal=$2; shift 2
begin() { "$@" >>"$dir/log" 2>&1 & pid=$!; }
begin "$@"
while read -r _; do wait "$pid"; begin "$@"; done
kill -"$signal" "$pid" 2>/dev/null
wait "$pid"
rm -rf "$dir"`

// watched is a server under a watcher.
type watched struct {
	input io.WriteCloser
	stop  func() error // ends the server and waits for it; may be called more than once
}

// restart starts the server again after it was killed.
func (w *watched) restart() error {
	_, err := io.WriteString(w.input, "again\n")
	return err
}

// watch starts a server under the watcher.
func watch(dir, signal string, args []string) (*watched, error) {
	cmd := exec.Command("/bin/sh", append([]string{"-c", watcher, "watcher", dir, signal}, args...)...)
	cmd.Dir = "/"
	cmd.SysProcAttr = attributes()
	cmd.SysProcAttr.Setpgid = true // a signal for the tests' group is not for the server
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // also keeps the pipe open when nobody keeps the result
	return &watched{input: input, stop: sync.OnceValue(func() error {
		if err := input.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			return err
		}
		return <-ended
	})}, nil
}

// kill ends a process at once; one that is gone already is no error.
func kill(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// attributes makes a child run as an ordinary user when this process is root, which PostgreSQL refuses to run as.
func attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{}
	if uid, gid, drop := ordinary(); drop {
		attr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	}
	return attr
}

func ordinary() (uid, gid uint32, drop bool) {
	if os.Geteuid() != 0 {
		return 0, 0, false
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		id, err1 := strconv.ParseUint(u.Uid, 10, 32)
		group, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return uint32(id), uint32(group), true
		}
	}
	return 65534, 65534, true
}

// directory makes a temporary directory that the server's user owns.
func directory(prefix string) (string, error) {
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return "", err
	}
	return dir, giveAway(dir)
}

func giveAway(path string) error {
	if uid, gid, drop := ordinary(); drop {
		return os.Chown(path, int(uid), int(gid))
	}
	return nil
}

// run runs a program to its end as the server's user.
func run(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.SysProcAttr = attributes()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", args[0], err, tail(out.Bytes()))
	}
	return nil
}
