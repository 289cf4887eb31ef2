package sdk_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

// island is a machine without a network: its server is away for it.
func island(t *testing.T, srv *sdktest.Server, name string) *sdk.Client {
	t.Helper()
	c, err := sdk.New(srv.Config("editor"), append(srv.Options(), sdk.WithStore(new(sdk.MemoryStore)), sdk.WithDevice(sdktest.Device(name)))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// offline asks on a machine and answers at the vendor.
func offline(t *testing.T, srv *sdktest.Server, c *sdk.Client, key string) string {
	t.Helper()
	q, err := c.OfflineRequest(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	file, err := srv.Answer(key, q)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// A machine without a network asks, gets a file, runs for as long as the policy allows, gives its seat back, and cannot run on the file it gave
// back; not one call reaches the server.
func TestAirGap_RequestAnswerReturn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	srv := sdktest.NewServer()
	defer srv.Close()
	srv.Fail(sdktest.Down)
	key := srv.Issue(sdktest.Spec{Product: "editor", Seats: 1, Ent: map[string]doc.Value{"export": doc.On()}})
	c := island(t, srv, "island")
	if d, err := c.Check(ctx); err != nil || d.Allowed {
		t.Fatal(d, err)
	}
	q, err := c.OfflineRequest(ctx, " "+strings.ToLower(key)+"\n")
	if err != nil || strings.Contains(q, key) || !strings.HasPrefix(q, "MREQ1.") {
		t.Fatal(q, err)
	}
	if again, err := c.OfflineRequest(ctx, key); err != nil || again != q {
		t.Error("asking again gives another request", err)
	}
	file, err := srv.Answer(key, q)
	if err != nil {
		t.Fatal(err)
	}
	before := srv.Requests()
	if d, err := c.Install(ctx, file); err != nil || !d.Allowed || d.Code != eval.Valid || !c.Allowed("export") {
		t.Fatal(d, err)
	}
	if srv.Requests() != before || srv.Seats(key) != 1 {
		t.Error("calls or seats", srv.Requests()-before, srv.Seats(key))
	}
	srv.Clock.Advance(13 * 24 * time.Hour)
	if d, _ := c.Check(ctx); !d.Allowed || d.Code != eval.InGrace {
		t.Error("in its grace time:", d)
	}
	back, err := c.Return(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Return(ctx); err != nil || again != back {
		t.Error("returning again gives another text", err)
	}
	if d, _ := c.Check(ctx); d.Allowed || c.Allowed("export") {
		t.Error("allowed after its return", d)
	}
	if _, err := c.Install(ctx, file); !errors.Is(err, doc.ErrMismatch) {
		t.Error("the file it gave back works once more:", err)
	}
	for range 2 {
		if !srv.TakeBack(back) || srv.Seats(key) != 0 {
			t.Error("the seat was not freed once", srv.Seats(key))
		}
	}
	srv.Clock.Advance(24 * time.Hour)
	if d, err := c.Install(ctx, offline(t, srv, c, key)); err != nil || !d.Allowed {
		t.Error("cannot come back:", d, err)
	}
	if srv.TakeBack(back) || srv.Seats(key) != 1 {
		t.Error("an old return freed a seat that was taken anew")
	}
}

// What the server itself gave is not given back by a text, which would free no seat: nothing is forgotten, also by a product that was started anew.
func TestAirGap_ReturnOfASeatGotOnline(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	srv := sdktest.NewServer()
	defer srv.Close()
	key := srv.Issue(sdktest.Spec{Product: "editor", Seats: 1})
	store := new(sdk.MemoryStore)
	open := func() *sdk.Client { return client(t, srv, sdk.WithStore(store)) }
	c := open()
	activate(t, c, key)
	for range 2 {
		if text, err := c.Return(ctx); !errors.Is(err, sdk.ErrNoAnswer) || text != "" {
			t.Errorf("Return: %q, %v", text, err)
		}
		if d, err := c.Evaluate(ctx, "", 0); err != nil || !d.Allowed {
			t.Errorf("it was forgotten: %+v, %v", d, err)
		}
		c = open()
	}
	if err := c.Deactivate(ctx); err != nil || srv.Seats(key) != 0 {
		t.Errorf("Deactivate: %v, %d seats", err, srv.Seats(key))
	}
	// The machine goes on without a network: what a file brings is given back by a text again.
	if d, err := c.Install(ctx, offline(t, srv, c, key)); err != nil || !d.Allowed {
		t.Fatal(d, err)
	}
	if back, err := c.Return(ctx); err != nil || !srv.TakeBack(back) {
		t.Errorf("Return of what a file brought: %v", err)
	}
}

// A file is good for the machine and the request that it answers and for no other, and in no other state.
func TestAirGap_Refusals(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	srv := sdktest.NewServer()
	defer srv.Close()
	key := srv.Issue(sdktest.Spec{Product: "editor", Seats: 3})
	a, b := island(t, srv, "a"), island(t, srv, "b")
	file := offline(t, srv, a, key)
	for name, text := range map[string]string{
		"cut": file[:len(file)/2], "empty": "", "a byte more": strings.Replace(file, "\n", "\nA", 1), "another armour": strings.ReplaceAll(file, "MINTREU", "MINTREE"),
	} {
		if _, err := a.Install(ctx, text); err == nil {
			t.Errorf("%s: installed", name)
		}
	}
	if _, err := b.Install(ctx, file); !errors.Is(err, doc.ErrMismatch) {
		t.Errorf("on another machine that did not ask: %v", err)
	}
	if _, err := b.OfflineRequest(ctx, key); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Install(ctx, file); !errors.Is(err, doc.ErrMismatch) {
		t.Errorf("on another machine that asked too: %v", err)
	}
	if _, err := b.Return(ctx); !errors.Is(err, sdk.ErrNoAnswer) {
		t.Errorf("return of nothing: %v", err)
	}
	// the nonce is under the lease's signature: no other can be put there
	parts, err := doc.DecodeFile(file)
	if err != nil {
		t.Fatal(err)
	}
	q, _ := b.OfflineRequest(ctx, key)
	other, err := srv.Answer(key, q)
	if err != nil {
		t.Fatal(err)
	}
	theirs, _ := doc.DecodeFile(other)
	parts.Lease = theirs.Lease
	mixed, _ := doc.EncodeFile(parts)
	if _, err := a.Install(ctx, mixed); !errors.Is(err, doc.ErrMismatch) {
		t.Errorf("the lease of another machine's file: %v", err)
	}
	srv.Clock.Advance(31 * 24 * time.Hour)
	if _, err := srv.Answer(key, q); !errors.Is(err, &sdk.Problem{Code: sdk.CodeRequestOld}) {
		t.Errorf("a request of a month ago: %v", err)
	}
	if _, err := a.Install(ctx, file); !errors.Is(err, doc.ErrExpired) {
		t.Errorf("a file of a month ago: %v", err)
	}
}

// brokenStore cannot write.
type brokenStore struct {
	sdk.MemoryStore
	broken bool
}

func (s *brokenStore) Save(ctx context.Context, state []byte) error {
	if s.broken {
		return errors.New("disk full")
	}
	return s.MemoryStore.Save(ctx, state)
}

// Where the state cannot be written nothing is asked and nothing is given back: a text in hand means that the machine remembers, or has forgotten.
func TestL15_AirGapOnFullDisk(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	srv := sdktest.NewServer()
	defer srv.Close()
	key := srv.Issue(sdktest.Spec{Product: "editor", Seats: 1})
	store := new(brokenStore)
	c, err := sdk.New(srv.Config("editor"), append(srv.Options(), sdk.WithStore(store))...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	store.broken = true
	if text, err := c.OfflineRequest(ctx, key); err == nil || text != "" {
		t.Error("asked", text)
	}
	store.broken = false
	if d, err := c.Install(ctx, offline(t, srv, c, key)); err != nil || !d.Allowed {
		t.Fatal(d, err)
	}
	store.broken = true
	if text, err := c.Return(ctx); err == nil || text != "" {
		t.Error("returned", text)
	}
	if d, _ := c.Check(ctx); !d.Allowed {
		t.Error("forgotten although nothing was returned", d)
	}
}
