package sdk_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

// The state of one device is of no use on another.
func TestL05_StateCopiedToAnotherDevice(t *testing.T) {
	t.Parallel()
	s := server(t)
	store := new(sdk.MemoryStore)
	activate(t, client(t, s, sdk.WithStore(store)), s.Issue(sdktest.Spec{Product: "editor", Ent: features}))
	c := client(t, s, sdk.WithStore(store), sdk.WithDevice(sdktest.Device("device 2")))
	expect(t, check(t, c), false, eval.DeviceMismatch)
	if c.Allowed("export") {
		t.Fatal("allowed on another device")
	}
}

// As many components may change as the policy says, and no more.
func TestL06_PartsOfTheDeviceChange(t *testing.T) {
	t.Parallel()
	s := server(t)
	pol := sdktest.Policy()
	pol.Match = 3
	store := new(sdk.MemoryStore)
	activate(t, client(t, s, sdk.WithStore(store)), s.Issue(sdktest.Spec{Product: "editor", Policy: &pol}))
	s.Fail(sdktest.Down)
	parts := []string{"machine", "disk", "network", "host"}
	for i, a := range parts {
		f := sdktest.Device("device 1")
		f[a] = "changed"
		expect(t, check(t, client(t, s, sdk.WithStore(store), sdk.WithDevice(f))), true, eval.Valid)
		delete(f, parts[(i+1)%4])
		expect(t, check(t, client(t, s, sdk.WithStore(store), sdk.WithDevice(f))), false, eval.DeviceMismatch)
	}
}

// With any byte of it changed, dropped or cut, the state counts as absent.
func TestL07_StateEdited(t *testing.T) {
	t.Parallel()
	s := server(t)
	store := new(sdk.MemoryStore)
	key := s.Issue(sdktest.Spec{Product: "editor", Ent: features})
	activate(t, client(t, s, sdk.WithStore(store)), key)
	good, _ := store.Load(context.Background())
	s.Fail(sdktest.Down)
	refused := func(text []byte) {
		t.Helper()
		edited := new(sdk.MemoryStore)
		edited.Save(context.Background(), text)
		c := client(t, s, sdk.WithStore(edited))
		if c.Allowed("export") {
			t.Fatal("edited state allowed")
		}
		if d := check(t, c); d.Allowed || d.Code != eval.ActivationRequired {
			t.Fatalf("edited state: %+v", d)
		}
	}
	for i := 0; i < len(good); i += 1 + i/200 {
		flipped := bytes.Clone(good)
		flipped[i] ^= 1
		refused(flipped)
		refused(good[:i])
	}
	refused(append(bytes.Clone(good), '\n'))
	s.Fail(sdktest.None)
	c := client(t, s, sdk.WithStore(new(sdk.MemoryStore)))
	expect(t, activate(t, c, key), true, eval.Valid)
	if s.Seats(key) != 1 {
		t.Fatal("a lost state took a second seat")
	}
}

// A deleted state gains no time: the same activation answers, with the next seq,
// and lengths count from contact.
func TestL08_StateDeleted(t *testing.T) {
	t.Parallel()
	s := server(t)
	pol := sdktest.Policy()
	pol.ExpiryGrace = 2 * sdktest.Day
	key := s.Issue(sdktest.Spec{Product: "editor", Type: doc.Trial, ValidFor: 5 * day, Policy: &pol})
	first := client(t, s)
	activate(t, first, key)
	s.Clock.Advance(5*day + time.Hour)
	again := client(t, s)
	expect(t, activate(t, again, key), true, eval.InGrace)
	if a, b := first.Lease(), again.Lease(); a.Activation != b.Activation || b.Seq != a.Seq+1 || again.License().ValidUntil != first.License().ValidUntil {
		t.Fatalf("new activation %v after %v", b, a)
	}
	s.Clock.Advance(2 * day)
	expect(t, activate(t, client(t, s), key), false, eval.Expired)
}

// A lease that is older than the one at hand never replaces it.
func TestL09_OlderLeaseRefused(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	key := s.Issue(sdktest.Spec{Product: "editor"})
	activate(t, c, key)
	old := sdktest.Sign(sdktest.Key("signing 1"), c.Lease())
	s.Clock.Advance(day)
	check(t, c)
	s.Fail(sdktest.Replay)
	s.Clock.Advance(day)
	check(t, c)
	if seq := c.Lease().Seq; seq != 2 {
		t.Fatalf("seq %d after a replayed answer", seq)
	}
	file, _ := doc.EncodeFile(doc.File{License: s.Token(key), Keyset: s.Keyset(), Lease: old})
	if _, err := c.Install(context.Background(), file); !errors.Is(err, doc.ErrRollback) {
		t.Fatalf("older lease installed: %v", err)
	}
}

// A lease of one license does nothing for another.
func TestL11_LeaseOfAnotherLicense(t *testing.T) {
	t.Parallel()
	s := server(t)
	a, b := s.Issue(sdktest.Spec{Product: "editor"}), s.Issue(sdktest.Spec{Product: "editor"})
	c := client(t, s)
	activate(t, c, a)
	lease := sdktest.Sign(sdktest.Key("signing 1"), c.Lease())
	file, _ := doc.EncodeFile(doc.File{License: s.Token(b), Keyset: s.Keyset(), Lease: lease})
	if _, err := client(t, s).Install(context.Background(), file); !errors.Is(err, doc.ErrMismatch) {
		t.Fatalf("lease of another license: %v", err)
	}
}

// Keysets only move forward: an older one is refused, also by a new process.
func TestK12_KeysetRollback(t *testing.T) {
	t.Parallel()
	s := server(t)
	store := new(sdk.MemoryStore)
	c := client(t, s, sdk.WithStore(store))
	key := s.Issue(sdktest.Spec{Product: "editor"})
	activate(t, c, key)
	old, oldToken := s.Keyset(), s.Token(key)
	s.RotateKey(true)
	if err := c.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	file, _ := doc.EncodeFile(doc.File{License: oldToken, Keyset: old})
	for _, c := range []*sdk.Client{c, client(t, s, sdk.WithStore(store))} {
		if _, err := c.Install(context.Background(), file); !errors.Is(err, doc.ErrKeyRevoked) {
			t.Fatalf("old keyset brought a revoked key back: %v", err)
		}
	}
}

// After a key is revoked everything it signed is refused, and the next contact
// brings documents under the new key.
func TestJ47_RevokedSigningKey(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	key := s.Issue(sdktest.Spec{Product: "editor", Ent: features})
	activate(t, c, key)
	token := s.Token(key)
	if _, err := c.Verify(token); err != nil {
		t.Fatal(err)
	}
	s.RotateKey(true)
	if err := c.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Verify(token); !errors.Is(err, doc.ErrKeyRevoked) {
		t.Fatalf("token under a revoked key: %v", err)
	}
	if c.Allowed("export") {
		t.Fatal("allowed under a revoked key")
	}
	expect(t, check(t, c), true, eval.Valid)
	if _, err := c.Verify(s.Token(key)); err != nil || !c.Allowed("export") {
		t.Fatalf("after the next contact: %v", err)
	}
}

// A product that only ever checks learns of a revoked key within a day of
// contact, although the key that signs now was known before.
func TestJ47_RevocationReachesAProductThatOnlyChecks(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	key := s.Issue(sdktest.Spec{Product: "editor"})
	old := s.Token(key)
	s.RotateKey(false)
	activate(t, c, key)
	if _, err := c.Verify(old); err != nil {
		t.Fatal(err)
	}
	s.RevokeOldKeys()
	s.Clock.Advance(day)
	expect(t, check(t, c), true, eval.Valid)
	if _, err := c.Verify(old); !errors.Is(err, doc.ErrKeyRevoked) {
		t.Fatalf("token under a revoked key: %v", err)
	}
}

// A license token under a revoked key is replaced within the very contact that
// tells of the revocation.
func TestJ47_RevokedLicenseTokenIsReplacedAtOnce(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	activate(t, c, s.Issue(sdktest.Spec{Product: "editor", Ent: features}))
	s.RotateKey(false)
	s.Clock.Advance(day)
	expect(t, check(t, c), true, eval.Valid)
	s.RevokeOldKeys()
	s.Clock.Advance(day)
	expect(t, check(t, c), true, eval.Valid)
	if !c.Allowed("export") {
		t.Fatal("not allowed after the contact")
	}
}

// busy answers heartbeats with 503 while it is on.
type busy struct {
	on   atomic.Bool
	next http.RoundTripper
}

func (b *busy) RoundTrip(r *http.Request) (*http.Response, error) {
	if !b.on.Load() || !strings.HasSuffix(r.URL.Path, sdk.PathHeartbeat) {
		return b.next.RoundTrip(r)
	}
	return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{"Content-Type": {"application/problem+json"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(`{"code":"unavailable","title":"Unavailable","status":503}`))}, nil
}

// A server that is too busy to give a license under the next key does not tell of the revocation in the same breath: the product goes on
// with what it has, and follows with the contact after.
func TestJ47_BusyServerRefusesNobody(t *testing.T) {
	t.Parallel()
	s := server(t)
	through := &busy{next: http.DefaultTransport}
	c := client(t, s, sdk.WithHTTPClient(&http.Client{Transport: through}))
	key := s.Issue(sdktest.Spec{Product: "editor", Ent: features})
	activate(t, c, key)
	old := s.Token(key)
	s.RotateKey(true)
	through.on.Store(true)
	s.Clock.Advance(day)
	expect(t, check(t, c), true, eval.Valid)
	if !c.Allowed("export") {
		t.Fatal("not allowed while the server is busy")
	}
	through.on.Store(false)
	s.Clock.Advance(time.Hour)
	expect(t, check(t, c), true, eval.Valid)
	if _, err := c.Verify(old); !errors.Is(err, doc.ErrKeyRevoked) || !c.Allowed("export") {
		t.Fatalf("after the next contact: %v", err)
	}
}

// late passes a heartbeat on and keeps the license out of its answer, as a server does for a device that has one with that id; after that it is busy.
type late struct {
	busy
	beats atomic.Int64
}

func (l *late) RoundTrip(r *http.Request) (*http.Response, error) {
	if !l.on.Load() || !strings.HasSuffix(r.URL.Path, sdk.PathHeartbeat) || l.beats.Add(1) > 1 {
		return l.busy.RoundTrip(r)
	}
	res, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var beat sdk.HeartbeatResponse
	if err := json.NewDecoder(res.Body).Decode(&beat); err != nil {
		return nil, err
	}
	beat.License = ""
	text, err := json.Marshal(beat)
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return res, err
}

// Neither does a server refuse anybody that tells of a revocation in the middle of a contact, when the license at hand turns out to be signed by
// the revoked key and there is no other yet. A restart in between changes nothing.
func TestJ47_HalfAContactRefusesNobody(t *testing.T) {
	t.Parallel()
	s := server(t)
	through := &late{busy: busy{next: http.DefaultTransport}}
	store := new(sdk.MemoryStore)
	c := client(t, s, sdk.WithHTTPClient(&http.Client{Transport: through}), sdk.WithStore(store))
	key := s.Issue(sdktest.Spec{Product: "editor", Ent: features})
	activate(t, c, key)
	old := s.Token(key)
	s.RotateKey(true)
	through.on.Store(true)
	s.Clock.Advance(day)
	expect(t, check(t, c), true, eval.Valid)
	if n := through.beats.Load(); n != 2 || !c.Allowed("export") {
		t.Fatalf("%d heartbeats, allowed: %v", n, c.Allowed("export"))
	}
	if _, err := c.Verify(old); err != nil {
		t.Fatalf("the license at hand: %v", err)
	}
	expect(t, check(t, client(t, s, sdk.WithHTTPClient(&http.Client{Transport: through}), sdk.WithStore(store))), true, eval.Valid)
	through.on.Store(false)
	s.Clock.Advance(time.Hour)
	expect(t, check(t, c), true, eval.Valid)
	if _, err := c.Verify(old); !errors.Is(err, doc.ErrKeyRevoked) || !c.Allowed("export") {
		t.Fatalf("after the next contact: %v", err)
	}
}

// A keyset under a pinned root may name new roots. They replace the pinned ones,
// also in the next run, and the old root is believed no more.
func TestKeyset_NewRootsOutliveARestart(t *testing.T) {
	t.Parallel()
	s := server(t)
	token := s.Token(s.Issue(sdktest.Spec{Product: "editor"}))
	store := new(sdk.MemoryStore)
	entry := func(name string, types ...string) doc.JWK {
		j, err := doc.NewJWK(sdktest.Public(sdktest.Key(name)), sdktest.Start.Unix(), types...)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	set := &doc.Keyset{Issuer: s.URL(), IssuedAt: sdktest.Start.Unix(), Num: 5, Keys: []doc.JWK{entry("signing 1", doc.TypeLicense)}}
	install := func(root string, num int64, roots ...doc.JWK) error {
		set.Num, set.Roots = num, roots
		file, err := doc.EncodeFile(doc.File{License: token, Keyset: sdktest.Sign(sdktest.Key(root), set)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client(t, s, sdk.WithStore(store)).Install(context.Background(), file)
		return err
	}
	for i, step := range []struct {
		root  string
		num   int64
		roots []doc.JWK
		want  error
	}{
		{"root 2", 5, nil, doc.ErrUnknownKey},
		{"root", 5, []doc.JWK{entry("root 2")}, nil},
		{"root", 5, []doc.JWK{entry("root 2")}, nil}, // the same again
		{"root", 6, nil, doc.ErrUnknownKey},
		{"root 2", 6, []doc.JWK{entry("root 2")}, nil},
		{"root 2", 7, []doc.JWK{entry("root 2"), entry("root 3")}, nil},
		{"root 3", 8, nil, nil},
		{"root", 9, nil, doc.ErrUnknownKey},
	} {
		if err := install(step.root, step.num, step.roots...); !errors.Is(err, step.want) {
			t.Fatalf("step %d, keyset %d under %s: %v", i, step.num, step.root, err)
		}
		c := client(t, s, sdk.WithStore(store))
		if _, err := c.Verify(token); (err == nil) != (i > 0) {
			t.Fatalf("step %d: after a restart: %v", i, err)
		}
	}
	if s.Requests() != 0 {
		t.Fatal("the network was used")
	}
}

// A planned rotation changes nothing for documents that are already out.
func TestJ48_RetiredSigningKey(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	key := s.Issue(sdktest.Spec{Product: "editor"})
	activate(t, c, key)
	token := s.Token(key)
	s.RotateKey(false)
	if err := c.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Verify(token); err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(day)
	expect(t, check(t, c), true, eval.Valid)
}

// The state file is for its owner alone, and is replaced as a whole.
func TestFileStore_ModeAndReplace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "b", "state")
	st := sdk.NewFileStore(path)
	if b, err := st.Load(context.Background()); b != nil || err != nil {
		t.Fatal(b, err)
	}
	for _, text := range []string{"one", "two"} {
		if err := st.Save(context.Background(), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := st.Load(context.Background())
	if string(b) != "two" || err != nil {
		t.Fatal(string(b), err)
	}
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Fatalf("%s: %v %v", name, info.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".state-*")); len(left) != 0 {
		t.Fatalf("left over: %v", left)
	}
}

// The wire types read what they write, and leave out what is not set.
func TestWire_JSON(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(sdk.HeartbeatRequest{ID: "act_1", Seq: 3})
	if err != nil || string(b) != `{"seq":3}` {
		t.Fatal(string(b), err)
	}
	p := &sdk.Problem{Code: sdk.CodeSeatsExhausted, Status: 409, Detail: "All 5 seats are taken.", Retry: 3}
	if !errors.Is(p, &sdk.Problem{Code: sdk.CodeSeatsExhausted}) || p.RetryAfter() != 3*time.Second || p.Error() != "seats-exhausted (409): All 5 seats are taken." {
		t.Fatal(p)
	}
}
