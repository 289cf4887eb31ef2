package httpapi

import (
	"net/http"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/pricing"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
)

// CatalogRoutes are the operations of the storefront, of products and of plans.
func CatalogRoutes(s *catalog.Service) []kit.Route {
	const shop, tag = "Storefront", "Catalogue"
	const fresh = "public, max-age=30"
	anyone := kit.Allow{Anonymous: true}
	write := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleCatalogue}, Machine: "catalogue:write"}
	read := kit.Allow{Staff: licensing.AllRoles(), Machine: "catalogue:read"}
	return []kit.Route{
		kit.New(kit.Spec{Name: "catalog.browse", Method: http.MethodGet, Path: "/v1/catalog", Tag: shop, Access: anyone, CORS: true, Cache: fresh,
			Summary: "Browse what is for sale", Detail: "Active products with their active plans and the prices in force."}, s.Browse),
		kit.New(kit.Spec{Name: "catalog.show", Method: http.MethodGet, Path: "/v1/catalog/{slug}", Tag: shop, Access: anyone, CORS: true, Cache: fresh,
			Summary: "Show one product"}, s.Show),
		kit.New(kit.Spec{Name: "catalog.import", Method: http.MethodPost, Path: "/v1/catalog/import", Tag: tag, Access: write, Body: 3 << 20,
			Summary: "Import products, plans and prices", Detail: "From CSV or JSON: all rows or none, with a dry run that reports every row. New objects start as drafts; a changed price becomes a proposal."},
			s.Import).Again(s.ReadImport),
		kit.New(kit.Spec{Name: "product.create", Method: http.MethodPost, Path: "/v1/products", Tag: tag, Access: write, Status: http.StatusCreated,
			Summary: "Create a product"}, s.CreateProduct).Again(s.ReadProduct),
		kit.New(kit.Spec{Name: "product.list", Method: http.MethodGet, Path: "/v1/products", Tag: tag, Access: read, Summary: "List products"}, s.ListProducts),
		kit.New(kit.Spec{Name: "product.get", Method: http.MethodGet, Path: "/v1/products/{id}", Tag: tag, Access: read, Summary: "Read a product with its plans"}, s.GetProduct),
		kit.New(kit.Spec{Name: "product.update", Method: http.MethodPatch, Path: "/v1/products/{id}", Tag: tag, Access: write, Summary: "Change a product"}, s.UpdateProduct),
		kit.New(kit.Spec{Name: "product.publish", Method: http.MethodPost, Path: "/v1/products/{id}/publish", Tag: tag, Access: write,
			Summary: "Put a product on sale"}, s.PublishProduct).Again(s.ReadProduct),
		kit.New(kit.Spec{Name: "product.sunset", Method: http.MethodPost, Path: "/v1/products/{id}/sunset", Tag: tag, Access: write,
			Summary: "End the sale of a product", Detail: "What was sold goes on as before."}, s.SunsetProduct).Again(s.ReadProduct),
		kit.New(kit.Spec{Name: "product.retire", Method: http.MethodPost, Path: "/v1/products/{id}/retire", Tag: tag, Access: write,
			Summary: "Retire a product for good"}, s.RetireProduct).Again(s.ReadProduct),
		kit.New(kit.Spec{Name: "plan.create", Method: http.MethodPost, Path: "/v1/products/{id}/plans", Tag: tag, Access: write, Status: http.StatusCreated,
			Summary: "Create a plan"}, s.CreatePlan).Again(s.ReadPlan),
		kit.New(kit.Spec{Name: "plan.get", Method: http.MethodGet, Path: "/v1/plans/{id}", Tag: tag, Access: read, Summary: "Read a plan"}, s.GetPlan),
		kit.New(kit.Spec{Name: "plan.update", Method: http.MethodPatch, Path: "/v1/plans/{id}", Tag: tag, Access: write, Summary: "Change a plan",
			Detail: "Past orders keep the grants they were made with."}, s.UpdatePlan),
		kit.New(kit.Spec{Name: "plan.publish", Method: http.MethodPost, Path: "/v1/plans/{id}/publish", Tag: tag, Access: write,
			Summary: "Put a plan on sale"}, s.PublishPlan).Again(s.ReadPlan),
		kit.New(kit.Spec{Name: "plan.archive", Method: http.MethodPost, Path: "/v1/plans/{id}/archive", Tag: tag, Access: write,
			Summary: "End the sale of a plan"}, s.ArchivePlan).Again(s.ReadPlan),
	}
}

// PricingRoutes are the operations of prices.
func PricingRoutes(s *pricing.Service) []kit.Route {
	const tag = "Prices"
	write := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleCatalogue, licensing.RoleFinance}}
	decide := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleFinance}}
	return []kit.Route{
		kit.New(kit.Spec{Name: "price.set", Method: http.MethodPost, Path: "/v1/plans/{id}/prices", Tag: tag, Access: write, Status: http.StatusCreated,
			Summary: "Set a first price or propose a change", Detail: "The first price of a plan in a currency is in force at once. A later one is a proposal until somebody else approves it."},
			s.SetPrice).Again(s.ReadPrice),
		kit.New(kit.Spec{Name: "price.list", Method: http.MethodGet, Path: "/v1/plans/{id}/prices", Tag: tag, Access: kit.Allow{Staff: licensing.AllRoles(), Machine: "catalogue:read"},
			Summary: "List every version of a plan's prices"}, s.ListPrices),
		kit.New(kit.Spec{Name: "price.approve", Method: http.MethodPost, Path: "/v1/prices/{id}/approve", Tag: tag, Access: decide, Fresh: true,
			Summary: "Approve a proposed price", Detail: "Whoever proposed it cannot approve it; the operator of a shop of one person can, ten minutes later."}, s.ApprovePrice).Again(s.ReadPrice),
		kit.New(kit.Spec{Name: "price.reject", Method: http.MethodPost, Path: "/v1/prices/{id}/reject", Tag: tag, Access: write,
			Summary: "Reject a proposed price"}, s.RejectPrice).Again(s.ReadPrice),
		kit.New(kit.Spec{Name: "price.archive", Method: http.MethodPost, Path: "/v1/prices/{id}/archive", Tag: tag, Access: decide,
			Summary: "End the sale in a currency"}, s.ArchivePrice).Again(s.ReadPrice),
	}
}
