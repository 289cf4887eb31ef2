package access

import (
	"slices"
	"strings"

	"github.com/mintreu/mintreu/licensing"
)

// ExplainRequest says whose access is explained, by one thing at hand.
type ExplainRequest struct {
	License  string `query:"license" doc:"A license, by id."`
	Key      string `query:"key" doc:"An API key, by id."`
	Order    string `query:"order" doc:"An order, by id."`
	Customer string `query:"customer" doc:"A customer with their organisations, or an organisation, by id. For staff; customers always ask for themselves."`
	Email    string `query:"email" doc:"A customer with their organisations, by e-mail address. For staff." example:"ada@example.com"`
	Query    string `query:"q" doc:"Whatever is at hand: one of these ids, an e-mail address, the last characters of a license key. Never a whole key." example:"7F3QX"`
	Product  string `query:"product" doc:"Only what is for this product, by slug or id. It may stand alone or beside one of the others."`
}

// The refusals of a request.
var (
	errAsk   = licensing.Fail(licensing.Invalid, "access-ask", "Say for what: one of license, key, order, customer, email and q, or product; not several.")
	errWhole = licensing.Fail(licensing.Invalid, "whole-key", "Never put a whole key into an address. Its last five characters do, or the id of the license.")
)

// Validate checks the form.
func (r ExplainRequest) Validate() error {
	given := 0
	for _, v := range []string{r.License, r.Key, r.Order, r.Customer, r.Email, r.Query} {
		if v != "" {
			given++
		}
	}
	if Handy(r.Query) != strings.TrimSpace(r.Query) {
		return errWhole
	}
	if given > 1 {
		return errAsk
	}
	return nil
}

// Handy makes of a text that somebody pasted what may stand in an address: of a whole license key its last characters, of a whole API key
// the name within it, of anything else the text without white space around it.
func Handy(text string) string {
	text = strings.TrimSpace(text)
	prefix, rest, isID := strings.Cut(text, "_")
	isID = isID && !strings.Contains(rest, "_") // an API key, whose first word may be any of these, has more of them
	switch {
	case strings.Contains(text, "@"), isID && slices.Contains([]string{"lic", "key", "ord", "cus", "org"}, prefix), len(text) <= apiHint:
		return text
	}
	if parts := strings.Split(text, "_"); len(parts) == 4 && (parts[1] == "live" || parts[1] == "test") && len(parts[2]) == apiHint {
		return parts[2]
	}
	runes := []rune(text)
	return strings.ToUpper(string(runes[max(0, len(runes)-keyHint):]))
}

// How many characters tell a license key, and an API key, from others.
const (
	keyHint = 5
	apiHint = 10
)

// ask is what a request means for an actor; [licensing.ErrNotFound] when it is about somebody else, as for what is not there.
func (s *Service) ask(a licensing.Actor, r ExplainRequest) (Ask, error) {
	if err := r.Validate(); err != nil {
		return Ask{}, err
	}
	out := Ask{License: r.License, Key: r.Key, Order: r.Order, Customer: r.Customer, Email: strings.ToLower(strings.TrimSpace(r.Email)), Product: strings.TrimSpace(r.Product),
		Limit: most, Now: s.Clock.Now()}
	out.search(strings.TrimSpace(r.Query))
	switch a.Kind {
	case licensing.Staff, licensing.CLI:
		if out == (Ask{Limit: most, Now: out.Now}) || out == (Ask{Limit: most, Now: out.Now, Product: out.Product}) {
			return Ask{}, errAsk
		}
		return out, nil
	case licensing.Customer:
		if a.Owner == "" || out.Email != "" || out.Customer != "" && out.Customer != string(a.Owner) {
			return Ask{}, licensing.ErrNotFound
		}
		out.Owner, out.Customer = a.Owner, ""
		return out, nil
	}
	return Ask{}, licensing.ErrNotFound
}

// search sets the member that a text can mean.
func (a *Ask) search(text string) {
	switch prefix, _, _ := strings.Cut(text, "_"); {
	case text == "":
	case strings.Contains(text, "@"):
		a.Email = strings.ToLower(text)
	case prefix == "lic":
		a.License = text
	case prefix == "key":
		a.Key = text
	case prefix == "ord":
		a.Order = text
	case prefix == "cus", prefix == "org":
		a.Customer = text
	default:
		a.Hint = text
	}
}

// narrow reports whether something certain was asked for, which is not there when nothing is found.
func (a *Ask) narrow() bool { return a.License+a.Key+a.Order+a.Hint != "" }
