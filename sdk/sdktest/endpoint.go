package sdktest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
)

// activate answers POST /v1/activations.
func (s *Server) activate(w http.ResponseWriter, r *http.Request) {
	var req sdk.ActivateRequest
	if json.NewDecoder(r.Body).Decode(&req) != nil {
		refuse(w, 400, "invalid-request", "The body is not JSON.")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.bearer(r)
	if rec == nil || rec.claims.Audience != req.Product {
		refuse(w, 401, sdk.CodeUnauthorized, "There is no such license.")
		return
	}
	if s.refused(w, rec, req.Env) {
		return
	}
	a := s.seat(rec, &req)
	if a == nil {
		refuse(w, 409, sdk.CodeSeatsExhausted, "Every seat of the license is taken.")
		return
	}
	lease := s.lease(a, req.Nonce)
	if a.first == "" {
		a.first = lease
	}
	if s.fault == Replay && s.times != 0 {
		lease = a.first
	}
	answer(w, sdk.ActivateResponse{Activation: a.id, License: s.sign(rec.claims), Lease: lease})
}

// refused answers for a license that is out of use. Needs s.mu.
func (s *Server) refused(w http.ResponseWriter, rec *record, env string) bool {
	switch {
	case rec.state == "revoked":
		refuse(w, 403, sdk.CodeLicenseRevoked, "The license was revoked.")
	case rec.state == "suspended":
		refuse(w, 403, sdk.CodeLicenseSuspended, "The license is suspended.")
	case or(env, doc.EnvLive) != rec.claims.Env:
		refuse(w, 403, sdk.CodeEnvironment, "The license is for the other environment.")
	case rec.claims.Expires != 0 && s.now() >= rec.claims.Expires:
		refuse(w, 403, sdk.CodeLicenseExpired, "The license has expired.")
	default:
		return false
	}
	return true
}

// seat finds or takes a seat, or returns nil when all are taken. Needs s.mu.
func (s *Server) seat(rec *record, req *sdk.ActivateRequest) *activation {
	var mine *activation
	for _, a := range s.acts {
		if a.of == rec && same(rec, a, req) && (mine == nil || a.id < mine.id) {
			mine = a
		}
	}
	if mine != nil && !mine.released {
		mine.dev = req.Device
		return mine
	}
	if int64(s.taken(rec)) >= rec.claims.Seats.N {
		return nil
	}
	if mine == nil {
		mine = &activation{id: fmt.Sprintf("act_%016d", len(s.acts)+1), of: rec, user: req.User}
		s.acts[mine.id] = mine
	}
	mine.released, mine.dev = false, req.Device
	return mine
}

// same reports whether an activation is of the device or user that asks.
func same(rec *record, a *activation, req *sdk.ActivateRequest) bool {
	if rec.claims.Seats.By == doc.ByUser {
		return a.user == req.User
	}
	agree := int64(0)
	for c, d := range req.Device {
		if a.dev[c] == d {
			agree++
		}
	}
	return agree >= max(1, rec.claims.Pol.Match)
}

// lease signs the next lease of an activation. Needs s.mu.
func (s *Server) lease(a *activation, nonce string) string {
	c, now := a.of.claims, s.now()
	a.seq++
	l := &doc.Lease{Issuer: c.Issuer, Audience: c.Audience, License: c.ID, TokenID: fmt.Sprintf("les_%s_%d", a.id, a.seq), IssuedAt: now,
		Env: c.Env, Activation: a.id, Token: c.TokenID, Seq: a.seq, Device: a.dev, Match: c.Pol.Match, RecheckAt: now + c.Pol.Recheck,
		FreshUntil: now + c.Pol.Fresh, Ent: c.Ent, EntUntil: c.EntUntil, User: a.user, Nonce: nonce}
	if c.Pol.Then != doc.ThenAdvisory {
		l.Expires = now + c.Pol.OfflineMax()
	}
	if a.borrowed > now {
		l.Borrowed, l.Expires, l.FreshUntil, l.RecheckAt = true, a.borrowed, a.borrowed, min(l.RecheckAt, a.borrowed)
	}
	return s.sign(l)
}

// heartbeat answers POST /v1/activations/{id}/heartbeat.
func (s *Server) heartbeat(w http.ResponseWriter, r *http.Request) {
	var req sdk.HeartbeatRequest
	if json.NewDecoder(r.Body).Decode(&req) != nil {
		refuse(w, 400, "invalid-request", "The body is not JSON.")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.holder(r)
	switch {
	case a == nil || a.released:
		refuse(w, 409, sdk.CodeActivationReleased, "The activation holds no seat.")
		return
	case s.refused(w, a.of, a.of.claims.Env):
		return
	}
	if s.fault == Replay && s.times != 0 {
		answer(w, sdk.HeartbeatResponse{Lease: a.first})
		return
	}
	res := sdk.HeartbeatResponse{Lease: s.lease(a, "")}
	if req.Token != a.of.claims.TokenID {
		res.License = s.sign(a.of.claims)
	}
	answer(w, res)
}

// deactivate answers DELETE /v1/activations/{id}.
func (s *Server) deactivate(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.holder(r)
	if a == nil || a.released {
		refuse(w, 409, sdk.CodeActivationReleased, "The activation holds no seat.")
		return
	}
	a.released = true
	answer(w, sdk.DeactivateResponse{Activation: a.id, ReleasedAt: s.now()})
}

// validate answers POST /v1/licenses/validate.
func (s *Server) validate(w http.ResponseWriter, r *http.Request) {
	var req sdk.ValidateRequest
	if json.NewDecoder(r.Body).Decode(&req) != nil {
		refuse(w, 400, "invalid-request", "The body is not JSON.")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.bearer(r)
	if rec == nil {
		refuse(w, 401, sdk.CodeUnauthorized, "There is no such license.")
		return
	}
	answer(w, sdk.ValidateResponse{Decision: s.evaluate(rec, req.Evaluation())})
}

// current answers GET /v1/licenses/token.
func (s *Server) current(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.bearer(r)
	if _, credential, _ := strings.Cut(r.Header.Get("Authorization"), " "); rec != nil && strings.Count(credential, ".") == 2 {
		v := s.verifier()
		if l, err := v.License(credential); err != nil || !rec.known[l.TokenID] || rec.state == "revoked" && l.TokenID != rec.claims.TokenID {
			rec = nil
		}
	}
	switch {
	case rec == nil:
		refuse(w, 401, sdk.CodeUnauthorized, "There is no such license.")
	case rec.state == "revoked":
		refuse(w, 403, sdk.CodeLicenseRevoked, "The license was revoked.")
	default:
		answer(w, sdk.TokenResponse{License: s.sign(rec.claims)})
	}
}

// serveKeyset answers GET /v1/keyset.
func (s *Server) serveKeyset(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, s.Keyset()) }

// serveStatus answers GET /v1/status/{n}.
func (s *Server) serveStatus(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := &doc.StatusList{Issuer: s.http.URL, URI: s.http.URL + r.URL.Path, IssuedAt: s.now(),
		Expires: s.Clock.Now().Add(24 * time.Hour).Unix(), TTL: 3600, List: s.bits.Encode()}
	fmt.Fprint(w, s.sign(list))
}

// bearer returns the license that the request's credential names. Needs s.mu.
func (s *Server) bearer(r *http.Request) *record {
	credential, ok := strings.CutPrefix(r.Header.Get("Authorization"), sdk.SchemeLicense+" ")
	if !ok {
		return nil
	}
	if normal, ok := doc.NormalizeLicenseKey(credential); ok {
		return s.keys[normal]
	}
	v := s.verifier()
	l, err := v.License(credential)
	if err != nil {
		return nil
	}
	for _, rec := range s.licenses {
		if rec.claims.ID == l.ID {
			return rec
		}
	}
	return nil
}

// holder returns the activation that the request's lease proves. Needs s.mu.
func (s *Server) holder(r *http.Request) *activation {
	credential, ok := strings.CutPrefix(r.Header.Get("Authorization"), sdk.SchemeLease+" ")
	if !ok {
		return nil
	}
	v := s.verifier()
	l, err := v.Lease(credential)
	if err != nil || l.Activation != r.PathValue("id") {
		return nil
	}
	return s.acts[l.Activation]
}

// verifier trusts every key the server ever had, revoked or not: its records
// say what holds. Needs s.mu.
func (s *Server) verifier() *doc.Verifier {
	set := *s.keyset
	set.Keys = append([]doc.JWK(nil), set.Keys...)
	for i := range set.Keys {
		set.Keys[i].State, set.Keys[i].RevokedAt = doc.KeyRetired, 0
	}
	keys, err := set.Trust()
	if err != nil {
		panic(err)
	}
	return &doc.Verifier{Keys: keys, Audience: doc.Any, Env: doc.Any, Expired: true, Now: s.Clock.Now}
}
