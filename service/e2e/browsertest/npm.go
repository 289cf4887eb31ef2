package browsertest

import (
	"os"
	"path/filepath"
	"sync"

	"github.com/mintreu/mintreu/service/e2e/npmtest"
)

// axe returns the source of axe-core.
var axe = sync.OnceValues(func() (string, error) {
	dir, err := npmtest.Installed(npmtest.Axe)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"))
	return string(text), err
})

// validator returns the directory in which Node.js finds html-validate.
var validator = sync.OnceValues(func() (string, error) { return npmtest.Installed(npmtest.HTMLValidate) })
