package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	requestTimeout = 15 * time.Second
	maxAnswer      = 256 << 10
)

// errAnswer marks an answer that is not one of a Mintreu server.
var errAnswer = errors.New("unexpected answer from the license server")

// parseBase checks the server's address: https, or http to this machine alone,
// since license keys travel in it.
func parseBase(s string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(s, "/"))
	if err != nil {
		return nil, fmt.Errorf("base URL: %w", err)
	}
	switch {
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("base URL %q is not of the form https://host", s)
	case u.Scheme == "https":
	case u.Scheme == "http" && loopback(u.Hostname()):
	default:
		return nil, fmt.Errorf("base URL %q is not https", s)
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// newHTTPClient copies a client, or makes one of our own, and forbids it to
// follow redirects away from the server or with a credential.
func newHTTPClient(given *http.Client) *http.Client {
	c := http.Client{Timeout: requestTimeout}
	if given != nil {
		c = *given
	} else if t, ok := http.DefaultTransport.(*http.Transport); ok {
		c.Transport = t.Clone()
	}
	if c.Timeout <= 0 {
		c.Timeout = requestTimeout
	}
	c.Jar = nil
	c.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		first := via[0]
		if len(via) > 3 || first.Header.Get("Authorization") != "" || r.URL.Host != first.URL.Host || r.URL.Scheme != first.URL.Scheme {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return &c
}

// request is one call of the server.
type request struct {
	method, path string
	auth         string // the whole Authorization header, or ""
	body         any    // sent as JSON unless nil
}

// call sends a request and reads a JSON answer into out, if that is not nil.
// A refusal of the server is a *Problem; any other error means that there was
// no answer.
func (c *Client) call(ctx context.Context, r request, out any) error {
	body, err := c.send(ctx, r)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%w: %w", errAnswer, err)
	}
	return nil
}

// send sends a request and returns the body of a success.
func (c *Client) send(ctx context.Context, r request) ([]byte, error) {
	var body io.Reader
	if r.body != nil {
		b, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	req, err := http.NewRequestWithContext(ctx, r.method, c.base.String()+r.path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "mintreu-sdk-go/"+Version)
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.auth != "" {
		req.Header.Set("Authorization", r.auth)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unanswered(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, c.unanswered(err)
	}
	if len(answer) > maxAnswer {
		return nil, fmt.Errorf("%w: too long", errAnswer)
	}
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		return answer, nil
	}
	return nil, readProblem(res, answer)
}

// unanswered is why there was no answer: ErrClosed if Close ended the request. Errors name the address, never a header.
func (c *Client) unanswered(err error) error {
	if c.life.Err() != nil {
		return ErrClosed
	}
	return err
}

// readProblem reads an answer that is not a success.
func readProblem(res *http.Response, body []byte) error {
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	p := new(Problem)
	if media != "application/problem+json" || json.Unmarshal(body, p) != nil || p.Code == "" {
		return fmt.Errorf("%w: status %d", errAnswer, res.StatusCode)
	}
	p.Status = res.StatusCode
	if p.Retry == 0 {
		p.Retry, _ = strconv.Atoi(res.Header.Get("Retry-After"))
	}
	return p
}
