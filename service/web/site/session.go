package site

import (
	"net/http"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
)

// The cookies. Over https their names have the prefix that binds them to this host.
const (
	sessionCookie = "mintreu-session"
	renewalCookie = "mintreu-renewal"
	flashCookie   = "mintreu-said"
)

func (s *Site) cookieName(name string) string {
	if s.secure {
		return "__Host-" + name
	}
	return name
}

// cookie makes a cookie of ours; zero until means until the browser is closed.
func (s *Site) cookie(name, value string, until time.Time) *http.Cookie {
	c := &http.Cookie{Name: s.cookieName(name), Value: value, Path: "/", Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if !until.IsZero() {
		c.Expires = until
	}
	return c
}

func (s *Site) gone(name string) *http.Cookie {
	c := s.cookie(name, "", time.Time{})
	c.MaxAge = -1
	return c
}

// cookieValue is the value of a cookie of ours, "" when there is none.
func (v *Visit) cookieValue(name string) string {
	c, err := v.R.Cookie(v.Site.cookieName(name))
	if err != nil {
		return ""
	}
	return c.Value
}

// maxCookie is the longest text of a session or renewal, in bytes.
const maxCookie = 200

// identify finds out who visits: by the session cookie, or by the one that renews it. A cookie that is good for nothing is removed,
// and the visitor is anonymous.
func (s *Site) identify(v *Visit) error {
	v.Actor = licensing.Actor{Kind: licensing.Anonymous}
	if token := v.cookieValue(sessionCookie); token != "" && len(token) <= maxCookie {
		actor, err := s.Auth.Authenticate(v.R.Context(), "Bearer", token)
		if err == nil && (actor.Kind == licensing.Customer || actor.Kind == licensing.Staff) {
			v.Actor = actor
			return nil
		}
		if err != nil && licensing.KindOf(err) != licensing.Unauthorized {
			return err
		}
		http.SetCookie(v.W, s.gone(sessionCookie))
	}
	renewal := v.cookieValue(renewalCookie)
	if renewal == "" || len(renewal) > maxCookie {
		return nil
	}
	out, err := s.ops.Renew.Call(v.Guest(), account.RenewRequest{Renewal: renewal})
	if kind := licensing.KindOf(err); err != nil && kind != licensing.Unauthorized && kind != licensing.Gone {
		return err
	}
	if err != nil {
		http.SetCookie(v.W, s.gone(renewalCookie))
		return nil
	}
	return v.SignIn(out)
}

// remembered is from which life on a renewal belongs to somebody who asked to be remembered. Its cookie outlives the browser; any other
// session's ends with it.
const remembered = 24 * time.Hour

// keep sets the cookies of a session.
func (v *Visit) keep(in account.SignInResponse) {
	http.SetCookie(v.W, v.Site.cookie(sessionCookie, in.Token, time.Time{}))
	if in.Renewal == "" {
		return
	}
	until := time.Time{}
	if at := in.RenewalExpiresAt; at != nil && at.Sub(v.Site.Clock.Now()) > remembered {
		until = *at
	}
	http.SetCookie(v.W, v.Site.cookie(renewalCookie, in.Renewal, until))
}

// SignIn makes the visitor the person of a session that was just started.
func (v *Visit) SignIn(in account.SignInResponse) error {
	actor, err := v.Site.Auth.Authenticate(v.R.Context(), "Bearer", in.Token)
	if err != nil {
		return err
	}
	v.Actor = actor
	v.keep(in)
	return nil
}

// Forget removes the visitor's cookies; over https the browser is asked to forget what it kept of the pages as well.
func (v *Visit) Forget() {
	http.SetCookie(v.W, v.Site.gone(sessionCookie))
	http.SetCookie(v.W, v.Site.gone(renewalCookie))
	v.W.Header().Set("Clear-Site-Data", `"cache"`)
	v.Actor = licensing.Actor{Kind: licensing.Anonymous}
}
