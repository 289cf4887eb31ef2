package walk

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/device"
)

// client is the SDK as the product would embed it; transport nil is the network.
func (w *walker) client(transport http.RoundTripper) (*sdk.Client, error) {
	options := []sdk.Option{sdk.WithStore(w.store), sdk.WithDeviceName("Ada's laptop"),
		sdk.WithDevice(device.Fingerprint{"machine": "4c4c4544-0043", "disk": "S4EWNX0M", "mac": "02:42:ac:11:00:02"})}
	if transport != nil {
		options = append(options, sdk.WithHTTPClient(&http.Client{Transport: transport}))
	}
	return sdk.New(sdk.Config{BaseURL: w.BaseURL, Product: slug, Env: "test", Roots: w.Roots}, options...)
}

// activate takes a seat with the license key.
func (w *walker) activate(ctx context.Context) (string, error) {
	c, err := w.client(nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	d, err := c.Activate(ctx, w.key)
	if err != nil {
		return "", err
	}
	if !d.Allowed {
		return "", fmt.Errorf("the activation is refused: %s", d.Explanation)
	}
	return "a seat of 3 and a lease for this device", nil
}

// unplugged is a network that is not there; it counts attempts to use it.
type unplugged struct{ calls int }

func (u *unplugged) RoundTrip(*http.Request) (*http.Response, error) {
	u.calls++
	return nil, errors.New("the network is off")
}

// offline starts the product anew, without a network.
func (w *walker) offline(ctx context.Context) (string, error) {
	network := &unplugged{}
	c, err := w.client(network)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	d, err := c.Check(ctx)
	if err != nil {
		return "", err
	}
	if !d.Allowed || !c.Allowed(feature) || c.Allowed("no-such-feature") || c.Limit("notebooks") != 50 {
		return "", fmt.Errorf("decision %s (%s), %s %t, notebooks %d", d.Code, d.Explanation, feature, c.Allowed(feature), c.Limit("notebooks"))
	}
	if network.calls != 0 {
		return "", fmt.Errorf("the check used the network %d times", network.calls)
	}
	return fmt.Sprintf("%s: %s allowed, 50 notebooks; no call was made", d.Code, feature), nil
}

// limit uses the API key until it is refused.
func (w *walker) limit(ctx context.Context) (string, error) {
	header := http.Header{"Authorization": {"Bearer " + w.apiKey}}
	for n := 0; n <= perHour; n++ {
		res, err := w.get(ctx, "/v1/keys/authorize?env=test", header, nil)
		if res.status == http.StatusTooManyRequests {
			if n != perHour {
				return "", fmt.Errorf("refused after %d calls; the limit is %d", n, perHour)
			}
			retry := res.header.Get("Retry-After")
			if retry == "" {
				return "", errors.New("the refusal does not say when to try again")
			}
			return fmt.Sprintf("%d calls answered 200, the next 429; try again in %s s", n, retry), nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("call %d was admitted; the limit is %d", perHour+1, perHour)
}

// invariants runs the checker on the live database.
func (w *walker) invariants(ctx context.Context) (string, error) {
	wrong, err := w.Invariants(ctx)
	if err != nil {
		return "", err
	}
	if len(wrong) > 0 {
		return "", fmt.Errorf("%d violations, first: %s", len(wrong), wrong[0])
	}
	return "grants, ledger, seats and audit trail hold", nil
}
