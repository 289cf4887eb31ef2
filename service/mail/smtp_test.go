package mail_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/service/mail"
)

// sink is an SMTP server that keeps what it is given, or answers as it is told.
type sink struct {
	mu   sync.Mutex
	got  []string
	rcpt error         // answer to RCPT TO
	data error         // answer after DATA
	hang chan struct{} // when set, DATA waits for it
}

func (s *sink) NewSession(*smtp.Conn) (smtp.Session, error) { return session{s}, nil }

func (s *sink) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.got...)
}

type session struct{ s *sink }

func (session) Reset()                                      {}
func (session) Logout() error                               { return nil }
func (session) Mail(string, *smtp.MailOptions) error        { return nil }
func (x session) Rcpt(to string, _ *smtp.RcptOptions) error { return x.s.rcpt }

func (x session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if x.s.hang != nil {
		<-x.s.hang
	}
	if x.s.data != nil {
		return x.s.data
	}
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.s.got = append(x.s.got, string(text))
	return nil
}

// serve starts the sink and returns its URL's host and port.
func serve(t *testing.T, s *sink, config *tls.Config) string {
	t.Helper()
	server := smtp.NewServer(s)
	server.Domain = "sink.example"
	server.TLSConfig = config
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return l.Addr().String()
}

func message() notice.Mail {
	return notice.Mail{
		ID: "ntc_1", MessageID: "ntc_1@example.com", From: "Example <shop@example.com>", To: "ada@example.com", Subject: "Übung",
		Text: "hello\n.\nworld\n", HTML: "<p>hello</p>", At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
}

func sender(t *testing.T, c mail.SMTPConfig) *mail.SMTP {
	t.Helper()
	s, err := mail.NewSMTP(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A mail sent twice arrives with the same Message-ID, in both forms, with nothing lost or added.
func TestINV10_SMTPKeepsTheMessageID(t *testing.T) {
	t.Parallel()
	k := &sink{}
	s := sender(t, mail.SMTPConfig{URL: "smtp://" + serve(t, k, nil)})
	for range 2 {
		if err := s.Send(t.Context(), message()); err != nil {
			t.Fatal(err)
		}
	}
	got := k.taken()
	if len(got) != 2 {
		t.Fatalf("%d mails", len(got))
	}
	for _, text := range got {
		for _, want := range []string{"Message-ID: <ntc_1@example.com>\r\n", "To: <ada@example.com>\r\n", "Auto-Submitted: auto-generated\r\n", "text/plain", "text/html", "hello\r\n.\r\nworld", "Date: Sun, 01 Mar 2026 12:00:00 +0000"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
	}
}

// 4xx, a hang after DATA, a server that is away and bad TLS are tried again; 5xx to the mail itself is for good.
func TestF33_RetryOrRefuse(t *testing.T) {
	t.Parallel()
	away, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = away.Close()
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	t.Cleanup(certificate.Close)
	cases := map[string]struct {
		url     string
		forGood bool
	}{
		"4xx to the recipient": {serve(t, &sink{rcpt: &smtp.SMTPError{Code: 451, Message: "later"}}, nil), false},
		"5xx to the recipient": {serve(t, &sink{rcpt: &smtp.SMTPError{Code: 550, Message: "no such user"}}, nil), true},
		"4xx after DATA":       {serve(t, &sink{data: &smtp.SMTPError{Code: 452, Message: "full"}}, nil), false},
		"5xx after DATA":       {serve(t, &sink{data: &smtp.SMTPError{Code: 554, Message: "spam"}}, nil), true},
		"hang after DATA":      {serve(t, &sink{hang: hang}, nil), false},
		"away":                 {away.Addr().String(), false},
		"unknown certificate":  {serve(t, &sink{}, certificate.TLS), false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sender(t, mail.SMTPConfig{URL: "smtp://" + c.url, Timeout: time.Second})
			began := time.Now()
			err := s.Send(t.Context(), message())
			if err == nil || errors.Is(err, notice.ErrRefused) != c.forGood {
				t.Errorf("for good %v, got %v", c.forGood, err)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// Mail goes over TLS where the server offers it, and from the first byte with smtps.
func TestSMTPOverTLS(t *testing.T) {
	t.Parallel()
	certificate := httptest.NewTLSServer(nil)
	t.Cleanup(certificate.Close)
	roots := x509.NewCertPool()
	roots.AddCert(certificate.Certificate())
	trust := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	k := &sink{}
	if err := sender(t, mail.SMTPConfig{URL: "smtp://" + serve(t, k, certificate.TLS.Clone()), TLS: trust}).Send(t.Context(), message()); err != nil {
		t.Error(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", certificate.TLS.Clone())
	if err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(k)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	if err := sender(t, mail.SMTPConfig{URL: "smtps://" + l.Addr().String(), TLS: trust}).Send(t.Context(), message()); err != nil {
		t.Error(err)
	}
	if n := len(k.taken()); n != 2 {
		t.Errorf("%d mails arrived", n)
	}
}

// A server elsewhere that offers no TLS gets no mail, and a URL that says more or less than it may is refused.
func TestSMTPNeverInTheClear(t *testing.T) {
	t.Parallel()
	k := &sink{}
	address := serve(t, k, nil)
	s := sender(t, mail.SMTPConfig{URL: "smtp://mail.example.com:587", Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}})
	if err := s.Send(t.Context(), message()); err == nil || len(k.taken()) != 0 {
		t.Errorf("sent in the clear: %v", err)
	}
	for _, bad := range []string{"", "mail.example.com", "http://mail.example.com", "smtp://user:pass@mail.example.com", "smtp://mail.example.com/x", "smtp://mail.example.com?tls=off", "smtp://:25"} {
		if _, err := mail.NewSMTP(mail.SMTPConfig{URL: bad}); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// A header of its own in a subject or an address is refused or made text.
func TestI14_NoHeaderInjection(t *testing.T) {
	t.Parallel()
	k := &sink{}
	s := sender(t, mail.SMTPConfig{URL: "smtp://" + serve(t, k, nil)})
	m := message()
	m.Subject = "Hi\r\nBcc: all@example.com\r\n\r\nbody"
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if text := k.taken()[0]; strings.Contains(text, "\r\nBcc:") {
		t.Errorf("a header was injected:\n%s", text)
	}
	m = message()
	m.To = "ada@example.com>\r\nRCPT TO:<eve@example.com"
	if err := s.Send(t.Context(), m); !errors.Is(err, notice.ErrRefused) {
		t.Errorf("address: %v", err)
	}
}
