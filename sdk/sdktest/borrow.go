package sdktest

import (
	"net/http"

	"github.com/mintreu/mintreu/sdk"
)

// borrow answers POST /v1/activations/{id}/borrow.
func (s *Server) borrow(w http.ResponseWriter, r *http.Request) {
	var req sdk.BorrowRequest
	if !speaks(w, r, sdk.SchemeLease) || !read(w, r, &req) {
		return
	}
	if req.Until == 0 {
		refuse(w, 400, "invalid-request", "The request is not right.")
		return
	}
	s.lend(w, r, req.Until)
}

// giveBack answers POST /v1/activations/{id}/return.
func (s *Server) giveBack(w http.ResponseWriter, r *http.Request) {
	if speaks(w, r, sdk.SchemeLease) {
		s.lend(w, r, 0)
	}
}

// lend answers with the next lease of an activation whose seat is borrowed until an instant, 0 for not.
func (s *Server) lend(w http.ResponseWriter, r *http.Request, until int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, lease := s.holder(r)
	switch {
	case a == nil:
		s.stranger(w, lease)
	case s.unheld(w, a):
	case until != 0 && !a.of.claims.Seats.Floating:
		refuse(w, 409, sdk.CodeNotFloating, "The license's seats do not float.")
	case until != 0 && (until <= s.now() || until > s.now()+a.of.claims.Pol.OfflineMax()):
		refuse(w, 400, "borrow-until", "A seat cannot be borrowed until then.")
	default:
		a.borrowed = until
		res := sdk.HeartbeatResponse{Lease: s.lease(a, "")}
		res.Decision = s.thinks(a, "", a.dev)
		answer(w, res)
	}
}
