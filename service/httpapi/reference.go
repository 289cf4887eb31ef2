package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/swaggest/swgui/v5emb"
)

// referencePath is where the API reference is.
const referencePath = "/docs/api"

var (
	inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)
	inlineStyle  = regexp.MustCompile(`(?s)<style>(.*?)</style>`)
)

// newReference makes the API reference from assets that are part of the program. Its page has one inline script and style; the
// content security policy names them by hash, so that nothing else runs.
func newReference(title string) (http.Handler, error) {
	assets := v5emb.New(title, "/openapi.json", referencePath)
	request, err := http.NewRequest(http.MethodGet, referencePath, nil)
	if err != nil {
		return nil, err
	}
	kept := &keeper{header: http.Header{}}
	assets.ServeHTTP(kept, request)
	page := kept.body.Bytes()
	if kept.failed || len(page) == 0 {
		return nil, errors.New("httpapi: the API reference does not render")
	}
	policy := "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'; img-src 'self' data:; font-src 'self' data:" +
		"; script-src 'self'" + hashes(inlineScript, page) + "; style-src 'self'" + hashes(inlineStyle, page)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if strings.TrimSuffix(r.URL.Path, "/") != referencePath {
			h.Set("Cache-Control", "public, max-age=3600")
			assets.ServeHTTP(w, r)
			return
		}
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("Cache-Control", "no-store")
		_, _ = w.Write(page)
	}), nil
}

// hashes lists the hashes of inline elements as a content security policy wants them.
func hashes(element *regexp.Regexp, page []byte) string {
	out := ""
	for _, m := range element.FindAllSubmatch(page, -1) {
		sum := sha256.Sum256(m[1])
		out += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return out
}

// keeper keeps what a handler writes.
type keeper struct {
	header http.Header
	body   bytes.Buffer
	failed bool
}

var _ http.ResponseWriter = (*keeper)(nil)

func (k *keeper) Header() http.Header         { return k.header }
func (k *keeper) Write(p []byte) (int, error) { return k.body.Write(p) }
func (k *keeper) WriteHeader(status int)      { k.failed = k.failed || status != http.StatusOK }
