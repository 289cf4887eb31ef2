package app

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/service/mail"
)

// TestU08_LinksAreOfTheBaseURL: whatever host a request names, in whatever header, the mailed link is of the configured base URL, with the
// token in its path.
func TestU08_LinksAreOfTheBaseURL(t *testing.T) {
	t.Parallel()
	a, err := New(t.Context(), Config{DataDir: t.TempDir(), Addr: "127.0.0.1:0", OpsAddr: "off", BaseURL: "https://shop.example", KeyPrefix: "mtr", ShopName: "Shop",
		MailFrom: "Shop <shop@localhost>", LogLevel: "error"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, path := range []string{"/v1/accounts", "/v1/accounts/reset"} {
		r := httptest.NewRequest(http.MethodPost, "http://evil.example"+path, strings.NewReader(`{"email":"ada@example.com"}`))
		r.Header.Set("Content-Type", "application/json")
		for name, value := range map[string]string{"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example", "X-Forwarded-Proto": "http", "Origin": "https://evil.example"} {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusAccepted {
			t.Fatalf("%s answered %d: %s", path, w.Code, w.Body)
		}
	}
	due, err := a.storage.store.Notices().DueNotices(t.Context(), time.Now().Add(time.Hour), 10)
	if err != nil || len(due) != 2 {
		t.Fatalf("%d mails wait, %v", len(due), err)
	}
	for _, id := range due {
		if err := a.parts.notices.Send(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := a.parts.mails.List(t.Context(), mail.ListRequest{})
	if err != nil || len(kept.Items) != 2 {
		t.Fatalf("%d mails, %v", len(kept.Items), err)
	}
	for _, m := range kept.Items {
		if strings.Contains(m.Text+m.HTML, "evil.example") || !strings.Contains(m.Text, "\nhttps://shop.example/confirm/") {
			t.Errorf("%s", m.Text)
		}
	}
}
