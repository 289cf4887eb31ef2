package doc_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk/doc"
)

var update = flag.Bool("update", false, "write the vectors of documents")

// classes are the names that the vectors give to the errors of this package.
var classes = []struct {
	name string
	err  error
}{
	{"too_long", doc.ErrTooLong}, {"malformed", doc.ErrMalformed}, {"header", doc.ErrHeader}, {"unknown_key", doc.ErrUnknownKey}, {"key_revoked", doc.ErrKeyRevoked},
	{"signature", doc.ErrSignature}, {"unsupported", doc.ErrUnsupported}, {"issuer", doc.ErrIssuer}, {"audience", doc.ErrAudience}, {"env", doc.ErrEnv},
	{"not_yet_valid", doc.ErrNotYetValid}, {"expired", doc.ErrExpired}, {"rollback", doc.ErrRollback}, {"mismatch", doc.ErrMismatch}, {"payload", doc.ErrPayload}, {"key", doc.ErrKey},
}

// class is the name of an error, "" for none.
func class(err error) string {
	for _, c := range classes {
		if errors.Is(err, c.err) {
			return c.name
		}
	}
	if err != nil {
		return "other: " + err.Error()
	}
	return ""
}

// tokenCase is one document and what reading it must give.
type tokenCase struct {
	Name     string          `json:"name"`
	Says     string          `json:"says"`
	Typ      string          `json:"typ"`
	Token    string          `json:"token"`
	Trust    string          `json:"trust,omitempty"`    // name of a set of keys; "" is "usual"
	Issuer   string          `json:"issuer,omitempty"`   // "" is the file's
	Audience string          `json:"audience,omitempty"` // "" is the file's
	Env      string          `json:"env,omitempty"`      // "" is "live"
	Now      int64           `json:"now,omitempty"`      // 0 is the file's
	URI      string          `json:"uri,omitempty"`      // from where a status list was fetched
	Floor    int64           `json:"floor,omitempty"`    // number of the newest keyset seen
	Error    string          `json:"error,omitempty"`    // class of the refusal; "" accepts
	Claims   json.RawMessage `json:"claims,omitempty"`   // of what is accepted
}

// tokenFile is the file of them.
type tokenFile struct {
	About    string               `json:"about"`
	Issuer   string               `json:"issuer"`
	Audience string               `json:"audience"`
	Now      int64                `json:"now"`
	Roots    []string             `json:"roots"`
	Trust    map[string][]doc.JWK `json:"trust"`
	Cases    []tokenCase          `json:"cases"`
}

// read verifies a case's token as it says and returns the payload again.
func (f *tokenFile) read(t testing.TB, c *tokenCase) (json.RawMessage, error) {
	t.Helper()
	v := &doc.Verifier{Issuer: either(c.Issuer, f.Issuer), Audience: either(c.Audience, f.Audience), Env: c.Env}
	now := f.Now
	if c.Now != 0 {
		now = c.Now
	}
	v.Now = func() time.Time { return time.Unix(now, 0) }
	var err error
	if c.Typ == doc.TypeKeyset {
		v.Keys = rootsOf(t, f.Roots)
	} else if v.Keys, err = (&doc.Keyset{Keys: f.Trust[either(c.Trust, "usual")]}).Trust(); err != nil {
		t.Fatal(err)
	}
	var d doc.Document
	switch c.Typ {
	case doc.TypeLicense:
		d, err = v.License(c.Token)
	case doc.TypeLease:
		d, err = v.Lease(c.Token)
	case doc.TypeStatusList:
		d, err = v.StatusList(c.Token, c.URI)
	case doc.TypeRelease:
		d, err = v.Release(c.Token)
	case doc.TypeReceipt:
		d, err = v.Receipt(c.Token)
	case doc.TypeKeyset:
		d, err = v.Keyset(c.Token, c.Floor)
	default:
		t.Fatal("typ", c.Typ)
	}
	if err != nil {
		return nil, err
	}
	claims, err := doc.Payload(d)
	if err != nil {
		t.Fatal(err)
	}
	return claims, nil
}

func either(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func rootsOf(t testing.TB, list []string) *doc.Keys {
	t.Helper()
	pub, err := doc.ParsePublicKey(list[0])
	if err != nil {
		t.Fatal(err)
	}
	keys, err := doc.PinRoots(pub)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// golden compares a file of vectors with what its table makes; -update writes it.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("../testdata/vectors/document", name)
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, b.Bytes()) {
		t.Errorf("%s is not what the tables make: run this test with -update", name)
	}
}

// Every document of the vectors is read, or refused for the reason, that its table says; the file is what the table makes; every reason for
// which a document can be refused has a case, and every type a good one and a bad one.
func TestVectors_Tokens(t *testing.T) {
	t.Parallel()
	f := tokens(t)
	names, seen, typ := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i := range f.Cases {
		c := &f.Cases[i]
		if c.Name == "" || names[c.Name] || c.Says == "" {
			t.Errorf("case %q has no name of its own, or no sentence", c.Name)
		}
		names[c.Name] = true
		claims, err := f.read(t, c)
		if got := class(err); got != c.Error {
			t.Errorf("%s: %s\n%q, want %q: %v", c.Name, c.Says, got, c.Error, err)
		}
		c.Claims = claims
		seen[c.Error], typ[fmt.Sprint(c.Typ, err == nil)] = true, true
	}
	golden(t, "token.json", f)
	for _, c := range classes {
		if !seen[c.name] && c.name != "key" {
			t.Errorf("no document is refused as %s", c.name)
		}
	}
	for _, of := range []string{doc.TypeLicense, doc.TypeLease, doc.TypeStatusList, doc.TypeRelease, doc.TypeReceipt, doc.TypeKeyset} {
		if !typ[of+"true"] || !typ[of+"false"] {
			t.Errorf("%s has not both good and bad cases", of)
		}
	}
	if len(f.Cases) < 150 {
		t.Errorf("only %d cases", len(f.Cases))
	}
}

// What the other files of vectors say of files, keys, digests and status bits, this package says too.
func TestVectors_Others(t *testing.T) {
	t.Parallel()
	for _, c := range licenseFiles(t) {
		f, err := doc.DecodeFile(c.Text)
		if class(err) != c.Error || err == nil && !reflect.DeepEqual(&f, c.File) {
			t.Errorf("%s: %v, want %q", c.Name, err, c.Error)
		}
	}
	for _, c := range statusBits(t) {
		bits, err := (&doc.StatusList{List: doc.StatusListBits{Bits: 2, List: c.List}}).Bits()
		if class(err) != c.Error {
			t.Errorf("%s: %v, want %q", c.Name, err, c.Error)
			continue
		}
		for idx, want := range c.Values {
			if got := bits.Get(idx); got != want {
				t.Errorf("%s: index %d has %d, want %d", c.Name, idx, got, want)
			}
		}
	}
	for _, c := range digests() {
		if got := doc.DeviceDigest(c.Product, c.Component, c.Value); got != c.Digest {
			t.Errorf("%s: %s, want %s", c.Name, got, c.Digest)
		}
	}
	for _, c := range licenseKeys(t) {
		if got, ok := doc.NormalizeLicenseKey(c.Text); ok != c.Checked || got != c.Key {
			t.Errorf("%s: %q, %v", c.Name, got, ok)
		}
	}
	for _, c := range publicKeys() {
		pub, err := doc.ParsePublicKey(c.X)
		if class(err) != c.Error || err == nil && doc.Thumbprint(pub) != c.KID {
			t.Errorf("%s: %v, want %q", c.Name, err, c.Error)
		}
	}
	for _, c := range airgapTexts(t) {
		var got any
		var err error
		if c.Kind == "request" {
			got, err = doc.DecodeOfflineRequest(c.Text)
		} else {
			var r doc.OfflineReturn
			if r, err = doc.DecodeOfflineReturn(c.Text); r.Proves(c.Lease) != c.Proves {
				t.Errorf("%s: proves is not %v", c.Name, c.Proves)
			}
			got = r
		}
		if class(err) != c.Error || err == nil && !reflect.DeepEqual(got, c.Content) {
			t.Errorf("%s: %v, want %q", c.Name, err, c.Error)
		}
	}
	golden(t, "airgap.json", m{"about": "Requests and returns of machines without a network.", "cases": airgapTexts(t)})
	golden(t, "file.json", m{"about": "Armoured license files. Their documents are not verified here.", "cases": licenseFiles(t)})
	golden(t, "status.json", m{"about": "The lst of status lists, and the status at some indexes.", "cases": statusBits(t)})
	golden(t, "device.json", m{"about": "Digests of a device's components; that of a user is of the component named user.", "cases": digests()})
	golden(t, "licensekey.json", m{"about": "License keys as people type them. With checked, the text has the shape of a key and its check characters are right; key is then its one spelling, else the text itself.", "cases": licenseKeys(t)})
	golden(t, "publickey.json", m{"about": "Public keys as they are pinned. Those with an error must be refused: signatures under them can be forged, or the text is another spelling.", "cases": publicKeys()})
}

type m = map[string]any
