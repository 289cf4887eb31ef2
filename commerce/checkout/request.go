package checkout

import (
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
)

// CreateRequest is a basket. It names plans and quantities; what they cost is not the buyer's to say.
type CreateRequest struct {
	Lines      []LineRequest  `json:"lines" doc:"What is bought, at most 20 lines, each plan once, and each license that is renewed."`
	Currency   money.Currency `json:"currency" doc:"Currency of the whole basket, ISO 4217." example:"EUR"`
	Email      string         `json:"email,omitempty" doc:"Where license and receipt go. Needed of guests; for a customer who is signed in it is the account's."`
	Country    string         `json:"country,omitempty" doc:"Country of the buyer, ISO 3166 two letters; needed where tax depends on it." example:"DE"`
	VATID      string         `json:"vat_id,omitempty" doc:"VAT id of a business, printed on the receipt."`
	SuccessURL string         `json:"success_url,omitempty" doc:"Page to return to after payment, on this service or a configured storefront; checkout=<id> is added to it."`
	CancelURL  string         `json:"cancel_url,omitempty" doc:"Page to return to without payment, of the same places."`
	Consent    Consent        `json:"consent" doc:"What the buyer agreed to; both are needed."`
}

// LineRequest is a line of a basket.
type LineRequest struct {
	Plan     string `json:"plan" doc:"Id of the plan."`
	Quantity int64  `json:"quantity" doc:"Units, 1 to 100; terms, when a license is renewed." example:"1"`
	Price    string `json:"price,omitempty" doc:"Version of the price the buyer saw; the checkout is refused with price-changed when it is another by now."`
	Renews   string `json:"renews,omitempty" doc:"The customer's own license that the plan gave, which is renewed instead of making a new one. The storefront says which plans renew."`
}

// Consent is what a buyer agreed to.
type Consent struct {
	Terms             bool `json:"terms" doc:"The terms of sale."`
	ImmediateDelivery bool `json:"immediate_delivery" doc:"Delivery at once, which ends the right of withdrawal for digital goods."`
}

const (
	maxEmail = 254
	maxURL   = 1000
	maxVATID = 20
)

var (
	countryShape = regexp.MustCompile(`^[A-Z]{2}$`)
	vatShape     = regexp.MustCompile(`^[A-Z]{2}[0-9A-Z+*.]{2,18}$`)
)

// Validate checks the form of a basket.
func (r CreateRequest) Validate() error {
	err := licensing.Fail(licensing.Invalid, "invalid-request", "The basket breaks a rule; see the fields.")
	bad := func(ok bool, name, detail string, args ...any) {
		if !ok {
			err = err.With(name, detail, args...)
		}
	}
	bad(len(r.Lines) > 0 && len(r.Lines) <= order.MaxLines, "/lines", "must be 1 to %d lines", order.MaxLines)
	plans, renewed := map[string]bool{}, map[string]bool{}
	for i, l := range r.Lines {
		at := fmt.Sprintf("/lines/%d", i)
		bad(licensing.ValidID("plan", l.Plan), at+"/plan", "must be the id of a plan")
		bad(l.Quantity >= 1 && l.Quantity <= order.MaxQuantity, at+"/quantity", "must be a whole number from 1 to %d", order.MaxQuantity)
		bad(l.Price == "" || licensing.ValidID("prc", l.Price), at+"/price", "must be the id of a price's version")
		if l.Renews != "" {
			bad(licensing.ValidID("lic", l.Renews), at+"/renews", "must be the id of a license")
			bad(!renewed[l.Renews], at+"/renews", "is in the basket twice; raise the quantity instead")
			renewed[l.Renews] = true
			continue
		}
		bad(!plans[l.Plan], at+"/plan", "is in the basket twice; raise the quantity instead")
		plans[l.Plan] = true
	}
	bad(r.Currency.Valid(), "/currency", "must be an ISO 4217 code in capital letters, for example EUR")
	bad(r.Email == "" || validEmail(r.Email), "/email", "must be an e-mail address, at most %d bytes", maxEmail)
	bad(r.Country == "" || countryShape.MatchString(r.Country), "/country", "must be two capital letters, for example DE")
	bad(r.VATID == "" || len(r.VATID) <= maxVATID && vatShape.MatchString(r.VATID), "/vat_id", "must be a VAT id with its country, for example DE123456789")
	bad(r.Consent.Terms, "/consent/terms", "the buyer must agree to the terms of sale")
	bad(r.Consent.ImmediateDelivery, "/consent/immediate_delivery", "the buyer must agree to immediate delivery")
	if len(err.Fields) == 0 {
		return nil
	}
	return err
}

// validEmail accepts a bare address as people have it: no display name, no quoting, no control characters, nothing that could
// end a header line.
func validEmail(v string) bool {
	if len(v) > maxEmail || strings.ContainsFunc(v, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune("\"<>(),;:\\[]", r)
	}) {
		return false
	}
	a, err := mail.ParseAddress(v)
	if err != nil || a.Address != v || a.Name != "" {
		return false
	}
	_, domain, _ := strings.Cut(v, "@")
	return strings.Contains(domain, ".") || domain == "localhost"
}

// returnURL checks a page to return to: it must lie on the service itself or on a configured storefront. Without one it is the
// service's own page. The id of the checkout is added, never a secret.
func (s *Service) returnURL(field, given, own, id string) (string, error) {
	if given == "" {
		return s.BaseURL + own + id, nil
	}
	refuse := licensing.Fail(licensing.Invalid, "foreign-return-url", "The buyer can only be sent back to this service or to a configured storefront.").
		With(field, "must be an absolute http or https URL on an allowed origin")
	u, err := url.Parse(given)
	if err != nil || len(given) > maxURL || u.Host == "" || u.User != nil || u.Opaque != "" || (u.Scheme != "https" && u.Scheme != "http") ||
		strings.ContainsAny(given, "\\\r\n\t ") {
		return "", refuse
	}
	origin := u.Scheme + "://" + u.Host
	if origin != s.BaseURL && !slices.Contains(s.Origins, origin) {
		return "", refuse
	}
	q := u.Query()
	q.Set("checkout", id)
	u.RawQuery = q.Encode()
	return u.String(), nil
}
