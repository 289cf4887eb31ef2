//go:build failpoint

package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/failpoint"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// many is how many licenses are issued, signed again or revoked in the tests of kills: several batches of each.
const many = 1200

// works is a shop whose service dies in the middle of work on many licenses.
type works struct {
	*plant
	armed string
}

// dies has the service killed at the given hit of a point while do, whose answer may get lost, sets off work, or while the service goes on with
// what was set off; and starts it again, without failpoints, on the database as it then is.
func (w *works) dies(t *testing.T, point string, hit int, do func() error) {
	t.Helper()
	w.running.kill()
	if err := os.WriteFile(w.armed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	victim, said := w.start(t.Context(), failpoint.Variable+"="+fmt.Sprintf("%s=kill@%d", point, hit), failpoint.WhenVariable+"="+w.armed)
	if victim != nil { // else it died before it said where it listens
		said = do()
		eventually(t, fmt.Sprintf("the death at hit %d of %s", hit, point), 3*recovery, func() bool {
			select {
			case <-victim.ended:
				return true
			default:
				return false
			}
		})
	}
	if victim != nil && !victim.killed() || victim == nil && !strings.Contains(said.Error(), "status -1") {
		t.Fatalf("hit %d of %s did not kill the process: %v", hit, point, said)
	}
	if err := os.Remove(w.armed); err != nil {
		t.Fatal(err)
	}
	w.begin(t)
}

// issue begins to issue licenses.
func (w *works) issue(t *testing.T) error {
	var policies struct{ Items []struct{ ID string } }
	if err := w.operator(t.Context(), http.MethodGet, "/v1/policies", nil, &policies); err != nil {
		return err
	}
	return w.operator(t.Context(), http.MethodPost, "/v1/licenses/bulk", map[string]any{"policy": policies.Items[0].ID, "env": "test", "reason": "drill",
		"email": "reseller@example.com", "count": many}, nil)
}

// ends waits until a count is 1.
func (w *works) ends(t *testing.T, what, sql string) {
	t.Helper()
	eventually(t, what, 3*recovery, func() bool { return number(t, w.rows, sql) == 1 })
}

// all demands that each of these counts is that of all licenses.
func (w *works) all(t *testing.T, counts map[string]string) {
	t.Helper()
	for what, sql := range counts {
		if n := number(t, w.rows, sql); n != many {
			t.Errorf("%d %s, want %d", n, what, many)
		}
	}
}

// F05, F06, M13: killed while many licenses are issued, and while they are signed again after their key was revoked. Started again, the service goes
// on by itself: each license is issued exactly once and signed again exactly once, whether it dies with licenses written and their audit rows not, with
// both and the run not moved, or with tokens signed and not committed.
func TestKill_F05_F06_M13_WorkOnMany(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w := &works{plant: newPlant(t, engine), armed: filepath.Join(shortDir(t), "armed")}
			w.begin(t)
			shelve(t, w.operator)
			w.dies(t, "license-rows", 2, func() error { return w.issue(t) }) // in the second batch
			w.dies(t, "bulk-rows", 1, func() error { return nil })
			w.ends(t, "the run goes on to its end", `SELECT count(*) FROM bulk_run WHERE state = 'done'`)
			w.all(t, map[string]string{
				"rows of the run":              `SELECT count(*) FROM bulk_row`,
				"rows that are done":           `SELECT count(DISTINCT num) FROM bulk_row WHERE outcome = 'done'`,
				"licenses that its rows name":  `SELECT count(DISTINCT license_id) FROM bulk_row`,
				"licenses":                     `SELECT count(*) FROM license`,
				"tokens":                       `SELECT count(*) FROM license_token WHERE current`,
				"licenses of which it reports": `SELECT done FROM bulk_run`,
			})

			var revoked string
			if err := w.rows.QueryRow(t.Context(), `SELECT kid FROM signing_key WHERE role = 'signing' AND state = 'active'`).Scan(&revoked); err != nil {
				t.Fatal(err)
			}
			w.dies(t, "tokens-resigned", 3, func() error {
				return w.operator(t.Context(), http.MethodPost, "/v1/signing-keys/"+revoked+"/compromise", map[string]any{"reason": "drill"}, nil)
			})
			if storetest.Soak(false, true) { // once more, when the hold of the one that died has ended
				w.dies(t, "tokens-resigned", 1, func() error { return nil })
			}
			w.ends(t, "the signing again goes on to its end", `SELECT count(*) FROM resigning WHERE finished_at IS NOT NULL`)
			w.all(t, map[string]string{
				"tokens of a good key":         `SELECT count(*) FROM license_token t JOIN signing_key k ON k.kid = t.kid WHERE t.current AND k.state = 'active'`,
				"tokens signed again once":     `SELECT count(*) FROM license_token WHERE current AND length(prior) = 32`, // one digest of an earlier text
				"licenses of which it reports": `SELECT done FROM resigning WHERE failed = 0 AND total = done`,
			})
			w.verify(t)
		})
	}
}
