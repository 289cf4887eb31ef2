// Package api holds the contract of the JSON API: openapi.json, an OpenAPI 3.1 document that is generated from the routes in
// service/httpapi and committed, so that a change of the API is a change of this file. A test there compares the two; write it
// anew with
//
//	go test ./service/httpapi -run TestGolden -update
package api

import (
	_ "embed"
	"slices"
)

//go:embed openapi.json
var openapi []byte

// OpenAPI returns a copy of the OpenAPI document, JSON in UTF-8.
func OpenAPI() []byte { return slices.Clone(openapi) }
