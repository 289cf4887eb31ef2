package httpapi

import (
	"net/http"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/service/kit"
)

// maxCeremony is the largest body of what carries a keyset or a root's file.
const maxCeremony = 64 << 10

// keyRoutes are the operations of signing keys and roots. None of them signs what a caller says: what is signed is made here of the keys
// there are, and what is imported must be what was asked for here.
func keyRoutes(s *keyring.Service) []kit.Route {
	const tag = "Signing keys"
	admin := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin}}
	look := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleAuditor}}
	return append([]kit.Route{
		kit.New(kit.Spec{Name: "keyring.list", Method: http.MethodGet, Path: "/v1/signing-keys", Tag: tag, Access: look, Summary: "List signing keys"}, s.List),
		kit.New(kit.Spec{Name: "keyring.rotate", Method: http.MethodPost, Path: "/v1/signing-keys/rotate", Tag: tag, Fresh: true, Access: admin,
			Summary: "Rotate the signing key", Detail: "The next standby key signs from now on; the old one goes on verifying."}, s.Rotate).Again(s.RotateAgain),
		kit.New(kit.Spec{Name: "keyring.compromise", Method: http.MethodPost, Path: "/v1/signing-keys/{kid}/compromise", Tag: tag, Fresh: true, Access: admin,
			Summary: "Revoke a signing key",
			Detail:  "Products refuse whatever it signed as soon as they see the new keyset. The next key signs, and every license that is still good is signed again, once; the answer is how far that is. With an offline root this is a request that revokes the key."}, s.Compromise).Again(s.CompromiseAgain),
		kit.New(kit.Spec{Name: "keyring.resignings", Method: http.MethodGet, Path: "/v1/resignings", Tag: tag, Access: look,
			Summary: "See how far the signing again is"}, s.Resignings),
		kit.New(kit.Spec{Name: "keyring.request", Method: http.MethodPost, Path: "/v1/keyset-requests", Tag: tag, Fresh: true, Access: admin, Status: http.StatusCreated,
			Summary: "Ask an offline root for a keyset", Detail: "The keyset will hold the active key and two that stand by, so that planned rotation needs no root. Nothing changes before it is imported."}, s.Request).Again(s.RequestAgain),
		kit.New(kit.Spec{Name: "keyring.import", Method: http.MethodPost, Path: "/v1/keysets", Tag: tag, Fresh: true, Access: admin, Body: maxCeremony,
			Summary: "Import the keyset that an offline root signed", Detail: "It must be one that was asked for here, to the last member."}, s.Import).Again(s.ImportAgain),
	}, rootRoutes(s)...)
}

func rootRoutes(s *keyring.Service) []kit.Route {
	const tag = "Roots"
	owner := kit.Allow{Staff: []licensing.Role{licensing.RoleOwner}}
	return []kit.Route{
		kit.New(kit.Spec{Name: "root.add", Method: http.MethodPost, Path: "/v1/roots", Tag: tag, Fresh: true, Access: owner,
			Summary: "Propose another root", Detail: "Its private part is elsewhere, and whoever has it can make products trust any signing key. So another owner has to approve it (root_export.approve); products that see the keyset which follows trust it too. The operator at the machine of an installation that one person runs adds it at once."}, s.AddRoot).Again(s.RootChangeAgain),
		kit.New(kit.Spec{Name: "root.rotate", Method: http.MethodPost, Path: "/v1/roots/rotate", Tag: tag, Fresh: true, Access: owner,
			Summary: "Replace the root", Detail: "The present root signs for the last time: a keyset by which products come to the next one."}, s.RotateRoot).Again(s.RootChangeAgain),
		kit.New(kit.Spec{Name: "root_export.list", Method: http.MethodGet, Path: "/v1/root-exports", Tag: tag,
			Access: kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleAuditor}}, Summary: "List the exports and additions of roots"}, s.ListExports),
		kit.New(kit.Spec{Name: "root_export.propose", Method: http.MethodPost, Path: "/v1/root-exports", Tag: tag, Fresh: true, Access: owner, Status: http.StatusCreated,
			Summary: "Propose to move the root offline", Detail: "Another owner has to approve it."}, s.ProposeExport).Again(s.ExportAgain),
		kit.New(kit.Spec{Name: "root_export.approve", Method: http.MethodPost, Path: "/v1/root-exports/{id}/approve", Tag: tag, Fresh: true, Access: owner,
			Summary: "Approve the export or the addition of a root", Detail: "For another owner than whoever proposed it. A root that was to be added is added by it."}, s.ApproveExport).Again(s.ExportAgain),
		kit.New(kit.Spec{Name: "root_export.withdraw", Method: http.MethodPost, Path: "/v1/root-exports/{id}/withdraw", Tag: tag, Access: owner,
			Summary: "Withdraw the export or the addition of a root", Detail: "The root stays where it is, and none is added."}, s.WithdrawExport).Again(s.ExportAgain),
		kit.New(kit.Spec{Name: "root_export.take", Method: http.MethodPost, Path: "/v1/root-exports/{id}/take", Tag: tag, Fresh: true, Access: owner,
			Summary: "Take the encrypted root", Detail: "For whoever proposed it, once another owner approved. The root stays in the installation until the file is shown again."}, s.TakeRoot).Again(s.TakeAgain),
		kit.New(kit.Spec{Name: "root_export.confirm", Method: http.MethodPost, Path: "/v1/root-exports/{id}/confirm", Tag: tag, Fresh: true, Access: owner, Body: maxCeremony,
			Summary: "Confirm that the encrypted root was stored", Detail: "The file, read back, is opened with the passphrase; then the sealed copy is deleted and the root is offline."}, s.ConfirmExport).Again(s.ExportAgain),
	}
}
