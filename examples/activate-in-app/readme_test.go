package main

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/sdk"
)

// embed is the README's "SDK in ten lines", so that it is known to compile.
func embed(ctx context.Context, licenseKey string, export func()) error {
	client, err := sdk.New(sdk.Config{
		BaseURL: "https://shop.example", Product: "acme-notes",
		Roots: []string{"…"}, // printed by: mintreu keyring roots
	})
	if err != nil {
		return err
	}
	defer client.Close()
	d, err := client.Check(ctx) // offline; renews when it is time
	if err == nil && !d.Allowed {
		d, err = client.Activate(ctx, licenseKey) // once, with the key from the purchase mail
	}
	if client.Allowed("export") { // no lock, no allocation
		export()
	}
	return err
}

// TestReadme: the README shows the very code above, which compiles, and its root is a blank to fill in, which is refused.
func TestReadme(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	body := regexp.MustCompile(`(?s)\nfunc embed\([^\n]*\n(.*?)\n}\n`).FindSubmatch(source)[1]
	want := strings.TrimPrefix(strings.ReplaceAll("\n"+string(body), "\n\t", "\n"), "\n")
	if shown := regexp.MustCompile("(?s)```go\n(.*?)\n```").FindSubmatch(readme); shown == nil || string(shown[1]) != want {
		t.Errorf("the README shows\n%s\nwant\n%s", shown, want)
	}
	if err := embed(context.Background(), "", func() {}); err == nil {
		t.Error("a root of … was accepted")
	}
}
