// Package sign is how people get in and out: signing up, confirming an address, signing in, resetting a password.
package sign

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

type operations struct {
	SignUp  kit.Op[account.SignUpRequest, account.SignUpResponse]             `op:"account.sign-up"`
	Confirm kit.Op[account.ConfirmRequest, account.ConfirmResponse]           `op:"account.confirm"`
	Reset   kit.Op[account.ResetRequest, account.ResetResponse]               `op:"account.reset"`
	Email   kit.Op[account.ConfirmEmailRequest, account.ConfirmEmailResponse] `op:"account.email-confirm"`
	Setup   kit.Op[account.SetupRequest, account.SetupResponse]               `op:"setup.owner"`
	SignIn  kit.Op[account.SignInRequest, account.SignInResponse]             `op:"session.create"`
	Verify  kit.Op[account.VerifyRequest, account.SignInResponse]             `op:"session.verify"`
	Freshen kit.Op[account.FreshenRequest, account.FreshenResponse]           `op:"session.freshen"`
	SignOut kit.Op[account.SignOutRequest, account.SignOutResponse]           `op:"session.end-current"`
}

type pages struct{ ops operations }

// Pages are the pages of signing in and up.
func Pages(s *site.Site) ([]site.Page, error) {
	p := &pages{}
	return []site.Page{
		{Name: "page.sign_up", Pattern: "GET /sign-up", Serve: p.signUp},
		{Name: "page.sign_up_send", Pattern: "POST /sign-up", Serve: p.signUp},
		{Name: "page.confirm", Pattern: "GET /confirm/{token}", Secret: true, Serve: p.confirm},
		{Name: "page.confirm_send", Pattern: "POST /confirm/{token}", Secret: true, Serve: p.confirm},
		{Name: "page.reset", Pattern: "GET /reset", Serve: p.reset},
		{Name: "page.reset_send", Pattern: "POST /reset", Serve: p.reset},
		{Name: "page.reset_password", Pattern: "GET /reset/{token}", Secret: true, Serve: p.confirm},
		{Name: "page.reset_password_send", Pattern: "POST /reset/{token}", Secret: true, Serve: p.confirm},
		{Name: "page.email", Pattern: "GET /email/{token}", Secret: true, Serve: p.email},
		{Name: "page.email_send", Pattern: "POST /email/{token}", Secret: true, Serve: p.email},
		{Name: "page.setup", Pattern: "GET /setup/{token}", Secret: true, Serve: p.setup},
		{Name: "page.setup_send", Pattern: "POST /setup/{token}", Secret: true, Serve: p.setup},
		{Name: "page.sign_in", Pattern: "GET /sign-in", Serve: p.signIn},
		{Name: "page.sign_in_send", Pattern: "POST /sign-in", Serve: p.signIn},
		{Name: "page.sign_in_code", Pattern: "POST /sign-in/code", Serve: p.code},
		{Name: "page.sign_in_again", Pattern: "GET /sign-in/again", Serve: p.again},
		{Name: "page.sign_in_again_send", Pattern: "POST /sign-in/again", Serve: p.again},
		{Name: "page.sign_out", Pattern: "POST /sign-out", Serve: p.signOut},
	}, kit.Fill(s.Routes, &p.ops)
}

// home is where a person lands after signing in.
func home(v *site.Visit) string {
	if v.Actor.Kind == licensing.Staff {
		return "/admin"
	}
	return "/account"
}

func (p *pages) signUp(v *site.Visit) error {
	f := v.Form()
	if !v.Posted() {
		return v.Show(signUpPage(v.Frame("Create an account"), f))
	}
	out, err := p.ops.SignUp.Call(v.Guest(), account.SignUpRequest{Email: f.Text("email"), Name: f.Text("name")})
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	if err != nil {
		return v.Show(signUpPage(v.Frame("Create an account"), f))
	}
	return v.Render(http.StatusOK, mailedPage(v.Frame("Look into your mailbox"), f.Text("email"), out.Message))
}

func (p *pages) confirm(v *site.Visit) error {
	f := v.Form()
	if !v.Posted() {
		return v.Show(confirmPage(v.Frame("Choose a password"), f))
	}
	if f.Get("password") != f.Get("repeat") {
		f.Wrong("repeat", "must be the same password again")
		return v.Show(confirmPage(v.Frame("Choose a password"), f))
	}
	_, err := p.ops.Confirm.Call(v.Guest(), account.ConfirmRequest{Token: v.Param("token"), Password: f.Get("password")})
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	if err != nil {
		return v.Show(confirmPage(v.Frame("Choose a password"), f))
	}
	v.Forget()
	return v.Go("/sign-in", "good", "Your password is set. Sign in with it.")
}

// reset mails a link that sets a new password. It says the same for every address.
func (p *pages) reset(v *site.Visit) error {
	f := v.Form()
	if !v.Posted() {
		return v.Show(resetPage(v.Frame("Forgot the password?"), f))
	}
	out, err := p.ops.Reset.Call(v.Guest(), account.ResetRequest{Email: f.Text("email")})
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	if err != nil {
		return v.Show(resetPage(v.Frame("Forgot the password?"), f))
	}
	return v.Render(http.StatusOK, mailedPage(v.Frame("Look into your mailbox"), f.Text("email"), out.Message))
}

// email confirms one of the two mailboxes of a change of address. The link alone changes nothing, so that a scanner of mails does not.
func (p *pages) email(v *site.Visit) error {
	f := v.Form()
	if !v.Posted() {
		return v.Show(emailPage(v.Frame("Confirm the new address"), f))
	}
	out, err := p.ops.Email.Call(v.Guest(), account.ConfirmEmailRequest{Token: v.Param("token")})
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	if err != nil {
		return v.Show(emailPage(v.Frame("Confirm the new address"), f))
	}
	if !out.Done {
		return v.Render(http.StatusOK, halfwayPage(v.Frame("One more link")))
	}
	v.Forget()
	return v.Go("/sign-in", "good", "Your address is changed. Sign in with the new one.")
}

// setup makes the first owner and signs them in.
func (p *pages) setup(v *site.Visit) error {
	f := v.Form()
	if !v.Posted() {
		return v.Show(setupPage(v.Frame("Make this shop yours"), f))
	}
	if f.Get("password") != f.Get("repeat") {
		f.Wrong("repeat", "must be the same password again")
		return v.Show(setupPage(v.Frame("Make this shop yours"), f))
	}
	r := account.SetupRequest{Token: v.Param("token"), Email: f.Text("email"), Name: f.Text("name"), Password: f.Get("password")}
	_, err := p.ops.Setup.Call(v.Guest(), r)
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	if err != nil {
		return v.Show(setupPage(v.Frame("Make this shop yours"), f))
	}
	in, err := p.ops.SignIn.Call(v.Guest(), account.SignInRequest{Email: r.Email, Password: r.Password})
	if err != nil {
		return v.Go("/sign-in", "good", "The shop is yours. Sign in to begin.")
	}
	if err := v.SignIn(in); err != nil {
		return err
	}
	return v.Go("/admin", "good", "The shop is yours. Next: import a catalogue, or make a product.")
}

func (p *pages) signIn(v *site.Visit) error {
	f := v.Form()
	if !v.Posted() {
		if v.Actor.Kind != licensing.Anonymous {
			return v.Go(site.Inside(v.Query("next"), home(v)), "", "")
		}
		f.Default("next", v.Query("next"))
		return v.Show(signInPage(v.Frame("Sign in"), f))
	}
	out, err := p.ops.SignIn.Call(v.Guest(), account.SignInRequest{Email: f.Text("email"), Password: f.Get("password"), Remember: f.Has("remember")})
	if told := kit.Public(err); told != nil {
		if told.Kind != licensing.Unauthorized && told.Kind != licensing.TooMany {
			return err
		}
		f.Problem = told.Text
		return v.Show(signInPage(v.Frame("Sign in"), f))
	}
	if out.Challenge != "" {
		asked := &ui.Form{Values: url.Values{"challenge": {out.Challenge}, "next": {f.Get("next")}}, Once: f.Once + "-code"}
		return v.Render(http.StatusOK, codePage(v.Frame("One more step"), asked))
	}
	return p.enter(v, out)
}

// enter makes the visitor the person of a session and leads to where they wanted to go.
func (p *pages) enter(v *site.Visit, in account.SignInResponse) error {
	if err := v.SignIn(in); err != nil {
		return err
	}
	return v.Go(site.Inside(v.Form().Get("next"), home(v)), "", "")
}

// code takes the one-time code of a sign-in whose password was right.
func (p *pages) code(v *site.Visit) error {
	f := v.Form()
	out, err := p.ops.Verify.Call(v.Guest(), account.VerifyRequest{Challenge: f.Get("challenge"), Code: strings.ReplaceAll(f.Text("code"), " ", "")})
	if told := kit.Public(err); told != nil {
		switch {
		case told.Kind == licensing.Gone:
			return v.Go("/sign-in?next="+url.QueryEscape(site.Inside(f.Get("next"), "/")), "wait", told.Text)
		case errors.Is(err, account.ErrCode), told.Kind == licensing.TooMany, told.Kind == licensing.Invalid:
			f.Problem = told.Text
			return v.Show(codePage(v.Frame("One more step"), f))
		}
		return err
	}
	return p.enter(v, out)
}

// again asks for the password once more before something sensitive, and leads back to it.
func (p *pages) again(v *site.Visit) error {
	f := v.Form()
	f.Default("next", v.Query("next"))
	if v.Actor.Kind == licensing.Anonymous {
		return v.Go("/sign-in", "", "")
	}
	if !v.Posted() {
		return v.Show(againPage(v.Frame("Confirm that it is you"), f))
	}
	_, err := p.ops.Freshen.Call(v.Ctx(), account.FreshenRequest{Password: f.Get("password"), Code: strings.ReplaceAll(f.Text("code"), " ", "")})
	if told := kit.Public(err); told != nil {
		if told.Kind != licensing.Unauthorized && told.Kind != licensing.Forbidden && told.Kind != licensing.TooMany {
			return err
		}
		f.Problem = told.Text
		return v.Show(againPage(v.Frame("Confirm that it is you"), f))
	}
	return v.Go(site.Inside(f.Get("next"), home(v)), "", "")
}

func (p *pages) signOut(v *site.Visit) error {
	if v.Actor.Kind != licensing.Anonymous {
		if _, err := p.ops.SignOut.Call(v.Ctx(), account.SignOutRequest{}); err != nil && licensing.KindOf(err) != licensing.NotFound {
			return err
		}
	}
	v.Forget()
	return v.Go("/", "good", "You are signed out.")
}
