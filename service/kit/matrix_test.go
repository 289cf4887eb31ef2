package kit_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
)

// TestR01_EveryRouteForEveryCaller: each operation lets in exactly the callers that its Access names, and refuses all others with
// 401 or 403, over HTTP.
func TestR01_EveryRouteForEveryCaller(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	routes := h.toy.routes()
	kittest.RunMatrix(t, h.mux, routes, h.as, nil)
	cells := kit.Matrix(routes)
	if want := len(routes) * (6 + len(licensing.AllRoles()) + 2 + 5); len(cells) != want+1 { // one operation has a machine scope
		t.Errorf("%d cells, want %d", len(cells), want+1)
	}
}

// as gives a request the credential of a caller.
func (h *house) as(r *http.Request, caller kit.Caller) *http.Request {
	switch caller.Actor.Kind {
	case licensing.Anonymous:
	case licensing.CLI:
		return r.WithContext(licensing.WithCall(r.Context(), &licensing.Call{Actor: caller.Actor}))
	case "":
		r.Header.Set("Authorization", "Bearer "+caller.Name)
	default:
		credential := "Bearer " + strings.ReplaceAll(caller.Name, ":", "-") + "-" + caller.Scope
		h.Actors.Know(credential, caller.Actor)
		r.Header.Set("Authorization", credential)
	}
	return r
}

// TestMatrixFindsHoles: the matrix is no formality; a handler that lets everybody in, and one that refuses everybody, fail it in
// every cell that matters.
func TestMatrixFindsHoles(t *testing.T) {
	t.Parallel()
	var open, shut int
	for _, cell := range kit.Matrix((&toy{}).routes()) {
		if cell.Refusal != 0 {
			open++
		} else {
			shut++
		}
		if permits := !cell.Caller.Dead() && cell.Spec.Access.Permits(cell.Caller.Actor); permits != (cell.Refusal == 0) && !cell.Spec.Fresh && cell.Caller.Name != "customer:member" {
			t.Errorf("%s by %s: Permits says %v", cell.Spec.Name, cell.Caller.Name, permits)
		}
	}
	if open < 20 || shut < 20 {
		t.Errorf("%d refusals and %d admissions are expected", open, shut)
	}
}
