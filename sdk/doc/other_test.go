package doc_test

import (
	"bytes"
	"compress/zlib"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/sdk/doc"
)

// A status list carries every status at every index, within its cap whatever is
// set.
func TestStatusBits_RoundTripWithinCap(t *testing.T) {
	t.Parallel()
	var noise [doc.StatusListSize / 4]byte
	rand.Read(noise[:])
	var bits doc.StatusBits
	for i := int64(0); i < doc.StatusListSize; i++ {
		if !bits.Set(i, noise[i/4]>>(i%4*2)&3) {
			t.Fatal(i)
		}
	}
	list := &doc.StatusList{Issuer: issuer, URI: issuer + "/v1/status/7", IssuedAt: t0, Expires: t0 + 2*day, TTL: 60, List: bits.Encode()}
	got, err := verifier(t, t0+day).StatusList(sign(t, key(1), list), list.URI)
	if err != nil {
		t.Fatal(err)
	}
	read, err := got.Bits()
	if err != nil || *read != bits {
		t.Fatal("other bits", err)
	}
	if bits.Set(-1, 0) || bits.Set(doc.StatusListSize, 0) || bits.Set(0, 4) || bits.Get(-1) != doc.StatusInvalid || bits.Get(doc.StatusListSize) != doc.StatusInvalid {
		t.Fatal("index out of range")
	}
	if _, err := verifier(t, t0+day).StatusList(sign(t, key(1), list), issuer+"/v1/status/8"); !errors.Is(err, doc.ErrMismatch) {
		t.Fatalf("list of another address: %v", err)
	}
}

// The bits are where the Token Status List draft puts them: its example of
// two-bit statuses is read as it says.
func TestStatusBits_DraftExample(t *testing.T) {
	t.Parallel()
	want := []byte{1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3}
	var buf bytes.Buffer
	z := zlib.NewWriter(&buf)
	z.Write([]byte{0xc9, 0x44, 0xf9})
	z.Close()
	s := &doc.StatusList{List: doc.StatusListBits{Bits: 2, List: base64.RawURLEncoding.EncodeToString(buf.Bytes())}}
	bits, err := s.Bits()
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		if got := bits.Get(int64(i)); got != w {
			t.Errorf("index %d: %d, want %d", i, got, w)
		}
	}
	if bits.Get(12) != doc.StatusInvalid || bits.Get(doc.StatusListSize-1) != doc.StatusInvalid {
		t.Error("an index beyond a short list is not invalid")
	}
}

// A list that inflates to more than it may, or not at all, is refused.
func TestStatusList_BombAndGarbage(t *testing.T) {
	t.Parallel()
	deflate := func(n int) string {
		var buf bytes.Buffer
		z := zlib.NewWriter(&buf)
		z.Write(make([]byte, n))
		z.Close()
		return base64.RawURLEncoding.EncodeToString(buf.Bytes())
	}
	full := deflate(doc.StatusListSize / 4)
	for name, lst := range map[string]string{"bomb": deflate(40 << 20), "one byte more": deflate(doc.StatusListSize/4 + 1), "empty": "", "not base64": "!", "padded": full + "=",
		"not zlib": "AAAA", "cut": full[:len(full)-8], "no checksum": full[:len(full)-5], "short and cut": deflate(100)[:8]} {
		s := &doc.StatusList{List: doc.StatusListBits{Bits: 2, List: lst}}
		if _, err := s.Bits(); !errors.Is(err, doc.ErrPayload) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (&doc.StatusList{List: doc.StatusListBits{Bits: 2, List: full}}).Bits(); err != nil {
		t.Error(err)
	}
}

// License keys are random, checked, and read however a person types them.
func TestLicenseKey_ShapeAndNormalisation(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 200 {
		k, err := doc.NewLicenseKey("EDIT", rand.Reader)
		if err != nil || len(k) != len("EDIT-00000-00000-00000-00000-00000-00000") || seen[k] {
			t.Fatal(k, err)
		}
		seen[k] = true
		for _, typed := range []string{k, strings.ToLower(k), "  " + k + "\n", strings.ReplaceAll(k, "-", " - "), "EDIT-" + strings.ReplaceAll(k[5:], "-", ""),
			strings.ReplaceAll(strings.ReplaceAll(k[:5]+k[5:], "0", "o"), "1", "l"), k[:5] + strings.ReplaceAll(strings.ReplaceAll(k[5:], "0", "O"), "1", "I")} {
			if got, ok := doc.NormalizeLicenseKey(typed); !ok || got != k {
				t.Fatalf("%q read as %q, %v", typed, got, ok)
			}
		}
	}
	k, _ := doc.NewLicenseKey("EDIT", bytes.NewReader(bytes.Repeat([]byte{1, 2, 3, 0xff}, 7)))
	if k != "EDIT-123Z1-23Z12-3Z123-Z123Z-123Z1-23Z"+k[len(k)-2:] {
		t.Fatal(k)
	}
	wrong := 0
	for i := 5; i < len(k); i++ {
		for _, c := range "0123456789ABCDEFGHJKMNPQRSTVWXYZ" {
			if k[i] == '-' || byte(c) == k[i] {
				continue
			}
			if got, ok := doc.NormalizeLicenseKey(k[:i] + string(c) + k[i+1:]); ok {
				wrong++
			} else if got != k[:i]+string(c)+k[i+1:] {
				t.Fatal("a text of another shape was changed")
			}
		}
	}
	if wrong > 8 {
		t.Fatalf("%d of 930 slips unnoticed", wrong)
	}
	for _, other := range []string{"", "EDIT", "edit-", "OLD-KEY-1234", k + "0", k[:len(k)-1], "1" + k, strings.Replace(k, "EDIT", "EDIS", 1), strings.Replace(k, "1", "U", 1), k + strings.Repeat(" ", 200)} {
		if got, ok := doc.NormalizeLicenseKey(other); ok || got != other {
			t.Errorf("%q taken as %q", other, got)
		}
	}
	for _, prefix := range []string{"", "edit", "1A", "ABCDEFGHIJK", "A-B", "Ä"} {
		if _, err := doc.NewLicenseKey(prefix, rand.Reader); err == nil {
			t.Errorf("prefix %q", prefix)
		}
	}
	if _, err := doc.NewLicenseKey("EDIT", strings.NewReader("short")); err == nil {
		t.Error("key from too little random")
	}
}

// A license file that is damaged, of another version or without its armour is
// refused.
func TestFile_Refused(t *testing.T) {
	t.Parallel()
	good, err := doc.EncodeFile(doc.File{License: "a", Keyset: "b"})
	if err != nil {
		t.Fatal(err)
	}
	wrap := func(s string) string {
		return "-----BEGIN MINTREU LICENSE-----\n" + base64.StdEncoding.EncodeToString([]byte(s)) + "\n-----END MINTREU LICENSE-----\n"
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"no armour":  {"a.b.c", doc.ErrMalformed},
		"half":       {good[:len(good)/2], doc.ErrMalformed},
		"no end":     {strings.TrimSuffix(good, "-----END MINTREU LICENSE-----\n"), doc.ErrMalformed},
		"not base64": {strings.Replace(good, "\n", "\n!", 1), doc.ErrMalformed},
		"version 2":  {wrap(`{"v":2,"license":"a","keyset":"b"}`), doc.ErrUnsupported},
		"duplicate":  {wrap(`{"v":1,"license":"a","license":"b","keyset":"b"}`), doc.ErrPayload},
		"twin":       {wrap(`{"v":1,"license":"a","License":"b","keyset":"b"}`), doc.ErrPayload},
		"no license": {wrap(`{"v":1,"keyset":"b"}`), doc.ErrPayload},
		"no keyset":  {wrap(`{"v":1,"license":"a"}`), doc.ErrPayload},
		"array":      {wrap(`[]`), doc.ErrPayload},
		"too long":   {good + strings.Repeat(" ", doc.MaxFile), doc.ErrTooLong},
	} {
		if _, err := doc.DecodeFile(c.text); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, f := range []doc.File{{Keyset: "b"}, {License: "a"}} {
		if _, err := doc.EncodeFile(f); !errors.Is(err, doc.ErrPayload) {
			t.Errorf("encoded %+v: %v", f, err)
		}
	}
	if _, err := doc.EncodeFile(doc.File{}); err == nil {
		t.Error("file without a license")
	}
}

// Entitlement values survive JSON; others than true, integers and texts do not
// exist.
func TestValue_JSON(t *testing.T) {
	t.Parallel()
	for _, v := range []doc.Value{doc.On(), doc.Int(-7), doc.Int(1<<53 - 1), doc.Text("gold"), doc.Text("ü\"\n"), doc.Text("")} {
		b, err := json.Marshal(v)
		var got doc.Value
		if err != nil || json.Unmarshal(b, &got) != nil || got != v {
			t.Errorf("%v: %s, %v", v, b, err)
		}
	}
	for _, bad := range []string{"false", "null", "1.5", "[]", "{}", "9007199254740992", `1e3`} {
		var v doc.Value
		if json.Unmarshal([]byte(bad), &v) == nil && bad != "null" {
			t.Errorf("%s accepted as %v", bad, v)
		}
	}
	if _, err := json.Marshal(doc.Value{}); err == nil {
		t.Error("the zero value was written")
	}
}

// Nothing that the strict parser would refuse gets signed.
func TestSign_RefusesWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	s, _ := doc.NewSigner(key(1))
	for name, change := range map[string]func(*doc.License){
		"no issuer":       func(l *doc.License) { l.Issuer = "" },
		"no entitlements": func(l *doc.License) { l.Ent = nil },
		"zero value":      func(l *doc.License) { l.Ent["x"] = doc.Value{} },
		"bad code":        func(l *doc.License) { l.Ent["X Y"] = doc.On() },
		"huge number":     func(l *doc.License) { l.Ent["x"] = doc.Int(1 << 60) },
		"no end":          func(l *doc.License) { l.Expires = 0 },
		"end too early":   func(l *doc.License) { l.Expires = l.ValidUntil - 1 },
		"index too high":  func(l *doc.License) { l.Status.List.Index = doc.StatusListSize },
		"unknown must":    func(l *doc.License) { l.Must = []string{"x"} },
		"not UTF-8":       func(l *doc.License) { l.Plan = "\xff" },
		"too long":        func(l *doc.License) { l.Licensee = strings.Repeat("x", 513) },
	} {
		l := license()
		change(l)
		if text, err := s.Sign(l); err == nil {
			t.Errorf("%s: signed %s", name, text)
		}
	}
}

// Digests are stable and differ between products and components.
func TestDeviceDigest_Stable(t *testing.T) {
	t.Parallel()
	d := doc.DeviceDigest("editor", "machine", "m1")
	if len(d) != 22 || d != doc.DeviceDigest("editor", "machine", "m1") {
		t.Fatal(d)
	}
	for _, other := range []string{doc.DeviceDigest("player", "machine", "m1"), doc.DeviceDigest("editor", "disk", "m1"), doc.DeviceDigest("editor", "machine", "m2"), doc.UserDigest("editor", "m1")} {
		if other == d {
			t.Fatal("digests agree")
		}
	}
}
