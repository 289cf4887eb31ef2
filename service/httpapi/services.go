package httpapi

import (
	"slices"

	"github.com/mintreu/mintreu/commerce/payment"
	"github.com/mintreu/mintreu/service/kit"
)

// Services are what the operations are methods of. A nil Service is fine for [Document], which calls none.
type Services struct {
	Payment *payment.Service
}

// Routes is the whole JSON API: every operation of every module, in the order of the modules.
func Routes(s Services) []kit.Route {
	return slices.Concat(
		PaymentRoutes(s.Payment),
	)
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
