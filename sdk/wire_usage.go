package sdk

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strconv"
)

// The addresses of the endpoints that count usage, below the base URL.
//
//	POST /v1/usage/sources   Authorization: Lease <lease token>, License <token> or Bearer <API key>
//	POST /v1/usage           the same
const (
	PathUsage        = "/v1/usage"
	PathUsageSources = "/v1/usage/sources"
)

// UsageBucket is the length in seconds of the buckets that usage is counted in: a quarter of an hour, because the offsets of time
// zones are multiples of it.
const UsageBucket = 15 * 60

// Bounds of a batch of usage.
const (
	MaxUsageRows = 500
	MaxUsageSum  = 10_000_000_000_000 // of a row
)

// SourceRequest asks for a source of usage. The same nonce of the same caller gets the same source, so that a lost answer costs none.
type SourceRequest struct {
	Nonce string `json:"nonce" doc:"Text that the caller makes up, 16 to 64 characters; asking again with it answers with the same source."`
}

// SourceResponse is a source of usage, which its caller alone advances.
type SourceResponse struct {
	Source string `json:"source" doc:"Id of the source." example:"src_0192f0c1a2b37c44"`
}

// UsageRow is what happened of one meter within a quarter of an hour.
type UsageRow struct {
	Meter   string `json:"meter" doc:"Code of the meter: 1 to 64 of a-z 0-9 _ . and -." example:"pages.rendered"`
	Subject string `json:"subject,omitempty" doc:"What the usage is told apart by, such as a workspace: up to 64 of the same characters." example:"workspace-7"`
	Group   string `json:"group,omitempty" doc:"A second thing it is told apart by: up to 64 of the same characters." example:"eu"`
	At      int64  `json:"at" doc:"Beginning of the quarter of an hour, in seconds since 1970; what cannot be is taken for now." example:"1767225600"`
	Events  int64  `json:"events" doc:"How many events happened." example:"12"`
	Sum     int64  `json:"sum" doc:"The sum of their numbers." example:"340"`
	Max     int64  `json:"max" doc:"The highest of their numbers." example:"90"`
}

// UsageRequest is a batch. Batches of a source are numbered from 1; one is sent until it is answered, always the same.
type UsageRequest struct {
	Source  string     `json:"source" doc:"The source."`
	Seq     int64      `json:"seq" doc:"Number of the batch: one higher than the one before." example:"7"`
	Rows    []UsageRow `json:"rows" doc:"What happened, 1 to 500 rows."`
	Receipt string     `json:"receipt,omitempty" doc:"The usage-receipt+jwt of the batch before. A server that was restored from an older backup takes the number from it."`
}

// UsageResponse says that a batch is counted, now or before.
type UsageResponse struct {
	LastSeq int64  `json:"last_seq" doc:"Number of the source's last counted batch."`
	Receipt string `json:"receipt" doc:"Proof of it as a usage-receipt+jwt."`
}

// Codes of a Problem about usage.
const (
	CodeSourceForked  = "source-forked"  // the source is used by two, or was set back
	CodeSourceUnknown = "source-unknown" // no such source of this caller
	CodeUsageGap      = "usage-gap"      // a batch before this one is missing
)

// Digest returns the SHA-256 of the batch in hex, as its receipt says it. It covers the source, the number and the rows.
func (r *UsageRequest) Digest() string {
	h := sha256.New()
	line(h, r.Source, strconv.FormatInt(r.Seq, 10))
	for i := range r.Rows {
		w := &r.Rows[i]
		line(h, w.Meter, w.Subject, w.Group, strconv.FormatInt(w.At, 10), strconv.FormatInt(w.Events, 10), strconv.FormatInt(w.Sum, 10), strconv.FormatInt(w.Max, 10))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// line writes fields with tabs between them and a line feed; no field of a good batch has either.
func line(h hash.Hash, fields ...string) {
	for i, f := range fields {
		if i > 0 {
			h.Write([]byte{'\t'})
		}
		h.Write([]byte(f))
	}
	h.Write([]byte{'\n'})
}

// UsageCode reports whether s can name a meter, or what it is told apart by.
func UsageCode(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_', c == '.', c == '-':
		default:
			return false
		}
	}
	return true
}
