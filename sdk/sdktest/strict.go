package sdktest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
)

// read reads a request as strictly as a Mintreu does: JSON by name, one object, no member that is unknown or comes twice. Else it refuses.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if media, _, e := mime.ParseMediaType(r.Header.Get("Content-Type")); len(body) > 0 && (e != nil || media != "application/json") {
		refuse(w, 415, "unsupported-media-type", "The body must be JSON.")
		return false
	}
	if len(body) == 0 || err != nil {
		refuse(w, 400, "body-missing", "This operation needs a JSON object as its body.")
		return false
	}
	if whole(body) != nil {
		refuse(w, 400, "malformed-json", "The body is not one object of strict JSON.")
		return false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if d.Decode(into) != nil {
		refuse(w, 400, "invalid-request", "The request is not right.")
		return false
	}
	return true
}

// whole reports whether a text is one JSON value whose objects have no member twice.
func whole(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if err := unique(d); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something is behind")
	}
	return nil
}

func unique(d *json.Decoder) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	if token != json.Delim('{') && token != json.Delim('[') {
		return nil
	}
	seen := map[any]bool{}
	for d.More() {
		if token == json.Delim('{') {
			name, err := d.Token()
			if err != nil || seen[name] {
				return errors.Join(err, errors.New("a member comes twice"))
			}
			seen[name] = true
		}
		if err := unique(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// digest and nonce are the shapes that a Mintreu takes.
var (
	digest = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	nonce  = regexp.MustCompile(`^[!-~]{0,128}$`)
)

// maxParts is how many components of a device are taken.
const maxParts = 8

// wellFormed refuses a device, a user, a name, a nonce or a version that no lease could carry.
func wellFormed(w http.ResponseWriter, r *sdk.ActivateRequest) bool {
	if r.Product == "" || r.Env != "" && r.Env != doc.EnvLive && r.Env != doc.EnvTest {
		refuse(w, 400, "invalid-request", "The request is not right.")
		return false
	}
	good := len(r.Device) <= maxParts && (r.User == "" || digest.MatchString(r.User)) && len(r.Name) <= 200 && utf8.ValidString(r.Name) &&
		nonce.MatchString(r.Nonce) && len(r.Version) <= 64
	for component, d := range r.Device {
		good = good && doc.ValidCode(component) && digest.MatchString(d)
	}
	if !good {
		refuse(w, 400, "activation-form", "The device is not described well.")
	}
	return good
}

// wellCounted refuses a batch of usage that breaks a rule of form.
func wellCounted(w http.ResponseWriter, r *sdk.UsageRequest) bool {
	good := r.Source != "" && r.Seq >= 1 && len(r.Rows) >= 1 && len(r.Rows) <= sdk.MaxUsageRows && len(r.Receipt) <= doc.MaxReceipt
	for i := range r.Rows {
		row := &r.Rows[i]
		good = good && sdk.UsageCode(row.Meter) && (row.Subject == "" || sdk.UsageCode(row.Subject)) && (row.Group == "" || sdk.UsageCode(row.Group)) &&
			row.At%sdk.UsageBucket == 0 && row.Events >= 1 && row.Events <= sdk.MaxUsageSum && row.Sum >= 0 && row.Sum <= sdk.MaxUsageSum && row.Max >= 0 && row.Max <= row.Sum
	}
	if !good {
		refuse(w, 400, "usage-form", "The batch cannot be counted.")
	}
	return good
}

// speaks reports whether a request comes with a credential of the scheme, and refuses one that does not: with none, or with one of another kind.
func speaks(w http.ResponseWriter, r *http.Request, scheme string) bool {
	is, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case is == scheme && text != "":
		return true
	case is == sdk.SchemeLicense || is == sdk.SchemeLease:
		refuse(w, 403, "forbidden", "Your credential does not permit this.")
		return false
	}
	refuse(w, 401, sdk.CodeUnauthorized, "This needs a valid credential in the Authorization header.")
	return false
}
