package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/service/dial"
	"github.com/mintreu/mintreu/service/failpoint"
)

// SMTPConfig says which server takes the mail. URL is smtp://user@host:587, which demands STARTTLS unless the host is this
// machine, or smtps://user@host:465.
type SMTPConfig struct {
	URL      string
	Password string
	// Dial opens connections; nil is [dial.Trusted].
	Dial dial.Dialer
	// Timeout bounds one mail from connecting to the server's last word; zero is 30 seconds.
	Timeout time.Duration
	// TLS replaces the TLS configuration, for servers with a certificate of their own.
	TLS *tls.Config
}

// SMTP sends mail to an SMTP server, each over a connection of its own. It is safe for concurrent use.
type SMTP struct {
	host    string
	timeout time.Duration
	options []gomail.Option
}

var _ notice.Sender = (*SMTP)(nil)

// NewSMTP checks the configuration. It does not connect.
func NewSMTP(c SMTPConfig) (*SMTP, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Hostname() == "" || (u.Scheme != "smtp" && u.Scheme != "smtps") || u.RawQuery != "" || u.Fragment != "" || len(u.Path) > 1 {
		return nil, errors.New("mail: the SMTP URL must be smtp://user@host:587 or smtps://user@host:465")
	}
	if _, inURL := u.User.Password(); inURL {
		return nil, errors.New("mail: the SMTP password belongs in a file, not in the URL")
	}
	if c.Dial == nil {
		c.Dial = dial.Trusted()
	}
	s := &SMTP{host: u.Hostname(), timeout: c.Timeout}
	if s.timeout <= 0 {
		s.timeout = 30 * time.Second
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		config = c.TLS.Clone()
	}
	config.ServerName = s.host
	port := u.Port()
	s.options = []gomail.Option{gomail.WithTimeout(s.timeout), gomail.WithTLSConfig(config), gomail.WithoutNoop()}
	if u.Scheme == "smtps" {
		port = orDefault(port, "465")
		s.options = append(s.options, gomail.WithSSL(), gomail.WithDialContextFunc(gomail.DialContextFunc(dial.OverTLS(c.Dial, config))))
	} else {
		port = orDefault(port, "587")
		policy := gomail.TLSMandatory
		if local(s.host) {
			policy = gomail.TLSOpportunistic
		}
		s.options = append(s.options, gomail.WithTLSPolicy(policy), gomail.WithDialContextFunc(gomail.DialContextFunc(c.Dial)))
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("mail: the SMTP port %q is none", port)
	}
	s.options = append(s.options, gomail.WithPort(int(n)))
	if name := u.User.Username(); name != "" {
		s.options = append(s.options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(name), gomail.WithPassword(c.Password))
	}
	return s, nil
}

func orDefault(s, or string) string {
	if s == "" {
		return or
	}
	return s
}

// local reports whether host is this machine, to which mail may go in the clear.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Send implements [notice.Sender]. A 5xx answer to the mail itself is for good; everything else, a server that hangs or
// refuses the sign-in too, is tried again.
func (s *SMTP) Send(ctx context.Context, m notice.Mail) error {
	msg, err := message(m)
	if err != nil {
		return fmt.Errorf("%w: %w", notice.ErrRefused, err)
	}
	client, err := gomail.NewClient(s.host, s.options...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err = client.DialAndSendWithContext(ctx, msg)
	if err != nil && !msg.IsDelivered() {
		return judge(err)
	}
	failpoint.Hit("mail-handed-over")
	return nil
}

// judge tells what is for good from what may be tried again.
func judge(err error) error {
	var send *gomail.SendError
	if !errors.As(err, &send) || send.IsTemp() || send.ErrorCode() < 500 {
		return err
	}
	switch send.Reason {
	case gomail.ErrSMTPMailFrom, gomail.ErrSMTPRcptTo, gomail.ErrSMTPData, gomail.ErrSMTPDataClose:
		return fmt.Errorf("%w: %w", notice.ErrRefused, err)
	}
	return err
}

func message(m notice.Mail) (*gomail.Msg, error) {
	msg := gomail.NewMsg()
	if err := msg.From(m.From); err != nil {
		return nil, err
	}
	if err := msg.To(m.To); err != nil {
		return nil, err
	}
	msg.Subject(m.Subject)
	msg.SetMessageIDWithValue(m.MessageID)
	msg.SetDateWithValue(m.At)
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	return msg, nil
}
