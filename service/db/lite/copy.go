package lite

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Copy writes a consistent copy of the database to path, which must not exist, while others read and write. The copy is
// compacted, has no write-ahead log and is readable by its owner alone. It works on a read-only DB too.
func (d *DB) Copy(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s exists", path)
	}
	conn, err := d.readers.Conn(ctx)
	if err != nil {
		return wrap(ctx, err)
	}
	// VACUUM INTO only reads this database, but query_only refuses it all the same.
	_, err = conn.ExecContext(ctx, "PRAGMA query_only(0)")
	if err == nil {
		_, err = conn.ExecContext(ctx, "VACUUM INTO ?1", path)
	}
	_, again := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA query_only(1)")
	if err = errors.Join(wrap(ctx, err), wrap(ctx, again), conn.Close()); err != nil {
		return err
	}
	return os.Chmod(path, 0o600)
}
