package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mintreu/mintreu/service/cli"
	"github.com/mintreu/mintreu/service/db/lite"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// TestMain lets the test binary be the program: scripts run "mintreu" as the process it is.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mintreu": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}})
}

// TestScripts runs the command line as people do: each script in testdata is a session at a terminal, with what must be seen.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "script"), RequireExplicitExec: true, Cmds: commands()})
}

// TestScripts_Postgres runs the sessions that need PostgreSQL, each on a database of its own.
func TestScripts_Postgres(t *testing.T) {
	t.Parallel()
	_ = storetest.PostgresURL(t) // skips or fails here when there is none
	testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "postgres"), RequireExplicitExec: true, Cmds: commands(),
		Setup: func(e *testscript.Env) error {
			e.Setenv("POSTGRES", storetest.PostgresURL(t))
			e.Setenv("EMPTY", emptyDatabase(t))
			return nil
		}})
}

// commands are what scripts can do besides running programs.
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"field":    field,
		"sql":      sql,
		"flip":     flip,
		"truncate": truncate,
		"await":    await,
		"ready":    ready,
		"busy":     busy,
		"report":   report,
		"receiver": receiver,
	}
}

// field NAME PATH keeps a member of the JSON on standard output, such as 0.id, in a variable. The last line counts when the whole is
// no JSON.
func field(ts *testscript.TestScript, _ bool, args []string) {
	text := []byte(ts.ReadFile("stdout"))
	var v any
	if json.Unmarshal(text, &v) != nil {
		lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
		ts.Check(json.Unmarshal(lines[len(lines)-1], &v))
	}
	for step := range strings.SplitSeq(args[1], ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[step]
		case []any:
			n, err := strconv.Atoi(step)
			ts.Check(err)
			if n >= len(at) {
				ts.Fatalf("%s: the list has %d members", args[1], len(at))
			}
			v = at[n]
		}
	}
	if v == nil {
		ts.Fatalf("%s is not in the output", args[1])
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

// sql DIR STATEMENT… runs statements on the embedded database of a data directory, behind the program's back.
func sql(ts *testscript.TestScript, _ bool, args []string) {
	d, err := lite.Open(context.Background(), lite.Config{Path: filepath.Join(ts.MkAbs(args[0]), "mintreu.sqlite")})
	ts.Check(err)
	defer func() { ts.Check(d.Close()) }()
	for _, statement := range args[1:] {
		_, err := d.Exec(context.Background(), statement)
		ts.Check(err)
	}
}

// flip FILE inverts the byte in the middle of a file.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	text[len(text)/2] ^= 0xff
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}

// truncate FILE cuts the last kibibyte off a file.
func truncate(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), info.Size()-1024))
}

// ready DIR waits until the service of a data directory answers on its socket.
func ready(ts *testscript.TestScript, _ bool, args []string) {
	socket := filepath.Join(ts.MkAbs(args[0]), "mintreu.sock")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	deadline := time.Now().Add(time.Minute)
	for {
		res, err := client.Get("http://mintreu/v1/switches")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
			err = errors.New(res.Status)
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not serve: %v", args[0], err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// await FILE TEXT waits until a file has a text.
func await(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.Now().Add(time.Minute)
	for {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && strings.Contains(string(text), args[1]) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s never said %q: %s", args[0], args[1], text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// receiver NAME takes whatever is sent to it until the script ends, and keeps its address in a variable.
func receiver(ts *testscript.TestScript, _ bool, args []string) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, "thank you")
	}))
	ts.Defer(s.Close)
	ts.Setenv(args[0], s.URL)
}

// busy NAME holds a port until the script ends and keeps its address in a variable.
func busy(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}
