package httpapi

import (
	"net/http"
	"strings"
	"time"
)

// authorizePath is where proxies ask about API keys.
const authorizePath = "/v1/keys/authorize"

// AskHeader is where Envoy, which cannot say it in the query, says what a use needs: "env=live&scope=notes:read".
const AskHeader = "X-Mintreu-Ask"

// heldBody is how long the body of a held request may take to arrive. Nobody reads it, but the server waits for its end before it answers.
const heldBody = 9 * time.Second

// ForwardAuth lets proxies ask that keep the method of the request they hold and append its path, as Envoy's ext_authz does: whatever
// comes below /v1/keys/authorize/ is a GET of that operation. Body and query are the held request's and are dropped. Where the header comes more
// than once, one of them perhaps from the caller, every one is asked for: what a use needs can be added to, and never taken away.
func ForwardAuth(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, authorizePath+"/") {
			next.ServeHTTP(w, r)
			return
		}
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(heldBody)) // a writer without deadlines is a test's
		}
		asked := r.Clone(r.Context())
		asked.Method, asked.Body, asked.ContentLength = http.MethodGet, http.NoBody, 0
		asked.URL.Path, asked.URL.RawPath, asked.URL.RawQuery = authorizePath, "", strings.Join(r.Header.Values(AskHeader), "&")
		asked.RequestURI = asked.URL.RequestURI()
		asked.Header.Del("Content-Type")
		asked.Header.Del("Content-Encoding")
		next.ServeHTTP(w, asked)
	})
}
