package walk

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// product is what the walk sells.
type product struct {
	id, slug, plan, price string
}

const (
	slug     = "acme-notes"
	feature  = "export"
	planCode = "pro"
	perHour  = 5 // calls that the API key is good for
)

// setUp makes the walk's product, unless an earlier walk has.
func (w *walker) setUp(ctx context.Context) (string, error) {
	var found struct {
		Items []struct {
			ID   string `json:"id"`
			Slug string `json:"slug"`
		} `json:"items"`
	}
	if err := w.Operator(ctx, http.MethodGet, "/v1/products?limit=100", nil, &found); err != nil {
		return "", err
	}
	for _, item := range found.Items {
		if item.Slug == slug {
			w.product = product{id: item.ID, slug: slug}
			return slug + " is there already", nil
		}
	}
	type object struct {
		ID string `json:"id"`
	}
	post := func(path string, in any) (string, error) {
		var out object
		err := w.Operator(ctx, http.MethodPost, path, in, &out)
		return out.ID, err
	}
	id, err := post("/v1/products", map[string]any{"slug": slug, "name": "Acme Notes", "purpose": "revenue", "key_prefix": "NOTES",
		"description": "Notes that stay on your machine. Sync when you want it."})
	if err != nil {
		return "", err
	}
	if _, err := post("/v1/policies", map[string]any{"product_id": id, "code": "standard", "name": "Standard", "terms": map[string]any{
		"type": "perpetual", "seats": map[string]any{"n": 3, "by": "device"}, "activation": "required",
		"entitlements": map[string]any{feature: true, "notebooks": 50}, "recheck": 86400, "fresh": 7 * 86400, "stale": 7 * 86400, "grace": 7 * 86400}}); err != nil {
		return "", err
	}
	plan, err := post("/v1/products/"+id+"/plans", map[string]any{"code": planCode, "name": "Pro", "type": "perpetual", "grants": []any{
		map[string]any{"license": map[string]any{"policy": "standard"}},
		map[string]any{"api_key": map[string]any{"scopes": []string{"notes:read"}, "rate_count": perHour, "rate_period": 3600}}}})
	if err != nil {
		return "", err
	}
	for currency, amount := range map[string]int64{"EUR": 4900, "USD": 5400, "JPY": 8000} {
		if _, err := post("/v1/plans/"+plan+"/prices", map[string]any{"price": map[string]any{"amount": amount, "currency": currency}}); err != nil {
			return "", err
		}
	}
	for _, path := range []string{"/v1/plans/" + plan + "/publish", "/v1/products/" + id + "/publish"} {
		if _, err := post(path, nil); err != nil {
			return "", err
		}
	}
	w.product = product{id: id, slug: slug}
	return "Acme Notes, plan Pro, three currencies; grants a license for 3 devices and an API key", nil
}

// browse reads the catalogue as anybody may.
func (w *walker) browse(ctx context.Context) (string, error) {
	var item struct {
		Name  string `json:"name"`
		Plans []struct {
			ID     string `json:"id"`
			Code   string `json:"code"`
			Prices []struct {
				ID    string `json:"id"`
				Price struct {
					Amount   int64  `json:"amount"`
					Currency string `json:"currency"`
				} `json:"price"`
			} `json:"prices"`
		} `json:"plans"`
	}
	if _, err := w.get(ctx, "/v1/catalog/"+slug, nil, &item); err != nil {
		return "", err
	}
	for _, plan := range item.Plans {
		for _, p := range plan.Prices {
			if plan.Code == planCode && p.Price.Currency == "EUR" {
				w.product.plan, w.product.price = plan.ID, p.ID
				return fmt.Sprintf("%s %s, EUR %d.%02d", item.Name, plan.Code, p.Price.Amount/100, p.Price.Amount%100), nil
			}
		}
	}
	return "", fmt.Errorf("%s has no plan %q with a price in EUR", slug, planCode)
}

// checkOut orders: as the customer who signed up, else as a guest.
func (w *walker) checkOut(ctx context.Context) (string, error) {
	var out struct {
		ID     string `json:"id"`
		Access string `json:"access"`
		URL    string `json:"url"`
		State  string `json:"state"`
	}
	order := map[string]any{
		"lines":    []any{map[string]any{"plan": w.product.plan, "quantity": 1, "price": w.product.price}},
		"currency": "EUR", "country": "DE",
		"consent": map[string]any{"terms": true, "immediate_delivery": true},
	}
	if w.session == "" {
		order["email"] = w.email
	}
	err := w.post(ctx, "/v1/checkouts", w.as(), order, &out)
	if err != nil {
		return "", err
	}
	if out.URL == "" || out.Access == "" || out.State != "pending" {
		return "", fmt.Errorf("the checkout is %q with payment page %q", out.State, out.URL)
	}
	w.order, w.access, w.pay = out.ID, out.Access, out.URL
	return "order " + out.ID + " waits for its payment", nil
}

// payNow opens the payment page as a browser would and pays with the test card that succeeds.
func (w *walker) payNow(ctx context.Context) (string, error) {
	page, err := w.fetch(ctx, http.MethodGet, w.pay, nil)
	if err != nil {
		return "", err
	}
	if !strings.Contains(page.body, "Acme Notes") || !strings.Contains(page.body, "no real money") && !strings.Contains(page.body, "No real money") {
		return "", fmt.Errorf("the payment page shows neither the order nor that it is a sandbox")
	}
	paid, err := w.fetch(ctx, http.MethodPost, w.pay, url.Values{"email": {w.email}, "card": {"4242424242424242"}})
	if err != nil {
		return "", err
	}
	if paid.status != http.StatusSeeOther {
		return "", fmt.Errorf("paying answered %d", paid.status)
	}
	return "card 4242 … accepted; no real money moved", nil
}

// webhook waits until the delivery of the payment provider has been verified, stored and applied.
func (w *walker) webhook(ctx context.Context) (string, error) {
	var detail string
	err := wait(ctx, func() error {
		var page struct {
			Items []struct {
				ID     string `json:"id"`
				Type   string `json:"type"`
				State  string `json:"state"`
				Origin string `json:"origin"`
				Reason string `json:"reason"`
				Order  string `json:"order"`
			} `json:"items"`
		}
		if err := w.Operator(ctx, http.MethodGet, "/v1/payment-events?limit=100", nil, &page); err != nil {
			return err
		}
		for _, e := range page.Items {
			if e.Order != w.order || e.Type != "checkout.session.completed" {
				continue
			}
			switch e.State {
			case "done":
				detail = fmt.Sprintf("%s %s: signature good, stored, applied once", e.Type, e.ID)
				return nil
			case "parked":
				return fmt.Errorf("event %s is parked: %s", e.ID, e.Reason)
			}
		}
		return errNotYet
	})
	return detail, err
}

// fulfilled reads what the buyer was given.
func (w *walker) fulfilled(ctx context.Context) (string, error) {
	type checkout struct {
		State  string `json:"state"`
		Grants []struct {
			Kind string `json:"kind"`
			ID   string `json:"id"`
			Key  string `json:"key"`
		} `json:"grants"`
		Receipt *struct {
			Number string `json:"number"`
		} `json:"receipt"`
	}
	var c checkout
	err := wait(ctx, func() error {
		c = checkout{}
		if _, err := w.get(ctx, "/v1/checkouts/"+w.order+"?access="+url.QueryEscape(w.access), nil, &c); err != nil {
			return err
		}
		switch c.State {
		case "fulfilled":
			return nil
		case "pending", "paid", "awaiting_funds":
			return errNotYet
		}
		return fmt.Errorf("the order is %s", c.State)
	})
	if err != nil {
		return "", err
	}
	if len(c.Grants) != 2 || c.Receipt == nil {
		return "", fmt.Errorf("%d grants and receipt %v; want two grants and a receipt", len(c.Grants), c.Receipt)
	}
	for _, g := range c.Grants {
		if g.Kind == "license" {
			w.license, w.key = g.ID, g.Key
		}
	}
	var revealed struct {
		Keys []struct {
			Key string `json:"key"`
		} `json:"keys"`
	}
	if err := w.post(ctx, "/v1/checkouts/"+w.order+"/reveal", nil, map[string]any{"access": w.access}, &revealed); err != nil {
		return "", err
	}
	if len(revealed.Keys) != 1 || w.key == "" {
		return "", fmt.Errorf("%d API keys and license key %q", len(revealed.Keys), w.key)
	}
	w.apiKey = revealed.Keys[0].Key
	return fmt.Sprintf("%s, an API key, receipt %s", shorten(w.key), c.Receipt.Number), nil
}

// shorten shows the beginning of a key.
func shorten(key string) string {
	if len(key) < 16 {
		return key
	}
	return key[:11] + "…"
}
