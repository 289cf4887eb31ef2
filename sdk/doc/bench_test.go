package doc_test

import (
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/sdk/doc"
)

// small is a token of about 700 bytes.
func small(b testing.TB) string {
	l := short()
	l.ID, l.TokenID, l.Customer, l.Issuer = "lic_1", "tok_1", "cus_1", "https://l.example.com"
	l.Ent = map[string]doc.Value{"export": doc.On()}
	l.Pol = doc.Policy{Expired: doc.ExpiredRestrict, Activation: doc.ActivationNone, Then: doc.ThenStop, Status: doc.StatusOff}
	return sign(b, key(1), l)
}

func BenchmarkRawVerify(b *testing.B) {
	token := small(b)
	i := strings.LastIndexByte(token, '.')
	msg, pub := []byte(token[:i]), public(key(1))
	sig := ed25519.Sign(key(1), msg)
	b.ReportAllocs()
	for b.Loop() {
		if !ed25519.Verify(pub, msg, sig) {
			b.Fatal()
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	token := small(b)
	v := verifier(b, t0+day)
	v.Issuer = "https://l.example.com"
	b.ReportMetric(float64(len(token)), "bytes")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.License(token); err != nil {
			b.Fatal(err)
		}
	}
}
