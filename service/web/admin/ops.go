package admin

import (
	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/download"
	"github.com/mintreu/mintreu/commerce/insight"
	"github.com/mintreu/mintreu/commerce/notice"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/commerce/pricing"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/audit"
	"github.com/mintreu/mintreu/service/jobs"
	"github.com/mintreu/mintreu/service/killswitch"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/mail"
)

// operations are what the console calls.
type operations struct {
	Overview kit.Op[insight.GetRequest, insight.Overview] `op:"overview.get"`

	Orders     kit.Op[order.ListRequest, licensing.List[order.View]]          `op:"order.list"`
	Order      kit.Op[order.GetRequest, order.View]                           `op:"order.get"`
	Checkout   kit.Op[checkout.GetRequest, checkout.Checkout]                 `op:"checkout.get"`
	Redrive    kit.Op[checkout.RedriveRequest, checkout.Checkout]             `op:"checkout.redrive"`
	Resolve    kit.Op[checkout.ResolveRequest, order.View]                    `op:"order.resolve"`
	Receipt    kit.Op[checkout.ReceiptRequest, checkout.ReceiptFile]          `op:"checkout.receipt"`
	CreditNote kit.Op[checkout.CreditNoteRequest, checkout.ReceiptFile]       `op:"checkout.credit-note"`
	Events     kit.Op[payment.ListRequest, licensing.List[payment.EventView]] `op:"payment_event.list"`
	Event      kit.Op[payment.InspectRequest, payment.InspectResponse]        `op:"payment_event.inspect"`
	RetryEvent kit.Op[payment.RetryRequest, payment.EventView]                `op:"payment_event.retry"`

	Licenses      kit.Op[license.ListRequest, licensing.List[license.View]]               `op:"license.list"`
	License       kit.Op[license.GetRequest, license.View]                                `op:"license.get"`
	RevealLicense kit.Op[license.GetRequest, license.Revealed]                            `op:"license.reveal"`
	ChangeLicense kit.Op[license.ChangeRequest, license.View]                             `op:"license.change"`
	Suspend       kit.Op[license.StateRequest, license.View]                              `op:"license.suspend"`
	Reinstate     kit.Op[license.StateRequest, license.View]                              `op:"license.reinstate"`
	RevokeLicense kit.Op[license.StateRequest, license.View]                              `op:"license.revoke"`
	Reissue       kit.Op[license.StateRequest, license.Reissued]                          `op:"license.reissue"`
	Usage         kit.Op[usage.OfLicenseRequest, licensing.List[usage.Total]]             `op:"usage.license"`
	Activations   kit.Op[activation.ListRequest, licensing.List[activation.View]]         `op:"activation.list"`
	Release       kit.Op[activation.ReleaseRequest, activation.View]                      `op:"activation.release"`
	AddUser       kit.Op[activation.AddUserRequest, activation.View]                      `op:"license.add_user"`
	Policies      kit.Op[license.ListPoliciesRequest, licensing.List[license.PolicyView]] `op:"policy.list"`
	Policy        kit.Op[license.PolicyRequest, license.PolicyView]                       `op:"policy.get"`
	CreatePolicy  kit.Op[license.CreatePolicyRequest, license.PolicyView]                 `op:"policy.create"`
	ChangePolicy  kit.Op[license.ChangePolicyRequest, license.PolicyView]                 `op:"policy.change"`

	Keys       kit.Op[apikey.ListRequest, licensing.List[apikey.KeyView]] `op:"key.list"`
	Key        kit.Op[apikey.GetRequest, apikey.KeyView]                  `op:"key.get"`
	IssueKey   kit.Op[apikey.CreateRequest, apikey.CreateResponse]        `op:"key.issue"`
	RotateKey  kit.Op[apikey.RotateRequest, apikey.CreateResponse]        `op:"key.rotate"`
	RevokeKey  kit.Op[apikey.RevokeRequest, apikey.RevokeResponse]        `op:"key.revoke"`
	DisableKey kit.Op[apikey.RevokeRequest, apikey.RevokeResponse]        `op:"key.disable"`
	VerifyKey  kit.Op[apikey.VerifyRequest, apikey.VerifyResponse]        `op:"key.verify"`
	KeyLimits  kit.Op[apikey.LimitsRequest, apikey.RevokeResponse]        `op:"key.limits"`
	EnableKey  kit.Op[apikey.RevokeRequest, apikey.RevokeResponse]        `op:"key.enable"`

	Reservations kit.Op[apikey.HoldsRequest, licensing.List[apikey.HoldView]] `op:"key.reservations"`
	ReleaseHold  kit.Op[apikey.ReleaseRequest, apikey.HoldView]               `op:"key.release"`

	Products       kit.Op[catalog.ListProductsRequest, licensing.List[catalog.ProductView]] `op:"product.list"`
	Product        kit.Op[catalog.ProductRequest, catalog.ProductView]                      `op:"product.get"`
	CreateProduct  kit.Op[catalog.CreateProductRequest, catalog.ProductView]                `op:"product.create"`
	UpdateProduct  kit.Op[catalog.UpdateProductRequest, catalog.ProductView]                `op:"product.update"`
	PublishProduct kit.Op[catalog.ProductRequest, catalog.ProductView]                      `op:"product.publish"`
	SunsetProduct  kit.Op[catalog.ProductRequest, catalog.ProductView]                      `op:"product.sunset"`
	RetireProduct  kit.Op[catalog.ProductRequest, catalog.ProductView]                      `op:"product.retire"`
	CreatePlan     kit.Op[catalog.CreatePlanRequest, catalog.PlanView]                      `op:"plan.create"`
	Plan           kit.Op[catalog.PlanRequest, catalog.PlanView]                            `op:"plan.get"`
	UpdatePlan     kit.Op[catalog.UpdatePlanRequest, catalog.PlanView]                      `op:"plan.update"`
	PublishPlan    kit.Op[catalog.PlanRequest, catalog.PlanView]                            `op:"plan.publish"`
	ArchivePlan    kit.Op[catalog.PlanRequest, catalog.PlanView]                            `op:"plan.archive"`
	Prices         kit.Op[pricing.ListPricesRequest, licensing.List[pricing.PriceView]]     `op:"price.list"`
	SetPrice       kit.Op[pricing.SetPriceRequest, pricing.PriceView]                       `op:"price.set"`
	ApprovePrice   kit.Op[pricing.PriceRequest, pricing.PriceView]                          `op:"price.approve"`
	RejectPrice    kit.Op[pricing.PriceRequest, pricing.PriceView]                          `op:"price.reject"`
	ArchivePrice   kit.Op[pricing.PriceRequest, pricing.PriceView]                          `op:"price.archive"`
	Import         kit.Op[catalog.ImportRequest, catalog.ImportReport]                      `op:"catalog.import"`

	Releases        kit.Op[download.ListRequest, licensing.List[download.View]] `op:"release.list"`
	ReleaseOf       kit.Op[download.GetRequest, download.View]                  `op:"release.get"`
	CreateRelease   kit.Op[download.CreateRequest, download.View]               `op:"release.create"`
	PublishRelease  kit.Op[download.PublishRequest, download.View]              `op:"release.publish"`
	WithdrawRelease kit.Op[download.WithdrawRequest, download.View]             `op:"release.withdraw"`
	DropFile        kit.Op[download.DropRequest, download.Dropped]              `op:"release.drop_file"`

	SigningKeys    kit.Op[keyring.ListRequest, keyring.Listing]          `op:"keyring.list"`
	RotateSigning  kit.Op[keyring.RotateRequest, keyring.Rotated]        `op:"keyring.rotate"`
	Compromise     kit.Op[keyring.CompromiseRequest, keyring.Resigning]  `op:"keyring.compromise"`
	Resignings     kit.Op[keyring.ResigningsRequest, keyring.Resignings] `op:"keyring.resignings"`
	RootExports    kit.Op[keyring.ExportsRequest, keyring.ExportList]    `op:"root_export.list"`
	ApproveExport  kit.Op[keyring.ExportRequest, keyring.ExportView]     `op:"root_export.approve"`
	WithdrawExport kit.Op[keyring.ExportRequest, keyring.ExportView]     `op:"root_export.withdraw"`

	IssueOne       kit.Op[bulk.IssueRequest, bulk.IssueResponse]          `op:"license.issue"`
	IssueMany      kit.Op[bulk.IssueManyRequest, bulk.RunView]            `op:"license.issue_many"`
	ImportLicenses kit.Op[bulk.ImportRequest, bulk.ImportReport]          `op:"license.import"`
	Count          kit.Op[bulk.CountRequest, bulk.CountResponse]          `op:"license.count"`
	ActMany        kit.Op[bulk.ActRequest, bulk.RunView]                  `op:"license.act_many"`
	ActKeys        kit.Op[bulk.ActKeysRequest, bulk.ActKeysResponse]      `op:"key.act_many"`
	ImportKeys     kit.Op[bulk.ImportKeysRequest, bulk.ImportReport]      `op:"key.import"`
	Runs           kit.Op[bulk.ListRequest, licensing.List[bulk.RunView]] `op:"run.list"`
	Run            kit.Op[bulk.RunRequest, bulk.RunView]                  `op:"run.get"`
	RunRows        kit.Op[bulk.RowsRequest, licensing.List[bulk.RowView]] `op:"run.rows"`
	CancelRun      kit.Op[bulk.MoveRequest, bulk.RunView]                 `op:"run.cancel"`
	ResumeRun      kit.Op[bulk.MoveRequest, bulk.RunView]                 `op:"run.resume"`
	RunKeys        kit.Op[bulk.RunRequest, bulk.KeysResponse]             `op:"run.keys"`

	Switches   kit.Op[killswitch.ListRequest, killswitch.ListResponse]   `op:"switch.list"`
	Flip       kit.Op[killswitch.FlipRequest, killswitch.View]           `op:"switch.flip"`
	Audit      kit.Op[audit.ListRequest, licensing.List[audit.View]]     `op:"audit.list"`
	Checkpoint kit.Op[audit.CheckpointRequest, audit.CheckpointResponse] `op:"audit.checkpoint"`
	Verify     kit.Op[audit.VerifyRequest, audit.VerifyResponse]         `op:"audit.verify"`
	Mails      kit.Op[mail.ListRequest, licensing.List[mail.View]]       `op:"mail.list"`
	Mail       kit.Op[mail.GetRequest, mail.View]                        `op:"mail.get"`
	Notices    kit.Op[notice.ListRequest, licensing.List[notice.View]]   `op:"notice.list"`
	RetryMail  kit.Op[notice.RetryRequest, notice.View]                  `op:"notice.retry"`
	Jobs       kit.Op[jobs.ListRequest, licensing.List[jobs.View]]       `op:"job.list"`
	RetryJob   kit.Op[jobs.Request, jobs.View]                           `op:"job.retry"`
	CancelJob  kit.Op[jobs.Request, jobs.View]                           `op:"job.cancel"`

	Customers       kit.Op[account.ListCustomersRequest, licensing.List[account.CustomerView]] `op:"customer.list"`
	Customer        kit.Op[account.GetCustomerRequest, account.CustomerView]                   `op:"customer.get"`
	DisableCustomer kit.Op[account.DisableRequest, account.CustomerView]                       `op:"customer.disable"`
	EnableCustomer  kit.Op[account.DisableRequest, account.CustomerView]                       `op:"customer.enable"`
	Impersonate     kit.Op[account.ImpersonateRequest, account.ImpersonateResponse]            `op:"customer.impersonate"`

	Organisations kit.Op[account.ListOrganisationsRequest, licensing.List[account.OrganisationView]] `op:"organisation.list"`
	Organisation  kit.Op[account.OrganisationRequest, account.OrganisationView]                      `op:"organisation.get"`
	Members       kit.Op[account.OrganisationRequest, account.MembersResponse]                       `op:"organisation.members"`

	Staff         kit.Op[account.ListStaffRequest, licensing.List[account.StaffView]]      `op:"staff.list"`
	CreateStaff   kit.Op[account.CreateStaffRequest, account.StaffView]                    `op:"staff.create"`
	SetRole       kit.Op[account.SetRoleRequest, account.StaffView]                        `op:"staff.role"`
	Machines      kit.Op[account.ListMachinesRequest, licensing.List[account.MachineView]] `op:"machine.list"`
	CreateMachine kit.Op[account.CreateMachineRequest, account.CreateMachineResponse]      `op:"machine.create"`
	RevokeMachine kit.Op[account.RevokeMachineRequest, account.MachineView]                `op:"machine.revoke"`
	RotateMachine kit.Op[account.RotateMachineRequest, account.CreateMachineResponse]      `op:"machine.rotate"`
}
