package site

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/mintreu/mintreu/service/web/ui"
)

// flash keeps a message for the page that follows. It travels in a cookie of a minute, authenticated, so that nobody else puts words into
// the shop's mouth.
func (v *Visit) flash(m ui.Flash) {
	text, err := json.Marshal(m)
	if err != nil || len(text) > 2000 {
		return
	}
	body := base64.RawURLEncoding.EncodeToString(text)
	c := v.Site.cookie(flashCookie, body+"."+v.Site.mac(body), time.Time{})
	c.MaxAge = 60
	http.SetCookie(v.W, c)
}

// flashes are the messages that the page before left, which are shown once.
func (v *Visit) flashes() []ui.Flash {
	body, mac, ok := strings.Cut(v.cookieValue(flashCookie), ".")
	if !ok {
		return nil
	}
	http.SetCookie(v.W, v.Site.gone(flashCookie))
	if !hmac.Equal([]byte(mac), []byte(v.Site.mac(body))) {
		return nil
	}
	text, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return nil
	}
	var m ui.Flash
	if json.Unmarshal(text, &m) != nil {
		return nil
	}
	return []ui.Flash{m}
}

func (s *Site) mac(text string) string {
	m := hmac.New(sha256.New, s.Key)
	m.Write([]byte("flash " + text))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:16])
}
