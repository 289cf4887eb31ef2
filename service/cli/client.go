package cli

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
	"net/url"
	"regexp"
	"strings"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/service/app"
)

// operator calls operations as the person at the machine: over the unix socket of a running service, else in process on the
// opened data directory. Both go through the same operations, with their audit trail.
type operator struct {
	do    func(*http.Request) (*http.Response, error)
	close func() error
	// resign signs again what a revoked key signed, where no service runs that does; nil where one runs.
	resign func(ctx context.Context) error
	// work goes on with a run until it is over, where no service does; nil beside a running one.
	work func(ctx context.Context, run string) error
}

// connect finds the running service or opens the data directory.
func connect(ctx context.Context, cfg app.Config) (*operator, error) {
	if conn, err := net.Dial("unix", cfg.Socket()); err == nil {
		_ = conn.Close()
		client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", cfg.Socket())
		}}}
		return &operator{do: client.Do, close: func() error { client.CloseIdleConnections(); return nil }}, nil
	}
	if cfg.Embedded() && !app.Exists(cfg) {
		text := fmt.Sprintf("no service works in %s and there is no database; start one with \"mintreu serve\", or name its --data-dir", cfg.DataDir)
		if app.Exists(app.Config{DataDir: demoDir}) {
			text += "\nthe demo's is here: --data-dir " + demoDir
		}
		return nil, errors.New(text)
	}
	a, err := app.New(ctx, cfg, app.Options{})
	if err != nil {
		return nil, err
	}
	h := a.OperatorHandler()
	return &operator{
		do: func(r *http.Request) (*http.Response, error) {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			return rec.Result(), nil
		},
		close:  a.Close,
		resign: a.Resign,
		work:   a.WorkOn,
	}, nil
}

// call is one operation to run: in is nil for none.
type call struct {
	method, path string
	in           any
}

// call runs one operation. in is nil for none; out receives the answer's JSON. A refusal becomes an error with the
// problem's text.
func (o *operator) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://mintreu"+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := o.do(r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 32<<20))
	if err != nil {
		return err
	}
	if res.StatusCode == http.StatusNotFound {
		if err := absent(path, text); err != nil {
			return err
		}
	}
	if res.StatusCode >= 300 {
		return problem(res.StatusCode, text)
	}
	if out == nil || len(text) == 0 {
		return nil
	}
	if raw, ok := out.(*json.RawMessage); ok {
		*raw = text
		return nil
	}
	return json.Unmarshal(text, out)
}

// all reads every page of a list; some stops after so many rows, 0 meaning all.
func (o *operator) all(ctx context.Context, path string) ([]map[string]any, error) {
	return o.some(ctx, path, 0)
}

func (o *operator) some(ctx context.Context, path string, most int) ([]map[string]any, error) {
	var items []map[string]any
	cursor := ""
	for {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		var page struct {
			Items []map[string]any `json:"items"`
			Next  string           `json:"next"`
		}
		if err := o.call(ctx, http.MethodGet, path+sep+"limit=100&cursor="+url.QueryEscape(cursor), nil, &page); err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if most > 0 && len(items) >= most {
			return items[:most], nil
		}
		if cursor = page.Next; cursor == "" {
			return items, nil
		}
	}
}

// named is the id of an object in the address of an operation.
var named = regexp.MustCompile(`\b(key|lic|cus|ord|mtk|wep|run|evt|prod|pol)_[0-9A-Za-z]+`)

// absent names the object that an operation did not find, and what lists those that there are; nil when that cannot be told.
func absent(path string, body []byte) error {
	var p sdk.Problem
	m := named.FindStringSubmatch(path)
	if m == nil || json.Unmarshal(body, &p) != nil || p.Code != sdk.CodeNotFound {
		return nil
	}
	command := map[string]string{"key": "apikey", "lic": "license", "cus": "customer", "ord": "order", "mtk": "token", "wep": "webhook", "evt": "event", "prod": "product",
		"pol": "policy"}[m[1]]
	if command == "" {
		command = m[1]
	}
	return fmt.Errorf("there is no %s; \"mintreu %s list\" shows what there is", m[0], command)
}

// problem turns a problem+json body into an error for people.
func problem(status int, body []byte) error {
	var p sdk.Problem
	if json.Unmarshal(body, &p) != nil || p.Detail == "" {
		return fmt.Errorf("%s: %s", http.StatusText(status), bytes.TrimSpace(body))
	}
	var fields struct {
		Errors []struct{ Name, Detail string } `json:"errors"`
	}
	_ = json.Unmarshal(body, &fields)
	text := p.Detail
	for _, f := range fields.Errors {
		text += "\n" + f.Name + ": " + f.Detail
	}
	return errors.New(text)
}
