package webhook_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk/webhook"
)

func secretOf(b byte) string { return webhook.Secret(bytes.Repeat([]byte{b}, 32)) }

func signed(t *testing.T, at time.Time, body string, secrets ...string) http.Header {
	t.Helper()
	h, err := webhook.Sign("wev_1", at, []byte(body), secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// The signature is that of Standard Webhooks: the example of its reference libraries verifies, and so does what we sign.
func TestO10_StandardVector(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	h.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	h.Set("webhook-timestamp", "1614265330")
	h.Set("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	if err := webhook.Verify(h, []byte(`{"test": 2432232314}`), time.Unix(1614265330, 0), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"); err != nil {
		t.Error(err)
	}
	mine, err := webhook.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil || mine.Get("webhook-signature") != h.Get("webhook-signature") {
		t.Errorf("signed %q, %v", mine.Get("webhook-signature"), err)
	}
}

// A message is good within five minutes either way, by either secret while one is rotated, and no longer by the old one after it.
func TestO10_TimeAndRotation(t *testing.T) {
	t.Parallel()
	now, body := time.Unix(1_800_000_000, 0), `{"type":"a"}`
	old, fresh, other := secretOf(1), secretOf(2), secretOf(3)
	for seconds, want := range map[int]error{0: nil, 300: nil, -300: nil, 301: webhook.ErrTime, -301: webhook.ErrTime, 10 * 365 * 86400: webhook.ErrTime} {
		h := signed(t, now, body, old)
		if err := webhook.Verify(h, []byte(body), now.Add(time.Duration(seconds)*time.Second), old); !errors.Is(err, want) {
			t.Errorf("%d s later: %v", seconds, err)
		}
	}
	during, after := signed(t, now, body, fresh, old), signed(t, now, body, fresh)
	for _, c := range []struct {
		h       http.Header
		secrets []string
		want    error
	}{
		{during, []string{old}, nil}, {during, []string{fresh}, nil}, {during, []string{other, fresh}, nil}, {during, []string{other}, webhook.ErrSignature},
		{after, []string{old}, webhook.ErrSignature}, {after, []string{old, fresh}, nil},
	} {
		if err := webhook.Verify(c.h, []byte(body), now, c.secrets...); !errors.Is(err, c.want) {
			t.Errorf("%d secrets: %v, want %v", len(c.secrets), err, c.want)
		}
	}
}

// Nothing but what was signed is good: another body, id, time, version or spelling is not, and neither is an empty secret anywhere.
func TestO10_NothingElseIsGood(t *testing.T) {
	t.Parallel()
	now, body, secret := time.Unix(1_800_000_000, 0), `{"type":"a","data":{}}`, secretOf(1)
	good := signed(t, now, body, secret)
	change := func(name string, f func(string) string) http.Header {
		h := good.Clone()
		h.Set(name, f(h.Get(name)))
		return h
	}
	to := func(s string) func(string) string { return func(string) string { return s } }
	signature := good.Get(webhook.HeaderSignature)
	raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(signature, "v1,"))
	bad := map[string]http.Header{
		"no header": {}, "another id": change(webhook.HeaderID, to("wev_2")), "an id with a dot": change(webhook.HeaderID, to("wev_1.1")), "no id": change(webhook.HeaderID, to("")),
		"another time":  change(webhook.HeaderTimestamp, func(s string) string { n, _ := strconv.Atoi(s); return strconv.Itoa(n + 1) }),
		"a padded time": change(webhook.HeaderTimestamp, func(s string) string { return "0" + s }), "a signed time": change(webhook.HeaderTimestamp, func(s string) string { return "+" + s }),
		"no time": change(webhook.HeaderTimestamp, to("")), "a huge time": change(webhook.HeaderTimestamp, to(strings.Repeat("9", 30))), "the least time": change(webhook.HeaderTimestamp, to("-9223372036854775808")),
		"no signature": change(webhook.HeaderSignature, to("")), "version 0": change(webhook.HeaderSignature, func(s string) string { return "v0" + s[2:] }),
		"no version": change(webhook.HeaderSignature, func(s string) string { return s[3:] }), "hex": change(webhook.HeaderSignature, to("v1,"+strings.Repeat("ab", 32))),
		"unpadded": change(webhook.HeaderSignature, func(s string) string { return strings.TrimRight(s, "=") }), "cut": change(webhook.HeaderSignature, to("v1,"+base64.StdEncoding.EncodeToString(raw[:31]))),
		"empty":     change(webhook.HeaderSignature, to("v1,")),
		"too many":  change(webhook.HeaderSignature, func(s string) string { return strings.Repeat("v1,AAAA ", 16) + s }),
		"url-safe?": change(webhook.HeaderSignature, to("v1,"+strings.Repeat("-_", 21)+"=")),
	}
	for name, h := range bad {
		if err := webhook.Verify(h, []byte(body), now, secret); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for i := range body {
		changed := []byte(body)
		changed[i] ^= 1
		if err := webhook.Verify(good, changed, now, secret); !errors.Is(err, webhook.ErrSignature) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for _, none := range []string{"", "whsec_", "whsec_AAAA", secret[6:], secret + "=", "whsec_!" + secret[7:], webhook.Secret(make([]byte, 65))} {
		if err := webhook.Verify(good, []byte(body), now, secret, none); !errors.Is(err, webhook.ErrSecret) {
			t.Errorf("secret %q: %v", none, err)
		}
	}
	if err := webhook.Verify(good, []byte(body), now); !errors.Is(err, webhook.ErrSecret) {
		t.Errorf("without a secret: %v", err)
	}
	if err := webhook.Verify(good, []byte(body), now, secret); err != nil {
		t.Error(err)
	}
}

// A handler gets the event of a good request, and neither a body without end nor one that is no event.
func TestO10_Read(t *testing.T) {
	t.Parallel()
	secret := secretOf(1)
	read := func(body string) (webhook.Event, error) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header = signed(t, time.Now(), body, secret)
		return webhook.Read(r, secret)
	}
	e, err := read(`{"type":"license.issued","timestamp":"2027-01-02T03:04:05Z","data":{"id":"lic_1"}}`)
	if err != nil || e.ID != "wev_1" || e.Type != "license.issued" || string(e.Data) != `{"id":"lic_1"}` || e.Timestamp.Year() != 2027 {
		t.Errorf("%+v, %v", e, err)
	}
	for _, body := range []string{"", "[]", "{}", "x", strings.Repeat(" ", webhook.MaxBody+1)} {
		if _, err := read(body); !errors.Is(err, webhook.ErrBody) {
			t.Errorf("%.10q: %v", body, err)
		}
	}
}
