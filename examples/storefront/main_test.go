package main

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// TestHandler: the page names the API that it was started with, and its policy permits calls to that alone; the files are served as
// what they are, and the program itself is not. The end-to-end tests buy something on it.
func TestHandler(t *testing.T) {
	t.Parallel()
	h, err := handler("https://api.example/")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/": "text/html", "/storefront.js": "text/javascript", "/storefront.css": "text/css", "/main.go": "text/plain"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if !strings.HasPrefix(w.Header().Get("Content-Type"), want) || (w.Code == 200) != (path != "/main.go") {
			t.Errorf("%s: %d %s", path, w.Code, w.Header().Get("Content-Type"))
		}
		if p := w.Header().Get("Content-Security-Policy"); !strings.Contains(p, "connect-src https://api.example;") || strings.Contains(p, "unsafe") {
			t.Errorf("%s: policy %q", path, p)
		}
		if path == "/" && (!strings.Contains(w.Body.String(), `<meta name="mintreu-api" content="https://api.example/">`) || strings.Contains(w.Body.String(), "127.0.0.1")) {
			t.Errorf("the page names another API:\n%s", w.Body)
		}
	}
	for _, bad := range []string{"", "api.example", "ftp://api.example", "https:///x", "%"} {
		if _, err := handler(bad); err == nil {
			t.Errorf("-api %q was taken", bad)
		}
	}
}
