package kittest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/kit"
)

// As makes a request come from a caller: it sets the Authorization header, or returns the request with a context that
// carries the actor of its connection (the CLI's). It is asked anew for each request, since an operation may end a session.
type As func(r *http.Request, caller kit.Caller) *http.Request

// RunMatrix sends every expectation of the role matrix to handler and fails the test where somebody is let in who must not be,
// or is refused who may. Paths are filled with ids of nothing and bodies are empty objects, so that whoever is let in is told
// 400 or 404 by the operation itself and nothing is changed; prepare may be nil, or makes a better request.
func RunMatrix(t *testing.T, handler http.Handler, routes []kit.Route, as As, prepare func(spec kit.Spec) *http.Request) {
	t.Helper()
	cells := kit.Matrix(routes)
	if len(cells) == 0 {
		t.Fatal("the matrix is empty")
	}
	for _, cell := range cells {
		var r *http.Request
		if prepare != nil {
			r = prepare(cell.Spec)
		}
		if r == nil {
			r = Request(cell.Spec)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, as(r, cell.Caller))
		refused := w.Code == http.StatusUnauthorized || w.Code == http.StatusForbidden
		switch {
		case cell.Refusal != 0 && w.Code != cell.Refusal:
			t.Errorf("%s by %s answered %d, must be refused with %d: %.300s", cell.Spec.Name, cell.Caller.Name, w.Code, cell.Refusal, w.Body)
		case cell.Refusal == 0 && refused:
			t.Errorf("%s by %s answered %d, must be let in: %.300s", cell.Spec.Name, cell.Caller.Name, w.Code, w.Body)
		}
	}
}

// Request makes a request for an operation with ids of nothing in its path and an empty object as its body.
func Request(spec kit.Spec) *http.Request {
	target := spec.Path
	for {
		i := strings.IndexByte(target, '{')
		if i < 0 {
			break
		}
		j := strings.IndexByte(target, '}')
		target = target[:i] + strings.Repeat("0", 32) + target[j+1:]
	}
	if spec.Method == http.MethodGet || spec.Method == http.MethodDelete {
		return httptest.NewRequest(spec.Method, target, nil)
	}
	r := httptest.NewRequest(spec.Method, target, strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/json")
	return r
}
