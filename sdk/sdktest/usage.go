package sdktest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// source is a source of usage as the server knows it.
type source struct {
	id, holder, nonce string
	of                *record
	seq               int64
	digest            string
	at                int64
}

// Used is what the server has counted of a meter.
type Used struct {
	Events, Sum, Max int64
}

// Usage returns what has been counted for a license, by meter.
func (s *Server) Usage(key string) map[string]Used {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := map[string]Used{}
	for _, row := range s.keys[key].counted {
		u := total[row.Meter]
		u.Events, u.Sum, u.Max = u.Events+row.Events, u.Sum+row.Sum, max(u.Max, row.Max)
		total[row.Meter] = u
	}
	return total
}

// Sources returns how many sources of usage have been made.
func (s *Server) Sources() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sources)
}

// ForgetUsage takes the server back to before its last n batches of every source, as a restored backup does. What they
// brought stays counted here, for the test to see that it is not counted again.
func (s *Server) ForgetUsage(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, src := range s.sources {
		src.seq, src.digest = max(0, src.seq-n), ""
	}
}

// reporter returns who reports usage: a name for the credential, and the license. Needs s.mu.
func (s *Server) reporter(r *http.Request) (string, *record) {
	if lease, ok := strings.CutPrefix(r.Header.Get("Authorization"), sdk.SchemeLease+" "); ok {
		v := s.verifier()
		l, err := v.Lease(lease)
		if err != nil || s.acts[l.Activation] == nil {
			return "", nil
		}
		return l.Activation, s.acts[l.Activation].of
	}
	if rec := s.bearer(r, false); rec != nil {
		return rec.claims.ID, rec
	}
	return "", nil
}

// reports refuses who has neither a lease nor a license.
func reports(w http.ResponseWriter, r *http.Request) bool {
	if strings.HasPrefix(r.Header.Get("Authorization"), sdk.SchemeLease+" ") {
		return true
	}
	return speaks(w, r, sdk.SchemeLicense)
}

// openSource answers POST /v1/usage/sources.
func (s *Server) openSource(w http.ResponseWriter, r *http.Request) {
	var req sdk.SourceRequest
	if !reports(w, r) || !read(w, r, &req) {
		return
	}
	if n := len(req.Nonce); n < 16 || n > 64 {
		refuse(w, 400, "usage-form", "The nonce must have 16 to 64 characters.")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	holder, rec := s.reporter(r)
	if rec == nil {
		refuse(w, 401, sdk.CodeUnauthorized, "There is no such license.")
		return
	}
	for _, src := range s.sources {
		if src.holder == holder && src.nonce == req.Nonce {
			answer(w, sdk.SourceResponse{Source: src.id})
			return
		}
	}
	src := &source{id: fmt.Sprintf("src_%016d", len(s.sources)+1), holder: holder, nonce: req.Nonce, of: rec}
	s.sources = append(s.sources, src)
	answer(w, sdk.SourceResponse{Source: src.id})
}

// countUsage answers POST /v1/usage.
func (s *Server) countUsage(w http.ResponseWriter, r *http.Request) {
	var req sdk.UsageRequest
	if !reports(w, r) || !read(w, r, &req) || !wellCounted(w, &req) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	holder, rec := s.reporter(r)
	if rec == nil {
		refuse(w, 401, sdk.CodeUnauthorized, "There is no such license.")
		return
	}
	var src *source
	for _, have := range s.sources {
		if have.id == req.Source && have.holder == holder {
			src = have
		}
	}
	digest := req.Digest()
	switch {
	case src == nil:
		refuse(w, 404, sdk.CodeSourceUnknown, "There is no such source.")
		return
	case req.Seq == src.seq && digest == src.digest: // again
	case req.Seq <= src.seq:
		refuse(w, 409, sdk.CodeSourceForked, "The source is used by two.")
		return
	case req.Seq > src.seq+1 && !s.proves(&req):
		refuse(w, 409, sdk.CodeUsageGap, "A batch is missing.")
		return
	default:
		src.seq, src.digest, src.at = req.Seq, digest, s.now()
		rec.counted = append(rec.counted, req.Rows...)
	}
	answer(w, sdk.UsageResponse{LastSeq: src.seq, Receipt: s.sign(&doc.Receipt{Issuer: s.http.URL, Source: src.id, Seq: src.seq, SHA: digest, IssuedAt: src.at})})
}

// proves reports whether the request's receipt shows that the batch before was counted. Needs s.mu.
func (s *Server) proves(req *sdk.UsageRequest) bool {
	v := s.verifier()
	r, err := v.Receipt(req.Receipt)
	return err == nil && r.Source == req.Source && r.Seq == req.Seq-1
}

// release is a release as the server knows it.
type release struct {
	product, channel string
	claims           *doc.Release
}

// Publish publishes a release of a product on a channel, now.
func (s *Server) Publish(product, channel, version string, files ...doc.ReleaseFile) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releases = append(s.releases, release{product, channel, &doc.Release{Issuer: s.http.URL, Audience: product, Version: version, IssuedAt: s.now(), Files: files}})
}

// serveUpdate answers GET /v1/updates/{product}.
func (s *Server) serveUpdate(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	channel, most := or(q.Get("channel"), "stable"), q.Get("max")
	until, err := strconv.ParseInt(or(q.Get("until"), "9223372036854775807"), 10, 64)
	if err != nil || until <= 0 {
		refuse(w, 400, "update-until", "until must be whole seconds since 1970.")
		return
	}
	var best *doc.Release
	for _, have := range s.releases {
		if have.claims.IssuedAt > until || most != "" && !eval.Covers(most, have.claims.Version) {
			continue
		}
		if have.product == r.PathValue("product") && have.channel == channel && (best == nil || doc.Newer(have.claims.Version, best.Version)) {
			best = have.claims
		}
	}
	if best == nil {
		refuse(w, 404, sdk.CodeNoRelease, "Nothing is published.")
		return
	}
	fmt.Fprintln(w, s.sign(best))
}
