package app

import (
	"archive/tar"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/seal"
)

// A backup is one file: a tar archive, encrypted with a key derived from the master key, that holds manifest.json, the
// database (data.sqlite by VACUUM INTO, or data.pgdump by pg_dump's custom format) and the files of the blob store. The master
// key itself is never in it.

// backupManifest says what a backup holds.
type backupManifest struct {
	Format  int       `json:"format"`
	Engine  db.Engine `json:"engine"`
	Created time.Time `json:"created"`
	Version string    `json:"version"`
}

// databaseFile is the name of the embedded database in the data directory.
const databaseFile = "mintreu.sqlite"

const (
	backupFormat  = 1
	backupPurpose = "backup"
	maxManifest   = 1 << 16
)

// BackupParams say what to back up and where to.
type BackupParams struct {
	Config Config
	Seal   licensing.Sealer
	Engine db.Engine
	// Copy writes a consistent copy of the SQLite database to a path that does not exist yet.
	Copy    func(ctx context.Context, path string) error
	Version string
	Now     time.Time
	To      string // file to make; it must not exist
}

// Backup writes a consistent, encrypted copy while the service runs. The file appears under its name only when it is whole.
func Backup(ctx context.Context, p BackupParams) (err error) {
	if _, err := os.Lstat(p.To); err == nil {
		return fmt.Errorf("%s exists; a backup never overwrites", p.To)
	}
	dir, err := os.MkdirTemp(filepath.Dir(p.To), ".mintreu-backup-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	name := "data.sqlite"
	if p.Engine == db.Postgres {
		name = "data.pgdump"
		err = postgresTool(ctx, p.Config, dir, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", "--file="+filepath.Join(dir, name))
	} else {
		err = p.Copy(ctx, filepath.Join(dir, name))
	}
	if err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	out, err := os.OpenFile(filepath.Join(dir, "backup"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	recipient, err := age.NewScryptRecipient(backupSecret(p.Seal))
	if err != nil {
		return err
	}
	recipient.SetWorkFactor(10) // the secret has 256 bits of its own
	sealed, err := age.Encrypt(out, recipient)
	if err != nil {
		return err
	}
	manifest := backupManifest{Format: backupFormat, Engine: p.Engine, Created: p.Now.UTC(), Version: p.Version}
	if err := writeArchive(sealed, manifest, filepath.Join(dir, name), filepath.Join(p.Config.DataDir, "files")); err != nil {
		return err
	}
	if err := errors.Join(sealed.Close(), out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Rename(filepath.Join(dir, "backup"), p.To)
}

func backupSecret(s licensing.Sealer) string { return hex.EncodeToString(s.Derive(backupPurpose)) }

func writeArchive(w io.Writer, m backupManifest, data, files string) error {
	t := tar.NewWriter(w)
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Name: "manifest.json", Mode: 0o600, Size: int64(len(text)), ModTime: m.Created}); err != nil {
		return err
	}
	if _, err := t.Write(text); err != nil {
		return err
	}
	if err := addFile(t, data, filepath.Base(data)); err != nil {
		return err
	}
	err = filepath.WalkDir(files, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		rel, err := filepath.Rel(files, path)
		if err != nil {
			return err
		}
		return addFile(t, path, "files/"+filepath.ToSlash(rel))
	})
	return errors.Join(err, t.Close())
}

func addFile(t *tar.Writer, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: info.Size(), ModTime: info.ModTime()}); err != nil {
		return err
	}
	_, err = io.CopyN(t, f, info.Size())
	return err
}

// RestoreParams say what to restore and where to.
type RestoreParams struct {
	Config Config
	Seal   licensing.Sealer
	From   string
}

// Restore unpacks a backup into an empty data directory (or an empty PostgreSQL database) and checks that the master key fits.
// Nothing is written before the key has opened the archive, and nothing stays when the archive is not whole. The caller verifies the invariants afterwards.
func Restore(ctx context.Context, p RestoreParams) error {
	in, err := os.Open(p.From)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	identity, err := age.NewScryptIdentity(backupSecret(p.Seal))
	if err != nil {
		return err
	}
	plain, err := age.Decrypt(in, identity)
	if err != nil {
		var none *age.NoIdentityMatchError
		if errors.As(err, &none) {
			return errors.New("the master key does not open this backup; give the --master-key-file of the installation it was taken from")
		}
		return fmt.Errorf("%s is not a backup, or not a whole one: %w", p.From, err)
	}
	t := tar.NewReader(plain)
	m, err := readManifest(t)
	if err != nil {
		return err
	}
	want := db.SQLite
	if !p.Config.Embedded() {
		want = db.Postgres
	}
	if m.Engine != want {
		return fmt.Errorf("this is a backup of %s and the target is %s; restore to the same engine", m.Engine, want)
	}
	return unpack(ctx, p.Config, t, plain)
}

func readManifest(t *tar.Reader) (m backupManifest, err error) {
	h, err := t.Next()
	if err != nil || h.Name != "manifest.json" || h.Size > maxManifest {
		return m, errors.New("no manifest: this is not a backup of Mintreu")
	}
	if err := json.NewDecoder(io.LimitReader(t, maxManifest)).Decode(&m); err != nil {
		return m, fmt.Errorf("manifest: %w", err)
	}
	if m.Format != backupFormat {
		return m, fmt.Errorf("backup format %d; this version of Mintreu reads %d", m.Format, backupFormat)
	}
	return m, nil
}

// TakeBackup backs up the installation that a configuration names, beside a service that runs or without one, and returns the size
// of the file in bytes.
func TakeBackup(ctx context.Context, c Config, to string) (int64, error) {
	c.setDefaults()
	s, err := openStorage(ctx, c, slog.New(slog.DiscardHandler), reading)
	if err != nil {
		return 0, err
	}
	defer func() { _ = s.db.Close() }()
	p := BackupParams{Config: c, Seal: s.key, Engine: s.db.Engine(), Version: Version(), Now: c.Clock.Now(), To: to}
	if s.lite != nil {
		p.Copy = s.lite.Copy
	}
	if err := Backup(ctx, p); err != nil {
		return 0, err
	}
	info, err := os.Stat(to)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// RestoreBackup restores a backup to the empty place that a configuration names. The master key must be in place: it is no part of a
// backup.
func RestoreBackup(ctx context.Context, c Config, from string) error {
	c.setDefaults()
	key, err := seal.Load(c.masterKey())
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the master key %s is not there; put the key of the installation that was backed up in its place, or name it with --master-key-file", c.masterKey())
	}
	if err != nil {
		return err
	}
	if err := Restore(ctx, RestoreParams{Config: c, Seal: key, From: from}); err != nil {
		return err
	}
	return MigrateUp(ctx, c) // a backup may be of an older version
}
