package dial

import "net/http"

// Reach makes a guarded client dial with d, so that its limits can be tried on a server of the test.
func Reach(c *http.Client, d Dialer) {
	c.Transport.(capped).next.(*http.Transport).DialContext = d
}
