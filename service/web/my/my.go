// Package my is what a customer sees of what is theirs: an overview, licenses with their devices, API keys, orders with receipts, downloads,
// and the settings of their account, which staff have as well in the console.
//
// Where a license stands is said in words by package explain, as everywhere else. A secret is shown in the
// answer to the form that asked for it and never in an address; what cannot be undone is asked for on a page of its own first.
package my

import (
	"errors"

	"github.com/mintreu/mintreu/commerce/catalog"
	"github.com/mintreu/mintreu/commerce/download"
	"github.com/mintreu/mintreu/commerce/insight"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/licensing/usage"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/web/site"
)

// operations are what the pages of a customer call.
type operations struct {
	Mine     kit.Op[insight.MineRequest, insight.Mine]                       `op:"overview.mine"`
	Licenses kit.Op[license.ListRequest, licensing.List[license.View]]       `op:"license.list"`
	License  kit.Op[license.GetRequest, license.View]                        `op:"license.get"`
	Reveal   kit.Op[license.GetRequest, license.Revealed]                    `op:"license.reveal"`
	Token    kit.Op[license.GetRequest, license.TokenResponse]               `op:"license.token"`
	Devices  kit.Op[activation.ListRequest, licensing.List[activation.View]] `op:"activation.list"`
	Device   kit.Op[activation.GetRequest, activation.View]                  `op:"activation.get"`
	Usage    kit.Op[usage.OfLicenseRequest, licensing.List[usage.Total]]     `op:"usage.license"`
	Release  kit.Op[activation.ReleaseRequest, activation.View]              `op:"activation.release"`
	Item     kit.Op[catalog.ShowRequest, catalog.Item]                       `op:"catalog.show"`
	Keys     kit.Op[apikey.ListRequest, licensing.List[apikey.KeyView]]      `op:"key.list"`
	Key      kit.Op[apikey.GetRequest, apikey.KeyView]                       `op:"key.get"`

	Reservations kit.Op[apikey.HoldsRequest, licensing.List[apikey.HoldView]] `op:"key.reservations"`

	Rotate    kit.Op[apikey.RotateRequest, apikey.CreateResponse]           `op:"key.rotate"`
	Revoke    kit.Op[apikey.RevokeRequest, apikey.RevokeResponse]           `op:"key.revoke"`
	Disable   kit.Op[apikey.RevokeRequest, apikey.RevokeResponse]           `op:"key.disable"`
	Make      kit.Op[apikey.CreateRequest, apikey.CreateResponse]           `op:"key.issue"`
	Options   kit.Op[struct{}, licensing.List[apikey.OptionView]]           `op:"key.options"`
	Enable    kit.Op[apikey.RevokeRequest, apikey.RevokeResponse]           `op:"key.enable"`
	AddUser   kit.Op[activation.AddUserRequest, activation.View]            `op:"license.add_user"`
	Lend      kit.Op[activation.LendRequest, activation.View]               `op:"activation.lend"`
	Recall    kit.Op[activation.RecallRequest, activation.View]             `op:"activation.recall"`
	Orders    kit.Op[order.ListRequest, licensing.List[order.View]]         `op:"order.list"`
	Order     kit.Op[order.GetRequest, order.View]                          `op:"order.get"`
	Downloads kit.Op[download.BrowseRequest, licensing.List[download.Item]] `op:"download.list"`
	Link      kit.Op[download.LinkRequest, download.LinkResponse]           `op:"download.link"`
}

type pages struct {
	ops  operations
	hand handOver
	site *site.Site
}

// Pages are the pages of a customer.
func Pages(s *site.Site) ([]site.Page, error) {
	p := &pages{site: s}
	var out []site.Page
	mine := func(name, path string, serve func(*site.Visit) error) {
		out = append(out, site.Page{Name: "page.my_" + name, Pattern: "GET /account" + path, For: site.Customers, Serve: serve})
	}
	form := func(name, path string, serve func(*site.Visit) error) {
		out = append(out, site.Page{Name: "page.my_" + name + "_send", Pattern: "POST /account" + path, For: site.Customers, Serve: serve})
	}
	both := func(name, path string, serve func(*site.Visit) error) {
		mine(name, path, serve)
		form(name, path, serve)
	}
	mine("overview", "", p.overview)
	mine("licenses", "/licenses", p.licenses)
	both("license", "/licenses/{id}", p.license)
	mine("license_token", "/licenses/{id}/token", p.token)
	both("release", "/licenses/{id}/devices/{device}/release", p.release)
	mine("renew", "/licenses/{id}/renew", p.renew)
	both("users", "/licenses/{id}/users", p.users)
	both("lend", "/licenses/{id}/devices/{device}/borrow", p.lend)
	mine("borrowed", "/licenses/{id}/borrowed", p.borrowed)
	both("transfer", "/licenses/{id}/transfer", p.transfer)
	both("transfer_cancel", "/transfers/{id}/cancel", p.cancelTransfer)
	out = append(out, site.Page{Name: "page.transfer", Pattern: "GET /transfer/{token}", Secret: true, Serve: p.answerTransfer},
		site.Page{Name: "page.transfer_send", Pattern: "POST /transfer/{token}", Secret: true, Serve: p.answerTransfer})
	mine("keys", "/keys", p.keys)
	both("key_new", "/keys/new", p.newKey)
	mine("key", "/keys/{id}", p.key)
	both("rotate", "/keys/{id}/rotate", p.rotate)
	both("revoke", "/keys/{id}/revoke", p.revoke)
	form("disable", "/keys/{id}/disable", p.disable)
	form("enable", "/keys/{id}/enable", p.enable)
	mine("orders", "/orders", p.orders)
	mine("order", "/orders/{id}", p.order)
	mine("downloads", "/downloads", p.downloads)
	form("download", "/downloads/{file}", p.download)
	own, err := Settings(s)
	return append(out, own...), errors.Join(err, kit.Fill(s.Routes, &p.ops), kit.Fill(s.Routes, &p.hand))
}
