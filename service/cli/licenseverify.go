package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/service/app"
)

// licenseVerify says whether a license file or token is authentic. It needs no service and no network.
type licenseVerify struct {
	inspectCommand
	Product string `help:"Also that the license is for this product, by slug." placeholder:"SLUG"`
	Env     string `help:"Also that it is of this environment." enum:"live,test," default:"" placeholder:"ENV"`
}

// errUnchecked is the answer where there is nothing to verify against, which is not the same as not authentic.
var errUnchecked = errors.New("nothing to verify against: give --root KEY, or --data-dir of the installation that issued it")

// Run verifies every document of a file. The status is 0 when all are authentic and what was demanded holds, 1 otherwise.
func (c *licenseVerify) Run(ctx context.Context, cfg app.Config, s streams) error {
	docs, err := c.documents(ctx, cfg, s)
	if err != nil {
		return err
	}
	if len(c.Root) == 0 {
		return errUnchecked
	}
	var claims struct {
		ID         string `json:"sub"`
		Product    string `json:"aud"`
		Env        string `json:"env"`
		ValidUntil int64  `json:"valid_until"`
		Expires    int64  `json:"exp"`
	}
	if err := docs[0].claims(&claims); err != nil {
		return err
	}
	verdict, authentic := "", true
	for _, d := range docs {
		if d.Verified != "yes" {
			authentic = false
			verdict = fmt.Sprintf("not authentic: the %s does not verify: %s", d.Part, d.Verified)
			break
		}
	}
	switch {
	case verdict != "":
	case c.Product != "" && c.Product != claims.Product:
		verdict = fmt.Sprintf("authentic, but for the product %s", word(claims.Product))
	case c.Env != "" && c.Env != claims.Env:
		verdict = fmt.Sprintf("authentic, but for the %s environment", word(claims.Env))
	}
	if c.JSON {
		// Authentic for another product is authentic still, and no answer to what was asked.
		out := map[string]any{"authentic": authentic, "good": verdict == "", "problem": verdict, "license": claims.ID, "product": claims.Product, "env": claims.Env, "documents": docs}
		for name, at := range map[string]int64{"valid_until": claims.ValidUntil, "stops_at": claims.Expires} {
			if at != 0 {
				out[name] = time.Unix(at, 0).UTC()
			}
		}
		err := c.value(s.out, out)
		if err == nil && verdict != "" {
			err = errors.New(verdict)
		}
		return err
	}
	if verdict != "" {
		return errors.New(verdict)
	}
	text := "authentic: " + word(claims.ID) + " for " + word(claims.Product) + ", " + word(claims.Env)
	if claims.ValidUntil != 0 {
		text += ", valid until " + time.Unix(claims.ValidUntil, 0).UTC().Format(time.RFC3339)
	}
	if claims.Expires != 0 {
		text += ", stops at " + time.Unix(claims.Expires, 0).UTC().Format(time.RFC3339)
	}
	_, err = fmt.Fprintln(s.out, text)
	return err
}
