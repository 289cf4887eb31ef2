package sdktest

import (
	"encoding/json"
	"net/http"

	"github.com/mintreu/mintreu/sdk"
)

// borrow answers POST /v1/activations/{id}/borrow.
func (s *Server) borrow(w http.ResponseWriter, r *http.Request) {
	var req sdk.BorrowRequest
	if json.NewDecoder(r.Body).Decode(&req) != nil {
		refuse(w, 400, "invalid-request", "The body is not JSON.")
		return
	}
	s.lend(w, r, req.Until)
}

// giveBack answers POST /v1/activations/{id}/return.
func (s *Server) giveBack(w http.ResponseWriter, r *http.Request) { s.lend(w, r, 0) }

// lend answers with the next lease of an activation whose seat is borrowed until an instant, 0 for not.
func (s *Server) lend(w http.ResponseWriter, r *http.Request, until int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.holder(r)
	switch {
	case a == nil || a.released:
		refuse(w, 409, sdk.CodeActivationReleased, "The activation holds no seat.")
	case s.refused(w, a.of, a.of.claims.Env):
	case !a.of.claims.Seats.Floating:
		refuse(w, 409, sdk.CodeNotFloating, "The license's seats do not float.")
	case until != 0 && (until <= s.now() || until > s.now()+a.of.claims.Pol.OfflineMax()):
		refuse(w, 400, "borrow-until", "A seat cannot be borrowed until then.")
	default:
		a.borrowed = until
		answer(w, sdk.HeartbeatResponse{Lease: s.lease(a, "")})
	}
}
