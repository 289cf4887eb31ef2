package doc_test

import (
	"testing"

	"github.com/mintreu/mintreu/sdk/doc"
)

// FuzzDocuments reads anything as each type of document: there is a document or an error, never both and never a panic.
func FuzzDocuments(f *testing.F) {
	for _, d := range documents() {
		f.Add(sign(f, key(1), d))
	}
	f.Add(sign(f, key(9), oneKey(f)))
	f.Add("a.b.c")
	v, roots := verifier(f, t0+day), rootVerifier(f)
	f.Fuzz(func(t *testing.T, token string) {
		lease, err := v.Lease(token)
		one(t, lease == nil, err)
		list, err := v.StatusList(token, issuer+"/v1/status/0")
		one(t, list == nil, err)
		if list != nil {
			_, _ = list.Bits()
		}
		release, err := v.Release(token)
		one(t, release == nil, err)
		receipt, err := v.Receipt(token)
		one(t, receipt == nil, err)
		set, err := roots.Keyset(token, 0)
		one(t, set == nil, err)
	})
}

func one(t *testing.T, none bool, err error) {
	t.Helper()
	if none == (err == nil) {
		t.Fatal("neither a document nor an error, or both")
	}
}

// FuzzSignedPayloads signs whatever it is given as a lease, a keyset and a status list: what is read of it can be signed and read again.
func FuzzSignedPayloads(f *testing.F) {
	for _, d := range []doc.Document{lease(), oneKey(f), documents()[2]} {
		p, err := doc.Payload(d)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(p))
	}
	f.Add(`{"iss":"x","keys":[],"num":1,"iat":1}`)
	v, roots := verifier(f, t0+day), rootVerifier(f)
	signed := func(n byte, typ, p string) string {
		return raw(key(n), `{"alg":"EdDSA","kid":"`+doc.Thumbprint(public(key(n)))+`","typ":"`+typ+`"}`, p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		if l, err := v.Lease(signed(1, doc.TypeLease, p)); err == nil {
			if again, err := v.Lease(sign(t, key(1), l)); err != nil || again.Seq != l.Seq || again.Expires != l.Expires {
				t.Fatalf("lease %q: %v", p, err)
			}
		}
		if k, err := roots.Keyset(signed(9, doc.TypeKeyset, p), 0); err == nil {
			if again, err := roots.Keyset(sign(t, key(9), k), k.Num); err != nil || len(again.Keys) != len(k.Keys) {
				t.Fatalf("keyset %q: %v", p, err)
			}
		}
		if s, err := v.StatusList(signed(1, doc.TypeStatusList, p), issuer+"/v1/status/0"); err == nil {
			_, _ = s.Bits()
		}
	})
}

// FuzzFile reads anything as a license file or its parts: what is read can be written and read again.
func FuzzFile(f *testing.F) {
	for _, c := range licenseFiles(f) {
		f.Add(c.Text)
	}
	good, err := doc.EncodeFile(doc.File{License: "a.b.c", Keyset: "d.e.f"})
	if err != nil {
		f.Fatal(err)
	}
	parts, err := doc.FileParts(good, 100)
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range parts {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := doc.DecodeFile(text)
		if err != nil {
			return
		}
		again, err := doc.EncodeFile(file)
		if err != nil {
			return // beyond the cap once it is armoured
		}
		if back, err := doc.DecodeFile(again); err != nil || back != file {
			t.Fatalf("%q read as %+v, then %+v: %v", text, file, back, err)
		}
	})
}

// FuzzAirGap reads anything as a request and a return: what is read can be written and read again.
func FuzzAirGap(f *testing.F) {
	for _, c := range airgapTexts(f) {
		f.Add(c.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if q, err := doc.DecodeOfflineRequest(text); err == nil {
			if again, err := doc.EncodeOfflineRequest(q); err == nil {
				if back, err := doc.DecodeOfflineRequest(again); err != nil || back.Nonce != q.Nonce || back.Key != q.Key {
					t.Fatalf("%q: %v", text, err)
				}
			}
		}
		if r, err := doc.DecodeOfflineReturn(text); err == nil && r.Proves("a lease that nobody signed") {
			t.Fatalf("%q proves", text)
		}
	})
}
