package sdk_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Importing the SDK, all of it, adds at most 2 MB to a program that uses net/http, and not one module. `go test -v -run
// TestBinarySize` prints the figures.
func TestBinarySize(t *testing.T) {
	t.Parallel()
	size := func(name string) int64 {
		t.Helper()
		out := filepath.Join(t.TempDir(), name)
		if text, err := exec.Command("go", "build", "-o", out, "./testdata/size/"+name).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		info, err := os.Stat(out)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	plain, licensed := size("plain"), size("licensed")
	t.Logf("net/http alone %d bytes, with the SDK %d bytes: %.2f MB more", plain, licensed, float64(licensed-plain)/1e6)
	if licensed-plain > 2_000_000 {
		t.Errorf("the SDK adds %d bytes to a program", licensed-plain)
	}
	cmd := exec.Command("go", "list", "-m", "all")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	modules, err := cmd.Output()
	if err != nil || strings.TrimSpace(string(modules)) != "github.com/mintreu/mintreu/sdk" {
		t.Errorf("modules: %s, %v", modules, err)
	}
}
