package app_test

import (
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/app"
)

// TestA19_NetworksThatMatchNobody: a network in which no caller's address can lie is refused with what would be right, so that nobody believes in
// a proxy that is not trusted.
func TestA19_NetworksThatMatchNobody(t *testing.T) {
	t.Parallel()
	for network, good := range map[string]bool{"10.0.0.0/8": true, "2001:db8::/32": true, "::/0": true, "::ffff:10.0.0.0/104": false, "::ffff:0:0/96": false, "10.0.0.1": false} {
		for name, c := range map[string]app.Config{"--trusted-proxy": {TrustedProxy: []string{network}}, "--authorize-from": {AuthorizeFrom: []string{network}}} {
			err := c.Check()
			refused := err != nil && strings.Contains(err.Error(), name) && strings.Contains(err.Error(), "10.0.0.0/8")
			if refused == good {
				t.Errorf("%s %s: %v", name, network, err)
			}
		}
	}
}
