package account

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// The text of a session ends with a mark of what comes before it, made with a key of the installation: what somebody invents is told apart from what was
// issued here without looking it up. Texts from before there were marks are as long, and are looked up as invented ones are.
const markLen = 8

// newPass makes the text of a session: 208 random bits and their mark.
func (s *Service) newPass() (string, error) {
	secret, err := credential.Random(s.Random, passLen-len(passPrefix)-markLen)
	if err != nil {
		return "", err
	}
	text := passPrefix + secret
	return text + s.mark(text), nil
}

func (s *Service) mark(text string) string {
	h := hmac.New(sha256.New, s.markKey)
	h.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:markLen*3/4])
}

// marked reports whether a text of a session's length was issued here.
func (s *Service) marked(text string) bool {
	at := len(text) - markLen
	return hmac.Equal([]byte(text[at:]), []byte(s.mark(text[:at])))
}
