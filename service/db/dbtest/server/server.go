// Package server starts private PostgreSQL and Redis servers for tests and for development: on a free loopback port, in a
// temporary directory, with nothing left behind. Each server is watched by a small shell that ends it and removes its
// directory when the program that asked for it stops it or dies, in whatever way.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrMissing means that the server's program is not installed.
var ErrMissing = errors.New("not installed")

// StartRedis starts an empty Redis server that keeps nothing on disk and returns its URL, "redis://127.0.0.1:port/0".
func StartRedis(ctx context.Context) (url string, stop func() error, err error) {
	program, err := firstProgram("redis-server", "valkey-server")
	if err != nil {
		return "", nil, fmt.Errorf("redis: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	dir, err := directory("mintreu-redis-")
	if err != nil {
		return "", nil, err
	}
	port, err := freePort()
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	process, err := watch(dir, "TERM", []string{program, "--port", strconv.Itoa(port), "--bind", "127.0.0.1",
		"--save", "", "--appendonly", "no", "--dir", dir, "--daemonize", "no"})
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := await(ctx, func() error { return pong(ctx, address) }); err != nil {
		return "", nil, errors.Join(fmt.Errorf("redis did not start: %w", err), process.stop())
	}
	return "redis://" + address + "/0", process.stop, nil
}

// pong asks a Redis server whether it answers.
func pong(ctx context.Context, address string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	reply := make([]byte, 7)
	if _, err := io.ReadFull(conn, reply); err != nil {
		return err
	}
	if string(reply) != "+PONG\r\n" {
		return fmt.Errorf("redis answered %q", reply)
	}
	return nil
}

// postgresPrograms is the directory of the newest installed PostgreSQL's programs.
func postgresPrograms() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
	if len(found) > 0 {
		return filepath.Dir(found[0]), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	return "", fmt.Errorf("postgres: %w", ErrMissing)
}

// version reads 15 out of /usr/lib/postgresql/15/bin/postgres.
func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

func firstProgram(names ...string) (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", strings.Join(names, ", "), ErrMissing)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// await calls ready until it succeeds or ctx ends.
func await(ctx context.Context, ready func() error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

func tail(log []byte) string {
	const most = 2000
	return string(log[max(0, len(log)-most):])
}
