package kit_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestI08_SlowBodiesEnd: a body that does not arrive in time is answered 408 and its connection closed, on operations and on
// paths where nothing is, and a long answer to a body that did arrive is not cut off.
func TestI08_SlowBodiesEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(s *kit.Stack) { s.BodyTime = 100 * time.Millisecond })
	err := h.mux.Handle("slow.answer", "POST /slow", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
			t.Error("the answer was cut off by the body's deadline")
		case <-time.After(300 * time.Millisecond):
		}
		_, _ = io.WriteString(w, "done")
	}))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h.mux)
	defer server.Close()
	for path, want := range map[string]int{"/v1/widgets": 408, "/nowhere": 404, "/slow": 200} {
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		body := `{"name":`
		if want == 200 {
			body += `"a"}`
		}
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n%s", path, body)
		in := bufio.NewReader(c)
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != want {
			t.Errorf("%s: %v, %v", path, resp, err)
			continue
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if want == 200 {
			continue
		}
		if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: the connection lives on: %v", path, err)
		}
	}
}

// TestI17_PanicLeavesNoPartialTransaction: when a service panics inside its transaction, nothing of it is kept and the database takes
// the next write, on both engines.
func TestI17_PanicLeavesNoPartialTransaction(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		put := func(ctx context.Context, name string) error {
			_, err := e.DB.Exec(ctx, `INSERT INTO setting (name, value, updated_at) VALUES ($1, $2, $3)`, name, []byte("x"), e.Clock.Now())
			return err
		}
		type request struct {
			Name string `json:"name" doc:"Name."`
		}
		op := kit.New(kit.Spec{Name: "setting.put", Method: "POST", Path: "/put", Access: kit.Allow{Anonymous: true}, Reads: true},
			func(ctx context.Context, r request) (struct{}, error) {
				return struct{}{}, e.DB.InTx(ctx, func(ctx context.Context) error {
					if err := put(ctx, r.Name); err != nil {
						return err
					}
					if r.Name == "panic" {
						panic("boom")
					}
					return nil
				})
			})
		f := kittest.NewFixture(t)
		if _, err := kit.NewMux(f.Stack, op); err != nil {
			t.Fatal(err)
		}
		if _, err := op.Call(t.Context(), request{Name: "panic"}); licensing.KindOf(err) != licensing.Internal {
			t.Errorf("the panic became %v", err)
		}
		if _, err := op.Call(t.Context(), request{Name: "after"}); err != nil {
			t.Errorf("the next write: %v", err)
		}
		rows, err := e.DB.Query(t.Context(), `SELECT name FROM setting WHERE name IN ('panic', 'after')`)
		names, err := db.Collect(rows, err, func(row db.Row) (s string, err error) { return s, row.Scan(&s) })
		if err != nil || len(names) != 1 || names[0] != "after" {
			t.Errorf("kept %v, %v", names, err)
		}
	})
}
