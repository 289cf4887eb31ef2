// Package hook sends events to receivers that somebody named, over the guarded dialer of package dial: to public addresses alone, without
// redirects, proxies or decompression, for ten seconds at most, reading a bounded part of the answer.
package hook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/service/dial"
	"github.com/mintreu/mintreu/service/failpoint"
)

// excerpt is how much of an answer is read, in bytes; the rest is left on the line.
const excerpt = 1024

// Sender implements [webhook.Sender]. It is safe for concurrent use.
type Sender struct{ client *http.Client }

var _ webhook.Sender = (*Sender)(nil)

// New makes a Sender. With loopback it also reaches this machine, on any port: for development.
func New(loopback bool) *Sender {
	if loopback {
		return Over(dial.ClientOf(dial.GuardedOrLoopback()))
	}
	return Over(dial.Client())
}

// Over makes a Sender of a client.
func Over(c *http.Client) *Sender { return &Sender{c} }

// Send implements [webhook.Sender].
func (s *Sender) Send(ctx context.Context, to string, header http.Header, body []byte) (webhook.Answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil || r.URL.Host == "" || r.URL.Scheme != "https" && r.URL.Scheme != "http" {
		return webhook.Answer{}, errors.New("the URL cannot be used")
	}
	r.Header = header.Clone()
	r.Header.Set("User-Agent", "Mintreu-Webhooks/1")
	resp, err := s.client.Do(r)
	if err != nil {
		return webhook.Answer{}, words(err)
	}
	defer func() { _ = resp.Body.Close() }()
	start, _ := io.ReadAll(io.LimitReader(resp.Body, excerpt)) // the status has come; a body that breaks off says no more
	failpoint.Hit("webhook-sent")
	return webhook.Answer{Status: resp.StatusCode, Excerpt: string(start), RetryAfter: retryAfter(resp.Header.Get("Retry-After"))}, nil
}

// words are what staff are told of a failure: what went wrong, without the addresses that a name stood for.
func words(err error) error {
	var resolve *net.DNSError
	var at *url.Error
	switch {
	case errors.Is(err, dial.ErrRefused):
		return errors.New("refused: the name stands for an address that is not public, or for another port than 80 or 443")
	case errors.As(err, &resolve):
		return errors.New("the name could not be resolved")
	case errors.As(err, &at) && at.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer within ten seconds")
	case strings.Contains(err.Error(), "tls:"), strings.Contains(err.Error(), "x509:"):
		return errors.New("TLS failed: the certificate is not good for the name, or the version is too old")
	}
	return errors.New("the connection failed, or broke off")
}

// retryAfter reads how many seconds a receiver wants to be left alone; a date is not understood and counts as nothing.
func retryAfter(text string) time.Duration {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(n) * time.Second
}
