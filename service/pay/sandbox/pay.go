package sandbox

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/money"
)

//go:embed page.html page.css
var assets embed.FS

var page = template.Must(template.ParseFS(assets, "page.html"))

// choice is a way to pay that the page offers.
type choice struct {
	Value, Title, Note string
	Checked            bool
}

// view is what the page shows.
type view struct {
	Session         *session
	Style           string // address of the style sheet, changing with its content
	State           string // open, complete, expired, missing
	Lines           []viewLine
	Subtotal, Off   string
	Total           string
	Free            bool
	Bounced         bool // a delayed payment failed
	Email           string
	EmailError      string
	PayError        string
	Choices         []choice
	Success, Cancel string
	Title           string
}

type viewLine struct {
	Name, Unit, Total string
	Quantity          int64
}

func (s *Server) payRoutes() {
	css, err := assets.ReadFile("page.css")
	if err != nil {
		panic(err) // the file is part of the program
	}
	sum := sha256.Sum256(css)
	style := "style-" + hex.EncodeToString(sum[:6]) + ".css"
	s.mux.HandleFunc("GET /pay/"+style, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		http.ServeContent(w, r, style, s.Clock.Now(), bytes.NewReader(css))
	})
	s.mux.HandleFunc("GET /pay/{id}", func(w http.ResponseWriter, r *http.Request) { s.showPage(w, r, style) })
	protect := http.NewCrossOriginProtection()
	s.mux.Handle("POST /pay/{id}", protect.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.submitPage(w, r, style) })))
}

func (s *Server) showPage(w http.ResponseWriter, r *http.Request, style string) {
	c, err := s.session(r)
	if err != nil {
		s.render(w, r, http.StatusNotFound, view{State: "missing", Style: style})
		return
	}
	s.render(w, r, http.StatusOK, s.view(c, style))
}

func (s *Server) session(r *http.Request) (*session, error) {
	u := &unit{ctx: r.Context(), s: s, now: s.Clock.Now(), read: map[string]Record{}}
	c := new(session)
	return c, u.get("checkout.session", r.PathValue("id"), c)
}

// submitPage takes the buyer's decision and sends him on. Without scripts: a plain form and a redirect.
func (s *Server) submitPage(w http.ResponseWriter, r *http.Request, style string) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	email, number := strings.TrimSpace(r.PostFormValue("email")), r.PostFormValue("card")
	c, err := s.session(r)
	if err != nil {
		s.render(w, r, http.StatusNotFound, view{State: "missing", Style: style})
		return
	}
	v := s.view(c, style)
	card, ok := cardNumber(number)
	if c.Status == "open" {
		v.Email = email
		v.choose(card)
		if email == "" || checkEmail("email", email) != nil {
			v.EmailError = "Enter an e-mail address like name@example.com; the receipt goes there."
		}
		if !ok && !v.Free {
			v.PayError = "Choose one of the ways to pay below."
		}
		if v.EmailError != "" || v.PayError != "" {
			s.render(w, r, http.StatusUnprocessableEntity, v)
			return
		}
	}
	declined, paid := false, new(session)
	err = s.update(r.Context(), func(u *unit) error {
		if err := u.get("checkout.session", c.ID, paid); err != nil {
			return err
		}
		declined, err = u.pay(paid, card, email)
		return err
	})
	switch {
	case errors.Is(err, errClosed):
		s.showPage(w, r, style) // paid in another window, or over
	case err != nil:
		s.Log.ErrorContext(r.Context(), "sandbox: payment failed", "err", err)
		v.PayError = "The sandbox could not take the payment. Nothing was charged; try again."
		s.render(w, r, http.StatusInternalServerError, v)
	case declined:
		v.PayError = declinedMessage + " Nothing was charged. Choose another way to pay."
		s.render(w, r, http.StatusPaymentRequired, v)
	default:
		http.Redirect(w, r, paid.success(), http.StatusSeeOther)
	}
}

// cardNumber reads what the buyer chose or typed; spaces do not matter.
func cardNumber(text string) (string, bool) {
	text = strings.ReplaceAll(text, " ", "")
	return text, slices.Contains([]string{CardSucceeds, CardDeclined, DebitSucceeds, DebitFails}, text)
}

// success is where the buyer goes after paying.
func (c *session) success() string {
	return strings.ReplaceAll(c.SuccessURL, "{CHECKOUT_SESSION_ID}", url.QueryEscape(c.ID))
}

func (s *Server) view(c *session, style string) view {
	v := view{Session: c, Style: style, State: c.Status, Free: c.Total == 0, Email: c.AskedEmail, Cancel: c.CancelURL, Total: amount(c.Total, c.Currency)}
	if c.Status == "open" && !s.Clock.Now().Before(c.ExpiresAt) {
		v.State = "expired"
	}
	if c.Status == "complete" {
		v.Success = c.success()
		v.Bounced = c.Payment == "unpaid" && c.SettleAt.IsZero()
	}
	for _, l := range c.Lines {
		v.Lines = append(v.Lines, viewLine{Name: l.Price.Name, Quantity: l.Quantity, Unit: amount(l.Price.UnitAmount, c.Currency), Total: amount(l.Subtotal, c.Currency)})
	}
	if c.Discount > 0 {
		v.Subtotal, v.Off = amount(c.Subtotal, c.Currency), amount(c.Discount, c.Currency)
	}
	v.Choices = []choice{
		{Value: CardSucceeds, Title: "Card 4242 4242 4242 4242", Note: "Pays at once"},
		{Value: CardDeclined, Title: "Card 4000 0000 0000 0002", Note: "Is declined"},
		{Value: DebitSucceeds, Title: "Bank debit that arrives", Note: "Completes now, is paid " + s.settlesIn()},
		{Value: DebitFails, Title: "Bank debit that bounces", Note: "Completes now, fails " + s.settlesIn()},
	}
	v.choose(CardSucceeds)
	return v
}

// settlesIn says how long a delayed payment takes: "10 seconds later".
func (s *Server) settlesIn() string {
	if s.SettleAfter%time.Second == 0 && s.SettleAfter > time.Second && s.SettleAfter < 2*time.Minute {
		return fmt.Sprintf("%d seconds later", s.SettleAfter/time.Second)
	}
	return s.SettleAfter.String() + " later"
}

func (v *view) choose(value string) {
	for i := range v.Choices {
		v.Choices[i].Checked = v.Choices[i].Value == value
	}
}

// amount writes Stripe's units for people: "49.00 EUR".
func amount(units int64, currency string) string {
	c := money.Currency(strings.ToUpper(currency))
	a, err := money.FromStripe(units, c)
	if err != nil {
		a = money.New(units, c)
	}
	return a.String()
}

// render writes the page with headers that let it load its own style sheet and nothing else.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, v view) {
	v.Title = map[string]string{"open": "Pay", "complete": "Payment complete", "expired": "Payment page expired", "missing": "No such payment page"}[v.State]
	if v.PayError != "" || v.EmailError != "" {
		v.Title = "Problem: " + v.Title
	}
	var b bytes.Buffer
	if err := page.ExecuteTemplate(&b, "page.html", v); err != nil {
		s.Log.ErrorContext(r.Context(), "sandbox: page could not be shown", "err", err)
		http.Error(w, "The page could not be shown.", http.StatusInternalServerError)
		return
	}
	// Browsers apply form-action to the redirect after the form too, so the shop's own origin must be named.
	action := "'self'"
	if v.Session != nil {
		if u, err := url.Parse(v.Session.SuccessURL); err == nil && v.State == "open" {
			action += " " + u.Scheme + "://" + u.Host
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action "+action+"; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the buyer may be gone
}
