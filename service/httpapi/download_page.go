package httpapi

import (
	"fmt"
	"net/http"

	"github.com/mintreu/mintreu/commerce/download"
)

// DownloadView is what the page of a link shows: the file, or, when Problem is not "", what is the matter.
type DownloadView struct {
	Title, Problem, Product, Version, Size, SHA256, Expires string
}

// page serves the page of a link. GET shows the file and spends nothing; POST, which is the button, leads to the bytes.
func (d Downloads) page(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "private, no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex")
	if r.URL.RawQuery != "" || r.URL.RawPath != "" {
		d.refuse(w, r, download.ErrLink)
		return
	}
	token := r.PathValue("token")
	if r.Method == http.MethodPost {
		to, err := d.Service.Start(r.Context(), token)
		if err != nil {
			d.refuse(w, r, err)
			return
		}
		h.Set("Location", to)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	p, err := d.Service.Page(r.Context(), token)
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		onlyMethods(w, r, "GET, HEAD, OPTIONS, POST")
		return
	}
	d.Page(w, r, http.StatusOK, DownloadView{Title: p.File.Name, Product: p.Product, Version: p.Version, Size: sizeText(p.File.Size), SHA256: p.File.SHA256,
		Expires: p.Expires.Format("15:04 MST, 2 January 2006")})
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
