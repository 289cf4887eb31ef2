package stripe_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/service/pay/sandbox"
	"github.com/mintreu/mintreu/service/pay/stripe"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// delivery is an event as Stripe sends it.
func delivery(livemode bool, version, more string) []byte {
	return fmt.Appendf(nil, `{"id":"evt_1","object":"event","api_version":%q,"type":"checkout.session.completed","created":1772366400,"livemode":%t,%s"data":{"object":{"id":"cs_test_1","object":"checkout.session","client_reference_id":"ord_1","metadata":{"order":"ord_1"}}}}`, version, livemode, more)
}

func gateway(t *testing.T, c stripe.Config) *stripe.Gateway {
	t.Helper()
	if c.Key == "" {
		c.Key = apiKey
	}
	if c.Secrets == nil {
		c.Secrets = []stripe.Secret{{Value: secret}}
	}
	g, err := stripe.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestVerify guarantees that a genuine delivery is accepted and read rightly, also with further signatures beside the good one.
func TestVerify(t *testing.T) {
	t.Parallel()
	g := gateway(t, stripe.Config{})
	body := delivery(false, stripe.Version, "")
	good := sandbox.Sign(body, secret, now)
	other := sandbox.Sign(body, "whsec_another0123456789abcdef", now)
	for _, header := range []string{good, other + "," + strings.SplitN(good, ",", 2)[1], good + ",v0=abc", good + ",v2=x"} {
		e, err := g.Verify(body, header, now)
		if err != nil {
			t.Fatalf("%s: %v", header, err)
		}
		if e.ID != "evt_1" || e.Type != "checkout.session.completed" || e.Object != "cs_test_1" || e.ObjectKind != "checkout.session" || e.Order != "ord_1" || e.Live || e.APIVersion != stripe.Version || string(e.Raw) != string(body) || e.Created.Unix() != 1772366400 {
			t.Errorf("read %+v", e)
		}
	}
}

// TestW01_BadSignatureRefused guarantees that a delivery without a good signature in the one accepted spelling is refused, and
// that its body is not even looked at.
func TestW01_BadSignatureRefused(t *testing.T) {
	t.Parallel()
	g := gateway(t, stripe.Config{})
	body := delivery(false, stripe.Version, "")
	good := sandbox.Sign(body, secret, now)
	ts, sig, _ := strings.Cut(good, ",v1=")
	for name, header := range map[string]string{
		"none":          "",
		"garbage":       "hello",
		"only v0":       ts + ",v0=" + sig,
		"upper case":    ts + ",v1=" + strings.ToUpper(sig),
		"short":         ts + ",v1=" + sig[:62],
		"long":          good + "00",
		"no time":       "v1=" + sig,
		"two times":     good + "," + ts,
		"plus time":     strings.Replace(good, "t=", "t=+", 1),
		"zero time":     "t=0" + good[strings.Index(good, ","):],
		"padded time":   strings.Replace(good, "t=", "t=0", 1),
		"spaces":        ts + ", v1=" + sig,
		"other secret":  sandbox.Sign(body, "whsec_another0123456789abcdef", now),
		"empty secret":  sandbox.Sign(body, "", now),
		"time not hmac": ts + "1,v1=" + sig,
		"one bit":       ts + ",v1=" + flip(sig),
		"endless":       good + strings.Repeat(",v1="+sig, 100),
		"nine":          good + strings.Repeat(",v1="+sig, 8),
	} {
		if e, err := g.Verify(body, header, now); !errors.Is(err, payment.ErrSignature) || e.ID != "" {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
	if _, err := g.Verify([]byte(`{"broken`), strings.Replace(good, "v1", "v0", 1), now); err == nil || strings.Contains(err.Error(), "JSON") || strings.Contains(err.Error(), "json") {
		t.Errorf("the body was parsed before the signature was known: %v", err)
	}
}

func flip(sig string) string {
	raw, _ := hex.DecodeString(sig)
	raw[7] ^= 1
	return hex.EncodeToString(raw)
}

// TestW02_OldDeliveryRefused guarantees the window into the past: 299 and 300 seconds are fine, 301 are not.
func TestW02_OldDeliveryRefused(t *testing.T) {
	t.Parallel()
	window(t, -1)
}

// TestW03_FutureDeliveryRefused guarantees the same window into the future, and refuses ten years ahead.
func TestW03_FutureDeliveryRefused(t *testing.T) {
	t.Parallel()
	window(t, 1)
	g := gateway(t, stripe.Config{})
	body := delivery(false, stripe.Version, "")
	if _, err := g.Verify(body, sandbox.Sign(body, secret, now.AddDate(10, 0, 0)), now); !errors.Is(err, payment.ErrSignature) {
		t.Errorf("ten years ahead: %v", err)
	}
}

func window(t *testing.T, sign int) {
	g := gateway(t, stripe.Config{})
	body := delivery(false, stripe.Version, "")
	for seconds, ok := range map[int]bool{299: true, 300: true, 301: false, 86400: false} {
		at := now.Add(time.Duration(sign*seconds) * time.Second)
		if _, err := g.Verify(body, sandbox.Sign(body, secret, at), now); (err == nil) != ok || err != nil && !errors.Is(err, payment.ErrSignature) {
			t.Errorf("%d seconds off: %v", sign*seconds, err)
		}
	}
}

// TestW04_EmptySecretRefused guarantees that no gateway exists whose webhooks could be forged by signing with nothing or little.
func TestW04_EmptySecretRefused(t *testing.T) {
	t.Parallel()
	for name, secrets := range map[string][]stripe.Secret{
		"none":          {},
		"empty":         {{}},
		"prefix only":   {{Value: "whsec_"}},
		"short":         {{Value: "whsec_0123456789abcde"}},
		"no prefix":     {{Value: secret[6:]}},
		"spaces":        {{Value: "whsec_                      "}},
		"one of two":    {{Value: secret}, {Value: ""}},
		"trailing line": {{Value: secret + "\n"}},
	} {
		if g, err := stripe.New(stripe.Config{Key: apiKey, Secrets: secrets}); err == nil || g != nil {
			t.Errorf("%s: a gateway was made", name)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error tells the secret", name)
		}
	}
	for _, key := range []string{"", "pk_test_0123456789abcdef", "sk_test_", "sk_prod_0123456789abcdef", "sk_test_0123456789abcdef\n"} {
		if _, err := stripe.New(stripe.Config{Key: key, Secrets: []stripe.Secret{{Value: secret}}}); err == nil {
			t.Errorf("key %q was taken", key)
		}
	}
	if _, err := stripe.New(stripe.Config{Key: "sk_live_0123456789abcdef", Secrets: []stripe.Secret{{Value: secret}}, BaseURL: "http://127.0.0.1:1"}); err == nil {
		t.Error("a live key over plain http was taken")
	}
}

// TestW06_ChangedBodyRefused guarantees that the signature covers every byte: one changed, added, missing or transcoded is
// refused, and so is a rightly signed body that is not strict JSON.
func TestW06_ChangedBodyRefused(t *testing.T) {
	t.Parallel()
	g := gateway(t, stripe.Config{})
	body := delivery(false, stripe.Version, "")
	header := sandbox.Sign(body, secret, now)
	changed := map[string][]byte{
		"space behind": append([]byte(string(body)), ' '), "bom": append([]byte("\xef\xbb\xbf"), body...), "cut": body[:len(body)-1],
		"re-encoded": []byte(strings.ReplaceAll(string(body), `,"`, `, "`)), "utf-16": utf16(body), "empty": {},
	}
	for i := range body {
		other := []byte(string(body))
		other[i] ^= 1
		changed[fmt.Sprint("byte ", i)] = other
	}
	for name, other := range changed {
		if _, err := g.Verify(other, header, now); !errors.Is(err, payment.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"duplicate member": strings.Replace(string(body), `"id":"evt_1"`, `"id":"evt_0","id":"evt_1"`, 1),
		"duplicate deep":   strings.Replace(string(body), `"order":"ord_1"`, `"order":"ord_2","order":"ord_1"`, 1),
		"trailing data":    string(body) + "{}",
		"not UTF-8":        strings.Replace(string(body), "ord_1", "ord_\xff", 1),
		"no livemode":      strings.Replace(string(body), `"livemode":false,`, "", 1),
		"no id":            strings.Replace(string(body), `"id":"evt_1",`, "", 1),
		"string created":   strings.Replace(string(body), "1772366400", `"1772366400"`, 1),
		"not an event":     `{"id":"cs_1","object":"checkout.session"}`,
		"array":            "[" + string(body) + "]",
		"null":             "null",
	} {
		if _, err := g.Verify([]byte(text), sandbox.Sign([]byte(text), secret, now), now); !errors.Is(err, payment.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func utf16(b []byte) []byte {
	out := []byte{0xff, 0xfe}
	for _, c := range b {
		out = append(out, c, 0)
	}
	return out
}

// TestW07_RolledSecret guarantees that during a roll both secrets hold, and that the old one dies on its date.
func TestW07_RolledSecret(t *testing.T) {
	t.Parallel()
	const old = "whsec_oldoldoldoldoldoldold"
	g := gateway(t, stripe.Config{Secrets: []stripe.Secret{{Value: secret}, {Value: old, Until: now}}})
	body := delivery(false, stripe.Version, "")
	for _, c := range []struct {
		secret string
		at     time.Time
		ok     bool
	}{{secret, now.Add(-time.Hour), true}, {old, now.Add(-time.Hour), true}, {old, now.Add(-time.Microsecond), true}, {old, now, false}, {old, now.Add(time.Hour), false}, {secret, now.Add(time.Hour), true}} {
		if _, err := g.Verify(body, sandbox.Sign(body, c.secret, c.at), c.at); (err == nil) != c.ok {
			t.Errorf("%s at %s: %v", c.secret, c.at, err)
		}
	}
}

// TestW14_OtherModeRefused guarantees that a live gateway refuses test events and the reverse, telling the mix-up apart.
func TestW14_OtherModeRefused(t *testing.T) {
	t.Parallel()
	for key, live := range map[string]bool{apiKey: false, "sk_live_0123456789abcdef": true, "rk_live_0123456789abcdef": true} {
		g := gateway(t, stripe.Config{Key: key})
		for _, mode := range []bool{true, false} {
			body := delivery(mode, stripe.Version, "")
			_, err := g.Verify(body, sandbox.Sign(body, secret, now), now)
			if mode == live && err != nil || mode != live && !(errors.Is(err, payment.ErrForeign) && errors.Is(err, payment.ErrSignature)) {
				t.Errorf("key %.8s, livemode %t: %v", key, mode, err)
			}
		}
	}
}

// TestW15_OtherAccountRefused guarantees that an event of another account, or signed for another endpoint, is refused.
func TestW15_OtherAccountRefused(t *testing.T) {
	t.Parallel()
	mine, other := delivery(false, stripe.Version, `"account":"acct_1",`), delivery(false, stripe.Version, `"account":"acct_2",`)
	g := gateway(t, stripe.Config{Account: "acct_1"})
	if _, err := g.Verify(mine, sandbox.Sign(mine, secret, now), now); err != nil {
		t.Error(err)
	}
	if _, err := g.Verify(other, sandbox.Sign(other, secret, now), now); !errors.Is(err, payment.ErrForeign) {
		t.Errorf("another account: %v", err)
	}
	if _, err := gateway(t, stripe.Config{}).Verify(mine, sandbox.Sign(mine, secret, now), now); !errors.Is(err, payment.ErrForeign) {
		t.Errorf("a connected account where none is configured: %v", err)
	}
	if _, err := g.Verify(mine, sandbox.Sign(mine, "whsec_of_another_endpoint_000", now), now); !errors.Is(err, payment.ErrSignature) {
		t.Errorf("another endpoint's secret: %v", err)
	}
}

// TestW22_OtherVersionReturned guarantees that an event of another API version is authenticated and returned with its version,
// so that it can be parked rather than lost.
func TestW22_OtherVersionReturned(t *testing.T) {
	t.Parallel()
	g := gateway(t, stripe.Config{})
	body := delivery(false, "2025-01-27.acacia", "")
	if e, err := g.Verify(body, sandbox.Sign(body, secret, now), now); err != nil || e.APIVersion != "2025-01-27.acacia" || e.ID != "evt_1" {
		t.Errorf("%+v, %v", e, err)
	}
}
