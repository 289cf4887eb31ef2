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
	Text  string `json:"text,omitempty"` // a sentence on what is there
}

// landingStyle is the style sheet that the guides have too; it is served beside them.
const landingStyle = "/docs/page.css"

var landingPage = template.Must(template.New("landing").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{.Title}}</title>
<link rel="stylesheet" href="` + landingStyle + `">
</head>
<body class="home">
<main>
<h1>{{.Title}}</h1>
<p class="lead">Digital products with licenses that work offline, and API keys.</p>
<p>Bought something here? The license and the receipt are in the mail that followed your payment.</p>
<ul class="cards">
{{range .Links}}<li><a href="{{.Href}}">{{.Title}}</a>{{with .Text}}<span>{{.}}</span>{{end}}</li>
{{end}}</ul>
</main>
</body>
</html>
`))

// landing says where to go: HTML to browsers, JSON to everybody else.
func landing(title string, links []Link) http.Handler {
	page := struct {
		Title string `json:"title"`
		Links []Link `json:"links"`
	}{title, append(append([]Link{}, links...),
		Link{referencePath, "API reference", "Every operation, with its requests and answers."},
		Link{"/openapi.json", "OpenAPI document", "The same for programs, to generate clients from."})}
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
			h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
			_, _ = w.Write(html.Bytes())
			return
		}
		h.Set("Content-Type", "application/json")
		_, _ = w.Write(text)
	})
}
