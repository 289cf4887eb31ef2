package verifypython

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

// python runs a script of this directory. Debian's own Python has the library that the scripts need; another one may.
func python(t *testing.T, args ...string) (string, error) {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(name, "-c", "import cryptography").Run() == nil {
			cmd := exec.Command(name, append([]string{"-B", "verify.py"}, args...)...)
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
	}
	t.Fatal("no Python with cryptography (Debian: python3-cryptography)")
	return "", nil
}

// A reader in another language, written from the description of the vectors alone, gives every answer that they give: what is read of a
// document, why one is refused, and what is decided.
func TestPython_Vectors(t *testing.T) {
	t.Parallel()
	out, err := python(t, "--vectors", filepath.Join("..", "..", "sdk", "testdata", "vectors"))
	ran, _ := strconv.Atoi(strings.Fields(out + " 0")[0])
	if err != nil || ran < 1000 {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Log(strings.TrimSpace(out))
}

// A file that is no text is refused as any other that is none, and a status list that no license asks for is not looked at.
func TestPython_HostileFiles(t *testing.T) {
	t.Parallel()
	key := sdktest.Key("signing")
	set := doc.Keyset{Issuer: "https://licenses.example.com", IssuedAt: sdktest.Start.Unix(), Num: 1}
	entry, err := doc.NewJWK(sdktest.Public(key), sdktest.Start.Unix(), doc.TypeLicense, doc.TypeStatusList)
	if err != nil {
		t.Fatal(err)
	}
	set.Keys = []doc.JWK{entry}
	now := sdktest.Start.Unix()
	license := doc.License{Issuer: set.Issuer, Audience: "editor", ID: "lic_1", TokenID: "tok_1", IssuedAt: now, NotBefore: now, Env: doc.EnvLive, Type: doc.Perpetual, Plan: "pro", Customer: "cus_1",
		Seats: doc.Seats{N: 1, By: doc.ByDevice}, Ent: map[string]doc.Value{}, Pol: doc.Policy{Expired: doc.ExpiredRestrict, Activation: doc.ActivationNone, Then: doc.ThenStop, Status: doc.StatusOff}}
	file, err := doc.EncodeFile(doc.File{License: sdktest.Sign(key, &license), Keyset: sdktest.Sign(sdktest.Key("root"), &set), StatusList: "s.t.l"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, want string }{
		"bytes": {"-----BEGIN MINTREU LICENSE-----\n\xff\xfe\xed\xa0\x80\n-----END MINTREU LICENSE-----\n", "refused: malformed"}, "status": {file, `"code": "VALID"`},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		root := doc.FormatPublicKey(sdktest.Public(sdktest.Key("root")))
		if out, _ := python(t, path, "--root="+root, "--product", "editor", "--now", strconv.FormatInt(now+60, 10)); !strings.Contains(out, c.want) {
			t.Errorf("%s: %s", name, out)
		}
	}
}

// It verifies a license file with a lease from the root down, decides on it as the SDK does, and refuses one of another vendor, for another product, and with a byte changed.
func TestPython_LicenseFile(t *testing.T) {
	t.Parallel()
	srv := sdktest.NewServer()
	t.Cleanup(srv.Close)
	key := srv.Issue(sdktest.Spec{Product: "editor", Ent: map[string]doc.Value{"export": doc.On()}})
	client, err := sdk.New(srv.Config("editor"), srv.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	request, err := client.OfflineRequest(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := srv.Answer(key, request)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, changed := filepath.Join(dir, "good"), filepath.Join(dir, "changed")
	middle := len(text) / 2
	for name, text := range map[string]string{file: text, changed: text[:middle] + "A" + text[middle+1:]} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	now := strconv.FormatInt(srv.Clock.Now().Unix()+60, 10)
	out, err := python(t, file, "--root="+srv.Root(), "--product", "editor", "--now", now)
	if err != nil || !strings.Contains(out, `"code": "VALID"`) || !strings.Contains(out, `"export": true`) {
		t.Fatalf("%v\n%s", err, out)
	}
	stranger := doc.FormatPublicKey(sdktest.Public(sdktest.Key("stranger")))
	for name, args := range map[string][]string{
		"another vendor": {file, "--root=" + stranger, "--product", "editor", "--now", now}, "another product": {file, "--root=" + srv.Root(), "--product", "player", "--now", now},
		"changed": {changed, "--root=" + srv.Root(), "--product", "editor", "--now", now}, "a month later": {file, "--root=" + srv.Root(), "--product", "editor", "--now", strconv.FormatInt(srv.Clock.Now().Unix()+31*24*3600, 10)},
	} {
		if out, err := python(t, args...); err == nil || !strings.Contains(out, "refused: ") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
