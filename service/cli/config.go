package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// maxConfigFile bounds the configuration file.
const maxConfigFile = 1 << 20

// BeforeResolve reads the file that --config or MINTREU_CONFIG names, before options take their values.
func (c *root) BeforeResolve(ctx *kong.Context) error {
	for _, flag := range ctx.Model.Flags {
		if flag.Name != "config" {
			continue
		}
		path, _ := ctx.FlagValue(flag).(string)
		if path == "" {
			return nil
		}
		values, err := readConfig(path, ctx.Model.Flags)
		if err != nil {
			return fmt.Errorf("--config %s: %w", path, err)
		}
		ctx.AddResolver(file(values))
	}
	return nil
}

// file gives options the values of a configuration file: behind the command line and the environment, before defaults.
type file map[string]any

var _ kong.Resolver = file(nil)

// Validate implements [kong.Resolver]; readConfig has done it.
func (file) Validate(*kong.Application) error { return nil }

// Resolve implements [kong.Resolver].
func (f file) Resolve(_ *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	if parent.App == nil { // the file holds the installation's options, not those of one command
		return nil, nil
	}
	for _, name := range flag.Envs {
		if os.Getenv(name) != "" {
			return nil, nil
		}
	}
	return f[flag.Name], nil
}

// readConfig reads a YAML file and refuses, all at once, what is no option.
func readConfig(path string, flags []*kong.Flag) (map[string]any, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	values := map[string]any{}
	if err := yaml.NewDecoder(io.LimitReader(f, maxConfigFile)).Decode(&values); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("not a YAML file of \"option: value\" lines: %w", err)
	}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := knownOption(name, values[name], flags); err != nil {
			faults = append(faults, err)
		}
		if n, ok := values[name].(int); ok { // a shop may be called 42
			values[name] = fmt.Sprint(n)
		}
		if values[name] == nil {
			delete(values, name)
		}
	}
	return values, errors.Join(faults...)
}

func knownOption(name string, value any, flags []*kong.Flag) error {
	var near string
	for _, f := range flags {
		if f.Name == "help" || f.Name == "config" {
			continue
		}
		if f.Name == name {
			if _, nested := value.(map[string]any); nested {
				return fmt.Errorf("%s: want one value or a list", name)
			}
			return nil
		}
		if same(f.Name, name) {
			near = f.Name
		}
	}
	if near != "" {
		return fmt.Errorf("%q is no option; did you mean %q?", name, near)
	}
	return fmt.Errorf("%q is no option; \"mintreu serve --help\" lists them", name)
}

// same reports whether two spellings mean the same option: baseURL, base_url, base-url.
func same(a, b string) bool {
	fold := strings.NewReplacer("-", "", "_", "", " ", "")
	return strings.EqualFold(fold.Replace(a), fold.Replace(b))
}
