package admin

import (
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// meterOps are the operations of meters.
type meterOps struct {
	List   kit.Op[usage.ListMetersRequest, licensing.List[usage.MeterView]] `op:"meter.list"`
	Get    kit.Op[usage.MeterRequest, usage.MeterView]                      `op:"meter.get"`
	Create kit.Op[usage.CreateMeterRequest, usage.MeterView]                `op:"meter.create"`
	Change kit.Op[usage.ChangeMeterRequest, usage.MeterView]                `op:"meter.change"`
}

func (p *pages) meterPages() []site.Page {
	out := append([]site.Page{get("meters", "/admin/meters", p.meterList)}, both("meter_new", "/admin/meters/new", p.newMeter)...)
	return append(out, both("meter_change", "/admin/meters/{id}", p.changeMeter)...)
}

// meterKinds are the kinds of meter, as a form has them.
func meterKinds() []ui.Option {
	return []ui.Option{{Value: usage.KindSum, Name: "Sum: the numbers of events are added up"}, {Value: usage.KindCount, Name: "Count: how many events there were"},
		{Value: usage.KindMax, Name: "Highest: the largest number"}, {Value: usage.KindUnique, Name: "Unique: how many different values there were"}, {Value: usage.KindLast, Name: "Newest: the latest number"}}
}

// meterKind is a kind as the list of meters has it.
func meterKind(kind string) string {
	return map[string]string{usage.KindSum: "Sum", usage.KindCount: "Count", usage.KindMax: "Highest", usage.KindUnique: "Unique", usage.KindLast: "Newest"}[kind]
}

func (p *pages) meterList(v *site.Visit) error {
	products, err := p.products(v)
	if err != nil {
		return err
	}
	list, err := p.meters.List.Call(v.Ctx(), usage.ListMetersRequest{Page: page(v, 25)})
	if err != nil {
		return err
	}
	return v.Show(metersPage(v.Frame("Meters"), list.Items, products, next(v, list.Next), may(v, p.meters.Create.Spec())))
}

// meterFields are the fields of the form in which a problem of the API is shown.
func meterFields() map[string]string {
	return map[string]string{"/product_id": "product", "/code": "code", "/name": "name", "/kind": "kind", "/unit": "unit", "/event": "event", "/value": "value", "/group": "group"}
}

var backToMeters = ui.Link{Href: "/admin/meters", Name: "Meters"}

func (p *pages) newMeter(v *site.Visit) error {
	if err := v.Ready(p.meters.Create.Spec()); err != nil {
		return err
	}
	products, err := p.products(v)
	if err != nil {
		return err
	}
	f := v.Form()
	f.Default("product", v.Query("product"))
	if v.Posted() {
		m, err := p.meters.Create.Call(v.Ctx(), usage.CreateMeterRequest{ProductID: f.Text("product"), Code: f.Text("code"), Name: f.Text("name"), Kind: f.Text("kind"), Unit: f.Text("unit"),
			Event: f.Text("event"), Value: f.Text("value"), Group: f.Text("group")})
		if err == nil {
			return v.Go(backToMeters.Href, "good", m.Name+" is defined.")
		}
		if err := f.Refuse(err, meterFields()); err != nil {
			return err
		}
	}
	return v.Show(newMeterPage(v.Frame("New meter", backToMeters), f, productChoices("", products)))
}

// changeMeter changes how a meter is called and what feeds it.
func (p *pages) changeMeter(v *site.Visit) error {
	if err := v.Ready(p.meters.Change.Spec()); err != nil {
		return err
	}
	m, err := p.meters.Get.Call(v.Ctx(), usage.MeterRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	f := v.Form()
	for name, value := range map[string]string{"name": m.Name, "unit": m.Unit, "event": m.Event, "value": m.Value, "group": m.Group, "version": ui.Plain(m.Version)} {
		f.Default(name, value)
	}
	if v.Posted() {
		out, err := p.meters.Change.Call(v.Ctx(), usage.ChangeMeterRequest{ID: m.ID, Version: f.Int("version", 0), Name: f.Text("name"), Unit: f.Text("unit"), Event: f.Text("event"), Value: f.Text("value"), Group: f.Text("group")})
		if err == nil {
			return v.Go(backToMeters.Href, "good", out.Name+" is changed. What was counted stays as it is.")
		}
		if err := f.Refuse(err, meterFields()); err != nil {
			return err
		}
	}
	return v.Show(changeMeterPage(v.Frame(m.Name, backToMeters), f, m))
}
