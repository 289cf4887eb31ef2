package app

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/db/pg"
)

// unpack writes everything beside the target first and moves it into place when all of it has been read and authenticated, to the
// last byte of plain. A directory that it made is removed again when it fails.
func unpack(ctx context.Context, c Config, t *tar.Reader, plain io.Reader) (err error) {
	if err := vacant(ctx, c); err != nil {
		return err
	}
	if _, missing := os.Lstat(c.DataDir); errors.Is(missing, fs.ErrNotExist) {
		defer func() {
			if err != nil {
				_ = os.Remove(c.DataDir)
			}
		}()
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(c.DataDir, ".restore-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := extract(dir, t, plain); err != nil {
		return err
	}
	if !c.Embedded() {
		err := postgresTool(ctx, c, dir, "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", filepath.Join(dir, "data.pgdump"))
		if err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "files")); err == nil {
		if err := os.Rename(filepath.Join(dir, "files"), filepath.Join(c.DataDir, "files")); err != nil {
			return err
		}
	}
	if c.Embedded() {
		return os.Rename(filepath.Join(dir, "data.sqlite"), filepath.Join(c.DataDir, databaseFile))
	}
	return nil
}

// vacant refuses a target that holds anything a restore would have to overwrite or would mix with.
func vacant(ctx context.Context, c Config) error {
	for _, name := range []string{databaseFile, databaseFile + "-wal", databaseFile + "-shm", "files"} {
		entries, err := os.ReadDir(filepath.Join(c.DataDir, name)) // an empty directory is no obstacle
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 && os.Remove(filepath.Join(c.DataDir, name)) == nil {
			continue
		}
		return fmt.Errorf("%s is not empty: it has %s already; restore into another --data-dir", c.DataDir, name)
	}
	if c.Embedded() {
		return nil
	}
	dsn, err := c.database()
	if err != nil {
		return err
	}
	d, err := pg.Open(ctx, pg.Config{URL: dsn, MaxConns: 1})
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return emptySchema(ctx, d, c)
}

func emptySchema(ctx context.Context, d db.DB, c Config) error {
	var tables int64
	if err := d.QueryRow(ctx, "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')").Scan(&tables); err != nil {
		return err
	}
	if tables > 0 {
		return fmt.Errorf("%s is not empty: it has %d tables; restore into a database of its own", c.Target(), tables)
	}
	return nil
}

// extract writes the files of an archive under dir and reads the archive to its authenticated end.
func extract(dir string, t *tar.Reader, plain io.Reader) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = extractOne(root, h.Name, t)
		}
		if err != nil {
			return fmt.Errorf("the backup is damaged, nothing was restored: %w", err)
		}
	}
	if _, err := io.Copy(io.Discard, plain); err != nil {
		return fmt.Errorf("the backup is damaged, nothing was restored: %w", err)
	}
	for _, name := range []string{"data.sqlite", "data.pgdump"} {
		if _, err := root.Stat(name); err == nil {
			return nil
		}
	}
	return errors.New("the backup has no database in it; nothing was restored")
}

func extractOne(root *os.Root, name string, r io.Reader) error {
	if dir := filepath.Dir(name); dir != "." {
		if err := root.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Sync(), f.Close())
}

// postgresTool runs pg_dump or pg_restore on the configured database. The password goes by a file in dir that only this user can
// read, so that neither the list of processes nor an environment shows it; of the own environment only what finds programs,
// servers and texts goes along.
func postgresTool(ctx context.Context, c Config, dir, name string, args ...string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return fmt.Errorf("%s is not installed; it comes with PostgreSQL's client package", name)
	}
	dsn, err := c.database()
	if err != nil {
		return err
	}
	bare, password := pg.ToolURL(dsn)
	cmd := exec.CommandContext(ctx, path, append([]string{"--no-password", "--dbname=" + bare}, args...)...)
	for _, v := range os.Environ() {
		if key, _, _ := strings.Cut(v, "="); key != "PGPASSWORD" && (strings.HasPrefix(key, "PG") || strings.HasPrefix(key, "LC_") || key == "LANG" || key == "PATH" || key == "HOME" || key == "TZ") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	if password != "" {
		file := filepath.Join(dir, "pgpass")
		line := "*:*:*:*:" + strings.NewReplacer(`\`, `\\`, ":", `\:`).Replace(password) + "\n"
		if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
			return err
		}
		cmd.Env = append(cmd.Env, "PGPASSFILE="+file)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}
