// Package web puts the pages of the product together: the storefront (package shop), signing in (sign), help (help), a customer's own pages
// (my), why they have access or not and what happened to their licenses (why), what they used (meter), machines without a network (island), organisations (org), the console of the staff (admin) and the documentation (guide, and reference, which is made of the OpenAPI
// document). All of them stand on package site, look as package ui has it, and call the operations of the API; none imports a Service.
//
// To add a page: write its templ component and its Serve function in the package it belongs to, add a line to that package's Pages, run
// go run ./service/cmd/dev generate, and commit both the templ file and what was made of it.
package web

import (
	"net/http"

	"github.com/mintreu/mintreu/api"
	"github.com/mintreu/mintreu/service/web/admin"
	"github.com/mintreu/mintreu/service/web/guide"
	"github.com/mintreu/mintreu/service/web/help"
	"github.com/mintreu/mintreu/service/web/island"
	"github.com/mintreu/mintreu/service/web/meter"
	"github.com/mintreu/mintreu/service/web/my"
	"github.com/mintreu/mintreu/service/web/org"
	"github.com/mintreu/mintreu/service/web/reference"
	"github.com/mintreu/mintreu/service/web/shop"
	"github.com/mintreu/mintreu/service/web/sign"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
	"github.com/mintreu/mintreu/service/web/why"
)

// Mount is a handler with its pattern and the name that log and metrics use.
type Mount struct {
	Name, Pattern string
	Handler       http.Handler
}

// Pages makes every page of the site. It fails when an operation that a page needs does not exist.
func Pages(s *site.Site) ([]Mount, error) {
	out := []Mount{{"page.asset", "GET /assets/{name}", ui.Assets()}, {"page.icon", "GET /favicon.ico", ui.Icon()}, {"page.missing", "/", s.Missing()}}
	for _, pages := range []func(*site.Site) ([]site.Page, error){
		guide.Pages,
		func(s *site.Site) ([]site.Page, error) { return reference.Pages(api.OpenAPI(), s.BaseURL) },
		shop.Pages,
		sign.Pages,
		help.Pages,
		my.Pages,
		island.Pages,
		org.Pages,
		why.Pages,
		meter.Pages,
		admin.Pages,
	} {
		all, err := pages(s)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			out = append(out, Mount{p.Name, p.Pattern, s.Handler(p)})
		}
	}
	return out, nil
}
