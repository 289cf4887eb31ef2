package httpapi

import (
	"net/http"
	"strings"
)

// authorizePath is where proxies ask about API keys.
const authorizePath = "/v1/keys/authorize"

// AskHeader is where Envoy, which cannot say it in the query, says what a use needs: "env=live&scope=notes:read".
const AskHeader = "X-Mintreu-Ask"

// ForwardAuth lets proxies ask that keep the method of the request they hold and append its path, as Envoy's ext_authz does: whatever
// comes below /v1/keys/authorize/ is a GET of that operation. Body and query are the held request's and are dropped.
func ForwardAuth(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, authorizePath+"/") {
			next.ServeHTTP(w, r)
			return
		}
		asked := r.Clone(r.Context())
		asked.Method, asked.Body, asked.ContentLength = http.MethodGet, http.NoBody, 0
		asked.URL.Path, asked.URL.RawPath, asked.URL.RawQuery = authorizePath, "", r.Header.Get(AskHeader)
		asked.RequestURI = asked.URL.RequestURI()
		asked.Header.Del("Content-Type")
		asked.Header.Del("Content-Encoding")
		next.ServeHTTP(w, asked)
	})
}
