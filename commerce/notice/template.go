package notice

import (
	"embed"
	"fmt"
	html "html/template"
	"io/fs"
	"reflect"
	"strings"
	text "text/template"
	"unicode"
)

//go:embed template
var files embed.FS

// Templates, each with a text and an HTML form.
const (
	Purchase       = "purchase"
	Receipt        = "receipt"
	AwaitingFunds  = "awaiting_funds"
	OrderParked    = "order_parked"
	AccountConfirm = "account_confirm"
	AccountExists  = "account_exists"
	AccountReset   = "account_reset"
	EmailChange    = "email_change"
	Security       = "security"
	License        = "license"

	TicketReceived        = "ticket_received"
	TicketReply           = "ticket_reply"
	TicketCustomerReplied = "ticket_customer_replied"
	TicketAssigned        = "ticket_assigned"
	TicketSolved          = "ticket_solved"
	// LicenseStuffing tells staff of a license, in Topic, that is tried with one device after another.
	LicenseStuffing = "license_stuffing"
	// TransferOffer offers a license, Topic, to somebody; Name is who offers. Transfer tells of a step of it, in Note, with the reason in Lines.
	TransferOffer = "transfer_offer"
	Transfer      = "transfer"
	// UsageThreshold tells an owner that a part of a quota is used: Topic is what of which product, Note how much.
	UsageThreshold = "usage_threshold"
	// WebhookDisabled tells staff of an endpoint, Topic, that gets nothing any more, and why, in Note.
	WebhookDisabled = "webhook_disabled"
	// OrganisationInvite asks somebody to join an organisation; Name is who invites.
	OrganisationInvite = "organisation_invite"
)

// pair is one template in its two forms. The text form's first line is the subject.
type pair struct {
	text *text.Template
	html *html.Template
}

// load reads every template. frame.html is around each HTML form.
func load() (map[string]*pair, error) {
	names, err := fs.Glob(files, "template/*.txt")
	if err != nil {
		return nil, err
	}
	out := map[string]*pair{}
	for _, path := range names {
		name := strings.TrimSuffix(strings.TrimPrefix(path, "template/"), ".txt")
		plain, err := text.New(name+".txt").Option("missingkey=error").ParseFS(files, path)
		if err != nil {
			return nil, fmt.Errorf("notice: %w", err)
		}
		rich, err := html.New("frame.html").Option("missingkey=error").ParseFS(files, "template/frame.html", "template/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("notice: %w", err)
		}
		out[name] = &pair{text: plain, html: rich}
	}
	return out, nil
}

// view is what a template sees.
type view struct {
	Data
	Shop    string
	BaseURL string
	Subject string
}

// fill makes the mail's texts. There is one language so far, so lang chooses nothing.
func (s *Service) fill(name, _ string, d Data) (Mail, error) {
	p := s.templates[name]
	if p == nil {
		return Mail{}, fmt.Errorf("%w: there is no template %q", ErrRefused, name)
	}
	v := view{Data: d, Shop: s.Shop, BaseURL: s.BaseURL}
	clean(reflect.ValueOf(&v).Elem())
	var plain, rich strings.Builder
	if err := p.text.Execute(&plain, v); err != nil {
		return Mail{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	subject, body, _ := strings.Cut(plain.String(), "\n")
	v.Subject = line(subject)
	if err := p.html.Execute(&rich, v); err != nil {
		return Mail{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return Mail{Subject: v.Subject, Text: strings.TrimLeft(body, "\n"), HTML: rich.String()}, nil
}

// clean puts every text of v on one line, so that nobody's name or product starts a line or a header of its own.
func clean(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(line(v.String()))
	case reflect.Struct:
		for i := range v.NumField() {
			clean(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			clean(v.Index(i))
		}
	}
}

// maxLine is the longest text a template shows, in runes.
const maxLine = 2000

// line is s without control characters, line separators and marks of writing direction.
func line(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		if n++; n > maxLine {
			break
		}
		if unicode.IsControl(r) || r == 0x2028 || r == 0x2029 || unicode.Is(unicode.Bidi_Control, r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}
