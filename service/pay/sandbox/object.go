package sandbox

import (
	"time"
)

// fields is a JSON object as the API shows it.
type fields = map[string]any

type customer struct {
	ID, Email, Name string
	Metadata        map[string]string
	Created         time.Time
}

func (c *customer) record() Record { return Record{Kind: "customer", ID: c.ID, At: c.Created} }

func (c *customer) show() fields {
	return fields{"id": c.ID, "object": "customer", "email": orNull(c.Email), "name": orNull(c.Name), "metadata": c.Metadata, "created": unix(c.Created), "livemode": false}
}

type product struct {
	ID, Name string
	Metadata map[string]string
	Created  time.Time
}

func (p *product) record() Record { return Record{Kind: "product", ID: p.ID, At: p.Created} }

func (p *product) show() fields {
	return fields{"id": p.ID, "object": "product", "name": p.Name, "active": true, "metadata": p.Metadata, "created": unix(p.Created), "livemode": false}
}

type price struct {
	ID, Product, Name, Currency string
	UnitAmount                  int64
	Metadata                    map[string]string
	Created                     time.Time
}

func (p *price) record() Record { return Record{Kind: "price", ID: p.ID, At: p.Created} }

func (p *price) show() fields {
	return fields{
		"id": p.ID, "object": "price", "active": true, "billing_scheme": "per_unit", "currency": p.Currency, "product": p.Product, "type": "one_time",
		"unit_amount": p.UnitAmount, "metadata": p.Metadata, "created": unix(p.Created), "livemode": false, "recurring": nil,
	}
}

type coupon struct {
	ID, Name, Currency, Duration string
	AmountOff                    int64
	PercentOff                   float64
	MaxRedemptions, Redeemed     int64
	Metadata                     map[string]string
	Created                      time.Time
}

func (c *coupon) record() Record { return Record{Kind: "coupon", ID: c.ID, At: c.Created} }

func (c *coupon) valid() bool { return c.MaxRedemptions == 0 || c.Redeemed < c.MaxRedemptions }

func (c *coupon) show() fields {
	return fields{
		"id": c.ID, "object": "coupon", "name": orNull(c.Name), "amount_off": orNull(c.AmountOff), "percent_off": orNull(c.PercentOff), "currency": orNull(c.Currency),
		"duration": c.Duration, "max_redemptions": orNull(c.MaxRedemptions), "times_redeemed": c.Redeemed, "valid": c.valid(), "metadata": c.Metadata,
		"created": unix(c.Created), "livemode": false,
	}
}

type line struct {
	ID       string
	Price    price
	Quantity int64
	Subtotal int64
	Discount int64
}

func (l *line) show(currency string) fields {
	return fields{
		"id": l.ID, "object": "item", "description": l.Price.Name, "currency": currency, "price": l.Price.show(), "quantity": l.Quantity,
		"amount_subtotal": l.Subtotal, "amount_discount": l.Discount, "amount_tax": 0, "amount_total": l.Subtotal - l.Discount,
	}
}

// session is a checkout session. Status is open, complete or expired; Payment is unpaid, paid or no_payment_required.
type session struct {
	ID, Status, Payment          string
	Currency                     string
	Lines                        []line
	Subtotal, Discount, Total    int64
	Coupon, Customer, Reference  string
	AskedEmail, Email            string // what the shop gave, what the buyer entered
	SuccessURL, CancelURL        string
	URL                          string
	Intent                       string
	Metadata, IntentMetadata     map[string]string
	Created, ExpiresAt, SettleAt time.Time
	SettleFails                  bool // the delayed payment's outcome
}

func (s *session) record() Record {
	r := Record{Kind: "checkout.session", ID: s.ID, Ref: s.Intent, At: s.Created}
	switch {
	case s.Status == "open":
		r.Due = s.ExpiresAt
	case !s.SettleAt.IsZero():
		r.Due = s.SettleAt
	}
	return r
}

func (s *session) show() fields {
	var details any
	if s.Email != "" {
		details = fields{"email": s.Email, "name": nil, "address": nil, "phone": nil, "tax_exempt": "none", "tax_ids": []any{}}
	}
	var url any
	if s.Status == "open" {
		url = s.URL
	}
	return fields{
		"id": s.ID, "object": "checkout.session", "mode": "payment", "status": s.Status, "payment_status": s.Payment, "currency": s.Currency,
		"amount_subtotal": s.Subtotal, "amount_total": s.Total,
		"total_details":       fields{"amount_discount": s.Discount, "amount_shipping": 0, "amount_tax": 0},
		"client_reference_id": orNull(s.Reference), "metadata": s.Metadata, "customer": orNull(s.Customer), "customer_email": orNull(s.AskedEmail), "customer_details": details,
		"success_url": orNull(s.SuccessURL), "cancel_url": orNull(s.CancelURL), "url": url, "payment_intent": orNull(s.Intent), "payment_method_types": []string{"card", "sepa_debit"},
		"created": unix(s.Created), "expires_at": unix(s.ExpiresAt), "livemode": false,
	}
}

// intent is a payment intent, made when the buyer pays.
type intent struct {
	ID, Status, Currency, Charge, Session string
	Amount                                int64
	Failure                               *failure
	Metadata                              map[string]string
	Created                               time.Time
}

type failure struct {
	Code    string `json:"code"`
	Decline string `json:"decline_code,omitempty"`
	Message string `json:"message"`
	Type    string `json:"type"`
}

func (i *intent) record() Record {
	return Record{Kind: "payment_intent", ID: i.ID, Ref: i.Session, At: i.Created}
}

func (i *intent) show() fields {
	received := int64(0)
	if i.Status == "succeeded" {
		received = i.Amount
	}
	return fields{
		"id": i.ID, "object": "payment_intent", "amount": i.Amount, "amount_received": received, "currency": i.Currency, "status": i.Status,
		"latest_charge": orNull(i.Charge), "last_payment_error": orNull(i.Failure), "metadata": i.Metadata, "created": unix(i.Created), "livemode": false,
	}
}

// charge is one attempt to take the money. Status is pending, succeeded or failed.
type charge struct {
	ID, Status, Currency, Intent, Method, Last4 string
	Amount, Refunded                            int64
	Disputed                                    bool
	Failure                                     *failure
	Email                                       string
	Metadata                                    map[string]string
	Created                                     time.Time
}

func (c *charge) record() Record {
	return Record{Kind: "charge", ID: c.ID, Ref: c.Intent, At: c.Created}
}

func (c *charge) show() fields {
	method := fields{"type": c.Method, c.Method: fields{"last4": c.Last4, "fingerprint": "fp_" + c.Method + c.Last4}}
	if c.Method == "card" {
		method["card"].(fields)["brand"] = "visa"
	}
	captured := int64(0)
	if c.Status == "succeeded" {
		captured = c.Amount
	}
	var code, message any
	if c.Failure != nil {
		code, message = c.Failure.Code, c.Failure.Message
	}
	return fields{
		"id": c.ID, "object": "charge", "amount": c.Amount, "amount_captured": captured, "amount_refunded": c.Refunded, "captured": c.Status == "succeeded",
		"paid": c.Status != "failed", "currency": c.Currency, "status": c.Status, "refunded": c.Refunded == c.Amount && c.Amount > 0, "disputed": c.Disputed,
		"payment_intent": c.Intent, "payment_method_details": method, "billing_details": fields{"email": orNull(c.Email)}, "failure_code": code, "failure_message": message,
		"metadata": c.Metadata, "created": unix(c.Created), "livemode": false,
	}
}

type refund struct {
	ID, Status, Currency, Intent, Charge, Reason string
	Amount                                       int64
	Metadata                                     map[string]string
	Created                                      time.Time
}

func (r *refund) record() Record {
	return Record{Kind: "refund", ID: r.ID, Ref: r.Intent, At: r.Created}
}

func (r *refund) show() fields {
	return fields{
		"id": r.ID, "object": "refund", "amount": r.Amount, "currency": r.Currency, "charge": r.Charge, "payment_intent": r.Intent, "reason": orNull(r.Reason),
		"status": r.Status, "metadata": r.Metadata, "created": unix(r.Created),
	}
}
