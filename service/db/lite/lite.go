// Package lite is the SQL seam's adapter to SQLite, without cgo. A database is one file in WAL mode with durable commits
// (synchronous=FULL), one connection that writes and a pool of connections that only read. A lock on the file's directory
// refuses a second writing process.
//
// Differences from PostgreSQL that [db] hides here: parameters, row locks and collations are rewritten ([Rewrite]), times
// are text of fixed width ([TimeFormat]), text is checked for valid UTF-8, and a failed statement fails its transaction.
package lite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/db/guard"
)

// HoldLimit is how long one transaction may keep the writer before it is logged.
const HoldLimit = 50 * time.Millisecond

// Config says which file to open and how. Only Path is required.
type Config struct {
	// Path is the database file. Its directory must exist; the file is made when missing, except with ReadOnly.
	Path string
	// ReadOnly opens beside a running writer, without the lock; every write then fails with [db.ErrUnavailable].
	ReadOnly bool
	// Logger is told of transactions that held the writer longer than [HoldLimit]. Nil discards.
	Logger *slog.Logger
	// Clock measures how long the writer was held. Nil is the system's clock.
	Clock licensing.Clock
	// Readers is the number of reading connections; 0 means four for each core.
	Readers int
	// WriterWait bounds how long a write without a deadline of its own waits for its turn; 0 means 30 s.
	WriterWait time.Duration
	// OnHeld, when set, is called after every transaction with the operation and how long fn kept the writer (the durable
	// commit is not counted). It must be quick and safe for concurrent use.
	OnHeld func(operation string, held time.Duration)
}

// DB is an open SQLite database. It implements [db.DB].
type DB struct {
	config   Config
	writer   *sql.DB // one connection; nil when read-only
	readers  *sql.DB
	lock     *fileLock
	file     os.FileInfo // the database file as it was opened
	rewriter rewriter
	prepared prepared
	guard    guard.Guard
	close    sync.Once

	migrating sync.Mutex // also guards reclaimed
	reclaimed bool       // the jobs of the process before were put back
}

var _ db.DB = (*DB)(nil)

// Open opens the database and takes the directory's lock. It fails with [ErrLocked] when another process holds it.
func Open(ctx context.Context, c Config) (*DB, error) {
	if c.Path == "" {
		return nil, errors.New("sqlite: no path given")
	}
	c = withDefaults(c)
	d := &DB{config: c}
	if err := d.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", c.Path, wrap(ctx, err)), d.Close())
	}
	return d, nil
}

func withDefaults(c Config) Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Readers <= 0 {
		c.Readers = 4 * runtime.GOMAXPROCS(0)
	}
	if c.WriterWait <= 0 {
		c.WriterWait = 30 * time.Second
	}
	return c
}

func (d *DB) open(ctx context.Context) error {
	if !d.config.ReadOnly {
		var err error
		if d.lock, err = lockDirectory(filepath.Dir(d.config.Path)); err != nil {
			return err
		}
		if d.writer, err = sql.Open("sqlite", d.dsn(false)); err != nil {
			return err
		}
		d.writer.SetMaxOpenConns(1)
		d.writer.SetMaxIdleConns(1)
		if err := d.prepareFile(ctx); err != nil {
			return err
		}
	} else if _, err := os.Stat(d.config.Path); err != nil {
		return err
	}
	var err error
	if d.readers, err = sql.Open("sqlite", d.dsn(true)); err != nil {
		return err
	}
	d.readers.SetMaxOpenConns(d.config.Readers)
	d.readers.SetMaxIdleConns(d.config.Readers)
	var version int64
	return d.readers.QueryRowContext(ctx, "PRAGMA schema_version").Scan(&version)
}

// prepareFile opens the writing connection, which makes the file and checks that it is an undamaged database in WAL mode.
func (d *DB) prepareFile(ctx context.Context) error {
	var mode string
	if err := d.writer.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("%w: journal mode is %q, the file's place does not allow write-ahead logging", db.ErrUnavailable, mode)
	}
	if err := os.Chmod(d.config.Path, 0o600); err != nil {
		return err
	}
	var err error
	d.file, err = os.Stat(d.config.Path)
	return err
}

// dsn names the file and its settings. busy_timeout comes first, since switching to WAL may have to wait.
func (d *DB) dsn(reader bool) string {
	q := url.Values{"_pragma": {
		"busy_timeout(5000)", "foreign_keys(1)", "synchronous(FULL)", "mmap_size(" + strconv.Itoa(256<<20) + ")",
		"cache_size(-16000)", "temp_store(MEMORY)", "trusted_schema(0)",
	}}
	switch {
	case !reader:
		q.Add("_pragma", "journal_mode(WAL)")
		q.Set("_txlock", "immediate")
	default:
		q.Add("_pragma", "query_only(1)")
		if d.config.ReadOnly {
			q.Set("mode", "ro")
		}
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: d.config.Path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// Engine implements [db.DB].
func (d *DB) Engine() db.Engine { return db.SQLite }

// SQLDB returns the writing pool of one connection, for the migrations and the job queue, which speak database/sql. Code
// inside [DB.InTx] must not use it: its connection is taken. Nil when the database was opened read-only.
func (d *DB) SQLDB() *sql.DB { return d.writer }

// Path is the file's path.
func (d *DB) Path() string { return d.config.Path }

// Ping implements [db.DB]: it takes and gives back the write lock, and looks whether the files are still in their place.
func (d *DB) Ping(ctx context.Context) error {
	if d.config.ReadOnly {
		return wrap(ctx, d.readers.PingContext(ctx))
	}
	if err := d.filesInPlace(); err != nil {
		return fmt.Errorf("%w: a file of the database was removed or replaced while it is open; stop and restore a backup: %w",
			db.ErrUnavailable, err)
	}
	return d.InTx(ctx, func(ctx context.Context) error {
		_, err := d.Exec(ctx, "SELECT 1")
		return err
	})
}

// filesInPlace notices that what is written goes to files that nobody will find again.
func (d *DB) filesInPlace() error {
	info, err := os.Stat(d.config.Path)
	if err != nil {
		return err
	}
	if !os.SameFile(info, d.file) {
		return errors.New("another file has taken the place of " + d.config.Path)
	}
	_, err = os.Stat(d.config.Path + "-wal")
	return err
}

// Close implements [db.DB]. A second call does nothing.
func (d *DB) Close() (err error) {
	d.close.Do(func() {
		d.prepared.close()
		if d.readers != nil {
			err = errors.Join(err, d.readers.Close())
		}
		if d.writer != nil {
			err = errors.Join(err, d.writer.Close())
		}
		if d.lock != nil {
			err = errors.Join(err, d.lock.release())
		}
	})
	return err
}
