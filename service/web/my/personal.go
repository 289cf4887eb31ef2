package my

import (
	"encoding/json"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/service/web/site"
)

// personal are the pages on which customers take their data along and have it erased. Staff ask the owner for that.
func (p *settings) personal() []site.Page {
	return []site.Page{
		{Name: "page.my_settings_export", Pattern: "GET " + p.base + "/data", For: site.Customers, Serve: p.data},
		{Name: "page.my_settings_export_send", Pattern: "POST " + p.base + "/data", For: site.Customers, Serve: p.export},
		{Name: "page.my_settings_erase", Pattern: "GET " + p.base + "/erase", For: site.Customers, Serve: p.erase},
		{Name: "page.my_settings_erase_send", Pattern: "POST " + p.base + "/erase", For: site.Customers, Serve: p.erase},
	}
}

func (p *settings) data(v *site.Visit) error {
	return v.Show(dataPage(p.frame(v, "Your data"), v.Form(), p.base))
}

// export answers with everything that is held on the customer, as a file.
func (p *settings) export(v *site.Visit) error {
	out, err := p.ops.Export.Call(v.Ctx(), account.ExportRequest{})
	if err != nil {
		return err
	}
	body, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	_, err = v.Attach("my-data.json", "application/json").Write(body)
	return err
}

// erase asks for the password and a word, and then takes the customer's personal data away for good.
func (p *settings) erase(v *site.Visit) error {
	if err := v.Ready(p.ops.Erase.Spec()); err != nil {
		return err
	}
	f := v.Form()
	if !v.Posted() {
		return v.Show(erasePage(p.frame(v, "Erase the account"), f, p.base))
	}
	_, err := p.ops.Erase.Call(v.Ctx(), account.EraseRequest{Password: f.Get("password"), Confirm: f.Text("confirm")})
	if other := refuse(f, err, nil, "password"); other != nil {
		return other
	}
	if err != nil {
		return v.Show(erasePage(p.frame(v, "Erase the account"), f, p.base))
	}
	v.Forget()
	return v.Go("/", "good", "Your account is erased. Licenses that you activated go on working; receipts are kept as the law demands, without your name.")
}
