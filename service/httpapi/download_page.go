package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"

	"github.com/mintreu/mintreu/commerce/download"
	"github.com/mintreu/mintreu/service/kit"
)

const downloadStyle = `:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}body{max-width:36rem;margin:12vh auto;padding:0 1.25rem}h1{font-size:1.5rem;overflow-wrap:anywhere}dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem}dd{margin:0;overflow-wrap:anywhere}button{font:inherit;font-weight:600;padding:.75rem 1.5rem;border:0;border-radius:.5rem;background:#1d4ed8;color:#fff;cursor:pointer}button:focus-visible{outline:3px solid #93c5fd;outline-offset:2px}`

var downloadPage = template.Must(template.New("download").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{.Title}}</title>
<style>` + downloadStyle + `</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
{{if .Problem}}<p>{{.Problem}}</p>
{{else}}<dl>
<dt>Product</dt><dd>{{.Product}} {{.Version}}</dd>
<dt>Size</dt><dd>{{.Size}}</dd>
<dt>SHA-256</dt><dd><code>{{.SHA256}}</code></dd>
<dt>Start before</dt><dd>{{.Expires}}</dd>
</dl>
<form method="post"><button>Download</button></form>
{{end}}</main>
</body>
</html>
`))

// downloadView is what the page of a link shows: the file, or what is the matter.
type downloadView struct {
	Title, Problem, Product, Version, Size, SHA256, Expires string
}

// page serves the page of a link. GET shows the file and spends nothing; POST, which is the button, leads to the bytes.
func (d Downloads) page(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "private, no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex")
	if r.URL.RawQuery != "" || r.URL.RawPath != "" {
		refuseDownload(w, r, download.ErrLink)
		return
	}
	token := r.PathValue("token")
	if r.Method == http.MethodPost {
		to, err := d.Service.Start(r.Context(), token)
		if err != nil {
			refuseDownload(w, r, err)
			return
		}
		h.Set("Location", to)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	p, err := d.Service.Page(r.Context(), token)
	if err != nil {
		refuseDownload(w, r, err)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		onlyMethods(w, r, "GET, HEAD, OPTIONS, POST")
		return
	}
	showPage(w, r, http.StatusOK, downloadView{Title: p.File.Name, Product: p.Product, Version: p.Version, Size: sizeText(p.File.Size), SHA256: p.File.SHA256,
		Expires: p.Expires.Format("15:04 MST, 2 January 2006")})
}

func showPage(w http.ResponseWriter, r *http.Request, status int, v downloadView) {
	var page bytes.Buffer
	if err := downloadPage.Execute(&page, v); err != nil {
		kit.WriteError(w, r, err)
		return
	}
	sum := sha256.Sum256([]byte(downloadStyle))
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}

// sizeText is a size for people.
func sizeText(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}
