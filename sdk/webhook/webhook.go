// Package webhook verifies the events that a shop sends to a receiver of its own, and signs them: Standard Webhooks
// (standardwebhooks.com), HMAC-SHA256.
//
//	func receive(w http.ResponseWriter, r *http.Request) {
//		event, err := webhook.Read(r, os.Getenv("WEBHOOK_SECRET"))
//		if err != nil {
//			http.Error(w, "not from the shop", http.StatusBadRequest)
//			return
//		}
//		if !seen(event.ID) { // the same event may come twice, with the same id
//			handle(event.Type, event.Data)
//		}
//		w.WriteHeader(http.StatusNoContent)
//	}
//
// Any answer of 2xx within ten seconds takes the event; any other has it sent again later. While a secret is being rotated each
// message has two signatures, one by either secret, so that a receiver changes from one to the other whenever it likes.
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The header fields of a message.
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
)

const (
	// SecretPrefix begins every secret; base64 of the key follows.
	SecretPrefix = "whsec_"
	// Tolerance is how far the time of a message may lie from the receiver's, either way.
	Tolerance = 5 * time.Minute
	// MaxBody is the longest body that [Read] takes, in bytes.
	MaxBody = 256 << 10

	minKey, maxKey = 24, 64 // bytes of a key
	maxSignatures  = 16     // signatures of a message that are looked at
)

// What is wrong with a message. They are told apart for the receiver's log; a sender should learn nothing but that it was refused.
var (
	ErrHeader    = errors.New("webhook: the header fields of a signed message are missing or not well-formed")
	ErrTime      = errors.New("webhook: the message is too old, or comes from the future")
	ErrSignature = errors.New("webhook: no signature is by a secret of this receiver")
	ErrSecret    = errors.New("webhook: a secret is whsec_ and 24 to 64 bytes in base64")
	ErrBody      = errors.New("webhook: the body is too long or no event")
)

// Event is what happened. ID is the same however often and to however many receivers the event is sent; keep it to recognise an event
// that comes again. Data is as the shop's documentation describes it for the type.
type Event struct {
	ID        string          `json:"-"`
	Type      string          `json:"type"`
	Timestamp time.Time       `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

// key reads a secret.
func key(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, SecretPrefix)
	k, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(k) < minKey || len(k) > maxKey {
		return nil, ErrSecret
	}
	return k, nil
}

// Secret spells a key of 24 to 64 bytes as a secret.
func Secret(k []byte) string { return SecretPrefix + base64.StdEncoding.EncodeToString(k) }

func sum(k []byte, id, timestamp string, body []byte) []byte {
	m := hmac.New(sha256.New, k)
	m.Write([]byte(id + "." + timestamp + "."))
	m.Write(body)
	return m.Sum(nil)
}

// Sign returns the header fields of a message: its id, its time and a signature by each secret, of which there must be one.
func Sign(id string, at time.Time, body []byte, secrets ...string) (http.Header, error) {
	if !wellFormed(id) {
		return nil, ErrHeader
	}
	if len(secrets) == 0 {
		return nil, ErrSecret
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		k, err := key(secret)
		if err != nil {
			return nil, err
		}
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(sum(k, id, timestamp, body))
	}
	h := http.Header{}
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, timestamp)
	h.Set(HeaderSignature, strings.Join(signatures, " "))
	return h, nil
}

// wellFormed reports whether an id is text that can stand in what is signed: it has no dot, which ends it there.
func wellFormed(id string) bool {
	if id == "" || len(id) > 256 {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' || r == '.' })
}

// Verify reports, by a nil error, that a message is signed by one of the secrets and not older or newer than [Tolerance] at now. body is the
// body as it came, byte for byte. A secret that is none is an error, even beside good ones: an empty one would make every message good.
func Verify(h http.Header, body []byte, now time.Time, secrets ...string) error {
	if len(secrets) == 0 {
		return ErrSecret
	}
	keys := make([][]byte, len(secrets))
	for i, secret := range secrets {
		k, err := key(secret)
		if err != nil {
			return err
		}
		keys[i] = k
	}
	id, timestamp, signatures := h.Get(HeaderID), h.Get(HeaderTimestamp), strings.Fields(h.Get(HeaderSignature))
	at, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || timestamp != strconv.FormatInt(at, 10) || !wellFormed(id) || len(signatures) == 0 || len(signatures) > maxSignatures {
		return ErrHeader
	}
	if apart := now.Unix() - at; apart > int64(Tolerance/time.Second) || apart < -int64(Tolerance/time.Second) {
		return ErrTime
	}
	good := false
	for _, k := range keys {
		want := sum(k, id, timestamp, body)
		for _, s := range signatures {
			text, ours := strings.CutPrefix(s, "v1,")
			got, err := base64.StdEncoding.Strict().DecodeString(text)
			good = ours && err == nil && hmac.Equal(got, want) || good
		}
	}
	if !good {
		return ErrSignature
	}
	return nil
}

// Read reads a request, verifies it against the secrets, of which there may be two while one is rotated, and returns its event.
func Read(r *http.Request, secrets ...string) (Event, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	if err != nil {
		return Event{}, fmt.Errorf("webhook: %w", err)
	}
	if len(body) > MaxBody {
		return Event{}, ErrBody
	}
	if err := Verify(r.Header, body, time.Now(), secrets...); err != nil {
		return Event{}, err
	}
	var e Event
	if err := json.Unmarshal(body, &e); err != nil || e.Type == "" {
		return Event{}, ErrBody
	}
	e.ID = r.Header.Get(HeaderID)
	return e, nil
}
