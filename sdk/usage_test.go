package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/sdktest"
	"github.com/mintreu/mintreu/sdk/spool"
)

func report(t testing.TB, c *sdk.Client, meter string, numbers ...int64) {
	t.Helper()
	for _, n := range numbers {
		if err := c.Report(meter, n); err != nil {
			t.Fatal(err)
		}
	}
}

func flush(t testing.TB, c *sdk.Client) {
	t.Helper()
	if err := c.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// counted demands what the server has counted of a meter.
func counted(t testing.TB, s *sdktest.Server, key, meter string, want sdktest.Used) {
	t.Helper()
	if got := s.Usage(key)[meter]; got != want {
		t.Fatalf("%s: the server counted %+v, want %+v", meter, got, want)
	}
}

// A batch whose answer is lost, or breaks off, is sent again and counted once; its receipt is verified and kept, and so is that of
// a batch that needs no second try.
func TestL19_LostReplyIsCountedOnce(t *testing.T) {
	t.Parallel()
	for _, fault := range []sdktest.Fault{sdktest.LostReply, sdktest.TornReply, sdktest.Down, sdktest.Error, sdktest.Garbage} {
		s := server(t)
		c := client(t, s)
		key := s.Issue(sdktest.Spec{Product: "editor"})
		activate(t, c, key)
		want := sdktest.Used{}
		for round := range 4 {
			report(t, c, "pages", 3, 4)
			report(t, c, "calls", 1)
			want.Events, want.Sum, want.Max = want.Events+2, want.Sum+7, 4
			s.FailTimes(fault, 1+round%2) // the source is lost too, in the first round
			for range 3 {
				if c.Flush(context.Background()) == nil {
					break
				}
			}
			counted(t, s, key, "pages", want)
		}
		st := c.UsageStats()
		if st.Seq != 4 || st.Receipt == "" || s.Sources() != 1 {
			t.Fatalf("fault %d: %+v, %d sources", fault, st, s.Sources())
		}
		v := doc.Verifier{Keys: mustPin(t, "signing 1"), Issuer: s.URL(), Now: s.Clock.Now}
		if r, err := v.Receipt(st.Receipt); err != nil || r.Source != st.Source || r.Seq != 4 {
			t.Fatalf("the receipt: %+v, %v", r, err)
		}
	}
}

func mustPin(t testing.TB, name string) *doc.Keys {
	t.Helper()
	keys, err := doc.Pin(sdktest.Public(sdktest.Key(name)))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// A receipt that nobody we trust has signed is none: the batch stays, and is counted once when all is well again.
func TestReport_ForgedReceipt(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	key := s.Issue(sdktest.Spec{Product: "editor"})
	activate(t, c, key)
	report(t, c, "pages", 1)
	s.Fail(sdktest.Forged)
	if err := c.Flush(context.Background()); err == nil || c.UsageStats().Seq != 0 {
		t.Fatalf("%v, %+v", err, c.UsageStats())
	}
	s.Fail(sdktest.None)
	flush(t, c)
	counted(t, s, key, "pages", sdktest.Used{Events: 1, Sum: 1, Max: 1})
}

// Usage outlives the process: what one reported and another sent counts once; buckets are quarters of an hour.
func TestReport_OutlivesTheProcess(t *testing.T) {
	t.Parallel()
	s := server(t)
	dir := filepath.Join(t.TempDir(), "editor")
	options := func() []sdk.Option {
		return append(s.Options(), sdk.WithStore(sdk.NewFileStore(filepath.Join(dir, "state"))), sdk.WithSpool(spool.Options{Dir: filepath.Join(dir, "usage")}))
	}
	start := func() *sdk.Client {
		c, err := sdk.New(s.Config("editor"), options()...)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	key := s.Issue(sdktest.Spec{Product: "editor"})
	c := start()
	activate(t, c, key)
	s.Fail(sdktest.Down)
	for range 3 {
		report(t, c, "pages", 2)
		s.Clock.Advance(20 * time.Minute)
	}
	if err := c.Flush(context.Background()); err == nil {
		t.Fatal("sent without a server")
	}
	report(t, c, "pages", 5)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Report("pages", 1); !errors.Is(err, sdk.ErrClosed) {
		t.Fatalf("report after close: %v", err)
	}
	s.Fail(sdktest.None)
	s.Clock.Advance(3 * 7 * day) // weeks offline
	c = start()
	defer c.Close()
	flush(t, c)
	counted(t, s, key, "pages", sdktest.Used{Events: 4, Sum: 11, Max: 5})
	if c.UsageStats().Seq != 2 {
		t.Fatalf("%+v", c.UsageStats())
	}
}

// A copied spool forks its source: both copies' new events are counted, each once, the second under a source of its own.
func TestReport_CopiedSpoolForks(t *testing.T) {
	t.Parallel()
	s := server(t)
	first, second := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	store := sdk.WithStore(new(sdk.MemoryStore))
	a := client(t, s, store, sdk.WithSpool(spool.Options{Dir: first}))
	key := s.Issue(sdktest.Spec{Product: "editor"})
	activate(t, a, key)
	report(t, a, "pages", 1)
	flush(t, a)
	if err := os.CopyFS(second, os.DirFS(first)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".", "cursor", "lock", "drain"} {
		os.Chmod(filepath.Join(second, name), 0o700)
	}
	list, _ := filepath.Glob(filepath.Join(second, "*"))
	for _, f := range list {
		os.Chmod(f, 0o600)
	}
	b := client(t, s, store, sdk.WithSpool(spool.Options{Dir: second}))
	report(t, a, "pages", 10)
	report(t, b, "pages", 100)
	flush(t, a)
	flush(t, b)
	counted(t, s, key, "pages", sdktest.Used{Events: 3, Sum: 111, Max: 100})
	if s.Sources() != 2 || b.UsageStats().Source == a.UsageStats().Source {
		t.Fatalf("%d sources", s.Sources())
	}
}

// A server that was restored from an older backup takes the number from the receipt and counts on.
func TestReport_ServerSetBack(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	key := s.Issue(sdktest.Spec{Product: "editor"})
	activate(t, c, key)
	for range 3 {
		report(t, c, "pages", 1)
		flush(t, c)
	}
	s.ForgetUsage(2)
	report(t, c, "pages", 1)
	flush(t, c)
	counted(t, s, key, "pages", sdktest.Used{Events: 4, Sum: 4, Max: 1})
	if s.Sources() != 1 || c.UsageStats().Seq != 4 {
		t.Fatalf("%d sources, %+v", s.Sources(), c.UsageStats())
	}
}

// What cannot be counted is refused at once, a full spool says so and counts what it refused, and without a license or a place
// usage is an error and not lost silently.
func TestReport_Refusals(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s, sdk.WithSpool(spool.Options{Dir: t.TempDir() + "/s", MaxBytes: 2048, SegmentBytes: 512, Sync: time.Hour}))
	for _, bad := range []string{"", "Pages", "a b", "a\n", string(make([]byte, 65))} {
		if err := c.Report(bad, 1); !errors.Is(err, sdk.ErrMeter) {
			t.Errorf("meter %q: %v", bad, err)
		}
	}
	for _, n := range []int64{-1, 1e12 + 1} {
		if err := c.Report("pages", n); !errors.Is(err, sdk.ErrMeter) {
			t.Errorf("%d: %v", n, err)
		}
	}
	report(t, c, "pages", 1)
	if err := c.Flush(context.Background()); err == nil {
		t.Error("sent without a license")
	}
	kept, refused := int64(1), int64(0)
	for range 200 {
		switch err := c.Report("pages", 1); {
		case err == nil:
			kept++
		case errors.Is(err, spool.ErrFull):
			refused++
		default:
			t.Fatal(err)
		}
	}
	if got := c.UsageStats().Spool.Dropped; refused == 0 || got != refused {
		t.Fatalf("%d refused, %d counted", refused, got)
	}
	key := s.Issue(sdktest.Spec{Product: "editor"})
	activate(t, c, key)
	flush(t, c)
	counted(t, s, key, "pages", sdktest.Used{Events: kept, Sum: kept, Max: 1})
	own, err := sdk.New(s.Config("editor"), sdk.WithStore(new(sdk.MemoryStore)))
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if err := own.Report("pages", 1); err == nil {
		t.Fatal("a store in memory has no place for usage")
	}
}

// Run sends usage by itself, and Deactivate before the seat is given back.
func TestReport_RunAndDeactivateSend(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	key := s.Issue(sdktest.Spec{Product: "editor"})
	activate(t, c, key)
	report(t, c, "pages", 1)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, nil) }()
	for deadline := time.Now().Add(time.Minute); s.Usage(key)["pages"].Events == 0; {
		if time.Now().After(deadline) {
			t.Fatal("Run sent nothing")
		}
		s.Clock.Advance(time.Minute)
		time.Sleep(5 * time.Millisecond) // the server has no signal to wait for
	}
	cancel()
	<-ended
	report(t, c, "pages", 1)
	if err := c.Deactivate(context.Background()); err != nil {
		t.Fatal(err)
	}
	counted(t, s, key, "pages", sdktest.Used{Events: 2, Sum: 2, Max: 1})
}

// A thousand goroutines report, ask and read while the client is closed under them: each Report either counts once or
// says that the client is closed, and nobody waits for ever.
func TestL23_CloseDuringReport(t *testing.T) {
	t.Parallel()
	s := server(t)
	dir := t.TempDir() + "/s"
	store := sdk.WithStore(new(sdk.MemoryStore))
	c := client(t, s, store, sdk.WithSpool(spool.Options{Dir: dir, Sync: time.Hour}))
	key := s.Issue(sdktest.Spec{Product: "editor", Ent: features})
	activate(t, c, key)
	var wg sync.WaitGroup
	var mu sync.Mutex
	acked, started := int64(0), make(chan struct{}, 1000)
	for i := range 1000 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := 0; ; n++ {
				switch err := c.Report("calls", 1); {
				case err == nil:
					mu.Lock()
					acked++
					mu.Unlock()
				case errors.Is(err, sdk.ErrClosed):
					return
				default:
					t.Error(err)
					return
				}
				c.Allowed("export")
				if n == 0 {
					started <- struct{}{}
				}
				if i%100 == 0 {
					c.Flush(context.Background())
					c.UsageStats()
				}
			}
		}()
	}
	for range 500 {
		<-started
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	again := client(t, s, store, sdk.WithSpool(spool.Options{Dir: dir}))
	flush(t, again)
	counted(t, s, key, "calls", sdktest.Used{Events: acked, Sum: acked, Max: 1})
}

// What is of many meters, or of many quarters of an hour, goes in batches that no server needs long for, one after the other, each event once.
func TestReport_ManyRowsAreSeveralBatches(t *testing.T) {
	t.Parallel()
	s := server(t)
	c := client(t, s)
	key := s.Issue(sdktest.Spec{Product: "editor"})
	activate(t, c, key)
	for range 2 {
		for i := range 150 {
			report(t, c, fmt.Sprint("m", i), 2)
		}
		s.Clock.Advance(15 * time.Minute)
	}
	flush(t, c)
	if got := s.Usage(key); len(got) != 150 || c.UsageStats().Seq != 3 {
		t.Fatalf("%d meters in %d batches", len(got), c.UsageStats().Seq)
	}
	for meter, got := range s.Usage(key) {
		if (got != sdktest.Used{Events: 2, Sum: 4, Max: 2}) {
			t.Errorf("%s: %+v", meter, got)
		}
	}
}

func ExampleClient_Report() {
	srv := sdktest.NewServer()
	defer srv.Close()
	key := srv.Issue(sdktest.Spec{Product: "editor"})
	client, err := sdk.New(srv.Config("editor"), srv.Options()...)
	if err != nil {
		panic(err)
	}
	defer client.Close()
	ctx := context.Background()
	client.Activate(ctx, key)
	for _, pages := range []int64{3, 8} {
		if err := client.Report("pages.rendered", pages); err != nil {
			panic(err)
		}
	}
	client.Flush(ctx) // Run does it by itself
	fmt.Println(srv.Usage(key)["pages.rendered"])
	// Output: {2 11 8}
}
