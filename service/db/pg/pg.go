// Package pg is the SQL seam's adapter to PostgreSQL, on pgx and its native pool. Instants are read in UTC, transactions
// that lost a race are run again, and connections that died while they lay idle are replaced without the caller noticing.
package pg

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/db/guard"
	"github.com/mintreu/mintreu/service/dial"
)

// Config says which database to use and how. Only URL is required.
type Config struct {
	// URL is a connection string, "postgres://user:password@host:5432/name". Settings in it win over those below.
	URL string
	// MaxConns is the pool's size; 0 means eight for each core, at least eight.
	MaxConns int32
	// StatementTimeout bounds one statement, on the server and for statements whose context has no deadline also here;
	// 0 means 30 s.
	StatementTimeout time.Duration
	// LockTimeout bounds the wait for a row or table lock; 0 means 10 s.
	LockTimeout time.Duration
	// AcquireTimeout bounds the wait for a connection of the pool; 0 means 10 s.
	AcquireTimeout time.Duration
	// Attempts is how often a transaction is run before a serialization failure or a deadlock is given up; 0 means 6.
	Attempts int
	// Tracer, when set, is told of every query ([Tracing] makes one for OpenTelemetry).
	Tracer pgx.QueryTracer
}

// DB is a pool of connections to one database. It implements [db.DB].
type DB struct {
	config Config
	pool   *pgxpool.Pool
	guard  guard.Guard
	std    *sql.DB
	close  sync.Once
	rows   sync.Map // how rows are inserted, by table and columns
}

var _ db.DB = (*DB)(nil)

// Open connects and checks that the server answers.
func Open(ctx context.Context, c Config) (*DB, error) {
	c = withDefaults(c)
	pc, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("postgres: connection string: %w", err)
	}
	configure(pc, c)
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	d := &DB{config: c, pool: pool, std: stdlib.OpenDB(*migrating(pc.ConnConfig))}
	if err := d.pool.Ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("postgres: %w", wrap(ctx, err)), d.Close())
	}
	return d, nil
}

func withDefaults(c Config) Config {
	set := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	set(&c.StatementTimeout, 30*time.Second)
	set(&c.LockTimeout, 10*time.Second)
	set(&c.AcquireTimeout, 10*time.Second)
	if c.MaxConns <= 0 {
		c.MaxConns = int32(max(8, 8*runtime.GOMAXPROCS(0)))
	}
	if c.Attempts <= 0 {
		c.Attempts = 6
	}
	return c
}

// configure fills in what the connection string leaves open.
func configure(pc *pgxpool.Config, c Config) {
	if !strings.Contains(c.URL, "pool_max_conns") {
		pc.MaxConns = c.MaxConns
	}
	pc.MaxConnIdleTime = 5 * time.Minute
	pc.MaxConnLifetime = time.Hour
	pc.MaxConnLifetimeJitter = 5 * time.Minute
	pc.HealthCheckPeriod = 15 * time.Second
	params := map[string]string{
		"statement_timeout":                   milliseconds(c.StatementTimeout),
		"lock_timeout":                        milliseconds(c.LockTimeout),
		"idle_in_transaction_session_timeout": milliseconds(2 * c.StatementTimeout),
		"timezone":                            "UTC",
		"application_name":                    "mintreu",
	}
	for name, value := range params {
		if _, given := pc.ConnConfig.RuntimeParams[name]; !given {
			pc.ConnConfig.RuntimeParams[name] = value
		}
	}
	if pc.ConnConfig.ConnectTimeout == 0 {
		pc.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	pc.ConnConfig.DialFunc = pgconn.DialFunc(dial.Trusted())
	pc.ConnConfig.Tracer = c.Tracer
	pc.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		conn.TypeMap().RegisterType(&pgtype.Type{
			Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
		})
		return nil
	}
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// Engine implements [db.DB].
func (d *DB) Engine() db.Engine { return db.Postgres }

// migrating is the configuration of the migrations' connections: building an index may take as long as it takes.
func migrating(c *pgx.ConnConfig) *pgx.ConnConfig {
	c = c.Copy()
	c.RuntimeParams["statement_timeout"] = "0"
	c.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	return c
}

// SQLDB returns the database as database/sql sees it, without limits of time, for the migrations. It has connections of its
// own, made when it is first used. Closing it belongs to [DB.Close].
func (d *DB) SQLDB() *sql.DB { return d.std }

// Pool returns the native pool, for backups and for tests.
func (d *DB) Pool() *pgxpool.Pool { return d.pool }

// Ping implements [db.DB]: the server answers and is neither a standby nor read-only.
func (d *DB) Ping(ctx context.Context) error {
	var readOnly bool
	err := d.QueryRow(ctx, `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'`).Scan(&readOnly)
	if err == nil && readOnly {
		err = fmt.Errorf("%w: the server is read-only", db.ErrUnavailable)
	}
	return err
}

// closeTime is how long Close waits for statements under way.
const closeTime = 5 * time.Second

// Close implements [db.DB]. It waits five seconds at most, so that rows which somebody forgot to close cannot keep a process from
// ending. A second call does nothing.
func (d *DB) Close() (err error) {
	d.close.Do(func() {
		err = d.std.Close()
		done := make(chan struct{})
		go func() {
			defer close(done)
			d.pool.Close()
		}()
		timer := time.NewTimer(closeTime)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
			err = errors.Join(err, fmt.Errorf("postgres: %d connections were still in use after %v", d.pool.Stat().AcquiredConns(), closeTime))
		}
	})
	return err
}
