// Package telemetry is what the operator sees of a running process: structured logs that hold no secret, metrics for Prometheus with
// the alert rules beside them, and traces when a collector is configured.
package telemetry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strings"
)

// NewLogger writes JSON lines to w. Level is debug, info, warn or error. Values that look like credentials are replaced before they
// are written, whatever attribute they come in: see [Scrub].
func NewLogger(w io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l, ReplaceAttr: scrubAttr})
	return slog.New(scrubMessage{h}), nil
}

// scrubMessage also cleans the message, which ReplaceAttr sees only as a built-in.
type scrubMessage struct{ slog.Handler }

func (h scrubMessage) Handle(ctx context.Context, r slog.Record) error {
	r.Message = Scrub(r.Message)
	return h.Handler.Handle(ctx, r)
}

func (h scrubMessage) WithAttrs(attrs []slog.Attr) slog.Handler {
	return scrubMessage{h.Handler.WithAttrs(attrs)}
}

func (h scrubMessage) WithGroup(name string) slog.Handler {
	return scrubMessage{h.Handler.WithGroup(name)}
}

func scrubAttr(_ []string, a slog.Attr) slog.Attr {
	if slices.Contains([]string{"authorization", "cookie", "password", "secret", "token", "lease", "license_key", "api_key"}, strings.ToLower(a.Key)) {
		return slog.String(a.Key, hidden)
	}
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, Scrub(v.String()))
	case slog.KindAny:
		switch x := v.Any().(type) {
		case error:
			return slog.String(a.Key, Scrub(x.Error()))
		case fmt.Stringer:
			return slog.String(a.Key, Scrub(x.String()))
		case []byte:
			return slog.String(a.Key, hidden)
		case *slog.Source, nil:
		default:
			return scrubValue(a, x)
		}
	}
	return a
}

// scrubValue cleans a value of another type by its JSON form, which is what would be written.
func scrubValue(a slog.Attr, v any) slog.Attr {
	text, err := json.Marshal(v)
	if err != nil {
		return slog.String(a.Key, fmt.Sprintf("[%T]", v))
	}
	if clean := Scrub(string(text)); clean != string(text) {
		return slog.String(a.Key, clean)
	}
	return a
}

const hidden = "[hidden]"

// secretShapes match the credentials of this product and of those it talks to.
func secretShapes() *regexp.Regexp {
	return regexp.MustCompile(strings.Join([]string{
		`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`,         // signed tokens
		`\b[a-z]{2,12}_(live|test)_[0-9A-Za-z]{10}_[0-9A-Za-z]{20,}`,     // API keys
		`\b(mtk|ses)_[0-9A-Za-z]{16,}_[0-9A-Za-z]{16,}`,                  // machine tokens and sessions
		`\b[sr]k_(live|test)_[0-9A-Za-z]{8,}`, `\bwhsec_[0-9A-Za-z+/=]+`, // Stripe
		`\b[A-Z0-9]{2,12}(-[0-9A-HJKMNP-TV-Z]{5}){6}\b`,                              // license keys
		`(?i)\b(bearer|license|lease|basic)\s+[A-Za-z0-9._~+/=-]{16,}`,               // Authorization
		`(?i)\b(token|secret|password|api_key|access_token|license_key)=[^\s&"'#;]+`, // parameters of links
		`(?i)(postgres(ql)?|rediss?|smtps?)://[^\s/@]*:[^\s/@]+@`,                    // passwords in URLs
	}, "|"))
}

var shapes = secretShapes() //nolint:gochecknoglobals // compiled once

// Scrub replaces whatever looks like a credential.
func Scrub(s string) string {
	if len(s) < 12 {
		return s
	}
	return shapes.ReplaceAllString(s, hidden)
}
