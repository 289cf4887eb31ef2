package cli_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/app"
	"github.com/mintreu/mintreu/service/cli"
)

// Tickets are listed, shown and answered from the command line by id or number; what a stranger wrote reaches the terminal without control
// characters, and an answer may come from standard input.
func TestTickets(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "d")
	a, err := app.New(t.Context(), app.Config{DataDir: dir, Addr: "127.0.0.1:0", OpsAddr: "off", ShopName: "Shop", MailFrom: "Shop <shop@localhost>", LogLevel: "error", KeyPrefix: "mtr"}, app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/v1/tickets", strings.NewReader(`{"subject":"Export","body":"It \u001b[31mstops.\nHalf way.","email":"ada@example.com","name":"Ada"}`))
	r.Header.Set("Content-Type", "application/json")
	a.Handler().ServeHTTP(w, r)
	var c struct{ ID, Number string }
	if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil || c.Number == "" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	run := func(status int, in string, args ...string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		if got := cli.Main(t.Context(), append(args, "--data-dir", dir), strings.NewReader(in), &out, &errOut); got != status {
			t.Fatalf("%v: %d, %s", args, got, errOut.String())
		}
		return out.String() + errOut.String()
	}
	for _, step := range []struct {
		status int
		in     string
		args   []string
		want   string
	}{
		{0, "", []string{"ticket", "list"}, c.ID},
		{0, "", []string{"ticket", "list", "--find", "EXPORT ada"}, c.Number},
		{0, "", []string{"ticket", "list", "--status", "closed"}, "There are no such tickets."},
		{2, "", []string{"ticket", "list", "--status", "lost"}, "must be one of"},
		{0, "", []string{"ticket", "show", strings.ToLower(c.Number)}, "open, normal, from ada@example.com (Ada)\n"},
		{0, "", []string{"ticket", "show", c.ID}, "  It [31mstops.\n  Half way.\n"},
		{1, "", []string{"ticket", "show", "0000000U"}, "there is no ticket"},
		{1, "", []string{"ticket", "show", "tkt_none"}, "no such object"},
		{0, "", []string{"ticket", "answer", c.Number, "In the menu."}, "is pending; the answer is on its way to ada@example.com"},
		{0, "From\na file.\n", []string{"ticket", "answer", c.ID, "--status", "solved"}, "is solved"},
		{1, " ", []string{"ticket", "answer", c.ID}, "/body"},
		{0, "", []string{"ticket", "show", c.ID, "--json"}, `"body": "From\na file."`},
	} {
		if out := run(step.status, step.in, step.args...); !strings.Contains(out, step.want) {
			t.Errorf("%v: %s, want %s", step.args, out, step.want)
		}
	}
}
