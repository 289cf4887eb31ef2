package httpapi

import (
	"bytes"
	"encoding/json"
	"html/template"
	"net/http"
	"strings"
)

// Link is one entry of the landing page.
type Link struct {
	Href  string `json:"href"`
	Title string `json:"title"`
}

var landingPage = template.Must(template.New("landing").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{.Title}}</title>
<h1>{{.Title}}</h1>
<ul>
{{range .Links}}<li><a href="{{.Href}}">{{.Title}}</a></li>
{{end}}</ul>
</html>
`))

// landing says where to go: HTML to browsers, JSON to everybody else.
func landing(title string, links []Link) http.Handler {
	page := struct {
		Title string `json:"title"`
		Links []Link `json:"links"`
	}{title, append([]Link{{referencePath, "API reference"}, {"/openapi.json", "OpenAPI document"}}, links...)}
	var html bytes.Buffer
	if err := landingPage.Execute(&html, page); err != nil {
		html.Reset()
	}
	text, _ := json.Marshal(page) // strings alone cannot fail
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Vary", "Accept")
		h.Set("Cache-Control", "no-store")
		if strings.Contains(r.Header.Get("Accept"), "text/html") {
			h.Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write(html.Bytes())
			return
		}
		h.Set("Content-Type", "application/json")
		_, _ = w.Write(text)
	})
}
