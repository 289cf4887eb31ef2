package e2e_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/sdk/doc"
)

// signedAnswers are the operations whose answers hold a signed document. A new one belongs here when what it signs is made of what the
// service knows, and not of what the caller says.
func signedAnswers() []string {
	return []string{"license.token", "license.current", "activation.create", "activation.heartbeat", "release.publish", "release.get", "release.list", "keyring.request", "usage.count"}
}

var jws = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`)

// TestK11_NoRouteSignsWhatACallerSays: each operation of the route table is given documents of the caller's making in every text of its body
// (claims, what would be signed, a document with a signature of his own), by whoever may do most. No answer, and nothing that is
// published afterwards, holds a signature over any of them, under any key of the installation; and signed documents come only from operations
// that are known to answer with one.
func TestK11_NoRouteSignsWhatACallerSays(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		keys := s.signers(t)
		wanted := s.wanted(t)
		answers := map[string]string{}
		for _, route := range s.routes {
			spec := route.Spec()
			if spec.Name == "session.end-current" {
				continue
			}
			q := s.sample(spec)
			q.Bare = true
			answers[spec.Name] += s.send(q).Body.String()
			body, _ := q.Body.(object)
			for name, value := range body {
				if _, text := value.(string); !text {
					continue
				}
				for _, w := range wanted {
					for _, said := range []string{w.claims, w.input, w.document} {
						body[name] = said
						q.Body = body
						answers[spec.Name] += s.send(q).Body.String()
					}
				}
				body[name] = value
			}
		}
		for _, path := range []string{"/v1/keyset", "/v1/keyset/roots", "/v1/status/1", "/.well-known/jwks.json"} {
			answers[path] = s.send(request{Method: "GET", Path: path, Bare: true}).Body.String()
		}
		for name, text := range answers {
			for _, found := range jws.FindAllString(text, -1) {
				input := found[:strings.LastIndex(found, ".")]
				sig, _ := base64.RawURLEncoding.DecodeString(found[len(input)+1:])
				for _, w := range wanted {
					for kid, key := range keys {
						if ed25519.Verify(key, []byte(w.input), sig) || ed25519.Verify(key, []byte(w.claims), sig) {
							t.Errorf("%s: key %s signed what the caller said", name, kid)
						}
					}
				}
				ours := slices.ContainsFunc(wanted, func(w wish) bool { return w.document == found })
				if !ours && !strings.HasPrefix(name, "/") && !slices.Contains(signedAnswers(), name) {
					t.Errorf("%s answers with a signed document; see that nobody can say what it signs, and note it in signedAnswers", name)
				}
			}
		}
	})
}

// wish is a document that somebody would like to have signed.
type wish struct{ claims, input, document string }

// wanted are documents of every type that a caller would gain by.
func (s *surface) wanted(t *testing.T) []wish {
	t.Helper()
	kid := ""
	for k := range s.signers(t) {
		kid = k
	}
	var out []wish
	for typ, claims := range map[string]string{
		doc.TypeLicense: `{"iss":"https://surface.example","aud":"alpha","sub":"lic_1","jti":"tok_1","env":"live"}`,
		doc.TypeKeyset:  `{"iss":"https://surface.example","iat":1800000000,"num":99,"keys":[]}`,
	} {
		encode := base64.RawURLEncoding.EncodeToString
		input := encode(fmt.Appendf(nil, `{"alg":"EdDSA","kid":%q,"typ":%q}`, kid, typ)) + "." + encode([]byte(claims))
		out = append(out, wish{claims, input, input + "." + encode(make([]byte, ed25519.SignatureSize))})
	}
	return out
}

// signers are the public keys of the installation.
func (s *surface) signers(t *testing.T) map[string]ed25519.PublicKey {
	t.Helper()
	var list keyring.Listing
	s.must(request{Method: "GET", Path: "/v1/signing-keys", As: cli, Bare: true}, &list)
	out := map[string]ed25519.PublicKey{}
	for _, k := range list.Keys {
		public, err := doc.ParsePublicKey(k.Public)
		if err != nil {
			t.Fatal(err)
		}
		out[k.KID] = public
	}
	return out
}
