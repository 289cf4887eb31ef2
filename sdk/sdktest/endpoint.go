package sdktest

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// activate answers POST /v1/activations.
func (s *Server) activate(w http.ResponseWriter, r *http.Request) {
	var req sdk.ActivateRequest
	if !speaks(w, r, sdk.SchemeLicense) || !read(w, r, &req) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if req.Device == nil {
		refuse(w, 400, "invalid-request", "The request is not right.")
		return
	}
	if !wellFormed(w, &req) {
		return
	}
	rec := s.bearer(r, false)
	if rec == nil || rec.claims.Audience != req.Product || rec.state != "" { // which of them it is nobody is told who asks for a seat
		refuse(w, 401, sdk.CodeUnauthorized, "This needs a valid credential in the Authorization header.")
		return
	}
	if s.refused(w, rec, req.Env) || s.unfit(w, rec, &req) {
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
	answer(w, sdk.ActivateResponse{Activation: a.id, License: s.sign(rec.claims), Lease: lease, Decision: s.thinks(a, req.Version, req.Device)})
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

// unfit answers for a request that no free seat would help. Needs s.mu.
func (s *Server) unfit(w http.ResponseWriter, rec *record, req *sdk.ActivateRequest) bool {
	l := rec.claims
	switch {
	case l.Seats.By == doc.ByUser && req.User == "":
		refuse(w, 400, sdk.CodeUserRequired, "The license's seats are taken by users; name one.")
	case (l.Seats.By == doc.ByDevice || l.Type == doc.Trial) && int64(len(req.Device)) < l.Pol.Match:
		refuse(w, 400, "activation-form", "The device is not described well.")
	case l.MaxVersion != "" && !eval.Covers(l.MaxVersion, req.Version):
		refuse(w, 403, sdk.CodeVersionNotCovered, "The license does not cover this version.")
	default:
		return false
	}
	return true
}

// seat finds or takes a seat, or returns nil when all are taken. Needs s.mu.
func (s *Server) seat(rec *record, req *sdk.ActivateRequest) *activation {
	mine := s.activation(rec, req)
	if mine != nil && !mine.released {
		mine.dev = req.Device
		return mine
	}
	if int64(s.taken(rec)) >= rec.claims.Seats.N {
		if s.cull(rec); int64(s.taken(rec)) >= rec.claims.Seats.N {
			return nil
		}
	}
	if mine == nil {
		mine = &activation{id: fmt.Sprintf("act_%016d", len(s.acts)+1), of: rec, user: req.User}
		s.acts[mine.id] = mine
	}
	mine.released, mine.dev = false, req.Device
	return mine
}

// activation is that of the device or user that asks, or nil. Needs s.mu.
func (s *Server) activation(rec *record, req *sdk.ActivateRequest) (mine *activation) {
	for _, a := range s.acts {
		if a.of == rec && same(rec, a, req) && (mine == nil || a.id < mine.id) {
			mine = a
		}
	}
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
	if a.dies = 0; c.Seats.Floating {
		a.dies = l.Expires
	}
	if a.borrowed > now {
		a.dies = a.borrowed
		l.Borrowed, l.Expires, l.FreshUntil, l.RecheckAt = true, a.borrowed, a.borrowed, min(l.RecheckAt, a.borrowed)
	}
	a.last = l
	return s.sign(l)
}

// thinks is the decision that comes with the last lease of an activation. Needs s.mu.
func (s *Server) thinks(a *activation, version string, dev map[string]string) *eval.Decision {
	if len(dev) == 0 {
		dev = a.dev
	}
	l := a.of.claims
	d := s.evaluate(a.of, a.last, eval.Request{Product: l.Audience, Env: l.Env, Version: version, User: a.user, Device: dev})
	return &d
}

// heartbeat answers POST /v1/activations/{id}/heartbeat.
func (s *Server) heartbeat(w http.ResponseWriter, r *http.Request) {
	var req sdk.HeartbeatRequest
	if !speaks(w, r, sdk.SchemeLease) || !read(w, r, &req) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, lease := s.holder(r)
	switch {
	case a == nil:
		s.stranger(w, lease)
		return
	case s.unheld(w, a):
		return
	case !s.fits(lease, req.Device):
		refuse(w, 409, sdk.CodeDeviceMismatch, "The request comes from another device.")
		return
	}
	if s.fault == Replay && s.times != 0 {
		answer(w, sdk.HeartbeatResponse{Lease: a.first})
		return
	}
	res := sdk.HeartbeatResponse{Lease: s.lease(a, "")}
	if now := a.of.claims.TokenID; req.Token != now && (req.Token != "" || lease.Token != now) {
		res.License = s.sign(a.of.claims)
	}
	res.Decision = s.thinks(a, req.Version, req.Device)
	answer(w, res)
}

// deactivate answers DELETE /v1/activations/{id}.
func (s *Server) deactivate(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !speaks(w, r, sdk.SchemeLease) {
		return
	}
	a, lease := s.holder(r)
	if a == nil {
		s.stranger(w, lease)
		return
	}
	if !a.released {
		a.released, a.left = true, s.now()
	}
	answer(w, sdk.DeactivateResponse{Activation: a.id, ReleasedAt: a.left})
}

// stranger answers a request whose lease is none, or is not of the activation that the request names.
func (s *Server) stranger(w http.ResponseWriter, lease *doc.Lease) {
	if lease == nil {
		refuse(w, 401, sdk.CodeUnauthorized, "This needs a valid credential in the Authorization header.")
		return
	}
	refuse(w, 404, sdk.CodeNotFound, "There is no such object, or it is not yours.")
}

// unheld answers for an activation without a seat, or of a license that is out of use. Needs s.mu.
func (s *Server) unheld(w http.ResponseWriter, a *activation) bool {
	switch {
	case a.of.state == "revoked":
		refuse(w, 403, sdk.CodeLicenseRevoked, "The license was revoked.")
	case a.released:
		refuse(w, 409, sdk.CodeActivationReleased, "The activation holds no seat.")
	case a.of.state == "suspended":
		refuse(w, 403, sdk.CodeLicenseSuspended, "The license is suspended.")
	default:
		return false
	}
	return true
}

// fits reports whether a heartbeat comes from the device of its lease.
func (s *Server) fits(lease *doc.Lease, dev map[string]string) bool {
	agree := int64(0)
	for component, d := range lease.Device {
		if dev[component] == d {
			agree++
		}
	}
	return len(dev) == 0 || lease.Match == 0 || agree >= lease.Match
}

// validate answers POST /v1/licenses/validate.
func (s *Server) validate(w http.ResponseWriter, r *http.Request) {
	var req sdk.ValidateRequest
	if !speaks(w, r, sdk.SchemeLicense) || !read(w, r, &req) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ask := sdk.ActivateRequest{Product: req.Product, Env: req.Env, Device: req.Device, User: req.User, Version: req.Version}
	if !wellFormed(w, &ask) {
		return
	}
	rec := s.bearer(r, false)
	if rec == nil {
		answer(w, sdk.ValidateResponse{Decision: eval.Evaluate(eval.Input{Request: req.Evaluation(), Now: s.now()})})
		return
	}
	var lease *doc.Lease
	var known []eval.Finding
	switch a := s.activation(rec, &ask); {
	case a == nil:
	case !a.released:
		l := *a.last
		if l.Token = rec.claims.TokenID; rec.claims.Seats.By == doc.ByUser {
			l.Device = req.Device
		}
		lease = &l
	case rec.claims.Pol.Activation == doc.ActivationRequired:
		known = append(known, eval.Finding{Code: eval.ActivationReleased, Effect: eval.Deny, Detail: "The activation gave its seat back."})
	}
	answer(w, sdk.ValidateResponse{Decision: s.evaluate(rec, lease, req.Evaluation(), known...)})
}

// current answers GET /v1/licenses/token.
func (s *Server) current(w http.ResponseWriter, r *http.Request) {
	if !speaks(w, r, sdk.SchemeLicense) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.bearer(r, true)
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
	if r.PathValue("n") != "0" { // the one that licenses name
		refuse(w, 404, sdk.CodeNotFound, "There is no such object, or it is not yours.")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := &doc.StatusList{Issuer: s.http.URL, URI: s.http.URL + r.URL.Path, IssuedAt: s.now(),
		Expires: s.Clock.Now().Add(24 * time.Hour).Unix(), TTL: 3600, List: s.bits.Encode()}
	fmt.Fprint(w, s.sign(list))
}

// bearer returns the license that the request's credential names; a token that another took the place of names none, unless ended. Needs s.mu.
func (s *Server) bearer(r *http.Request, ended bool) *record {
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
		if rec.claims.ID == l.ID && (ended || rec.claims.TokenID == l.TokenID) {
			return rec
		}
	}
	return nil
}

// holder returns the activation that the request names if its lease is of that, and the lease if it is one. Needs s.mu.
func (s *Server) holder(r *http.Request) (*activation, *doc.Lease) {
	v := s.verifier()
	l, err := v.Lease(strings.TrimPrefix(r.Header.Get("Authorization"), sdk.SchemeLease+" "))
	if err != nil {
		return nil, nil
	}
	if l.Activation != r.PathValue("id") {
		return nil, l
	}
	return s.acts[l.Activation], l
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
