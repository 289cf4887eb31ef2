package doc

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// OfflineRequestLife is how long a request of a machine without a network may
// be answered, in seconds.
const OfflineRequestLife = 30 * 24 * 3600

const (
	requestPrefix = "MREQ1."
	returnPrefix  = "MREL1."
)

// OfflineRequest asks, on behalf of a machine without a network, for a license
// file with a lease. It is a text that a person carries to the vendor; it is not
// signed, for it grants nothing.
type OfflineRequest struct {
	Key     string            `json:"key"` // see KeyDigest
	Product string            `json:"product"`
	Device  map[string]string `json:"dev"`           // component to digest
	User    string            `json:"usr,omitempty"` // digest
	Nonce   string            `json:"nonce"`         // random; the lease carries it back
	At      int64             `json:"at"`            // when it was made, by the machine's clock
	SDK     string            `json:"sdk"`           // what made it
}

// OfflineReturn says that a machine without a network has forgotten its lease,
// so that its seat is free before the lease ends. Its MAC is keyed with the
// lease's text, which only the machine and the issuer have kept.
type OfflineReturn struct {
	Activation string `json:"act"`
	Seq        int64  `json:"seq"`
	Nonce      string `json:"nonce"`
	MAC        string `json:"mac"`
}

var (
	requestNames = []string{"key", "product", "dev", "usr", "nonce", "at", "sdk"}
	returnNames  = []string{"act", "seq", "nonce", "mac"}
)

// KeyDigest is the digest of a license key in an OfflineRequest: that of a
// device's component named "license", whose value is the key's one spelling.
func KeyDigest(product, key string) string {
	if normal, ok := NormalizeLicenseKey(key); ok {
		key = normal
	}
	return DeviceDigest(product, "license", key)
}

// EncodeOfflineRequest returns the text of a request. What DecodeOfflineRequest
// would refuse is an error.
func EncodeOfflineRequest(r OfflineRequest) (string, error) {
	text, err := pack(requestPrefix, r)
	if err == nil {
		_, err = DecodeOfflineRequest(text)
	}
	return text, err
}

// DecodeOfflineRequest reads the text of a request. White space anywhere in it
// is skipped, for it travels by mail and by hand.
func DecodeOfflineRequest(text string) (OfflineRequest, error) {
	var r OfflineRequest
	raw, err := unpack(requestPrefix, text)
	if err != nil {
		return r, err
	}
	var p scanner
	p.text(raw)
	var o object
	p.open(&o)
	for p.next(&o) {
		switch o.name {
		case "key":
			r.Key = p.ident()
		case "product":
			r.Product = p.ident()
		case "dev":
			r.Device = p.digests()
		case "usr":
			r.User = p.ident()
		case "nonce":
			r.Nonce = p.ident()
		case "at":
			r.At = p.time()
		case "sdk":
			r.SDK = p.ident()
		default:
			p.skipUnknown(&o, requestNames)
		}
	}
	p.need("key missing", r.Key != "")
	p.need("product missing", r.Product != "")
	p.need("dev missing", r.Device != nil)
	p.need("nonce missing", len(r.Nonce) >= 16 && len(r.Nonce) <= 128)
	p.need("at missing", r.At != 0)
	if err := p.finish(nil, nil); err != nil {
		return OfflineRequest{}, err
	}
	return r, nil
}

// NewOfflineReturn makes the return of a lease, given as its text.
func NewOfflineReturn(l *Lease, text string) (string, error) {
	r := OfflineReturn{Activation: l.Activation, Seq: l.Seq, Nonce: l.Nonce}
	r.MAC = r.mac(text)
	out, err := pack(returnPrefix, r)
	if err == nil {
		_, err = DecodeOfflineReturn(out)
	}
	return out, err
}

// DecodeOfflineReturn reads the text of a return, skipping white space. Whether
// it is genuine is for Proves to say.
func DecodeOfflineReturn(text string) (OfflineReturn, error) {
	var r OfflineReturn
	raw, err := unpack(returnPrefix, text)
	if err != nil {
		return r, err
	}
	var p scanner
	p.text(raw)
	var o object
	p.open(&o)
	for p.next(&o) {
		switch o.name {
		case "act":
			r.Activation = p.ident()
		case "seq":
			r.Seq = p.count()
		case "nonce":
			r.Nonce = p.ident()
		case "mac":
			r.MAC = p.ident()
		default:
			p.skipUnknown(&o, returnNames)
		}
	}
	p.need("act missing", r.Activation != "")
	p.need("seq missing", r.Seq > 0)
	p.need("nonce missing", r.Nonce != "")
	p.need("mac missing", r.MAC != "")
	if err := p.finish(nil, nil); err != nil {
		return OfflineReturn{}, err
	}
	return r, nil
}

// Proves reports whether the return was made by somebody who has the text of
// the lease that it gives back.
func (r *OfflineReturn) Proves(lease string) bool {
	return hmac.Equal([]byte(r.MAC), []byte(r.mac(lease)))
}

func (r *OfflineReturn) mac(lease string) string {
	key := sha256.Sum256([]byte(lease))
	m := hmac.New(sha256.New, key[:])
	m.Write([]byte(returnPrefix + r.Activation + "." + strconv.FormatInt(r.Seq, 10) + "." + r.Nonce))
	return b64.EncodeToString(m.Sum(nil))
}

func pack(prefix string, v any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return prefix + b64.EncodeToString(raw), nil
}

var spaces = strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "")

// unpack returns the JSON behind a prefix.
func unpack(prefix, text string) (string, error) {
	if len(text) > 2*MaxActivationRequest { // room for white space
		return "", ErrTooLong
	}
	if text = spaces.Replace(text); len(text) > MaxActivationRequest {
		return "", ErrTooLong
	}
	body, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return "", fmt.Errorf("%w: it does not begin with %s", ErrMalformed, prefix)
	}
	raw, ok := decode64(body)
	if !ok {
		return "", fmt.Errorf("%w: not base64url", ErrMalformed)
	}
	return string(raw), nil
}
