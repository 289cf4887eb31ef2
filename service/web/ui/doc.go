// Package ui is how pages look: the frames around them (shop, account, console), form fields, tables, badges, charts, and the one style
// sheet and one script behind them. Components are templ files; what templ makes of them is committed beside them and remade by
//
//	go run ./service/cmd/dev generate
//
// Pages are complete without JavaScript; the script only adds comfort (copying a key, the progress of an upload). Nothing here knows
// an operation: pages hand in what is to be shown.
package ui

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
)

//go:embed assets
var files embed.FS

// assetTypes are the kinds of asset there are.
var assetTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// assets holds each asset by name, and the digest that its address carries so that it can be cached for ever.
var assets = loadAssets()

type asset struct {
	body   []byte
	digest string
}

func loadAssets() map[string]asset {
	out := map[string]asset{}
	names, err := fs.Glob(files, "assets/*")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		body, err := files.ReadFile(name)
		if err != nil {
			panic(err) // embedded
		}
		sum := sha256.Sum256(body)
		out[path.Base(name)] = asset{body, hex.EncodeToString(sum[:6])}
	}
	return out
}

// Asset is the address of an asset. It panics for a name that does not exist, which no build with a test of its pages can reach.
func Asset(name string) string {
	a, ok := assets[name]
	if !ok {
		panic(fmt.Sprintf("ui: no asset %s", name))
	}
	return "/assets/" + name + "?v=" + a.digest
}

// Assets serves /assets/{name}.
func Assets() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		a, ok := assets[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", assetTypes[path.Ext(name)])
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		if r.URL.Query().Get("v") != a.digest {
			h.Set("Cache-Control", "public, max-age=300")
		}
		_, _ = w.Write(a.body)
	})
}

// Icon serves the small picture that browsers show beside a page's title.
func Icon() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/svg+xml")
		w.Header().Set("Cache-Control", "public, max-age=86400")
		_, _ = w.Write(assets["icon.svg"].body)
	})
}
