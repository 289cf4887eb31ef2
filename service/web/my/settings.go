package my

import (
	"net/http"
	"strings"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// personal are what the settings of an account call.
type personal struct {
	Me       kit.Op[account.MeRequest, account.MeResponse]                            `op:"account.me"`
	Profile  kit.Op[account.ProfileRequest, account.Profile]                          `op:"account.profile"`
	Email    kit.Op[account.EmailRequest, account.ResetResponse]                      `op:"account.email"`
	Password kit.Op[account.PasswordRequest, account.PasswordResponse]                `op:"account.password"`
	Sessions kit.Op[account.ListSessionsRequest, licensing.List[account.SessionView]] `op:"session.list"`
	End      kit.Op[account.EndSessionRequest, account.SignOutResponse]               `op:"session.end"`
	Others   kit.Op[account.EndOthersRequest, account.EndOthersResponse]              `op:"session.end-others"`
	Start    kit.Op[account.StartTOTPRequest, account.StartTOTPResponse]              `op:"account.totp-start"`
	Confirm  kit.Op[account.CodeRequest, account.ConfirmTOTPResponse]                 `op:"account.totp-confirm"`
	Remove   kit.Op[account.CodeRequest, account.RemoveTOTPResponse]                  `op:"account.totp-remove"`
	Export   kit.Op[account.ExportRequest, account.Export]                            `op:"account.export"`
	Erase    kit.Op[account.EraseRequest, account.EraseResponse]                      `op:"account.erase"`
}

// settings are the pages of a person's own account, for customers and, in the console, for staff.
type settings struct {
	ops  personal
	base string // address of the first page
}

// Settings are those pages, for customers and for staff.
func Settings(s *site.Site) (out []site.Page, err error) {
	var ops personal
	if err := kit.Fill(s.Routes, &ops); err != nil {
		return nil, err
	}
	for _, whose := range []struct {
		base, name string
		audience   site.Audience
	}{{"/account/settings", "my", site.Customers}, {"/admin/settings", "staff", site.Staff}} {
		p := &settings{ops, whose.base}
		if whose.audience == site.Customers {
			out = append(out, p.personal()...)
		}
		for _, page := range []struct {
			name, path string
			ask        bool // there is a page to see as well
			serve      func(*site.Visit) error
		}{{"name", "/name", true, p.name}, {"email", "/email", true, p.email}, {"password", "/password", true, p.password}, {"two_step", "/two-step", true, p.twoStep},
			{"two_step_code", "/two-step/code", false, p.firstCode}, {"two_step_off", "/two-step/off", true, p.twoStepOff},
			{"session_end", "/sessions/{id}/end", false, p.end}, {"sessions_end", "/sessions/others", false, p.others}} {
			name := "page." + whose.name + "_settings_" + page.name
			if page.ask {
				out = append(out, site.Page{Name: name, Pattern: "GET " + whose.base + page.path, For: whose.audience, Serve: page.serve})
			}
			out = append(out, site.Page{Name: name + "_send", Pattern: "POST " + whose.base + page.path, For: whose.audience, Serve: page.serve})
		}
		out = append(out, site.Page{Name: "page." + whose.name + "_settings", Pattern: "GET " + whose.base, For: whose.audience, Serve: p.all})
	}
	return out, nil
}

// frame is that of a page below the first.
func (p *settings) frame(v *site.Visit, title string) ui.Frame {
	return v.Frame(title, ui.Link{Href: p.base, Name: "Settings"})
}

// refuse takes what an operation said against the form; a wrong password or code belongs to its field.
func refuse(f *ui.Form, err error, names map[string]string, secret string) error {
	if told := kit.Public(err); told != nil && (told.Code == account.ErrPassword.Code || told.Code == account.ErrCode.Code) {
		f.Wrong(secret, told.Text)
		return nil
	}
	return f.Refuse(err, names)
}

func (p *settings) all(v *site.Visit) error {
	me, err := p.ops.Me.Call(v.Ctx(), account.MeRequest{})
	if err != nil {
		return err
	}
	sessions, err := p.ops.Sessions.Call(v.Ctx(), account.ListSessionsRequest{})
	if err != nil {
		return err
	}
	return v.Show(settingsPage(v.Frame("Settings"), v.Form(), p.base, &me, sessions.Items))
}

func (p *settings) name(v *site.Visit) error {
	f := v.Form()
	if v.Posted() {
		_, err := p.ops.Profile.Call(v.Ctx(), account.ProfileRequest{Name: f.Text("name")})
		if err == nil {
			return v.Go(p.base, "good", "Your name is changed.")
		}
		if err := f.Refuse(err, nil); err != nil {
			return err
		}
	} else {
		me, err := p.ops.Me.Call(v.Ctx(), account.MeRequest{})
		if err != nil {
			return err
		}
		f.Default("name", me.Name)
	}
	return v.Show(namePage(p.frame(v, "Change your name"), f, p.base))
}

func (p *settings) email(v *site.Visit) error {
	f := v.Form()
	if v.Posted() {
		out, err := p.ops.Email.Call(v.Ctx(), account.EmailRequest{Email: f.Text("email"), Password: f.Get("password")})
		if err == nil {
			return v.Go(p.base, "good", out.Message)
		}
		if err := refuse(f, err, nil, "password"); err != nil {
			return err
		}
	}
	return v.Show(emailPage(p.frame(v, "Change your e-mail address"), f, p.base))
}

func (p *settings) password(v *site.Visit) error {
	f := v.Form()
	if v.Posted() && f.Get("password") != f.Get("repeat") {
		f.Wrong("repeat", "must be the same password again")
	} else if v.Posted() {
		_, err := p.ops.Password.Call(v.Ctx(), account.PasswordRequest{Current: f.Get("current"), Password: f.Get("password")})
		if err == nil {
			return v.Go(p.base, "good", "Your password is changed, and every other session is ended.")
		}
		if err := refuse(f, err, nil, "current"); err != nil {
			return err
		}
	}
	return v.Show(passwordPage(p.frame(v, "Change your password"), f, p.base))
}

// twoStep tells of one-time codes and, asked to begin, shows the secret for the authenticator.
func (p *settings) twoStep(v *site.Visit) error {
	f := v.Form()
	if v.Posted() {
		out, err := p.ops.Start.Call(v.Ctx(), account.StartTOTPRequest{})
		switch {
		case err == nil && out.Secret == "":
			return v.Go(p.base+"/two-step", "wait", "That took too long. Begin again.")
		case err == nil:
			f.Values.Set("secret", out.Secret)
			f.Values.Set("uri", out.URI)
			return v.Render(http.StatusOK, enrolPage(p.frame(v, "Scan this code"), &ui.Form{Values: f.Values, Once: f.Once}, p.base))
		}
		if err := f.Refuse(err, nil); err != nil {
			return err
		}
	}
	me, err := p.ops.Me.Call(v.Ctx(), account.MeRequest{})
	if err != nil {
		return err
	}
	return v.Show(twoStepPage(p.frame(v, "Two-step sign-in"), f, p.base, &me))
}

// firstCode turns one-time codes on with the first of them, and shows the recovery codes once.
func (p *settings) firstCode(v *site.Visit) error {
	f := v.Form()
	out, err := p.ops.Confirm.Call(v.Ctx(), account.CodeRequest{Code: code(f)})
	if err == nil && len(out.RecoveryCodes) == 0 {
		return v.Go(p.base, "", "")
	}
	if err == nil {
		return v.Render(http.StatusOK, recoveryPage(p.frame(v, "Your recovery codes"), p.base, out.RecoveryCodes))
	}
	if err := refuse(f, err, nil, "code"); err != nil {
		return err
	}
	if uri := f.Get("uri"); !strings.HasPrefix(uri, "otpauth://totp/") || len(uri) > 600 {
		return v.Go(p.base+"/two-step", "wait", "That did not work. Begin again.")
	}
	return v.Show(enrolPage(p.frame(v, "Scan this code"), f, p.base))
}

func (p *settings) twoStepOff(v *site.Visit) error {
	if err := v.Ready(p.ops.Remove.Spec()); err != nil {
		return err
	}
	f := v.Form()
	if v.Posted() {
		_, err := p.ops.Remove.Call(v.Ctx(), account.CodeRequest{Code: code(f)})
		if err == nil {
			return v.Go(p.base, "good", "Signing in asks for no code any more.")
		}
		if err := refuse(f, err, nil, "code"); err != nil {
			return err
		}
	}
	return v.Show(twoStepOffPage(p.frame(v, "Turn two-step sign-in off"), f, p.base))
}

// code is a code as it was typed, without the spaces that people put in between.
func code(f *ui.Form) string { return strings.ReplaceAll(f.Text("code"), " ", "") }

func (p *settings) end(v *site.Visit) error {
	if _, err := p.ops.End.Call(v.Ctx(), account.EndSessionRequest{ID: v.Param("id")}); err != nil {
		return err
	}
	return v.Go(p.base, "good", "The session is ended.")
}

func (p *settings) others(v *site.Visit) error {
	if _, err := p.ops.Others.Call(v.Ctx(), account.EndOthersRequest{Confirm: "others"}); err != nil {
		return err
	}
	return v.Go(p.base, "good", "Every other session is ended.")
}

// browser is what a session was signed in with.
func browser(s *account.SessionView) string {
	if s.Browser != "" {
		return s.Browser
	}
	return "An unknown browser or program"
}
