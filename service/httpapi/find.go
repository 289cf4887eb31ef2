package httpapi

import (
	"fmt"

	"github.com/mintreu/mintreu/service/kit"
)

// Find returns the operation of a name and types among routes, for a page that calls it.
func Find[Req, Resp any](routes []kit.Route, name string) (op kit.Op[Req, Resp], err error) {
	for _, r := range routes {
		if r.Spec().Name != name {
			continue
		}
		if op, ok := r.(kit.Op[Req, Resp]); ok {
			return op, nil
		}
		return op, fmt.Errorf("httpapi: operation %s has other types", name)
	}
	return op, fmt.Errorf("httpapi: no operation %s", name)
}
