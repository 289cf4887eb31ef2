package admin

import (
	"errors"
	"io"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// rootOps are the operations by which two owners move the root offline or add another.
type rootOps struct {
	Add     kit.Op[keyring.AddRootRequest, keyring.RootChange] `op:"root.add"`
	Propose kit.Op[keyring.ProposeRequest, keyring.ExportView] `op:"root_export.propose"`
	Take    kit.Op[keyring.TakeRequest, keyring.RootTaken]     `op:"root_export.take"`
	Confirm kit.Op[keyring.ConfirmRequest, keyring.ExportView] `op:"root_export.confirm"`
}

func (p *pages) rootPages() []site.Page {
	out := append(both("root_propose", "/admin/root-exports/new", p.proposeRoot), both("root_take", "/admin/root-exports/{id}/take", p.takeRoot)...)
	out = append(out, both("root_add", "/admin/root-exports/add", p.addRoot)...)
	return append(out, both("root_confirm", "/admin/root-exports/{id}/confirm", p.confirmRoot)...)
}

// signingKeys is where the pages of roots lead back to.
func signingKeys() ui.Link { return ui.Link{Href: "/admin/signing-keys", Name: "Signing keys"} }

// proposeRoot proposes to move the root offline; another owner approves.
func (p *pages) proposeRoot(v *site.Visit) error {
	f := v.Form()
	if err := v.Ready(p.roots.Propose.Spec()); err != nil {
		return err
	}
	if v.Posted() {
		_, err := p.roots.Propose.Call(v.Ctx(), keyring.ProposeRequest{Reason: f.Text("reason")})
		if err == nil {
			return v.Go(signingKeys().Href, "good", "Proposed. Another owner approves it here; then you take the file.")
		}
		if other := f.Refuse(err, nil); other != nil {
			return other
		}
	}
	return v.Show(proposeRootPage(v.Frame("Move the root offline", signingKeys()), f))
}

// addRoot proposes another root that products are to trust; another owner approves.
func (p *pages) addRoot(v *site.Visit) error {
	f := v.Form()
	if err := v.Ready(p.roots.Add.Spec()); err != nil {
		return err
	}
	if v.Posted() {
		_, err := p.roots.Add.Call(v.Ctx(), keyring.AddRootRequest{Root: f.Text("root"), Reason: f.Text("reason")})
		if err == nil {
			return v.Go(signingKeys().Href, "good", "Proposed. Nothing has changed: another owner approves it here, and then products trust it.")
		}
		if other := f.Refuse(err, nil); other != nil {
			return other
		}
	}
	return v.Show(addRootPage(v.Frame("Add a root", signingKeys()), f))
}

// rootDecided says what somebody who approves or withdraws it decides on.
func (p *pages) rootDecided(v *site.Visit, _ string) (string, error) {
	e, err := p.rootExport(v)
	switch {
	case errors.Is(err, licensing.ErrNotFound):
		return "", nil // what is sent says it
	case err != nil:
		return "", err
	case e.Adds != "":
		return "Proposed by " + who(e.ProposedBy) + ": the root " + e.Adds + " is added. “" + e.Reason + "”", nil
	}
	return "Proposed by " + who(e.ProposedBy) + ": the root " + e.KID + " goes offline. “" + e.Reason + "”", nil
}

// rootExport finds an export by the page's address.
func (p *pages) rootExport(v *site.Visit) (keyring.ExportView, error) {
	list, err := p.ops.RootExports.Call(v.Ctx(), keyring.ExportsRequest{})
	for _, e := range list.Items {
		if e.ID == v.Param("id") {
			return e, err
		}
	}
	if err == nil {
		err = licensing.ErrNotFound
	}
	return keyring.ExportView{}, err
}

// takeRoot gives the encrypted root to who proposed the export, in the answer to the form: no address holds it.
func (p *pages) takeRoot(v *site.Visit) error {
	f := v.Form()
	if err := v.Ready(p.roots.Take.Spec()); err != nil {
		return err
	}
	e, err := p.rootExport(v)
	if err != nil {
		return err
	}
	frame := v.Frame("Take the root", signingKeys())
	if !v.Posted() {
		return v.Show(takeRootPage(frame, f, e))
	}
	if f.Get("passphrase") != f.Get("again") {
		f.Wrong("again", "is not the same")
		return v.Show(takeRootPage(frame, f, e))
	}
	out, err := p.roots.Take.Call(v.Ctx(), keyring.TakeRequest{ID: e.ID, Passphrase: f.Get("passphrase")})
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	if err != nil {
		return v.Show(takeRootPage(frame, f, e))
	}
	return v.Show(rootTakenPage(frame, out))
}

// maxRootFile is the largest file of a root that is read.
const maxRootFile = 32 << 10

// confirmRoot takes the file back, as it was stored, and then the root is offline.
func (p *pages) confirmRoot(v *site.Visit) error {
	f := v.Form()
	if err := v.Ready(p.roots.Confirm.Spec()); err != nil {
		return err
	}
	e, err := p.rootExport(v)
	if err != nil {
		return err
	}
	if v.Posted() {
		text := f.Get("file")
		content, _, err := v.File("stored")
		if err != nil {
			return err
		}
		if content != nil {
			read, err := io.ReadAll(io.LimitReader(content, maxRootFile))
			_ = content.Close()
			if err != nil {
				return err
			}
			text = string(read)
		}
		_, err = p.roots.Confirm.Call(v.Ctx(), keyring.ConfirmRequest{ID: e.ID, File: text, Passphrase: f.Get("passphrase")})
		if err == nil {
			return v.Go(signingKeys().Href, "good", "The root is offline. Keep its file and its passphrase in two places.")
		}
		if other := f.Refuse(err, nil); other != nil {
			return other
		}
	}
	return v.Show(confirmRootPage(v.Frame("Confirm that the root is stored", signingKeys()), f, e))
}
