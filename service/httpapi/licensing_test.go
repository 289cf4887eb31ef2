package httpapi_test

import (
	"testing"

	"github.com/mintreu/mintreu/service/httpapi"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
)

// The licensing operations are well formed and can be mounted together.
func TestLicensingRoutesMount(t *testing.T) {
	t.Parallel()
	if _, err := kit.NewMux(kittest.NewFixture(t).Stack, httpapi.LicensingRoutes(httpapi.Licensing{})...); err != nil {
		t.Fatal(err)
	}
}
