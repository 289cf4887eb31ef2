package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/db/dbtest"
)

// emptyPostgres is a database without any schema.
func emptyPostgres(t *testing.T) string {
	t.Helper()
	return dbtest.PostgresDatabase(t, "")
}

// Q07: --production refuses to start with what must not reach customers, exits with a status other than 0, and names each fault.
func TestQ07_ProductionRefuses(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	live, hook := secretFile(t, dir, "live", "sk_live_5f0c1d2e3b4a59687786"), secretFile(t, dir, "hook", bankSecret)
	test, sample, empty := secretFile(t, dir, "test", bankKey), secretFile(t, dir, "sample", "whsec_test"), secretFile(t, dir, "empty", "")
	for name, c := range map[string]struct {
		args  []string
		words []string
	}{
		"everything at once": {nil, []string{"sandbox", "--base-url must be https", "mail would stay", "sample address"}},
		"test key":           {[]string{"--stripe-key-file", test, "--stripe-webhook-secret-file", hook}, []string{"--stripe-key-file holds a test-mode key"}},
		"sample secret":      {[]string{"--stripe-key-file", live, "--stripe-webhook-secret-file", sample}, []string{"--stripe-webhook-secret-file holds a sample value"}},
		"empty secret":       {[]string{"--stripe-key-file", live, "--stripe-webhook-secret-file", empty}, []string{"--stripe-webhook-secret-file: the file is empty"}},
		"emulator":           {[]string{"--stripe-key-file", live, "--stripe-webhook-secret-file", hook, "--stripe-url", "http://127.0.0.1:1"}, []string{"--stripe-url"}},
		"http base URL": {[]string{"--stripe-key-file", live, "--stripe-webhook-secret-file", hook, "--base-url", "http://shop.example"},
			[]string{"--base-url must be https", "http://shop.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"serve", "--production", "--addr", "127.0.0.1:0", "--ops-addr", "off", "--data-dir", shortDir(t)}, c.args...)
			status, said := command(t, args...)
			if status == 0 {
				t.Errorf("the service started")
			}
			for _, word := range c.words {
				if !strings.Contains(said, word) {
					t.Errorf("the message does not name %q: %s", word, said)
				}
			}
			if strings.Contains(said, "sk_live_") || strings.Contains(said, "whsec_") {
				t.Errorf("the message shows a secret: %s", said)
			}
		})
	}
}

// W04: with an empty or a malformed webhook secret the service does not start, in production or not.
func TestW04_EmptySecretRefusedByTheProgram(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	key := secretFile(t, dir, "key", bankKey)
	for name, secret := range map[string]string{"empty": "", "blank": "  \n\t", "no prefix": "9d8c7b6a5f4e3d2c1b0a99887766", "prefix alone": "whsec_"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, said := command(t, "serve", "--addr", "127.0.0.1:0", "--ops-addr", "off", "--data-dir", shortDir(t),
				"--stripe-key-file", key, "--stripe-webhook-secret-file", secretFile(t, shortDir(t), "hook", secret))
			if status == 0 || !strings.Contains(said, "secret") {
				t.Errorf("status %d: %s", status, said)
			}
		})
	}
}

// F37: on SIGTERM the service ends within ten seconds with status 0, and every request it had taken is answered as if nothing had
// happened: orders that were being placed are placed, and are there after the next start.
func TestF37_DrainAnswersWhatWasAccepted(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, engine)
			running := p.begin(t)
			what := shelve(t, p.operator)

			const buyers = 12
			opening, release := make(chan struct{}, buyers), make(chan struct{})
			p.bank.onRequest(func(r *http.Request) { // the provider holds every order until it is told to go on
				if r.Method == http.MethodPost && r.URL.Path == "/v1/checkout/sessions" {
					opening <- struct{}{}
					<-release
				}
			})
			orders := make([]*purchase, buyers)
			failed := make([]error, buyers)
			var placing sync.WaitGroup
			for i := range orders {
				orders[i] = newPurchase(running.url, what, 1)
				placing.Go(func() { failed[i] = orders[i].checkOut(context.Background()) })
			}
			for range buyers {
				select {
				case <-opening:
				case <-time.After(30 * time.Second):
					t.Fatal("the orders do not reach the provider")
				}
			}
			stop := browse(running.url)
			term := time.Now()
			if err := running.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			eventually(t, "no new connection is taken", time.Minute, func() bool {
				_, _, err := fetch(t.Context(), http.MethodGet, running.url+"/livez", nil, nil)
				return err != nil
			})
			close(release)
			placing.Wait()
			<-running.ended
			if took := time.Since(term); took > 10*time.Second || running.cmd.ProcessState.ExitCode() != 0 {
				t.Errorf("the service ended after %v with status %d; want 0 within 10 s: %s", took, running.cmd.ProcessState.ExitCode(), running.out.tail())
			}
			for i, err := range failed {
				if err != nil {
					t.Errorf("order %d, which was being placed, failed: %v", i, err)
				}
			}
			if bad := stop(); len(bad) > 0 {
				t.Errorf("%d requests under way were answered badly, first: %s", len(bad), bad[0])
			}
			p.begin(t)
			for _, o := range orders {
				if got := state(t, p.rows, o.id); got != "pending" {
					t.Errorf("order %s is %q after the restart", o.id, got)
				}
			}
			p.verify(t)
		})
	}
}

// browse keeps a few readers at the catalogue until it can no longer be reached or stop is called, which returns what went wrong with
// requests that were taken.
func browse(base string) (stop func() []string) {
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var bad []string
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for ctx.Err() == nil {
				status, _, err := fetch(ctx, http.MethodGet, base+"/v1/catalog", nil, nil)
				switch {
				case ctx.Err() != nil, notTaken(err):
					return
				case err != nil || status != http.StatusOK:
					mu.Lock()
					bad = append(bad, fmt.Sprint(status, " ", err))
					mu.Unlock()
				}
			}
		})
	}
	return func() []string {
		cancel()
		readers.Wait()
		return bad
	}
}

// notTaken reports whether a connection was never taken by the service: refused, or reset by the system while it waited to be taken.
func notTaken(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" || errors.Is(err, syscall.ECONNRESET)
}
