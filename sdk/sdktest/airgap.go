package sdktest

import (
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
)

// Answer answers the request of a machine without a network with a license file,
// as the vendor's page does for the owner of the license. The error is of
// package doc, or a *sdk.Problem.
func (s *Server) Answer(key, request string) (string, error) {
	q, err := doc.DecodeOfflineRequest(request)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.keys[key]
	switch {
	case rec == nil:
		return "", &sdk.Problem{Status: 404, Code: sdk.CodeNotFound, Title: "There is no license with this key."}
	case q.Key != doc.KeyDigest(rec.claims.Audience, key), q.Product != rec.claims.Audience:
		return "", &sdk.Problem{Status: 409, Code: sdk.CodeProductMismatch, Title: "The request is of another license."}
	case s.now() >= q.At+doc.OfflineRequestLife:
		return "", &sdk.Problem{Status: 409, Code: sdk.CodeRequestOld, Title: "The request is too old."}
	case rec.state != "":
		return "", &sdk.Problem{Status: 403, Code: sdk.CodeLicenseRevoked, Title: "The license is " + rec.state + "."}
	}
	a := s.seat(rec, &sdk.ActivateRequest{Product: q.Product, Device: q.Device, User: q.User})
	if a == nil {
		return "", &sdk.Problem{Status: 409, Code: sdk.CodeSeatsExhausted, Title: "Every seat of the license is taken."}
	}
	a.answered = s.lease(a, q.Nonce)
	return doc.EncodeFile(doc.File{License: s.sign(rec.claims), Keyset: Sign(Key(s.root), s.keyset), Lease: a.answered})
}

// TakeBack takes what Client.Return printed and frees the seat. It reports
// whether the return was good; one taken before changes nothing.
func (s *Server) TakeBack(text string) bool {
	q, err := doc.DecodeOfflineReturn(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.acts[q.Activation]
	if err != nil || a == nil || !q.Proves(a.answered) || a.seq != q.Seq {
		return false
	}
	a.released = true
	return true
}
