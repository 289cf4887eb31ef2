package web

import (
	"bytes"
	"html/template"
	"net/http"

	"github.com/mintreu/mintreu/licensing"
)

// Return makes the page that buyers come back to from paying, or from not paying, when the storefront named none of its own. Its
// address has the id of the order and no secret, so the page shows nothing of the order: what was bought goes out by mail.
func Return(shop string) (http.Handler, error) {
	page, err := template.ParseFS(files, "return.html")
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		if !licensing.ValidID("ord", id) {
			http.NotFound(w, r)
			return
		}
		var out bytes.Buffer
		if err := page.Execute(&out, map[string]string{"Shop": shop, "Order": id}); err != nil {
			http.Error(w, "This page cannot be shown.", http.StatusInternalServerError)
			return
		}
		pageHeader(w.Header())
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Robots-Tag", "noindex")
		_, _ = w.Write(out.Bytes())
	}), nil
}
