package httpapi

import (
	"net/http"

	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/jobs"
	"github.com/mintreu/mintreu/service/killswitch"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/mail"
)

// Platform are the services under all modules: kill switches, the audit trail, mail and jobs.
type Platform struct {
	Switches *killswitch.Service
	Audit    *audit.Service
	Mail     *mail.Service
	Jobs     *jobs.Service
	Notices  *notice.Service
}

// PlatformRoutes are the operations of kill switches, the audit trail, mail and jobs. None of them sits behind a switch.
func PlatformRoutes(p Platform) []kit.Route {
	owners := kit.Allow{Staff: []licensing.Role{licensing.RoleOwner}}
	admins := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin}}
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
		kit.New(kit.Spec{Name: "mail.get", Method: http.MethodGet, Path: "/v1/mails/{id}", Tag: "Mail", Access: owners,
			Summary: "Read one kept mail", Detail: "With its text and its HTML. Only owners: a mail may hold a key, or a link that sets a password."}, p.Mail.Get),
		kit.New(kit.Spec{Name: "notice.list", Method: http.MethodGet, Path: "/v1/notices", Tag: "Mail",
			Access:  kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport, licensing.RoleAuditor}},
			Summary: "List the outbox of mail", Detail: "Every mail with who gets it, what it is about and, when it was not taken, why. What it says is not shown."}, p.Notices.List),
		kit.New(kit.Spec{Name: "notice.retry", Method: http.MethodPost, Path: "/v1/notices/{id}/retry", Tag: "Mail",
			Access:  kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}},
			Summary: "Send a mail again", Detail: "One that failed within the last thirty days, or that waits for its next attempt."}, p.Notices.Retry).Again(p.Notices.Again),
		kit.New(kit.Spec{Name: "job.list", Method: http.MethodGet, Path: "/v1/jobs", Tag: "Jobs",
			Access:  kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleAuditor}},
			Summary: "List the jobs", Detail: "What is done in the background, the newest first. Jobs that ended are kept for an hour at least, failed ones for a week."}, p.Jobs.List),
		kit.New(kit.Spec{Name: "job.retry", Method: http.MethodPost, Path: "/v1/jobs/{id}/retry", Tag: "Jobs", Access: admins,
			Summary: "Run a job again now"}, p.Jobs.Retry).Again(p.Jobs.Again),
		kit.New(kit.Spec{Name: "job.cancel", Method: http.MethodPost, Path: "/v1/jobs/{id}/cancel", Tag: "Jobs", Access: admins,
			Summary: "Give a job up", Detail: "One that runs is told to stop."}, p.Jobs.Cancel).Again(p.Jobs.Again),
	}
}
