package httpapi

import (
	"net/http"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
)

// AccountRoutes are the operations of people, sessions, staff and machine tokens.
func AccountRoutes(s *account.Service) []kit.Route {
	anyone := kit.Allow{Anonymous: true, Members: true} // all this concerns the person, whomever he acts for
	people := kit.Allow{Customer: true, Members: true, Staff: licensing.AllRoles()}
	desk := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport, licensing.RoleFinance, licensing.RoleAuditor}}
	admins := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin}}
	return []kit.Route{
		kit.New(kit.Spec{Name: "account.sign-up", Method: http.MethodPost, Path: "/v1/accounts", Tag: "Accounts", Access: anyone,
			Summary: "Sign up", Detail: "Mails a link that sets a password. The answer is the same for an address that is known already.",
			Switch: licensing.SwitchSignup, Status: http.StatusAccepted, CORS: true}, s.SignUp).Again(s.SignUpAgain),
		kit.New(kit.Spec{Name: "account.confirm", Method: http.MethodPost, Path: "/v1/accounts/confirm", Tag: "Accounts", Access: anyone,
			Summary: "Confirm an address and set a password", Detail: "Trades the token of a mailed link, once. Every session of the account ends."}, s.Confirm).Again(s.ConfirmAgain),
		kit.New(kit.Spec{Name: "account.me", Unenrolled: true, Method: http.MethodGet, Path: "/v1/me", Tag: "Accounts",
			Access:  kit.Allow{Customer: true, Staff: licensing.AllRoles(), Machine: "account:read"},
			Summary: "Who the caller is"}, s.Me),
		kit.New(kit.Spec{Name: "account.reset", Method: http.MethodPost, Path: "/v1/accounts/reset", Tag: "Accounts", Access: anyone,
			Summary: "Ask for a new password", Detail: "Mails a link that sets one. The answer is the same for an address without an account, which is sent nothing.",
			Status: http.StatusAccepted}, s.Reset).Again(s.ResetAgain),
		kit.New(kit.Spec{Name: "account.password", Unenrolled: true, Method: http.MethodPost, Path: "/v1/accounts/password", Tag: "Accounts", Access: people,
			Summary: "Change one's password", Detail: "Every other session ends, and the person is told by mail."}, s.ChangePassword).Again(s.PasswordAgain),
		kit.New(kit.Spec{Name: "account.profile", Unenrolled: true, Method: http.MethodPatch, Path: "/v1/account", Tag: "Accounts", Access: people,
			Summary: "Change one's name"}, s.SetProfile),
		kit.New(kit.Spec{Name: "account.email", Method: http.MethodPost, Path: "/v1/account/email", Tag: "Accounts", Access: people,
			Summary: "Ask for another e-mail address", Detail: "Mails a link to the address of now and to the new one; it changes once both were followed. The answer is the same for an address that somebody else has.",
			Status: http.StatusAccepted}, s.ChangeEmail).Again(s.ChangeEmailAgain),
		kit.New(kit.Spec{Name: "account.email-confirm", Method: http.MethodPost, Path: "/v1/account/email/confirm", Tag: "Accounts", Access: anyone,
			Summary: "Confirm another e-mail address", Detail: "Trades the token of one of the two mailed links. The second ends every session and tells the address of before."}, s.ConfirmEmail).Again(s.ConfirmEmailAgain),
		kit.New(kit.Spec{Name: "account.totp-start", Unenrolled: true, Method: http.MethodPost, Path: "/v1/account/totp", Tag: "Accounts", Access: people, Fresh: true,
			Summary: "Make a secret for one-time codes", Detail: "Nothing asks for its codes before the first one was confirmed.", Status: http.StatusCreated}, s.StartTOTP).Again(s.StartTOTPAgain),
		kit.New(kit.Spec{Name: "account.totp-confirm", Unenrolled: true, Method: http.MethodPost, Path: "/v1/account/totp/confirm", Tag: "Accounts", Access: people,
			Summary: "Turn one-time codes on", Detail: "Takes the first code and shows ten recovery codes. Every other session ends, and the person is told by mail."}, s.ConfirmTOTP).Again(s.ConfirmTOTPAgain),
		kit.New(kit.Spec{Name: "account.totp-remove", Unenrolled: true, Method: http.MethodPost, Path: "/v1/account/totp/remove", Tag: "Accounts", Access: people, Fresh: true,
			Summary: "Turn one-time codes off", Detail: "Takes a code or a recovery code. The person is told by mail."}, s.RemoveTOTP).Again(s.RemoveTOTPAgain),
		kit.New(kit.Spec{Name: "account.export", Secret: true, Method: http.MethodGet, Path: "/v1/account/export", Tag: "Accounts", Access: kit.Allow{Customer: true}, Fresh: true,
			Summary: "Export one's data", Detail: "Everything the shop holds on the caller, without secrets."}, s.ExportAccount),
		kit.New(kit.Spec{Name: "account.erase", Method: http.MethodPost, Path: "/v1/account/erase", Tag: "Accounts", Access: kit.Allow{Customer: true}, Fresh: true,
			Summary: "Erase one's account", Detail: "Takes the personal data away. Orders and receipts stay under a pseudonym, licenses go on working. It cannot be undone."}, s.EraseAccount).Again(s.EraseAgain),
		kit.New(kit.Spec{Name: "setup.owner", Method: http.MethodPost, Path: "/v1/setup", Tag: "Accounts", Access: anyone,
			Summary: "Make the first owner", Detail: "Works once, while there is no owner, with the token of the link that the service prints when it starts.", Status: http.StatusCreated}, s.Setup).Again(s.SetupAgain),
		kit.New(kit.Spec{Name: "setup.link", Method: http.MethodGet, Path: "/v1/setup", Tag: "Accounts", Access: kit.Allow{Staff: []licensing.Role{licensing.RoleOwner}},
			Summary: "The link that makes the first owner", Detail: "For the operator at the machine; there is no link once there is an owner."}, s.SetupLink),
		kit.New(kit.Spec{Name: "session.create", Method: http.MethodPost, Path: "/v1/sessions", Tag: "Sessions", Access: anyone,
			Summary: "Sign in", Detail: "Starts a session. Its token is sent as Authorization: Bearer and works for an hour at most; its renewal gets the next one.", Status: http.StatusCreated}, s.SignIn).Again(s.SignInAgain),
		kit.New(kit.Spec{Name: "session.renew", Method: http.MethodPost, Path: "/v1/sessions/renew", Tag: "Sessions", Access: anyone,
			Summary: "Prolong a session", Detail: "Trades a renewal, once, for the next token and renewal. A second use ends the session: two hold the renewal, and one of them stole it. Only the one just spent gets a token, without a renewal, for 30 seconds more."}, s.Renew).Again(s.RenewAgain),
		kit.New(kit.Spec{Name: "session.verify", Method: http.MethodPost, Path: "/v1/sessions/verify", Tag: "Sessions", Access: anyone,
			Summary: "Sign in with a one-time code", Detail: "Answers the challenge of a sign-in whose password was right, with a code of the authenticator or a recovery code. Each works once.",
			Status: http.StatusCreated}, s.Verify).Again(s.SignInAgain),
		kit.New(kit.Spec{Name: "session.list", Unenrolled: true, Method: http.MethodGet, Path: "/v1/sessions", Tag: "Sessions", Access: people,
			Summary: "List one's live sessions"}, s.ListSessions),
		kit.New(kit.Spec{Name: "session.end-current", ReadOnlyToo: true, Unenrolled: true, Method: http.MethodDelete, Path: "/v1/sessions/current", Tag: "Sessions", Access: people,
			Summary: "Sign out"}, s.SignOut),
		kit.New(kit.Spec{Name: "session.end", Unenrolled: true, Method: http.MethodDelete, Path: "/v1/sessions/{id}", Tag: "Sessions", Access: people,
			Summary: "End one of one's sessions"}, s.EndSession),
		kit.New(kit.Spec{Name: "session.end-others", Unenrolled: true, Method: http.MethodPost, Path: "/v1/sessions/end-others", Tag: "Sessions", Access: people,
			Summary: "End all one's other sessions"}, s.EndOthers).Again(s.EndOthersAgain),
		kit.New(kit.Spec{Name: "session.freshen", Unenrolled: true, Method: http.MethodPost, Path: "/v1/sessions/current/freshen", Tag: "Sessions", Access: people,
			Summary: "Enter the password again", Detail: "Opens sensitive acts to this token for ten minutes."}, s.Freshen).Again(s.FreshenAgain),
		kit.New(kit.Spec{Name: "customer.list", Method: http.MethodGet, Path: "/v1/customers", Tag: "Customers", Access: desk,
			Summary: "Find customers", Detail: "By the start of the address or the name, or by id; newest first."}, s.ListCustomers),
		kit.New(kit.Spec{Name: "customer.get", Method: http.MethodGet, Path: "/v1/customers/{id}", Tag: "Customers", Access: desk,
			Summary: "Show a customer"}, s.GetCustomer),
		kit.New(kit.Spec{Name: "customer.disable", Method: http.MethodPost, Path: "/v1/customers/{id}/disable", Tag: "Customers", Access: admins, Fresh: true,
			Summary: "Keep a customer from signing in", Detail: "Ends every session, everywhere within two seconds. Licenses go on."}, s.DisableCustomer).Again(s.CustomerAgain),
		kit.New(kit.Spec{Name: "customer.enable", Method: http.MethodPost, Path: "/v1/customers/{id}/enable", Tag: "Customers", Access: admins, Fresh: true,
			Summary: "Let a disabled customer sign in again"}, s.EnableCustomer).Again(s.CustomerAgain),
		kit.New(kit.Spec{Name: "customer.impersonate", Method: http.MethodPost, Path: "/v1/customers/{id}/impersonate", Tag: "Customers",
			Access: kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}}, Fresh: true,
			Summary: "Look at a customer's account", Detail: "Opens a session of 15 minutes that sees what the customer sees, changes nothing and shows no secret.",
			Status: http.StatusCreated}, s.Impersonate).Again(s.ImpersonateAgain),
		kit.New(kit.Spec{Name: "staff.list", Method: http.MethodGet, Path: "/v1/staff", Tag: "Staff",
			Access:  kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleAuditor}},
			Summary: "List the staff"}, s.ListStaff),
		kit.New(kit.Spec{Name: "staff.create", Method: http.MethodPost, Path: "/v1/staff", Tag: "Staff", Access: admins, Fresh: true,
			Summary: "Add a person to the staff", Detail: "Owners give any role, admins any below their own. The person is mailed a link to set a password.",
			Status: http.StatusCreated}, s.CreateStaff).Again(s.StaffAgain),
		kit.New(kit.Spec{Name: "staff.role", Method: http.MethodPut, Path: "/v1/staff/{id}/role", Tag: "Staff", Access: admins, Fresh: true,
			Summary: "Give or take a role", Detail: "In force everywhere within two seconds. The last owner stays owner."}, s.SetRole),
		kit.New(kit.Spec{Name: "machine.create", Method: http.MethodPost, Path: "/v1/machine-tokens", Tag: "Machine tokens", Access: admins, Fresh: true,
			Summary: "Make a machine token", Status: http.StatusCreated}, s.CreateMachine).Again(s.CreateMachineAgain),
		kit.New(kit.Spec{Name: "machine.list", Method: http.MethodGet, Path: "/v1/machine-tokens", Tag: "Machine tokens",
			Access:  kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleAuditor}},
			Summary: "List machine tokens"}, s.ListMachines),
		kit.New(kit.Spec{Name: "machine.revoke", Method: http.MethodPost, Path: "/v1/machine-tokens/{id}/revoke", Tag: "Machine tokens", Access: admins,
			Summary: "Revoke a machine token", Detail: "In force everywhere within two seconds."}, s.RevokeMachine).Again(s.RevokeMachineAgain),
		kit.New(kit.Spec{Name: "machine.rotate", Method: http.MethodPost, Path: "/v1/machine-tokens/{id}/rotate", Tag: "Machine tokens", Access: admins, Fresh: true,
			Summary: "Give a machine token a new secret", Detail: "The old secret works until the overlap ends."}, s.RotateMachine).Again(s.CreateMachineAgain),
	}
}
