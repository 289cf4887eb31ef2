package httpapi

import (
	"net/http"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/killswitch"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/mail"
)

// Platform are the services under all modules: kill switches, the audit trail, and mail kept in the database.
type Platform struct {
	Switches *killswitch.Service
	Audit    *audit.Service
	Mail     *mail.Service
}

// PlatformRoutes are the operations of kill switches, the audit trail and kept mail. None of them sits behind a switch.
func PlatformRoutes(p Platform) []kit.Route {
	owners := kit.Allow{Staff: []licensing.Role{licensing.RoleOwner}}
	auditors := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleAuditor}}
	return []kit.Route{
		kit.New(kit.Spec{Name: "switch.list", Method: http.MethodGet, Path: "/v1/switches", Tag: "Kill switches",
			Access:  kit.Allow{Staff: licensing.AllRoles(), Machine: "switches:read"},
			Summary: "List the kill switches", Detail: "The nine switches for all products, then those ever flipped for one product."}, p.Switches.List),
		kit.New(kit.Spec{Name: "switch.flip", Method: http.MethodPut, Path: "/v1/switches/{switch}", Tag: "Kill switches", Access: owners, Fresh: true,
			Summary: "Press or release a kill switch", Detail: "In force on every replica within two seconds. It needs a reason and can have an end."}, p.Switches.Flip),
		kit.New(kit.Spec{Name: "audit.list", Method: http.MethodGet, Path: "/v1/audit", Tag: "Audit", Access: auditors,
			Summary: "List the audit trail", Detail: "Every change by people, tokens and jobs, the newest first."}, p.Audit.List),
		kit.New(kit.Spec{Name: "audit.checkpoint", Method: http.MethodGet, Path: "/v1/audit/checkpoint", Tag: "Audit",
			Access:  kit.Allow{Staff: licensing.AllRoles(), Machine: "audit:read"},
			Summary: "Read the newest signed head of the audit log", Detail: "Kept elsewhere, it shows later whether the rows it covers were changed."}, p.Audit.Checkpoint),
		kit.New(kit.Spec{Name: "audit.verify", Method: http.MethodPost, Path: "/v1/audit/verify", Tag: "Audit", Access: auditors, Reads: true,
			Summary: "Verify the audit trail", Detail: "Computes every hash anew and compares it with the signed heads and with the heads given. Names the row that was altered, removed or moved."}, p.Audit.Verify),
		kit.New(kit.Spec{Name: "mail.list", Method: http.MethodGet, Path: "/v1/mails", Tag: "Mail", Access: owners,
			Summary: "Read the mail kept in the database", Detail: "An installation without an SMTP server keeps its mail. It holds keys and links that set passwords, so only owners read it."}, p.Mail.List),
	}
}
