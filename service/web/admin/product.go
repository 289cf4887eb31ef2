package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) productPages() []site.Page {
	back := to("/admin/products/{id}", "Product")
	request := func(id, _ string) catalog.ProductRequest { return catalog.ProductRequest{ID: id} }
	out := []site.Page{get("products", "/admin/products", p.productList), get("product", "/admin/products/{id}", p.product)}
	out = append(out, both("product_new", "/admin/products/new", p.newProduct)...)
	out = append(out, both("product_edit", "/admin/products/{id}/edit", p.editProduct)...)
	out = append(out, both("import", "/admin/import", p.importCatalogue)...)
	return append(out, p.asked(
		action{name: "product_publish", path: "/admin/products/{id}/publish", spec: p.ops.PublishProduct.Spec(), calm: true, silent: true, back: back,
			title: "Put the product on sale", button: "Put it on sale", done: "The product is on sale.",
			what: "It appears in the shop with the plans that are published. You can end the sale again at any time.",
			do:   plain(func() op[catalog.ProductRequest, catalog.ProductView] { return p.ops.PublishProduct }, request)},
		action{name: "product_sunset", path: "/admin/products/{id}/sunset", spec: p.ops.SunsetProduct.Spec(), calm: true, silent: true, back: back,
			title: "End the sale of the product", button: "End the sale", done: "The product is not for sale any more.",
			what: "Nobody can buy it any more. What was sold goes on as before, and you can put it on sale again.",
			do:   plain(func() op[catalog.ProductRequest, catalog.ProductView] { return p.ops.SunsetProduct }, request)},
		action{name: "product_retire", path: "/admin/products/{id}/retire", spec: p.ops.RetireProduct.Spec(), silent: true, back: back,
			title: "Retire the product", button: "Retire it for good", done: "The product is retired.",
			what: "This cannot be undone: it never comes on sale again and gets no new plans. Licenses that were sold stay good.",
			do:   plain(func() op[catalog.ProductRequest, catalog.ProductView] { return p.ops.RetireProduct }, request)})...)
}

func productStates() []ui.Option { return choices("Any state", "draft", "active", "sunset", "retired") }

func (p *pages) productList(v *site.Visit) error {
	list, err := p.ops.Products.Call(v.Ctx(), catalog.ListProductsRequest{Page: page(v, 50), State: catalog.State(pick(v, "state", productStates()))})
	if err != nil {
		return err
	}
	return v.Show(productsPage(v.Frame("Products"), v.Filter(), list, next(v, list.Next), filtered(v), may(v, p.ops.CreateProduct.Spec())))
}

func (p *pages) product(v *site.Visit) error {
	product, err := p.ops.Product.Call(v.Ctx(), catalog.ProductRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	var wanting []string
	if product.State == catalog.Draft {
		if wanting, err = p.wanting(v, product.ID, product.Plans...); err != nil {
			return err
		}
	}
	return v.Show(productPage(v.Frame(product.Name, ui.Link{Href: "/admin/products", Name: "Products"}), product, nextStep(product, wanting), may(v, p.ops.UpdateProduct.Spec())))
}

// wanting are the policies that plans give licenses under and that their product does not have, by code: what an import names is made later.
func (p *pages) wanting(v *site.Visit, product string, plans ...catalog.PlanView) ([]string, error) {
	var named []string
	for _, plan := range plans {
		for _, g := range plan.Grants {
			if g.License != nil && plan.State == catalog.Draft && !slices.Contains(named, g.License.Policy) {
				named = append(named, g.License.Policy)
			}
		}
	}
	if len(named) == 0 {
		return nil, nil
	}
	list, err := p.ops.Policies.Call(v.Ctx(), license.ListPoliciesRequest{Product: product, Page: licensing.Page{Limit: 100}})
	for _, policy := range list.Items {
		named = slices.DeleteFunc(named, func(name string) bool { return name == policy.Code || name == policy.ID })
	}
	if list.Next != "" { // with so many policies nobody is taught to make one
		named = nil
	}
	return named, err
}

// todo is what a product or plan still needs before it can be sold, and where that is done; without a text it needs nothing.
type todo struct {
	Text string
	Do   ui.Link
}

// policyFirst is what to do about a policy that is wanting.
func policyFirst(product, code string) todo {
	return todo{"The policy " + code + ", under which licenses are to be given, is not there yet. A policy says what a license allows: on how many devices, for how long, with which features.",
		ui.Link{Href: link("/admin/policies/new", "product", product, "preset", "perpetual", "code", code), Name: "Make the policy " + code}}
}

// nextStep is the next step on the way of a product into the shop.
func nextStep(p catalog.ProductView, wanting []string) todo {
	at := "/admin/products/" + p.ID
	draft := slices.IndexFunc(p.Plans, func(plan catalog.PlanView) bool { return plan.State == catalog.Draft })
	switch {
	case p.State != catalog.Draft:
		return todo{}
	case len(p.Plans) == 0:
		return todo{"It has no plan yet. A plan says what one unit gives its buyer and what it costs.", ui.Link{Href: at + "/plans/new", Name: "Make a plan"}}
	case slices.ContainsFunc(p.Plans, func(plan catalog.PlanView) bool { return plan.State == catalog.Active }):
		return todo{"It is ready.", ui.Link{Href: at + "/publish", Name: "Put it on sale"}}
	case len(wanting) > 0:
		return policyFirst(p.ID, wanting[0])
	case draft < 0:
		return todo{"None of its plans can be bought any more.", ui.Link{Href: at + "/plans/new", Name: "Make a plan"}}
	case len(p.Plans[draft].Prices) == 0:
		return todo{"None of its plans is published yet. Set a price first.", ui.Link{Href: "/admin/plans/" + p.Plans[draft].ID, Name: "Set the price of " + p.Plans[draft].Name}}
	}
	return todo{"None of its plans is published yet.", ui.Link{Href: "/admin/plans/" + p.Plans[draft].ID, Name: "Look at the plan " + p.Plans[draft].Name + " and publish it"}}
}

func purposes() []ui.Option {
	return []ui.Option{{Value: "revenue", Name: "To earn"}, {Value: "retention", Name: "To keep customers"}, {Value: "distribution", Name: "To become known"}}
}

func (p *pages) newProduct(v *site.Visit) error {
	if err := v.Ready(p.ops.CreateProduct.Spec()); err != nil {
		return err
	}
	f, frame := v.Form(), v.Frame("New product", ui.Link{Href: "/admin/products", Name: "Products"})
	f.Default("purpose", "revenue")
	f.Default("key_prefix", "MINT")
	if !v.Posted() {
		return v.Show(newProductPage(frame, f))
	}
	out, err := p.ops.CreateProduct.Call(v.Ctx(), catalog.CreateProductRequest{Slug: f.Text("slug"), Name: f.Text("name"), Description: f.Text("description"), Purpose: catalog.Purpose(f.Text("purpose")),
		KeyPrefix: strings.ToUpper(f.Text("key_prefix"))})
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	if err != nil {
		return v.Show(newProductPage(frame, f))
	}
	return v.Go("/admin/products/"+out.ID, "good", "The product is made, as a draft. Next it needs a plan with a price.")
}

func (p *pages) editProduct(v *site.Visit) error {
	if err := v.Ready(p.ops.UpdateProduct.Spec()); err != nil {
		return err
	}
	f, id := v.Form(), v.Param("id")
	product, err := p.ops.Product.Call(v.Ctx(), catalog.ProductRequest{ID: id})
	if err != nil {
		return err
	}
	frame := v.Frame("Change "+product.Name, ui.Link{Href: "/admin/products/" + id, Name: product.Name})
	for name, value := range map[string]string{"slug": product.Slug, "name": product.Name, "description": product.Description, "purpose": string(product.Purpose), "key_prefix": product.KeyPrefix,
		"version": ui.Plain(product.Version)} {
		f.Default(name, value)
	}
	if !v.Posted() {
		return v.Show(editProductPage(frame, f, product))
	}
	slug, name, description, purpose, prefix, version := f.Text("slug"), f.Text("name"), f.Text("description"), catalog.Purpose(f.Text("purpose")), strings.ToUpper(f.Text("key_prefix")), f.Int("version", 0)
	r := catalog.UpdateProductRequest{ID: id, Name: &name, Description: &description, Purpose: &purpose, KeyPrefix: &prefix, Version: &version}
	if product.State == catalog.Draft {
		r.Slug = &slug
	}
	_, err = p.ops.UpdateProduct.Call(v.Ctx(), r)
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	if err != nil {
		return v.Show(editProductPage(frame, f, product))
	}
	return v.Go("/admin/products/"+id, "good", "The product is changed. Orders keep the name they were made with.")
}

// importCatalogue takes a file, or what was pasted: first to try it, which changes nothing, then for good.
func (p *pages) importCatalogue(v *site.Visit) error {
	if err := v.Ready(p.ops.Import.Spec()); err != nil {
		return err
	}
	f, frame := v.Form(), v.Frame("Import")
	f.Default("format", "csv")
	if !v.Posted() {
		if v.Query("example") != "" {
			f.Default("data", exampleCatalogue)
		}
		return v.Show(importPage(frame, f, nil, false))
	}
	if err := uploadedText(v, f); err != nil {
		f.Wrong("file", err.Error())
		return v.Show(importPage(frame, f, nil, false))
	}
	r := catalog.ImportRequest{Format: f.Text("format"), Data: f.Get("data"), DryRun: !f.Has("go")}
	if strings.TrimSpace(r.Data) == "" {
		f.Wrong("data", "choose a file, or paste its text")
		return v.Show(importPage(frame, f, nil, false))
	}
	report, err := p.ops.Import.Call(v.Ctx(), r)
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	if err != nil {
		return v.Show(importPage(frame, f, nil, false))
	}
	if report.Committed {
		return v.Render(http.StatusOK, importedPage(v.Frame("Imported"), report))
	}
	v.Fresh() // the same text is sent again for good, which is no repetition of the trial
	return v.Show(importPage(frame, f, &report, true))
}

// exampleCatalogue is what a founder changes into a catalogue of his own: a product with two plans, one of which gives an API key too.
const exampleCatalogue = `product_slug,product_name,product_description,purpose,key_prefix,plan_code,plan_name,plan_description,plan_type,license_policy,license_seats,api_scopes,api_rate_count,api_rate_period,price_EUR,price_USD
my-app,My App,"What it does, in a sentence or two.",revenue,APP,solo,Solo,For one person.,perpetual,standard,2,,,,29.00,32.00
my-app,,,,,team,Team,"For a team, with an API key.",perpetual,standard,10,app:read app:write,1000,3600,99.00,109.00
`

// importHelp says how the text of a file is read.
func importHelp(f *ui.Form) string {
	if f.Get("format") == "json" {
		return ""
	}
	return "One row a plan; further rows of a product may leave its columns empty. A plan gives a license under license_policy, an API key where api_rate_count is said, or both. Prices are in columns like price_EUR."
}

// uploadedText puts the text of a file that came with the form into its text field.
func uploadedText(v *site.Visit, f *ui.Form) error {
	if v.R.MultipartForm == nil || len(v.R.MultipartForm.File["file"]) == 0 {
		return nil
	}
	part := v.R.MultipartForm.File["file"][0]
	if part.Size == 0 {
		return nil
	}
	file, err := part.Open()
	if err != nil {
		return errors.New("could not be read; choose it again")
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, catalog.MaxImportBytes+1))
	if err != nil || len(text) > catalog.MaxImportBytes {
		return errors.New("is too large or could not be read; a catalogue may have 1 MiB")
	}
	f.Values.Set("data", strings.TrimPrefix(string(text), "\uFEFF"))
	f.Values.Set("format", "csv")
	if json.Valid(text) || strings.HasSuffix(strings.ToLower(part.Filename), ".json") {
		f.Values.Set("format", "json")
	}
	return nil
}

// outcomes counts what an import does, in the order in which it matters.
func outcomes(r catalog.ImportReport) string {
	count := map[string]int64{}
	for _, row := range r.Rows {
		count[row.Outcome]++
	}
	var parts []string
	for _, o := range []struct{ key, one, many string }{{"error", "row with an error", "rows with errors"}, {"create", "new", "new"}, {"update", "changed", "changed"},
		{"propose", "price proposed", "prices proposed"}, {"unchanged", "as it is", "as they are"}} {
		if n := count[o.key]; n > 0 {
			parts = append(parts, ui.Plural(n, o.one, o.many))
		}
	}
	return strings.Join(parts, ", ")
}

func outcomeTone(o string) string {
	return map[string]string{"create": "good", "update": "wait", "propose": "wait", "error": "bad"}[o]
}

// errorsText are a row's errors in a sentence.
func errorsText(fields []licensing.Field) string {
	var parts []string
	for _, f := range fields {
		parts = append(parts, strings.TrimPrefix(f.Name, "/")+" "+f.Detail)
	}
	return strings.Join(parts, "; ")
}
