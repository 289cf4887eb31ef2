package meter

import (
	"net/url"
	"slices"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// kindOptions are the kinds of meter, as a form has them.
func kindOptions() []ui.Option {
	return []ui.Option{{Value: usage.KindSum, Name: "Sum: the numbers of events are added up"}, {Value: usage.KindCount, Name: "Count: how many events there were"},
		{Value: usage.KindMax, Name: "Highest: the largest number"}, {Value: usage.KindUnique, Name: "Unique: how many different values there were"}, {Value: usage.KindLast, Name: "Newest: the latest number"}}
}

// kindName is a kind as the list of meters has it.
func kindName(kind string) string {
	return map[string]string{usage.KindSum: "Sum", usage.KindCount: "Count", usage.KindMax: "Highest", usage.KindUnique: "Unique", usage.KindLast: "Newest"}[kind]
}

// meters lists what is defined, of all products.
func (p *pages) meters(v *site.Visit) error {
	list, err := p.ops.Meters.Call(v.Ctx(), usage.ListMetersRequest{Page: licensing.Page{Cursor: v.Query("cursor"), Limit: 50}})
	if err != nil {
		return err
	}
	products, err := p.named(v)
	if err != nil {
		return err
	}
	more := ""
	if list.Next != "" {
		more = "/admin/meters?cursor=" + url.QueryEscape(list.Next)
	}
	return v.Show(metersPage(v.Frame("Meters", usagePages), list.Items, products, more))
}

// usagePages leads back to usage.
var usagePages = ui.Link{Href: "/admin/usage", Name: "Usage"}

// named are the products that a list has names for, and a form offers.
func (p *pages) named(v *site.Visit) ([]catalog.ProductView, error) {
	list, err := p.ops.Products.Call(v.Ctx(), catalog.ListProductsRequest{Page: licensing.Page{Limit: 100}})
	return list.Items, err
}

// productName is the name of a product, or its id.
func productName(products []catalog.ProductView, id string) string {
	if i := slices.IndexFunc(products, func(p catalog.ProductView) bool { return p.ID == id }); i >= 0 {
		return products[i].Name
	}
	return id
}

// meterFields are the fields of the form in which a problem of the API is shown.
func meterFields() map[string]string {
	return map[string]string{"/product_id": "product", "/code": "code", "/name": "name", "/kind": "kind", "/unit": "unit", "/event": "event", "/value": "value", "/group": "group"}
}

// define makes a meter.
func (p *pages) define(v *site.Visit) error {
	if err := v.Ready(p.ops.Define.Spec()); err != nil {
		return err
	}
	products, err := p.named(v)
	if err != nil {
		return err
	}
	f := v.Form()
	f.Default("product", v.Query("product"))
	if v.Posted() {
		m, err := p.ops.Define.Call(v.Ctx(), usage.CreateMeterRequest{ProductID: f.Text("product"), Code: f.Text("code"), Name: f.Text("name"), Kind: f.Text("kind"), Unit: f.Text("unit"),
			Event: f.Text("event"), Value: f.Text("value"), Group: f.Text("group")})
		if err == nil {
			return v.Go("/admin/meters", "good", m.Name+" is counted from now on, and what was reported under "+m.Code+" before counts too.")
		}
		if err := f.Refuse(err, meterFields()); err != nil {
			return err
		}
	}
	options := make([]ui.Option, len(products))
	for i, p := range products {
		options[i] = ui.Option{Value: p.ID, Name: p.Name}
	}
	return v.Show(definePage(v.Frame("New meter", usagePages, metersLink), f, options))
}

var metersLink = ui.Link{Href: "/admin/meters", Name: "Meters"}

// redefine changes how a meter is called and what feeds it.
func (p *pages) redefine(v *site.Visit) error {
	if err := v.Ready(p.ops.Redefine.Spec()); err != nil {
		return err
	}
	m, err := p.ops.Meter.Call(v.Ctx(), usage.MeterRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	f := v.Form()
	for name, value := range map[string]string{"name": m.Name, "unit": m.Unit, "event": m.Event, "value": m.Value, "group": m.Group, "version": ui.Plain(m.Version)} {
		f.Default(name, value)
	}
	if v.Posted() {
		_, err := p.ops.Redefine.Call(v.Ctx(), usage.ChangeMeterRequest{ID: m.ID, Version: f.Int("version", 0), Name: f.Text("name"), Unit: f.Text("unit"), Event: f.Text("event"), Value: f.Text("value"), Group: f.Text("group")})
		if err == nil {
			return v.Go("/admin/meters", "good", f.Text("name")+" is changed. What was counted stays as it is.")
		}
		if err := f.Refuse(err, meterFields()); err != nil {
			return err
		}
	}
	return v.Show(redefinePage(v.Frame(m.Name, usagePages, metersLink), f, m))
}
