// Command storefront serves a storefront of static files, index.html, storefront.js and storefront.css, as any static host could: the
// page calls Mintreu itself, with CORS, to list the catalogue, make a guest's checkout and show the order to who comes back.
//
//	mintreu serve --storefront-origin http://127.0.0.1:8083
//	go run ./examples/storefront -api http://127.0.0.1:8080 -addr 127.0.0.1:8083
//
// To host it elsewhere, copy the three files, put the address of your Mintreu into the meta element "mintreu-api" of index.html, and
// allow the page's origin with --storefront-origin. Send the header fields that [policy] makes, if the host lets you.
package main

import (
	"bytes"
	"embed"
	"flag"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"os"
	"time"
)

//go:embed index.html storefront.js storefront.css
var files embed.FS

func main() {
	addr := flag.String("addr", "127.0.0.1:8083", "address to listen on")
	api := flag.String("api", "http://127.0.0.1:8080", "address of Mintreu, as seen from browsers")
	flag.Parse()
	if err := serve(*addr, *api); err != nil {
		fmt.Fprintln(os.Stderr, "storefront:", err)
		os.Exit(1)
	}
}

func serve(addr, api string) error {
	h, err := handler(api)
	if err != nil {
		return err
	}
	server := http.Server{Addr: addr, Handler: h, ReadHeaderTimeout: 5 * time.Second}
	return server.ListenAndServe()
}

// inPage is where index.html says what the API's address is.
const inPage = `content="http://127.0.0.1:8080"`

// handler serves the files, with the address of the API in the page.
func handler(api string) (http.Handler, error) {
	u, err := url.Parse(api)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("-api %q is not of the form https://host", api)
	}
	page, err := files.ReadFile("index.html")
	if err != nil {
		return nil, err
	}
	page = bytes.Replace(page, []byte(inPage), []byte(`content="`+html.EscapeString(api)+`"`), 1)
	static := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy(u.Scheme+"://"+u.Host))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		if r.URL.Path == "/" {
			h.Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write(page)
			return
		}
		static.ServeHTTP(w, r)
	}), nil
}

// policy lets the page run its own files, call the API, and nothing else.
func policy(api string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src " + api +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}
