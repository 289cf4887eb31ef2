package walk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// answer is an HTTP answer read whole.
type answer struct {
	status int
	header http.Header
	body   string
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 4 << 20

func (w *walker) do(r *http.Request) (answer, error) {
	res, err := w.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return answer{res.StatusCode, res.Header, string(text)}, err
}

// get and post call the JSON API and decode a success into out.
func (w *walker) get(ctx context.Context, path string, h http.Header, out any) (answer, error) {
	return w.call(ctx, http.MethodGet, path, h, nil, out)
}

func (w *walker) post(ctx context.Context, path string, h http.Header, in, out any) error {
	_, err := w.call(ctx, http.MethodPost, path, h, in, out)
	return err
}

func (w *walker) call(ctx context.Context, method, path string, h http.Header, in, out any) (answer, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return answer{}, err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, w.BaseURL+path, body)
	if err != nil {
		return answer{}, err
	}
	maps.Copy(r.Header, h)
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	a, err := w.do(r)
	if err != nil {
		return a, err
	}
	if a.status >= 300 {
		return a, fmt.Errorf("%s %s answered %d: %s", method, r.URL.Path, a.status, a.body)
	}
	if out == nil {
		return a, nil
	}
	return a, json.Unmarshal([]byte(a.body), out)
}

// fetch asks for a page, or sends a form, as a browser does.
func (w *walker) fetch(ctx context.Context, method, address string, form url.Values) (answer, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		u, err := url.Parse(address)
		if err != nil {
			return answer{}, err
		}
		r.Header.Set("Origin", u.Scheme+"://"+u.Host)
	}
	a, err := w.do(r)
	if err == nil && a.status >= 400 {
		err = fmt.Errorf("%s answered %d", r.URL.Path, a.status)
	}
	return a, err
}
