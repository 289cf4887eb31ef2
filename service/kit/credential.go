package kit

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mintreu/mintreu/licensing"
)

// errStray refuses who asks by forward authentication from a network that may not.
var errStray = licensing.Fail(licensing.Forbidden, "authorize-from", "Whether a key is good is told to proxies in configured networks only.")

// maxCredential is the longest credential in bytes: a license token or lease with room to spare.
const maxCredential = 12 << 10

// schemes are the Authorization schemes, by their lower-case spelling.
var schemes = map[string]string{"bearer": "Bearer", "license": "License", "lease": "Lease"}

// authenticate returns the actor of r: the one its connection already stands for (a unix socket), the one of its Authorization
// header, or the anonymous one. Cookies are not looked at.
func (b *bound) authenticate(ctx context.Context, r *http.Request) (licensing.Actor, error) {
	if o, _ := ctx.Value(originKey{}).(origin); o.stray {
		return licensing.Actor{}, errStray
	}
	if smuggled(r.URL) {
		return licensing.Actor{}, errUnauthorized.Because(errors.New("a credential in the query string"))
	}
	if actor := licensing.ActorFrom(ctx); actor.Kind != "" {
		return actor, nil
	}
	headers := r.Header["Authorization"]
	if len(headers) == 0 {
		return licensing.Actor{Kind: licensing.Anonymous}, nil
	}
	scheme, credential, ok := strings.Cut(headers[0], " ")
	scheme, known := schemes[strings.ToLower(scheme)]
	if len(headers) > 1 || !ok || !known || !wellFormed(credential) {
		return licensing.Actor{}, errUnauthorized.Because(errors.New("a malformed Authorization header"))
	}
	actor, err := b.stack.Auth.Authenticate(ctx, scheme, credential)
	if err == nil && actor.Kind != "" && actor.Kind != licensing.System && actor.Kind != licensing.CLI {
		return actor, nil
	}
	if err == nil {
		return licensing.Actor{}, errUnauthorized.Because(errors.New("the authenticator returned nobody"))
	}
	if licensing.KindOf(err) == licensing.Unauthorized {
		return licensing.Actor{}, errUnauthorized.Because(err)
	}
	return licensing.Actor{}, err
}

// wellFormed reports whether s can be a credential: visible ASCII of a sane length. License keys may be typed with spaces.
func wellFormed(s string) bool {
	if s == "" || len(s) > maxCredential {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// credentialShape matches what credentials of ours look like: prefixed keys and tokens with a long secret, sessions and their renewals,
// compact JWS, and license keys.
var credentialShape = regexp.MustCompile(`^(?:[a-z0-9]{2,12}_(?:live|test)_[0-9A-Za-z_]{16,}|mt[sn]_[0-9A-Za-z_-]{20,}|eyJ[\w-]+\.[\w-]+\.[\w-]*|[A-Z0-9]{2,12}(?:-[0-9A-Za-z]{5}){6})$`)

// credentialNames are query parameters that people use to pass credentials.
var credentialNames = []string{"access_token", "api_key", "apikey", "authorization", "bearer", "license_key", "password", "secret", "session"}

// smuggled reports whether the query string carries what looks like a credential, which would end up in logs along the way.
func smuggled(u *url.URL) bool {
	if u.RawQuery == "" {
		return false
	}
	for pair := range strings.FieldsFuncSeq(u.RawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		name, value, _ := strings.Cut(pair, "=")
		name, value = unescape(name), unescape(value)
		if slices.Contains(credentialNames, strings.ToLower(name)) || credentialLike(name) || credentialLike(value) {
			return true
		}
	}
	return false
}

// credentialLike reports whether s looks like a credential, alone or behind the name of its scheme.
func credentialLike(s string) bool {
	s = strings.TrimSpace(s)
	if scheme, credential, ok := strings.Cut(s, " "); ok && schemes[strings.ToLower(scheme)] != "" {
		s = strings.TrimSpace(credential)
	}
	return credentialShape.MatchString(s)
}

func unescape(s string) string {
	if out, err := url.QueryUnescape(s); err == nil {
		return out
	}
	return s
}

// challenge is the WWW-Authenticate of an operation: the schemes that would do.
func (a Allow) challenge() string {
	var out []string
	if a.Customer || len(a.Staff) > 0 || a.Machine != "" || a.APIKey != "" || a.Anonymous {
		out = append(out, `Bearer realm="mintreu"`)
	}
	if a.Holder {
		out = append(out, `License realm="mintreu"`)
	}
	if a.Device {
		out = append(out, `Lease realm="mintreu"`)
	}
	return strings.Join(out, ", ")
}

// clientIP is the caller's address. X-Forwarded-For counts only as far as trusted proxies wrote it: the rightmost
// address that is not one of theirs.
func clientIP(r *http.Request, trusted []netip.Prefix) netip.Addr {
	addr, _ := asked(r, trusted, nil)
	return addr
}

// asked is the caller's address for an operation that forwarders may call, and whether one of them asks: it is among those, trusted
// proxies and forwarders without a gap, through whom the request came.
func asked(r *http.Request, trusted, forwarders []netip.Prefix) (addr netip.Addr, forwarded bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	addr = peer.Addr().Unmap()
	var hops []string
	for i := -1; ; i-- {
		mine := among(addr, forwarders)
		forwarded = forwarded || mine
		if !mine && !among(addr, trusted) {
			return addr, forwarded
		}
		if hops == nil {
			hops = strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
		}
		if len(hops)+i < 0 {
			return addr, forwarded
		}
		hop, ok := hopOf(hops[len(hops)+i])
		if !ok {
			return addr, forwarded
		}
		addr = hop.Unmap()
	}
}

// hopOf reads one address of X-Forwarded-For. Some proxies write the port behind it, and brackets around one of IPv6.
func hopOf(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr, true
	}
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr(), true
	}
	inner, opened := strings.CutPrefix(text, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	addr, err := netip.ParseAddr(inner)
	return addr, opened && closed && err == nil && addr.Is6()
}

func among(addr netip.Addr, prefixes []netip.Prefix) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Actor is who calls a raw handler: the one its connection stands for, the one of its Authorization header, or the anonymous one.
// The error is fit for [WriteError]. Whom to let in is the handler's to say, with [Allow.Permits]; [Refusal] words its no.
func (s Stack) Actor(r *http.Request) (licensing.Actor, error) {
	ctx := r.Context()
	if licensing.ActorFrom(ctx).Kind == licensing.Anonymous { // what the mux starts a raw handler with
		ctx = licensing.WithCall(ctx, &licensing.Call{})
	}
	actor, err := (&bound{stack: s}).authenticate(ctx, r)
	if err == nil && actor.ReadOnly { // what a raw handler hands out is the customer's own
		return licensing.Actor{}, errReadOnly
	}
	return actor, err
}

// Refusal is the answer to an actor who may not call: 401 to the anonymous, 403 to everybody else.
func Refusal(a licensing.Actor) error {
	if a.Kind == licensing.Anonymous {
		return errUnauthorized
	}
	if a.Unenrolled {
		return errTOTP
	}
	return errForbidden
}
