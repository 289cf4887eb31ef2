package lite_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/mintreu/mintreu/service/db/lite"
)

// childPath tells the test program to write to a database of another one's until it is killed.
const childPath = "MINTREU_TEST_LITE_PATH"

// Transactions of two rows are acknowledged one by one. Ten of them here; without end, with each acknowledged on the standard
// output, in the process that TestF42_KilledProcessKeepsWhatItAcknowledged kills.
func TestAcknowledgedWrites(t *testing.T) {
	path, most := os.Getenv(childPath), 1<<40
	if path == "" {
		path, most = filepath.Join(t.TempDir(), "test.db"), 10
	}
	d := open(t, lite.Config{Path: path})
	statements(t, d, `CREATE TABLE IF NOT EXISTS t (a bigint PRIMARY KEY)`)
	var from int
	if err := d.QueryRow(t.Context(), `SELECT count(*) FROM t`).Scan(&from); err != nil {
		t.Fatal(err)
	}
	for n := from; n < from+2*most; n += 2 {
		err := d.InTx(t.Context(), func(ctx context.Context) error {
			for i := range 2 {
				if _, err := d.Exec(ctx, `INSERT INTO t VALUES ($1)`, n+i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if most > 10 {
			fmt.Printf("ack %d\n", n+2)
		}
	}
}

// F42: a process that is killed while it writes loses nothing it acknowledged and leaves no half of a transaction, and its
// lock does not keep the next one out.
func TestF42_KilledProcessKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	acked := 0
	for round := range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestAcknowledgedWrites$")
		cmd.Env = append(os.Environ(), childPath+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		killed := false
		for lines, seen := bufio.NewScanner(out), 0; lines.Scan(); seen++ {
			if n, err := strconv.Atoi(lines.Text()[min(4, len(lines.Text())):]); err == nil {
				acked = n
			}
			if seen == 20+10*round {
				killed = cmd.Process.Kill() == nil
			}
		}
		if err := cmd.Wait(); err == nil || !killed {
			t.Fatalf("the process was not killed: %v", err)
		}
		d, err := lite.Open(t.Context(), lite.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		var rows int
		if err := d.QueryRow(t.Context(), `SELECT count(*) FROM t`).Scan(&rows); err != nil || rows < acked || rows%2 != 0 || acked == 0 {
			t.Errorf("round %d: %d rows, %d acknowledged, %v", round, rows, acked, err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
