package httpapi_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/api"
	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
)

var update = flag.Bool("update", false, "write api/openapi.json anew")

var goldenPath = filepath.Join("..", "..", "api", "openapi.json")

// TestGolden: the committed OpenAPI document is the one that the routes make, and a valid one.
func TestGolden(t *testing.T) {
	t.Parallel()
	doc, err := httpapi.Document()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(goldenPath, doc, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(doc, api.OpenAPI()) {
		t.Error("api/openapi.json is not what the routes make; run: go test ./service/httpapi -run TestGolden -update")
	}
	kittest.Load(t, doc)
}

// TestBreakingChangesAreAnnounced: a change of the API that breaks callers of the last commit's goes with a line that says
// "api: breaking" under Unreleased in the CHANGELOG.
func TestBreakingChangesAreAnnounced(t *testing.T) {
	t.Parallel()
	before, err := exec.Command("git", "show", "HEAD:./"+filepath.ToSlash(goldenPath)).Output()
	if err != nil {
		t.Logf("no earlier document to compare with: %v", err) // a source archive without history, or the first commit
		return
	}
	if !bytes.Contains(before, []byte(`"openapi"`)) {
		t.Log("the earlier document is empty")
		return
	}
	after, err := httpapi.Document()
	if err != nil {
		t.Fatal(err)
	}
	broken, err := kit.Breaking(before, after)
	if err != nil {
		t.Fatal(err)
	}
	changelog, err := os.ReadFile(filepath.Join("..", "..", "CHANGELOG.md"))
	if err != nil && len(broken) > 0 {
		t.Fatal(err)
	}
	_, unreleased, _ := strings.Cut(string(changelog), "## [Unreleased]")
	unreleased, _, _ = strings.Cut(unreleased, "\n## [")
	if len(broken) > 0 && !strings.Contains(unreleased, "api: breaking") {
		t.Errorf("the API breaks its callers, and CHANGELOG.md does not say \"api: breaking\" under Unreleased:\n%s", strings.Join(broken, "\n"))
	}
}
