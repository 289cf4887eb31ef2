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
	return v.Show(productPage(v.Frame(product.Name, ui.Link{Href: "/admin/products", Name: "Products"}), product, may(v, p.ops.UpdateProduct.Spec())))
}

// todo says what a product still needs before it can be sold, "" when nothing.
func todo(p catalog.ProductView) string {
	published := slices.ContainsFunc(p.Plans, func(plan catalog.PlanView) bool { return plan.State == catalog.Active })
	switch {
	case p.State != catalog.Draft:
		return ""
	case len(p.Plans) == 0:
		return "It has no plan yet. A plan says what one unit gives its buyer and what it costs."
	case !published:
		return "None of its plans is published yet. Set a price, then publish the plan."
	}
	return "It is ready: put it on sale."
}

func purposes() []ui.Option {
	return []ui.Option{{Value: "revenue", Name: "To earn"}, {Value: "retention", Name: "To keep customers"}, {Value: "distribution", Name: "To become known"}}
}

func (p *pages) newProduct(v *site.Visit) error {
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
	f, frame := v.Form(), v.Frame("Import")
	f.Default("format", "csv")
	if !v.Posted() {
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
