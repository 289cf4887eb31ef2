package sdktest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/device"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/sdk/spool"
)

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Fault is what is wrong with a Server.
type Fault int

// The faults.
const (
	None      Fault = iota
	Down            // connections are closed without an answer
	LostReply       // the request takes effect but its answer is lost
	TornReply       // the request takes effect but its answer breaks off half way
	Garbage         // answers are a page of somebody else, with status 200
	Error           // answers are status 500
	Forged          // documents are signed by a key that nobody trusts
	Replay          // answers carry the first lease of the activation again
	Redirect        // answers send the client to another host
)

// Server is a Mintreu in this process. It is safe for concurrent use.
type Server struct {
	Clock *Clock

	http     *httptest.Server
	mu       sync.Mutex
	fault    Fault
	times    int // how often; negative: until changed
	requests int
	licenses []*record
	keys     map[string]*record // by license key
	acts     map[string]*activation
	root     string
	signing  string
	keyset   *doc.Keyset
	bits     doc.StatusBits
	replaced int64 // tokens, whose places are drawn from the end of the list
	sources  []*source
	releases []release
	dir      string // for the spools of clients
	spools   int
}

// record is a license as the server knows it.
type record struct {
	claims *doc.License
	state  string          // "", suspended, revoked
	known  map[string]bool // its tokens since it came into these hands

	counted []sdk.UsageRow
}

// activation is a seat, taken or given back.
type activation struct {
	id, user string
	of       *record
	dev      map[string]string
	seq      int64
	released bool
	first    string
	answered string // the lease of the last license file
	borrowed int64  // until when, in seconds
	dies     int64  // when a seat that floats is free by itself; 0 for never
	left     int64  // when it was given back
	last     *doc.Lease
}

// NewServer starts a server on a free port of this machine; its clock stands at
// Start. Close it.
func NewServer() *Server {
	s := &Server{Clock: NewClock(Start), keys: map[string]*record{}, acts: map[string]*activation{}, root: "root", signing: "signing 1"}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+sdk.PathActivations, s.activate)
	mux.HandleFunc("POST "+sdk.PathActivations+"/{id}"+sdk.PathHeartbeat, s.heartbeat)
	mux.HandleFunc("POST "+sdk.PathActivations+"/{id}"+sdk.PathBorrow, s.borrow)
	mux.HandleFunc("POST "+sdk.PathActivations+"/{id}"+sdk.PathReturn, s.giveBack)
	mux.HandleFunc("DELETE "+sdk.PathActivations+"/{id}", s.deactivate)
	mux.HandleFunc("POST "+sdk.PathValidate, s.validate)
	mux.HandleFunc("GET "+sdk.PathToken, s.current)
	mux.HandleFunc("POST "+sdk.PathUsageSources, s.openSource)
	mux.HandleFunc("POST "+sdk.PathUsage, s.countUsage)
	mux.HandleFunc("GET "+sdk.PathUpdates+"{product}", s.serveUpdate)
	mux.HandleFunc("GET "+sdk.PathKeyset, s.serveKeyset)
	mux.HandleFunc("GET "+sdk.PathRoots, func(http.ResponseWriter, *http.Request) {}) // its root is never replaced
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, 404, "no-such-path", "There is nothing at this address.")
	})
	mux.HandleFunc("GET "+sdk.PathStatus+"{n}", s.serveStatus)
	s.http = httptest.NewServer(s.faulty(mux))
	s.keyset = &doc.Keyset{Issuer: s.http.URL, IssuedAt: Start.Unix(), Num: 1, Keys: []doc.JWK{s.entry(s.signing)}}
	return s
}

// Close stops the server and removes the spools of its clients.
func (s *Server) Close() {
	s.http.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// URL returns the server's base URL, which is also its issuer.
func (s *Server) URL() string { return s.http.URL }

// Config returns the configuration of a client of a product.
func (s *Server) Config(product string) sdk.Config {
	return sdk.Config{BaseURL: s.URL(), Product: product, Roots: []string{s.Root()}}
}

// Options returns options for a client that uses the server's clock, keeps its
// state in memory and its usage in a directory that lasts until Close, and runs
// on a device named "device 1".
func (s *Server) Options() []sdk.Option {
	return []sdk.Option{sdk.WithClock(s.Clock), sdk.WithStore(new(sdk.MemoryStore)), sdk.WithDevice(Device("device 1")),
		sdk.WithSpool(spool.Options{Dir: s.spoolDir(), Sync: time.Minute})}
}

// spoolDir returns a path for another spool.
func (s *Server) spoolDir() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "sdktest-")
		if err != nil {
			panic(err)
		}
		s.dir = dir
	}
	s.spools++
	return filepath.Join(s.dir, strconv.Itoa(s.spools))
}

// Device returns the fingerprint of a made-up device.
func Device(name string) device.Fingerprint {
	return device.Fingerprint{device.Machine: name + " machine", device.Disk: name + " disk",
		device.Network: name + " network", device.Host: name + " host"}
}

// Root returns the root public key, as a product pins it.
func (s *Server) Root() string { return doc.FormatPublicKey(Public(Key("root"))) }

// Fail makes all answers wrong until Fail(None).
func (s *Server) Fail(f Fault) { s.FailTimes(f, -1) }

// FailTimes makes the next n answers wrong.
func (s *Server) FailTimes(f Fault, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.times = f, n
}

// Requests returns how many requests have come in.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Issue makes a license and returns its license key.
func (s *Server) Issue(spec Spec) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &record{claims: spec.license(s.http.URL, len(s.licenses)+1, s.now())}
	r.known = map[string]bool{r.claims.TokenID: true}
	key, err := doc.NewLicenseKey(doc.DefaultKeyPrefix, &sequence{n: len(s.licenses) + 1})
	if err != nil {
		panic(err)
	}
	s.licenses = append(s.licenses, r)
	s.keys[key] = r
	return key
}

// Token returns the license token of a key.
func (s *Server) Token(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sign(s.keys[key].claims)
}

// Revoke revokes a license for good and takes its seats.
func (s *Server) Revoke(key string) {
	s.set(key, "revoked", doc.StatusInvalid)
	s.Release(key)
}

// Suspend suspends a license.
func (s *Server) Suspend(key string) { s.set(key, "suspended", doc.StatusSuspended) }

// Reinstate ends a suspension.
func (s *Server) Reinstate(key string) { s.set(key, "", doc.StatusValid) }

func (s *Server) set(key, state string, bit byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.keys[key]
	r.state = state
	s.bits.Set(r.claims.Status.List.Index, bit)
}

// Release takes all seats of a license, as its owner can on a dashboard.
func (s *Server) Release(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.acts {
		if a.of == s.keys[key] {
			a.released = true
		}
	}
}

// Change changes the claims of a license, as a renewal does, and gives it a new token with a place of its own in the status list; the old one is
// invalid from then on.
func (s *Server) Change(key string, change func(*doc.License)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.keys[key]
	l := *r.claims
	change(&l)
	l.TokenID, l.IssuedAt = l.TokenID+"x", s.now()
	s.replaced++
	l.Status.List.Index = doc.StatusListSize - s.replaced
	s.bits.Set(l.Status.List.Index, s.bits.Get(r.claims.Status.List.Index))
	s.bits.Set(r.claims.Status.List.Index, doc.StatusInvalid)
	r.claims, r.known[l.TokenID] = &l, true
}

// Reissue gives a license another key and token, as for a key that leaked, and returns the key. The old ones are good for nothing from then on; seats
// stay held.
func (s *Server) Reissue(key string) string {
	s.Change(key, func(*doc.License) {})
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.keys[key]
	s.replaced++
	next, err := doc.NewLicenseKey(doc.DefaultKeyPrefix, &sequence{n: 1000 + int(s.replaced)})
	if err != nil {
		panic(err)
	}
	delete(s.keys, key)
	s.keys[next], r.known = r, map[string]bool{r.claims.TokenID: true}
	return next
}

// Seats returns how many seats of a license are taken.
func (s *Server) Seats(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cull(s.keys[key])
	return s.taken(s.keys[key])
}

// cull frees the seats of a license that are free by themselves: borrowed until
// a date that came, or floating on a device that may run no longer, as if the
// policy's dead_after were the time that it lets a device run offline. Needs s.mu.
func (s *Server) cull(r *record) {
	for _, a := range s.acts {
		if a.of == r && a.dies != 0 && a.dies <= s.now() {
			a.released = true
		}
	}
}

// RotateKey publishes a keyset with a new signing key. The old one is kept to
// verify, or revoked.
func (s *Server) RotateKey(revoke bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := *s.keyset
	next.Num++
	next.IssuedAt = s.now()
	next.Keys = append([]doc.JWK(nil), s.keyset.Keys...)
	old := &next.Keys[len(next.Keys)-1]
	if old.State = doc.KeyRetired; revoke {
		old.State, old.RevokedAt = doc.KeyRevoked, s.now()
	}
	s.signing = fmt.Sprintf("signing %d", next.Num)
	next.Keys = append(next.Keys, s.entry(s.signing))
	s.keyset = &next
}

// RevokeOldKeys publishes a keyset in which every signing key but the current
// one is revoked.
func (s *Server) RevokeOldKeys() {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := *s.keyset
	next.Num++
	next.IssuedAt = s.now()
	next.Keys = append([]doc.JWK(nil), s.keyset.Keys...)
	for i := range len(next.Keys) - 1 {
		next.Keys[i].State, next.Keys[i].RevokedAt = doc.KeyRevoked, s.now()
	}
	s.keyset = &next
}

// Keyset returns the signed keyset.
func (s *Server) Keyset() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Sign(Key("root"), s.keyset)
}

func (s *Server) entry(name string) doc.JWK {
	j, err := doc.NewJWK(Public(Key(name)), s.now(), doc.TypeLicense, doc.TypeLease, doc.TypeStatusList, doc.TypeRelease, doc.TypeReceipt)
	if err != nil {
		panic(err)
	}
	return j
}

func (s *Server) now() int64 { return s.Clock.Now().Unix() }

// sign signs with the current key, or a wrong one. Needs s.mu.
func (s *Server) sign(d doc.Document) string {
	if s.fault == Forged && s.times != 0 {
		return Sign(Key("forger"), d)
	}
	return Sign(Key(s.signing), d)
}

func (s *Server) taken(r *record) int {
	n := 0
	for _, a := range s.acts {
		if a.of == r && !a.released {
			n++
		}
	}
	return n
}

// sequence is a source of bytes that differ with n.
type sequence struct{ n int }

func (s *sequence) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s.n>>(i%4*5)) + byte(i)
	}
	return len(b), nil
}

// faulty wraps the endpoints in the current fault.
func (s *Server) faulty(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests++
		fault := s.fault
		if s.times == 0 {
			fault = None
		}
		s.mu.Unlock()
		switch fault {
		case Down:
			s.used()
			panic(http.ErrAbortHandler)
		case LostReply:
			next.ServeHTTP(httptest.NewRecorder(), r)
			s.used()
			panic(http.ErrAbortHandler)
		case TornReply:
			whole := httptest.NewRecorder()
			next.ServeHTTP(whole, r)
			s.used()
			w.Header().Set("Content-Type", whole.Header().Get("Content-Type"))
			w.Header().Set("Content-Length", strconv.Itoa(whole.Body.Len()))
			w.WriteHeader(whole.Code)
			_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case Garbage:
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>Please log in to the network</html>")
		case Error:
			http.Error(w, "something broke", http.StatusInternalServerError)
		case Redirect:
			http.Redirect(w, r, strings.Replace(s.http.URL, "127.0.0.1", "localhost", 1)+r.URL.Path, http.StatusTemporaryRedirect)
		default:
			next.ServeHTTP(w, r)
		}
		s.used()
	})
}

// used counts one wrong answer.
func (s *Server) used() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.times > 0 {
		s.times--
	}
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(sdk.Problem{Title: http.StatusText(status), Status: status, Detail: detail, Code: code})
}

// evaluate is the server's decision on a license. Needs s.mu.
func (s *Server) evaluate(r *record, lease *doc.Lease, req eval.Request, known ...eval.Finding) eval.Decision {
	st := &eval.Status{IssuedAt: s.now(), Value: s.bits.Get(r.claims.Status.List.Index)}
	return eval.Evaluate(eval.Input{License: r.claims, Lease: lease, Status: st, Request: req, Now: s.now(), Known: known})
}
