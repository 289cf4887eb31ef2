package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Postgres is a private PostgreSQL server. Its methods are not for concurrent use.
type Postgres struct {
	// URL names the database "postgres" as its superuser.
	URL string

	bin, dir string
	port     int
	process  *watched
}

// StartPostgres starts an empty PostgreSQL server that does not sync to disk, and returns the URL of its database
// "postgres". stop ends it and removes its files; it may be called more than once. Text without a collation sorts by the
// English rules, so that a statement that forgot COLLATE "C" is found out.
func StartPostgres(ctx context.Context) (url string, stop func() error, err error) {
	p, err := NewPostgres(ctx, false)
	if err != nil {
		return "", nil, err
	}
	return p.URL, p.Stop, nil
}

// NewPostgres is [StartPostgres] for a caller that also wants to kill the server, or that needs durable commits.
func NewPostgres(ctx context.Context, durable bool) (*Postgres, error) {
	bin, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for attempt := 0; ; attempt++ {
		p, err := newPostgres(ctx, bin, durable)
		if err == nil || attempt == 2 || ctx.Err() != nil { // a port may be lost to another process
			return p, err
		}
	}
}

func newPostgres(ctx context.Context, bin string, durable bool) (*Postgres, error) {
	dir, err := directory("mintreu-postgres-")
	if err != nil {
		return nil, err
	}
	p := &Postgres{bin: bin, dir: dir}
	password := rand.Text()
	if err := initPostgres(ctx, bin, dir, password); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if p.port, err = freePort(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	p.URL = fmt.Sprintf("postgres://postgres:%s@127.0.0.1:%d/postgres?sslmode=disable", password, p.port)
	args := []string{filepath.Join(bin, "postgres"), "-D", filepath.Join(dir, "data"), "-p", strconv.Itoa(p.port)}
	settings := []string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=", "jit=off", "max_connections=400", "shared_buffers=64MB",
		"wal_level=replica", "logging_collector=off",
	}
	if !durable {
		settings = append(settings, "fsync=off", "full_page_writes=off", "autovacuum=off")
	}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	if p.process, err = watch(dir, "INT", args); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := p.ready(ctx); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

func (p *Postgres) ready(ctx context.Context) error {
	err := await(ctx, func() error {
		return run(ctx, p.dir, filepath.Join(p.bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(p.port), "-U", "postgres")
	})
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(p.dir, "log"))
		return fmt.Errorf("postgres did not start: %w: %s", err, tail(log))
	}
	return nil
}

// Stop ends the server and removes its files. It may be called more than once.
func (p *Postgres) Stop() error { return p.process.stop() }

// Kill ends every process of the server at once, as a power failure does, and waits until they are gone. [Postgres.Restart]
// brings it back with its data.
func (p *Postgres) Kill(ctx context.Context) error {
	text, err := os.ReadFile(filepath.Join(p.dir, "data", "postmaster.pid"))
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return fmt.Errorf("postmaster.pid: %w", err)
	}
	all := append([]int{pid}, children(pid)...)
	for _, pid := range all {
		if err := kill(pid); err != nil {
			return fmt.Errorf("kill %d: %w", pid, err)
		}
	}
	return await(ctx, func() error {
		if slices.ContainsFunc(all, alive) {
			return errors.New("processes of the server are still there")
		}
		return nil
	})
}

// Restart starts a killed server again on the same port and data, and waits until it takes connections.
func (p *Postgres) Restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := p.process.restart(); err != nil {
		return err
	}
	return p.ready(ctx)
}

// initPostgres makes the cluster, with English collation where the installation knows ICU.
func initPostgres(ctx context.Context, bin, dir, password string) error {
	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		return err
	}
	if err := giveAway(secret); err != nil {
		return err
	}
	args := []string{filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "postgres", "-A", "password",
		"--pwfile", secret, "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"}
	icu := append(slices.Clone(args), "--locale-provider=icu", "--icu-locale=en-US")
	if run(ctx, dir, icu...) == nil {
		return nil
	}
	if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil {
		return err
	}
	return run(ctx, dir, args...)
}

// children lists the processes that a process started, where the system tells.
func children(pid int) []int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	var out []int
	for _, field := range strings.Fields(string(text)) {
		if n, err := strconv.Atoi(field); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// alive reports whether a process still runs; one that ended and was not waited for does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return rest == "" || rest[0] != 'Z' && rest[0] != 'X'
}

// startTimeout bounds the start of a server.
const startTimeout = time.Minute
