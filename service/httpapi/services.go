package httpapi

import (
	"errors"
	"reflect"
	"slices"

	"github.com/mintreu/mintreu/commerce/access"
	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/checkout"
	"github.com/mintreu/mintreu/commerce/download"
	"github.com/mintreu/mintreu/commerce/insight"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/commerce/pricing"
	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/commerce/webhook"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/licensing/transfer"
	"github.com/mintreu/mintreu/service/kit"
)

// Services are what the operations are methods of. A nil Service is fine for [Document], which calls none.
type Services struct {
	Account   *account.Service
	Catalog   *catalog.Service
	Pricing   *pricing.Service
	Checkout  *checkout.Service
	Order     *order.Service
	Payment   *payment.Service
	Licensing Licensing
	Transfer  *transfer.Service
	Bulk      *bulk.Service
	APIKey    *apikey.Service
	Download  *download.Service
	Access    *access.Service
	Insight   *insight.Service
	Support   *support.Service
	Webhook   *webhook.Service
	Platform  Platform
}

// Complete returns an error that names each Service that is missing; whoever is to serve [Routes] asks it first.
func (s Services) Complete() error {
	var missing []error
	var walk func(name string, v reflect.Value)
	walk = func(name string, v reflect.Value) {
		for i := range v.NumField() {
			field, at := v.Field(i), name+"."+v.Type().Field(i).Name
			if field.Kind() == reflect.Struct {
				walk(at, field)
			} else if field.IsNil() {
				missing = append(missing, errors.New("httpapi: "+at+" is missing"))
			}
		}
	}
	walk("Services", reflect.ValueOf(s))
	return errors.Join(missing...)
}

// Routes is the whole JSON API: every operation of every module.
func Routes(s Services) []kit.Route {
	return slices.Concat(
		AccountRoutes(s.Account),
		OrganisationRoutes(s.Account),
		CatalogRoutes(s.Catalog),
		PricingRoutes(s.Pricing),
		CheckoutRoutes(s.Checkout),
		OrderRoutes(s.Order),
		PaymentRoutes(s.Payment),
		LicensingRoutes(s.Licensing),
		TransferRoutes(s.Transfer),
		BulkRoutes(s.Bulk),
		APIKeyRoutes(s.APIKey),
		DownloadRoutes(s.Download),
		AccessRoutes(s.Access),
		InsightRoutes(s.Insight),
		SupportRoutes(s.Support),
		WebhookRoutes(s.Webhook),
		PlatformRoutes(s.Platform),
	)
}

// MachineScopes are what the operations of routes let machine tokens do, in order.
func MachineScopes(routes []kit.Route) []string {
	out := []string{}
	for _, r := range routes {
		out = append(out, r.Spec().Access.MachineScopes()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Document writes the OpenAPI document of [Routes]; api/openapi.json is what it wrote last.
func Document() ([]byte, error) {
	return kit.Document(kit.Info{
		Title:   "Mintreu",
		Version: "1",
		Description: "Sells digital products and issues the licenses and API keys that give access to them. Bodies are JSON, decoded strictly: unknown, repeated and misspelled members are refused. " +
			"Failures are RFC 9457 problem details with a stable code. Every POST that writes takes an Idempotency-Key. Lists are paged by cursor. Times are RFC 3339 in UTC, money is whole minor units with a currency.",
	}, Routes(Services{}))
}
