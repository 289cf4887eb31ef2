// Package sdk lets a product check its license: offline first, against documents
// signed by the vendor's Mintreu, and with the server when contact is due. It
// uses the standard library alone.
package sdk
