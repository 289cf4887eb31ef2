package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/app"
)

// TestQ07_ProductionUnderAnHTTPIssuer: an installation whose first start set an issuer that is not https does not go into
// production, however good the rest of its configuration is, and says what to do.
func TestQ07_ProductionUnderAnHTTPIssuer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	c := app.Config{DataDir: filepath.Join(dir, "data"), Addr: "127.0.0.1:0", OpsAddr: "off", LogLevel: "error", KeyPrefix: "mtr", MailFrom: "Shop <shop@example.com>", ShopName: "Shop"}
	first, err := app.New(t.Context(), c, app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	c.Production, c.BaseURL, c.SMTPURL = true, "https://shop.example.com", "smtps://shop@mail.example.com"
	c.StripeKeyFile = secret("key", "sk_live_0123456789abcdefghijklmn")
	c.StripeWebhookSecretFile = secret("whsec", "whsec_0123456789abcdefghijklmnop")
	second, err := app.New(t.Context(), c, app.Options{})
	if err == nil {
		_ = second.Close()
		t.Fatal("production started under an http issuer")
	}
	if !strings.Contains(err.Error(), "issuer of this installation is http://") || !strings.Contains(err.Error(), "--issuer https://") {
		t.Errorf("the refusal says %q", err)
	}
	c.DataDir = filepath.Join(dir, "fresh")
	fresh, err := app.New(t.Context(), c, app.Options{})
	if err != nil {
		t.Fatalf("a fresh installation with the same configuration: %v", err)
	}
	if err := fresh.Close(); err != nil {
		t.Error(err)
	}
}
