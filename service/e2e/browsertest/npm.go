package browsertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// The releases of what pages are held to.
const (
	axeVersion      = "4.10.3"
	validateVersion = "9.7.1"
)

// axe returns the source of axe-core.
var axe = sync.OnceValues(func() (string, error) {
	dir, err := installed("axe-core", axeVersion)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"))
	return string(text), err
})

// validator returns the directory in which Node.js finds html-validate.
var validator = sync.OnceValues(func() (string, error) { return installed("html-validate", validateVersion) })

// installed returns a directory with a release of a package of npm, from the user's cache or, once, from the registry. Packages run
// no scripts when they are installed. Tests that install at the same time do not disturb each other.
func installed(name, version string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "mintreu-dev")
	dir := filepath.Join(cache, name+"-"+version)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("npm is not installed")
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(cache, "fetch")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "install", "--silent", "--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--prefix", temp, name+"@"+version)
	cmd.Dir = temp
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm install %s: %w: %s", name, err, out)
	}
	if err := os.Rename(temp, dir); err != nil {
		if _, there := os.Stat(dir); there != nil {
			return "", err
		}
	}
	return dir, nil
}
