package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// One key in 64 begins with a dash: wherever a command takes one, it is read as what it is and never as flags.
func TestKeysMayBeginWithADash(t *testing.T) {
	const key = "-Heihl3XyzuT9nT11V7SxuG_vm0uqIK617_oSBqfEiM"
	parse := func(c *root) *kong.Kong {
		parser, err := kong.New(c, kong.Name("mintreu"), kong.ExplicitGroups(groups()), kong.NamedMapper("path", kong.MapperFunc(decodePath)))
		if err != nil {
			t.Fatal(err)
		}
		return parser
	}
	for line, want := range map[string]string{
		"license verify f --root " + key + " --product p":      "license verify f --root=" + key + " --product p",
		"license verify --root=" + key + " f":                  "license verify --root=" + key + " f",
		"keyring compromise " + key + " --yes":                 "keyring compromise --yes -- " + key,
		"keyring root request --revoke " + key + " --reason r": "keyring root request --revoke=" + key + " --reason r",
		"keyring compromise -- " + key:                         "keyring compromise -- " + key,
		"keyring compromise " + key + " -- other":              "keyring compromise -- " + key + " other",
		"license verify f --root " + key[1:] + "A -h --short":  "license verify f --root " + key[1:] + "A -h --short",
	} {
		if got := keys(parse(new(root)), strings.Fields(line)); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s\n became %s,\n wanted %s", line, strings.Join(got, " "), want)
		}
	}
	for _, line := range []string{
		"license verify f --root " + key + " --product p", "license inspect f --root " + key,
		"keyring compromise " + key + " --yes --reason leaked", "keyring root add " + key + " --reason stand-by", "keyring root rotate --next " + key + " --reason old",
		"keyring root request --to f --revoke " + key + " --reason drill", "keyring root request --add-root " + key + " --to f --reason r", "keyring root request --to f --next-root " + key + " --reason r",
	} {
		var c root
		parser := parse(&c)
		if _, err := parser.Parse(keys(parser, strings.Fields(line))); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if !slices.Equal(c.License.Verify.Root, []string{key}) && !slices.Equal(c.License.Inspect.Root, []string{key}) && c.Keyring.Compromise.KID != key && c.Keyring.Root.Add.Root != key && c.Keyring.Root.Rotate.Next != key &&
			c.Keyring.Root.Request.Revoke != key && c.Keyring.Root.Request.AddRoot != key && c.Keyring.Root.Request.NextRoot != key {
			t.Errorf("%s: the key was not read", line)
		}
	}
}
