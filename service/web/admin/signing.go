package admin

import (
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) signingPages() []site.Page {
	back := func(string) ui.Link { return ui.Link{Href: "/admin/signing-keys", Name: "Signing keys"} }
	export := func(id, _ string) keyring.ExportRequest { return keyring.ExportRequest{ID: id} }
	return append([]site.Page{get("signing", "/admin/signing-keys", p.signing)}, p.asked(
		action{name: "signing_rotate", path: "/admin/signing-keys/rotate", spec: p.ops.RotateSigning.Spec(), back: back, calm: true, reason: true,
			title: "Rotate the signing key", button: "Let the next key sign", done: "The next key signs from now on.",
			what: "The key that stands by signs from now on, and the private part of the present one is deleted. What it signed stays good, and no product needs an update.",
			do: plain(func() op[keyring.RotateRequest, keyring.Rotated] { return p.ops.RotateSigning }, func(_, reason string) keyring.RotateRequest {
				return keyring.RotateRequest{Reason: reason}
			})},
		action{name: "signing_compromise", path: "/admin/signing-keys/{id}/compromise", spec: p.ops.Compromise.Spec(), back: back, reason: true,
			title: "Revoke the signing key", button: "Revoke it for good", done: "The key is revoked. What it signed is being signed again.",
			what: "For a key that somebody else may have. This cannot be undone. Products refuse whatever it signed as soon as they see the new keyset, the next key signs, and every license that is still good is signed again, once.",
			do: plain(func() op[keyring.CompromiseRequest, keyring.Resigning] { return p.ops.Compromise }, func(id, reason string) keyring.CompromiseRequest {
				return keyring.CompromiseRequest{KID: id, Reason: reason}
			})},
		action{name: "root_approve", path: "/admin/root-exports/{id}/approve", spec: p.ops.ApproveExport.Spec(), back: back, silent: true, told: p.rootDecided,
			title: "Approve what is to happen to the root", button: "Approve", done: "Approved. Whoever proposed that the root goes offline can take the encrypted file for a day; a root that was to be added is added.",
			what: "If the root is to go offline, whoever proposed it then takes it in an encrypted file; once the file was read back, the copy in this installation is deleted. If another root is to be added, products trust it at once, and whoever has its private part can make them trust any signing key. Approve only what you spoke about.",
			do:   plain(func() op[keyring.ExportRequest, keyring.ExportView] { return p.ops.ApproveExport }, export)},
		action{name: "root_withdraw", path: "/admin/root-exports/{id}/withdraw", spec: p.ops.WithdrawExport.Spec(), back: back, silent: true, calm: true, told: p.rootDecided,
			title: "Withdraw what is to happen to the root", button: "Withdraw it", done: "Withdrawn. The root stays where it is, and none is added.",
			what: "The root stays in this installation, and no other is added. A file that was taken already still holds it: destroy it.",
			do:   plain(func() op[keyring.ExportRequest, keyring.ExportView] { return p.ops.WithdrawExport }, export)})...)
}

// signingView is everything about signing keys.
type signingView struct {
	keyring.Listing
	work    []keyring.Resigning
	exports []keyring.ExportView
	online  bool
	standby int
	change  bool // the visitor may rotate and revoke
	decide  bool // the visitor may approve exports
}

func (p *pages) signing(v *site.Visit) error {
	list, err := p.ops.SigningKeys.Call(v.Ctx(), keyring.ListRequest{})
	if err != nil {
		return err
	}
	work, err := p.ops.Resignings.Call(v.Ctx(), keyring.ResigningsRequest{})
	if err != nil {
		return err
	}
	exports, err := p.ops.RootExports.Call(v.Ctx(), keyring.ExportsRequest{})
	if err != nil {
		return err
	}
	s := signingView{Listing: list, work: work.Items, exports: exports.Items, change: may(v, p.ops.Compromise.Spec()), decide: may(v, p.ops.ApproveExport.Spec())}
	for _, k := range list.Keys {
		switch {
		case k.Role == "root" && k.State == "active":
			s.online = k.Online
		case k.Role == "signing" && k.State == "standby":
			s.standby++
		}
	}
	return v.Show(signingPage(v.Frame("Signing keys"), s))
}

// rootState says where the root is.
func rootState(s signingView) string {
	text := "Root offline: it signs keysets elsewhere, in a ceremony."
	if s.online {
		text = "Root online: its private part is sealed in this installation. Two owners move it offline here, or one at the machine with “mintreu keyring root export”."
	}
	return text + " " + ui.Plural(int64(s.standby), "key stands", "keys stand") + " by for planned rotation."
}

// revocable reports whether a key can be revoked here.
func revocable(s signingView, k keyring.Entry) bool {
	return s.change && s.online && k.Role == "signing" && k.State != "revoked"
}

// resigned says how far the signing again is.
func resigned(w keyring.Resigning) string {
	switch {
	case w.FinishedAt != nil:
		return ui.Plural(w.Done, "document was", "documents were") + " signed again; nothing that the key signed is left."
	case w.Total < 0:
		return "The documents to be signed again are being counted."
	}
	return ui.Number(w.Done) + " of " + ui.Number(w.Total) + " documents are signed again."
}

// exportWord is what is to happen to a root.
func exportWord(e keyring.ExportView) string {
	if e.Adds != "" {
		return "addition"
	}
	return "export"
}
