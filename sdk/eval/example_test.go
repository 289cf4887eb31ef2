package eval_test

import (
	"fmt"
	"time"

	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

func Example() {
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	const day = 24 * 3600
	license := &doc.License{Audience: "editor", Env: doc.EnvLive, NotBefore: start, ValidUntil: start + 30*day, MaxVersion: "2",
		Ent: map[string]doc.Value{"projects": doc.Int(25)},
		Pol: doc.Policy{Expired: doc.ExpiredRestrict, ExpiryGrace: 3 * day, Activation: doc.ActivationNone, Status: doc.StatusOff}}
	for _, in := range []eval.Input{
		{Now: start + day, Request: eval.Request{Product: "editor", Version: "2.4.1", Entitlement: "projects", N: 10}},
		{Now: start + day, Request: eval.Request{Product: "editor", Version: "2.4.1", Entitlement: "projects", N: 30}},
		{Now: start + 31*day, Request: eval.Request{Product: "editor", Version: "2.4.1"}},
		{Now: start + 33*day, Request: eval.Request{Product: "editor", Version: "3.0.0"}},
	} {
		in.License = license
		d := eval.Evaluate(in)
		fmt.Println(d.Allowed, d.Code, d.Explanation)
	}
	// Output:
	// true VALID The license is valid.
	// false QUOTA_EXCEEDED The license includes 25 of projects, and 30 was asked for.
	// true IN_GRACE The license has expired and is in its grace time.
	// false EXPIRED The license has expired.
}
