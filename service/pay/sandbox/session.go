package sandbox

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (s *Server) createSession(r *request) (any, error) {
	c := &session{
		ID: s.IDs("cs_test"), Status: "open", Payment: "unpaid", Reference: r.str("client_reference_id"), Customer: r.str("customer"), AskedEmail: r.str("customer_email"),
		SuccessURL: r.str("success_url"), CancelURL: r.str("cancel_url"), Created: r.now,
	}
	if mode := r.str("mode"); mode != "payment" {
		return nil, invalid("", "mode", "Invalid mode: must be payment.")
	}
	if err := r.sessionTexts(c); err != nil {
		return nil, err
	}
	if err := r.sessionLines(c); err != nil {
		return nil, err
	}
	if err := r.sessionDiscount(c); err != nil {
		return nil, err
	}
	c.Total = c.Subtotal - c.Discount
	c.URL = s.publicURL(r.http.Host) + "/pay/" + c.ID
	if err := r.put(c); err != nil {
		return nil, err
	}
	return r.expanded(c)
}

func (s *Server) publicURL(host string) string {
	if s.PublicURL != "" {
		return strings.TrimSuffix(s.PublicURL, "/")
	}
	return "http://" + host
}

// sessionTexts reads what is neither a line nor a discount.
func (r *request) sessionTexts(c *session) error {
	var err error
	if c.Metadata, err = r.metadata("metadata"); err != nil {
		return err
	}
	if c.IntentMetadata, err = r.metadata("payment_intent_data", "metadata"); err != nil {
		return err
	}
	if len(c.Reference) > 200 {
		return invalid("", "client_reference_id", "Invalid client_reference_id: must be at most 200 characters.")
	}
	if c.SuccessURL == "" {
		return required("success_url")
	}
	for _, u := range [][2]string{{"success_url", c.SuccessURL}, {"cancel_url", c.CancelURL}} {
		if u[1] != "" {
			if err := checkURL(u[0], u[1]); err != nil {
				return err
			}
		}
	}
	if err := checkEmail("customer_email", c.AskedEmail); err != nil {
		return err
	}
	if c.Customer != "" {
		var known customer
		if err := r.get("customer", c.Customer, &known); err != nil {
			return err
		}
		c.AskedEmail = known.Email
	}
	return r.sessionExpiry(c)
}

// sessionExpiry reads expires_at: between 30 minutes and 24 hours from now, as Stripe has it.
func (r *request) sessionExpiry(c *session) error {
	at, err := r.integer("expires_at")
	if err != nil {
		return err
	}
	c.ExpiresAt = r.now.Add(24 * time.Hour).Truncate(time.Second)
	if at != 0 {
		c.ExpiresAt = time.Unix(at, 0).UTC()
		// A second of grace on both ends: the caller rounds to whole seconds.
		if left := c.ExpiresAt.Sub(r.now); left < 30*time.Minute-time.Second || left > 24*time.Hour+time.Second {
			return invalid("", "expires_at", "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.")
		}
	}
	return nil
}

// hostForm is a host that may stand in a header as it is.
var hostForm = regexp.MustCompile(`^[A-Za-z0-9.:\[\]-]+$`)

// checkURL accepts absolute http and https addresses only.
func checkURL(param, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !hostForm.MatchString(u.Host) || u.User != nil {
		return invalid("url_invalid", param, "Not a valid URL: it must be absolute and use http or https.")
	}
	return nil
}

// sessionLines reads the lines and adds them up.
func (r *request) sessionLines(c *session) error {
	items, err := r.items("line_items")
	if err != nil {
		return err
	}
	if len(items) == 0 {
		return required("line_items")
	}
	if len(items) > 100 {
		return invalid("", "line_items", "A session can have at most 100 line items.")
	}
	for i, item := range items {
		l, err := r.sessionLine(item)
		if err != nil {
			return err
		}
		l.ID = fmt.Sprintf("li_%s_%d", strings.TrimPrefix(c.ID, "cs_test_"), i)
		if c.Currency == "" {
			c.Currency = l.Price.Currency
		}
		if l.Price.Currency != c.Currency {
			return invalid("", "line_items", "All prices of a session must have the same currency.")
		}
		if c.Subtotal += l.Subtotal; c.Subtotal > 99999999 {
			return invalid("amount_too_large", "line_items", "The total is too large.")
		}
		c.Lines = append(c.Lines, *l)
	}
	if want := r.str("currency"); want != "" && want != c.Currency {
		return invalid("", "currency", "The session's currency differs from its prices'.")
	}
	return nil
}

func (r *request) sessionLine(item *params) (*line, error) {
	l := &line{}
	var err error
	quantity := item.at("quantity")
	if l.Quantity, err = item.integer("quantity"); err != nil {
		return nil, err
	}
	if !quantity.filled {
		return nil, required(quantity.name)
	}
	if l.Quantity < 1 || l.Quantity > 999999 {
		return nil, invalid("parameter_invalid_integer", quantity.name, "Invalid quantity.")
	}
	if id := item.str("price"); id != "" {
		if err := r.get("price", id, &l.Price); err != nil {
			return nil, err
		}
	} else if data := item.at("price_data"); data.given() {
		p, err := r.priceData(data)
		if err != nil {
			return nil, err
		}
		p.ID, p.Product, p.Name = r.s.IDs("price"), r.s.IDs("prod"), data.str("product_data", "name")
		if p.Name == "" {
			return nil, required(data.at("product_data", "name").name)
		}
		if p.Metadata, err = data.metadata("product_data", "metadata"); err != nil {
			return nil, err
		}
		l.Price = *p
	} else {
		return nil, required(item.at("price").name)
	}
	high, sum := bits.Mul64(uint64(l.Price.UnitAmount), uint64(l.Quantity))
	if high != 0 || sum > math.MaxInt32 {
		return nil, invalid("amount_too_large", "line_items", "The total is too large.")
	}
	l.Subtotal = int64(sum)
	return l, nil
}

// sessionDiscount reads the coupon and spreads its amount over the lines by largest remainder, so that lines add up.
func (r *request) sessionDiscount(c *session) error {
	items, err := r.items("discounts")
	if err != nil || len(items) == 0 {
		return err
	}
	if len(items) > 1 {
		return invalid("", "discounts", "A session can have at most one discount.")
	}
	var off coupon
	if err := r.get("coupon", items[0].str("coupon"), &off); err != nil {
		return err
	}
	if !off.valid() {
		return invalid("coupon_expired", "discounts", "This coupon is not valid any more.")
	}
	if off.AmountOff > 0 && off.Currency != c.Currency {
		return invalid("", "discounts", "The coupon's currency differs from the session's.")
	}
	c.Coupon = off.ID
	c.Discount = min(off.AmountOff, c.Subtotal)
	if off.PercentOff > 0 {
		c.Discount = int64(math.Round(float64(c.Subtotal) * off.PercentOff / 100))
	}
	spread(c)
	return nil
}

func spread(c *session) {
	if c.Subtotal == 0 {
		return
	}
	left := c.Discount
	order := make([]int, len(c.Lines))
	for i := range c.Lines {
		c.Lines[i].Discount = c.Lines[i].Subtotal * c.Discount / c.Subtotal
		left -= c.Lines[i].Discount
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return int((c.Lines[b].Subtotal*c.Discount)%c.Subtotal - (c.Lines[a].Subtotal*c.Discount)%c.Subtotal)
	})
	for i := int64(0); i < left; i++ {
		c.Lines[order[i]].Discount++
	}
}

func (s *Server) retrieveSession(r *request) (any, error) {
	var c session
	if err := r.get("checkout.session", r.id(), &c); err != nil {
		return nil, err
	}
	return r.expanded(&c)
}

// expanded shows a session with what the call asked to expand: line_items, payment_intent, payment_intent.latest_charge.
func (r *request) expanded(c *session) (any, error) {
	out := c.show()
	wanted, err := r.strings("expand")
	if err != nil {
		return nil, err
	}
	for _, what := range wanted {
		switch what {
		case "line_items":
			out["line_items"] = c.lines("", 10)
		case "payment_intent", "payment_intent.latest_charge":
			if c.Intent == "" {
				continue
			}
			shown, err := r.intent(c.Intent, strings.HasSuffix(what, "latest_charge"))
			if err != nil {
				return nil, err
			}
			if _, already := out["payment_intent"].(fields); !already || strings.HasSuffix(what, "latest_charge") {
				out["payment_intent"] = shown
			}
		default:
			return nil, invalid("", "expand", "This property cannot be expanded (%s).", what)
		}
	}
	return out, nil
}

// lines lists up to limit lines behind the one named, in the order of the request.
func (c *session) lines(after string, limit int) fields {
	data := []fields{}
	more, found := false, after == ""
	for i := range c.Lines {
		switch {
		case !found:
			found = c.Lines[i].ID == after
		case len(data) == limit:
			more = true
		default:
			data = append(data, c.Lines[i].show(c.Currency))
		}
	}
	return fields{"object": "list", "url": "/v1/checkout/sessions/" + c.ID + "/line_items", "has_more": more, "data": data}
}

func (s *Server) listLineItems(r *request) (any, error) {
	var c session
	if err := r.get("checkout.session", r.id(), &c); err != nil {
		return nil, err
	}
	limit := 10
	if text := r.str("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 100 {
			return nil, invalid("", "limit", "Invalid limit: must be between 1 and 100.")
		}
		limit = n
	}
	return c.lines(r.str("starting_after"), limit), nil
}

func (s *Server) listSessions(r *request) (any, error) {
	status := r.str("status")
	return r.page("checkout.session", "/v1/checkout/sessions", Query{Ref: r.str("payment_intent")}, func(o shower) bool {
		return status == "" || o.(*session).Status == status
	})
}

func (s *Server) expireSession(r *request) (any, error) {
	var c session
	if err := r.get("checkout.session", r.id(), &c); err != nil {
		return nil, err
	}
	if c.Status != "open" {
		return nil, invalid("", "", "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has a status of `%s`.", c.Status)
	}
	if err := r.expire(&c); err != nil {
		return nil, err
	}
	return r.expanded(&c)
}

func (u *unit) expire(c *session) error {
	c.Status = "expired"
	return errors.Join(u.put(c), u.emit("checkout.session.expired", c))
}
