package support

import (
	"context"
	"errors"
	"net/mail"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mintreu/mintreu/licensing"
)

// InboundRequest is a mail that a mail server received for us and passes on. It passes on only mail whose sender it has checked (DMARC), since
// From decides whose reply it is.
type InboundRequest struct {
	From          string   `json:"from" doc:"The From header, or its address." example:"Ada <ada@example.com>"`
	To            string   `json:"to,omitempty" doc:"The address it was sent to."`
	Subject       string   `json:"subject,omitempty" doc:"The Subject header, decoded."`
	Text          string   `json:"text" doc:"The plain text of the mail, at most 100000 characters."`
	MessageID     string   `json:"message_id" doc:"The Message-ID header. The same mail is taken once, however often it is passed on."`
	InReplyTo     string   `json:"in_reply_to,omitempty" doc:"The In-Reply-To header."`
	References    []string `json:"references,omitempty" doc:"The Message-IDs of the References header, at most fifty."`
	AutoSubmitted string   `json:"auto_submitted,omitempty" doc:"The Auto-Submitted header. A mail that a machine wrote opens no ticket and gets no answer."`
}

const maxOriginal = 100_000

var errInbound = licensing.Fail(licensing.Invalid, "mail-invalid", "The mail cannot be taken so; see the fields.")

// Validate implements the check of requests.
func (r InboundRequest) Validate() error {
	err := errInbound
	if clean(r.Text) == "" || utf8.RuneCountInString(r.Text) > maxOriginal {
		err = err.With("/text", "must be 1 to %d characters", maxOriginal)
	}
	if id := bare(r.MessageID); id == "" || len(r.MessageID) > 998 {
		err = err.With("/message_id", "must be the Message-ID of the mail")
	}
	if len(r.References) > 50 {
		err = err.With("/references", "has more than 50 elements")
	}
	return failing(err)
}

// Received says what became of a mail.
type Received struct {
	Result string `json:"result" doc:"Whether it is in a ticket now, or was left aside because a machine or we ourselves wrote it." enum:"taken,ignored"`
	Ticket string `json:"ticket,omitempty" doc:"The ticket."`
}

// What a mail became.
const (
	taken   = "taken"
	ignored = "ignored"
)

// bare is a Message-ID without its angle brackets.
func bare(id string) string { return strings.Trim(strings.TrimSpace(id), "<>") }

// Inbound takes a mail. When it answers one of ours, or has a ticket's number in brackets in its subject, and comes from the address that the
// ticket is answered to, it becomes a reply; otherwise a ticket of its own. A mail that is known already changes nothing.
func (s *Service) Inbound(ctx context.Context, r InboundRequest) (Received, error) {
	sum := digest(bare(r.MessageID))
	if out, known, err := s.received(ctx, sum); known || err != nil {
		return out, err
	}
	from, name, err := s.sender(r.From)
	if err != nil {
		return Received{}, err
	}
	if auto := strings.ToLower(strings.TrimSpace(r.AutoSubmitted)); auto != "" && auto != "no" || from == s.Own {
		return Received{Result: ignored}, s.note(ctx, sum)
	}
	t, found, err := s.answeredBy(ctx, r, from)
	if err != nil {
		return Received{}, err
	}
	if found {
		err = s.mailedReply(ctx, &t, r, sum)
	}
	if !found || errors.Is(err, ErrFull) { // who writes by mail is not turned away
		t, err = s.mailedTicket(ctx, r, from, name, sum)
	}
	if errors.Is(err, errSeen) { // the same mail, passed on twice at once
		out, _, err := s.received(ctx, sum)
		return out, err
	}
	return Received{Result: taken, Ticket: t.ID}, err
}

// note records that a mail was left aside, since an operation that writes commits nothing without an audit row.
func (s *Service) note(ctx context.Context, sum []byte) error {
	return s.Tx.InTx(ctx, func(ctx context.Context) error {
		return s.Audit.Record(ctx, licensing.Event{Action: "ticket.mail_ignored", Target: ignored + "_" + hexHead(sum)})
	})
}

func hexHead(sum []byte) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range sum[:8] {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

// received tells what a mail became when it came before.
func (s *Service) received(ctx context.Context, sum []byte) (Received, bool, error) {
	t, err := s.Records.TicketByMail(ctx, sum)
	if errors.Is(err, licensing.ErrNotFound) {
		return Received{}, false, nil
	}
	return Received{Result: taken, Ticket: t.ID}, err == nil, err
}

// InboundAgain answers a replay of Inbound.
func (s *Service) InboundAgain(_ context.Context, id, _ string) (Received, error) {
	if strings.HasPrefix(id, ignored) {
		return Received{Result: ignored}, nil
	}
	return Received{Result: taken, Ticket: id}, nil
}

// sender is the address and the name of who wrote.
func (s *Service) sender(from string) (address, name string, err error) {
	a, err := mail.ParseAddress(line(from))
	if err != nil {
		return "", "", errInbound.With("/from", "must be one address").Because(err)
	}
	if address, err = s.Normal(a.Address); err != nil {
		return "", "", errInbound.With("/from", "is an address that cannot be written to").Because(err)
	}
	if name = line(a.Name); failing(checkPerson(errInbound, name)) != nil {
		name = ""
	}
	return address, name, nil
}

var bracketed = regexp.MustCompile(`\[([0-9A-HJKMNP-TV-Z]{8})\]`)

// answeredBy finds the ticket that a mail answers, if it comes from who asked.
func (s *Service) answeredBy(ctx context.Context, r InboundRequest, from string) (Ticket, bool, error) {
	var tries []func() (Ticket, error)
	for _, id := range append([]string{r.InReplyTo}, r.References...) {
		if notice, ok := s.Notices.NoticeOf(bare(id)); ok {
			tries = append(tries, func() (Ticket, error) { return s.Records.TicketByNotice(ctx, notice) })
		}
	}
	if m := bracketed.FindStringSubmatch(r.Subject); m != nil {
		tries = append(tries, func() (Ticket, error) { return s.Records.TicketByNumber(ctx, m[1]) })
	}
	for _, try := range tries {
		t, err := try()
		if errors.Is(err, licensing.ErrNotFound) {
			continue
		}
		if err != nil || t.Email == from {
			return t, err == nil, err
		}
	}
	return Ticket{}, false, nil
}

// byMail makes a message of a mail.
func (s *Service) byMail(t *Ticket, r InboundRequest, sum []byte) Message {
	whole := clean(r.Text)
	m := s.wrote(t, cutTo(unquoted(whole), maxBody))
	if m.Mail, m.MailSum = true, sum; m.Body != whole {
		m.Original = whole
	}
	return m
}

func (s *Service) mailedReply(ctx context.Context, t *Ticket, r InboundRequest, sum []byte) (err error) {
	if err := s.Switches.Check(ctx, licensing.SwitchSupport, t.ProductID); err != nil {
		return err
	}
	if err := s.slow(ctx, "reply", t.ID, 60, time.Hour); err != nil {
		return err
	}
	m := s.byMail(t, r, sum)
	*t, err = s.replied(ctx, s.byID(t.ID), &m, nil)
	return err
}

// mailedTicket opens a ticket for who wrote, as a guest: that a mail has an address in it does not sign anybody in.
func (s *Service) mailedTicket(ctx context.Context, r InboundRequest, from, name string, sum []byte) (Ticket, error) {
	t := Ticket{ID: s.IDs.New("tkt"), Subject: cutTo(line(bracketed.ReplaceAllString(r.Subject, "")), maxSubject), Email: from, Name: name}
	if t.Subject == "" {
		t.Subject = "Mail without a subject"
	}
	if err := s.openTo(&t); err != nil {
		return t, err
	}
	if err := s.slow(ctx, "mail", from, 20, 24*time.Hour); err != nil {
		return t, err
	}
	m := s.byMail(&t, r, sum)
	return t, s.add(ctx, &t, &m, nil, true)
}

// attribution is the line above a quote.
var attribution = regexp.MustCompile(`(?i)^(on|am|le|el|il|op|em) .{4,200}(wrote|schrieb|écrit|escribió|scritto|schreef|escreveu).{0,40}:$`)

// unquoted takes off what a mail program put at the end: the signature after "-- " and the text that is answered, with the line above it. Quotes with
// answers between them stay. What would be left without a word stays whole.
func unquoted(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if l == "-- " || i > 0 && l == "--" {
			lines = lines[:i]
			break
		}
	}
	end := len(lines)
	blank := func(i int) bool { return strings.TrimSpace(lines[i]) == "" }
	for end > 0 && blank(end-1) {
		end--
	}
	quoted := end
	for quoted > 0 && (strings.HasPrefix(lines[quoted-1], ">") || blank(quoted-1)) {
		quoted--
	}
	if quoted < end {
		end = quoted
		switch {
		case end > 0 && attribution.MatchString(strings.TrimSpace(lines[end-1])):
			end--
		case end > 1 && attribution.MatchString(strings.TrimSpace(lines[end-2])+" "+strings.TrimSpace(lines[end-1])): // broken over two lines
			end -= 2
		}
	}
	if out := clean(strings.Join(lines[:end], "\n")); out != "" {
		return out
	}
	return text
}
