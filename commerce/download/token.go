package download

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
)

// purpose keeps the two tokens of a link apart: one opens its page, the other moves its bytes.
type purpose byte

const (
	forPage     purpose = 1
	forTransfer purpose = 2
)

// A token is 65 bytes in base64url: purpose, expiry in seconds, the link's number, eight bytes that stand for grant, file and
// customer, and an HMAC-SHA-256 over all of these. It is not a signed document and has no dots.
const (
	bindingSize = 8
	bodySize    = 1 + 8 + 16 + bindingSize
	tokenSize   = bodySize + sha256.Size
)

// strict takes the one canonical spelling alone.
var strict = base64.RawURLEncoding.Strict()

func (l *Link) binding() []byte {
	sum := sha256.Sum256([]byte(l.GrantID + "\x00" + l.FileID + "\x00" + string(l.Owner)))
	return sum[:bindingSize]
}

// token makes the token of a link for one purpose.
func (s *Service) token(l *Link, p purpose) (string, error) {
	number, err := hex.DecodeString(strings.TrimPrefix(l.ID, "lnk_"))
	if err != nil || len(number) != 16 {
		return "", ErrLink.Because(err)
	}
	b := make([]byte, 0, tokenSize)
	b = append(b, byte(p))
	b = binary.BigEndian.AppendUint64(b, uint64(l.ExpiresAt.Unix())) //nolint:gosec // after 1970
	b = append(b, number...)
	b = append(b, l.binding()...)
	return strict.EncodeToString(s.mac(b)), nil
}

// mac appends the HMAC of a token's body to it.
func (s *Service) mac(body []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write(body)
	return h.Sum(body)
}

// opened is what an authentic token says.
type opened struct {
	link    string
	expires time.Time
	binding []byte
}

// openToken checks a token without looking anywhere: length, alphabet, HMAC, purpose. Whatever is wrong, the answer is [ErrLink].
func (s *Service) openToken(token string, p purpose) (opened, error) {
	if len(token) != base64.RawURLEncoding.EncodedLen(tokenSize) || strings.ContainsAny(token, "\r\n") {
		return opened{}, ErrLink
	}
	raw, err := strict.DecodeString(token)
	if err != nil {
		return opened{}, ErrLink
	}
	if !hmac.Equal(s.mac(raw[:bodySize:bodySize]), raw) || purpose(raw[0]) != p {
		return opened{}, ErrLink
	}
	seconds := int64(binary.BigEndian.Uint64(raw[1:9])) //nolint:gosec // we made it
	return opened{link: "lnk_" + hex.EncodeToString(raw[9:25]), expires: time.Unix(seconds, 0).UTC(), binding: raw[25:bodySize]}, nil
}
