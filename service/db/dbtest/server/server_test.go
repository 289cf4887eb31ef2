package server_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/db/dbtest/server"
)

// missing reports a server that is not installed; with CI=true that is a failure.
func missing(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, server.ErrMissing) && os.Getenv("CI") != "true" {
		t.Skipf("nothing was tested: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// answers reports whether something listens at a URL.
func answers(t *testing.T, address string) bool {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", u.Host)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// Redis answers until it is stopped, and stopping twice is harmless.
func TestRedis(t *testing.T) {
	t.Parallel()
	address, stop, err := server.StartRedis(t.Context())
	missing(t, err)
	if !answers(t, address) {
		t.Error("it does not answer")
	}
	for range 2 {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
	if answers(t, address) {
		t.Error("it still answers")
	}
}

// PostgreSQL can be killed and started again at the same address, and is gone after Stop.
func TestPostgresKillAndRestart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := server.NewPostgres(ctx, false)
	missing(t, err)
	defer p.Stop()
	if err := p.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if answers(t, p.URL) {
		t.Error("it answers although it was killed")
	}
	if err := p.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if !answers(t, p.URL) {
		t.Error("it does not answer")
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if answers(t, p.URL) {
		t.Error("it still answers")
	}
}
