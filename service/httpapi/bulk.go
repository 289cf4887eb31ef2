package httpapi

import (
	"net/http"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/service/kit"
)

// BulkRoutes are the operations that issue licenses by hand and work on many at once.
func BulkRoutes(s *bulk.Service) []kit.Route {
	const tag, runs = "Licenses", "Runs"
	admin, licenses, keys := []licensing.Role{licensing.RoleAdmin}, bulk.Licenses.Scope(), bulk.APIKeys.Scope()
	issue := kit.Allow{Staff: admin, Machine: licenses}
	look := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport, licensing.RoleAuditor}, Machine: licenses + " " + keys}
	move := kit.Allow{Staff: admin, Machine: look.Machine}
	return []kit.Route{
		kit.New(kit.Spec{Name: "license.issue", Method: http.MethodPost, Path: "/v1/licenses", Tag: tag, Access: issue, Fresh: true, Status: http.StatusCreated,
			Summary: "Issue a license by hand", Detail: "Its key is shown once. With a reference, asking again answers with the license that the reference has and makes no second one."}, s.IssueOne).Again(s.IssueAgain),
		kit.New(kit.Spec{Name: "license.issue_many", Method: http.MethodPost, Path: "/v1/licenses/bulk", Tag: runs, Access: issue, Fresh: true, Status: http.StatusAccepted, Body: bulk.MaxBody,
			Summary: "Issue up to 10,000 licenses", Detail: "Answers at once with a run, which issues them in the background, each exactly once. When it is done, the keys can be fetched once as a CSV file."}, s.IssueMany).Again(s.RunAgain),
		kit.New(kit.Spec{Name: "license.import", Method: http.MethodPost, Path: "/v1/licenses/import", Tag: runs, Access: issue, Fresh: true, Body: bulk.MaxImportBytes,
			Summary: "Import licenses and keys from another system", Detail: "From a file of our own format or an export of keygen, Gumroad or Lemon Squeezy. A dry run tells the problem of each row and what to do about it. Otherwise a run imports them, or nothing when a row has a problem. Imported keys go on working, byte for byte; a row is imported once, however often its file is."}, s.ImportFile).Again(s.ImportAgain),
		kit.New(kit.Spec{Name: "license.count", Method: http.MethodGet, Path: "/v1/licenses/count", Tag: tag, Access: kit.Allow{Staff: licensing.AllRoles()},
			Summary: "Count the licenses that a search finds"}, s.Count),
		kit.New(kit.Spec{Name: "license.act_many", Method: http.MethodPost, Path: "/v1/licenses/actions", Tag: runs, Access: kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin}}, Fresh: true, Status: http.StatusAccepted,
			Summary: "Do one thing to all licenses that a search finds", Detail: "Suspend, reinstate, revoke, extend or add features. The number of licenses must be the one that the search finds at this moment. Answers with a run, which can be cancelled and resumed; each license has its own row in the audit trail."}, s.Act).Again(s.RunAgain),
		kit.New(kit.Spec{Name: "key.act_many", Method: http.MethodPost, Path: "/v1/keys/actions", Tag: runs, Access: kit.Allow{Staff: admin, Machine: keys}, Fresh: true, Status: http.StatusAccepted, Body: bulk.MaxKeyAct,
			Summary: "Do one thing to all API keys that a search finds", Detail: "Revoke, suspend or reinstate, as staff do with one: what was bought takes the keys made by its plan with it. A dry run answers how many it is about. Otherwise their number must be the one that the search finds at this moment, " +
				"and the answer names a run, which can be cancelled and resumed; each key has its own row in the audit trail, and each is refused everywhere within two seconds of it."}, s.ActKeys).Again(s.ActKeysAgain),
		kit.New(kit.Spec{Name: "key.import", Method: http.MethodPost, Path: "/v1/keys/import", Tag: runs, Access: kit.Allow{Staff: admin, Machine: keys}, Fresh: true, Body: bulk.MaxImportBytes, Switch: licensing.SwitchAPI,
			Summary: "Import API keys of another system by their hashes", Detail: "From a CSV or JSON file that has the SHA-256 of each key's text and never a key. A dry run tells the problem of each row and what to do about it. Otherwise a run imports them, or nothing when a row has a problem. " +
				"Imported keys verify, rotate and end like any other; a row is imported once, however often its file is."}, s.ImportKeys).Again(s.ImportAgain),
		kit.New(kit.Spec{Name: "run.list", Method: http.MethodGet, Path: "/v1/runs", Tag: runs, Access: look,
			Summary: "List the work on many licenses and API keys", Detail: "Bulk issues, imports and actions, the newest first."}, s.ListRuns),
		kit.New(kit.Spec{Name: "run.get", Method: http.MethodGet, Path: "/v1/runs/{id}", Tag: runs, Access: look, Summary: "Read how far a run is"}, s.GetRun),
		kit.New(kit.Spec{Name: "run.rows", Method: http.MethodGet, Path: "/v1/runs/{id}/rows", Tag: runs, Access: look,
			Summary: "List what became of each row of a run"}, s.Rows),
		kit.New(kit.Spec{Name: "run.cancel", Method: http.MethodPost, Path: "/v1/runs/{id}/cancel", Tag: runs, Access: move,
			Summary: "Cancel a run", Detail: "What is done stays done; the answer says exactly how much that is."}, s.Cancel).Again(s.RunAgain),
		kit.New(kit.Spec{Name: "run.resume", Method: http.MethodPost, Path: "/v1/runs/{id}/resume", Tag: runs, Access: move, Fresh: true,
			Summary: "Go on with a run that was cancelled"}, s.Resume).Again(s.RunAgain),
		kit.New(kit.Spec{Name: "run.keys", Method: http.MethodPost, Path: "/v1/runs/{id}/keys", Tag: runs, Access: issue, Fresh: true,
			Summary: "Fetch the keys of a bulk issue, once", Detail: "As a CSV file. After that, single keys can still be shown, license by license."}, s.Keys).Again(s.KeysAgain),
	}
}
