package sandbox

import (
	"crypto/rand"
	"errors"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (s *Server) createCustomer(r *request) (any, error) {
	meta, err := r.metadata("metadata")
	if err != nil {
		return nil, err
	}
	c := &customer{ID: s.IDs("cus"), Email: r.str("email"), Name: r.str("name"), Metadata: meta, Created: r.now}
	if err := checkEmail("email", c.Email); err != nil {
		return nil, err
	}
	return c.show(), r.put(c)
}

func checkEmail(param, email string) error {
	if email == "" {
		return nil
	}
	if a, err := mail.ParseAddress(email); err != nil || a.Address != email {
		return invalid("email_invalid", param, "Invalid email address: %s", email)
	}
	return nil
}

func (s *Server) createProduct(r *request) (any, error) {
	meta, err := r.metadata("metadata")
	if err != nil {
		return nil, err
	}
	p := &product{ID: s.IDs("prod"), Name: r.str("name"), Metadata: meta, Created: r.now}
	if p.Name == "" {
		return nil, required("name")
	}
	return p.show(), r.put(p)
}

func (s *Server) createPrice(r *request) (any, error) {
	meta, err := r.metadata("metadata")
	if err != nil {
		return nil, err
	}
	p, err := r.priceData(r.params)
	if err != nil {
		return nil, err
	}
	var of product
	if err := r.get("product", r.str("product"), &of); err != nil {
		return nil, err
	}
	p.ID, p.Product, p.Name, p.Metadata = s.IDs("price"), of.ID, of.Name, meta
	return p.show(), r.put(p)
}

// priceData reads what a price and the price_data of a line have in common.
func (r *request) priceData(p *params) (*price, error) {
	currency, err := currency(p)
	if err != nil {
		return nil, err
	}
	amount := p.at("unit_amount")
	if !amount.filled {
		return nil, required(amount.name)
	}
	n, err := p.integer("unit_amount")
	if err != nil {
		return nil, err
	}
	if n < 0 || n > 99999999 {
		return nil, invalid("parameter_invalid_integer", amount.name, "Invalid amount: must be between 0 and 99999999.")
	}
	return &price{Currency: currency, UnitAmount: n, Created: r.now}, nil
}

var currencyForm = regexp.MustCompile(`^[a-z]{3}$`)

func currency(p *params) (string, error) {
	c := strings.ToLower(p.str("currency"))
	if c == "" {
		return "", required(p.at("currency").name)
	}
	if !currencyForm.MatchString(c) {
		return "", invalid("", p.at("currency").name, "Invalid currency: %s", c)
	}
	return c, nil
}

func required(param string) error {
	return invalid("parameter_missing", param, "Missing required param: %s.", param)
}

func (s *Server) createCoupon(r *request) (any, error) {
	meta, err := r.metadata("metadata")
	if err != nil {
		return nil, err
	}
	c := &coupon{ID: r.str("id"), Name: r.str("name"), Duration: r.str("duration"), Metadata: meta, Created: r.now}
	if c.ID == "" {
		c.ID = rand.Text()[:8]
	}
	if c.Duration == "" {
		c.Duration = "once"
	}
	if c.AmountOff, err = r.integer("amount_off"); err != nil {
		return nil, err
	}
	if c.MaxRedemptions, err = r.integer("max_redemptions"); err != nil {
		return nil, err
	}
	if percent := r.str("percent_off"); percent != "" {
		if c.PercentOff, err = strconv.ParseFloat(percent, 64); err != nil || !(c.PercentOff > 0 && c.PercentOff <= 100) {
			return nil, invalid("", "percent_off", "Invalid percent_off: %s", percent)
		}
	}
	switch {
	case c.AmountOff == 0 && c.PercentOff == 0 || c.AmountOff != 0 && c.PercentOff != 0:
		return nil, invalid("", "", "You must pass exactly one of amount_off and percent_off.")
	case c.AmountOff < 0:
		return nil, invalid("parameter_invalid_integer", "amount_off", "Invalid positive integer.")
	case c.AmountOff > 0:
		if c.Currency, err = currency(r.params); err != nil {
			return nil, err
		}
	}
	if _, err := r.record("coupon", c.ID); err == nil {
		return nil, invalid("resource_already_exists", "id", "Coupon already exists.")
	} else if !errors.Is(err, ErrMissing) {
		return nil, err
	}
	return c.show(), r.put(c)
}

func (s *Server) account(r *request) (any, error) {
	return fields{"id": s.Account, "object": "account", "charges_enabled": true, "details_submitted": true, "payouts_enabled": true, "country": "DE", "default_currency": "eur", "type": "standard"}, nil
}

// endpoint is a place to which events are sent.
type endpoint struct {
	ID, URL, Secret, Version string
	Events                   []string
	Created                  time.Time
}

func (e *endpoint) record() Record {
	return Record{Kind: "webhook_endpoint", ID: e.ID, At: e.Created}
}

func (e *endpoint) wants(typ string) bool {
	return slices.Contains(e.Events, "*") || slices.Contains(e.Events, typ)
}

func (e *endpoint) show() fields {
	return fields{
		"id": e.ID, "object": "webhook_endpoint", "url": e.URL, "api_version": orNull(e.Version), "enabled_events": e.Events, "status": "enabled",
		"created": unix(e.Created), "livemode": false, "metadata": fields{},
	}
}

func (s *Server) createEndpoint(r *request) (any, error) {
	e := &endpoint{ID: s.IDs("we"), URL: r.str("url"), Secret: "whsec_" + rand.Text(), Version: r.str("api_version"), Created: r.now}
	var err error
	if e.Events, err = r.strings("enabled_events"); err != nil {
		return nil, err
	}
	if err := checkURL("url", e.URL); err != nil {
		return nil, err
	}
	if len(e.Events) == 0 {
		return nil, required("enabled_events")
	}
	out := e.show()
	out["secret"] = e.Secret // shown once
	return out, r.put(e)
}

func (s *Server) listEndpoints(r *request) (any, error) {
	r.at("limit")
	all, err := r.endpoints()
	if err != nil {
		return nil, err
	}
	data := make([]fields, len(all))
	for i, e := range all {
		data[i] = e.show()
	}
	return fields{"object": "list", "url": "/v1/webhook_endpoints", "has_more": false, "data": data}, nil
}

// endpoints are those made by the API, and the one of the configuration.
func (u *unit) endpoints() ([]*endpoint, error) {
	records, err := u.s.Store.List(u.ctx, Query{Kind: "webhook_endpoint", Limit: 100})
	if err != nil {
		return nil, err
	}
	var out []*endpoint
	if url := u.s.webhookURL(); url != "" {
		events := u.s.Events
		if len(events) == 0 {
			events = []string{"*"}
		}
		out = append(out, &endpoint{ID: "we_sandbox", URL: url, Secret: u.s.WebhookSecret, Version: APIVersion, Events: events})
	}
	for _, rec := range records {
		o, err := decode(rec)
		if err != nil {
			return nil, err
		}
		out = append(out, o.(*endpoint))
	}
	return out, nil
}
