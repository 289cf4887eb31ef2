package app_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/db/lite"
)

// TestF45_BackupUnderWrites: a backup taken while the service writes holds whole transactions only: after a restore every invariant
// holds, and every product has the audit row that was written with it.
func TestF45_BackupUnderWrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := config(filepath.Join(dir, "shop"))
	a, err := app.New(t.Context(), c, app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writers sync.WaitGroup
	var made atomic.Int64
	for w := range 2 {
		writers.Go(func() {
			for n := 0; ctx.Err() == nil && createProduct(t, a, fmt.Sprintf("p-%d-%d", w, n)); n++ {
				made.Add(1)
			}
		})
	}
	for b := range 3 {
		before := made.Load()
		backup := filepath.Join(dir, fmt.Sprintf("%d.backup", b))
		if _, err := app.TakeBackup(t.Context(), c, backup); err != nil {
			t.Fatal(err)
		}
		to := config(filepath.Join(dir, fmt.Sprintf("restored-%d", b)))
		to.MasterKeyFile = filepath.Join(c.DataDir, "master.key")
		if err := app.RestoreBackup(t.Context(), to, backup); err != nil {
			t.Fatal(err)
		}
		if found, err := app.Verify(t.Context(), to); err != nil || len(found) > 0 {
			t.Fatalf("backup %d: %v, %v", b, found, err)
		}
		products, rows := counts(t, to.DataDir)
		if products != rows || products < before {
			t.Errorf("backup %d holds %d products and %d audit rows of them; %d were there before it began", b, products, rows, before)
		}
	}
	stop()
	writers.Wait()
	if made.Load() == 0 {
		t.Error("nothing was written meanwhile")
	}
}

func config(dir string) app.Config {
	return app.Config{DataDir: dir, Addr: "127.0.0.1:0", OpsAddr: "off", LogLevel: "error", KeyPrefix: "mtr", MailFrom: "Shop <shop@example.com>", ShopName: "Shop"}
}

func createProduct(t *testing.T, a *app.App, slug string) bool {
	body := fmt.Sprintf(`{"slug": %q, "name": "Product", "purpose": "revenue", "key_prefix": "PROD"}`, slug)
	r := httptest.NewRequest(http.MethodPost, "/v1/products", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	a.OperatorHandler().ServeHTTP(w, r)
	if w.Code != http.StatusCreated {
		t.Errorf("%s: %d %s", slug, w.Code, w.Body)
	}
	return w.Code == http.StatusCreated
}

func counts(t *testing.T, dir string) (products, rows int64) {
	t.Helper()
	d, err := lite.Open(t.Context(), lite.Config{Path: filepath.Join(dir, "mintreu.sqlite"), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if err := d.QueryRow(t.Context(), "SELECT count(*) FROM product").Scan(&products); err != nil {
		t.Fatal(err)
	}
	if err := d.QueryRow(t.Context(), "SELECT count(*) FROM audit WHERE action = 'product.create'").Scan(&rows); err != nil {
		t.Fatal(err)
	}
	return products, rows
}

// TestBackupLeavesNothingBehind: a backup that cannot be made leaves no file, whole or partial.
func TestBackupLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := app.TakeBackup(t.Context(), config(filepath.Join(dir, "none")), filepath.Join(dir, "x.backup")); err == nil {
		t.Fatal("a backup of nothing was made")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
