package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/mintreu/mintreu/service/app"
)

type licenseCommand struct {
	Inspect   inspectCommand   `cmd:"" help:"Read a license file or token, and verify it against your roots. Needs no network."`
	Verify    licenseVerify    `cmd:"" help:"Say by its status whether a license file or token is authentic. Needs no network."`
	List      licenseList      `cmd:"" help:"Show licenses, newest first."`
	File      licenseFile      `cmd:"" help:"Write a license file: the signed license with the keyset that verifies it."`
	Explain   licenseExplain   `cmd:"" help:"Say what is decided on a license, and everything that was found."`
	History   licenseHistory   `cmd:"" help:"Tell what happened to a license, by whom and why."`
	QR        licenseQR        `cmd:"" name:"qr" help:"Draw the text of a machine without a network as a QR code, to be carried by telephone."`
	Answer    licenseAnswer    `cmd:"" help:"Answer the request of a machine without a network with a license file."`
	Return    licenseReturn    `cmd:"" help:"Take the return of a machine without a network, which frees its seat."`
	Issue     licenseIssue     `cmd:"" help:"Issue a license by hand and print its key."`
	Bulk      licenseBulk      `cmd:"" help:"Issue up to 10,000 licenses of a policy."`
	Import    licenseImport    `cmd:"" help:"Import licenses and keys from keygen, Gumroad, Lemon Squeezy or a file of your own."`
	Act       licenseAct       `cmd:"" help:"Do one thing to all licenses that a search finds."`
	Renew     licenseRenew     `cmd:"" help:"Renew a license by its policy, or until a date."`
	Transfer  licenseTransfer  `cmd:"" help:"Give a license to another owner, where its policy allows it."`
	Repolicy  licenseRepolicy  `cmd:"" help:"Put a license under a policy as it is now."`
	Users     usersCommand     `cmd:"" help:"Show, add and remove the users who hold the seats of a license."`
	Lend      licenseLend      `cmd:"" help:"Lend a device its floating seat until a date, or end that."`
	Suspend   licenseSuspend   `cmd:"" help:"Suspend a license until it is reinstated."`
	Reinstate licenseReinstate `cmd:"" help:"Reinstate a suspended license."`
	Revoke    licenseRevoke    `cmd:"" help:"Revoke a license for good."`
}

type licenseList struct {
	output
	State   string `help:"Only those that are active, suspended or revoked." enum:"active,suspended,revoked," default:"" placeholder:"STATE"`
	Env     string `help:"Only those of this environment, live or test." enum:"live,test," default:"" placeholder:"ENV"`
	Product string `help:"Only those of this product, by slug or id." placeholder:"PRODUCT"`
	Owner   string `help:"Only those of this customer or organisation, by id, or by the customer's e-mail address." placeholder:"WHO"`
	Find    string `help:"Those found by an owner's e-mail address, an id, or the last characters of the key." placeholder:"TEXT"`
}

// Run shows licenses.
func (c *licenseList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		product, owner := "", ""
		var err error
		if c.Product != "" {
			if product, err = o.product(ctx, c.Product); err != nil {
				return err
			}
		}
		if owner, err = o.owner(ctx, c.Owner); err != nil {
			return err
		}
		rows, err := o.all(ctx, "/v1/licenses"+filter("state", c.State, "env", c.Env, "product", product, "owner", owner, "q", c.Find))
		if err != nil {
			return err
		}
		if !c.JSON {
			for _, row := range rows {
				row["seats"] = cell(row["seats_used"]) + "/" + cell(row["seats_max"])
			}
		}
		return c.list(s.out, rows, "There are no such licenses.", "id", "product", "plan", "state", "env", "seats", "licensee", "created_at")
	})
}

// licenseChange is what the commands that change a license's state share.
type licenseChange struct {
	output
	ID     string `arg:"" help:"Id of the license."`
	Reason string `required:"" help:"Why, for the audit trail." placeholder:"TEXT"`
}

func (c *licenseChange) apply(ctx context.Context, cfg app.Config, s streams, verb string) error {
	in := map[string]any{"reason": c.Reason}
	return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/licenses/" + url.PathEscape(c.ID) + "/" + verb, in}, func(a map[string]any) string {
		text := fmt.Sprintf("%s is %s.", c.ID, cell(a["state"]))
		if a["disputed_at"] != nil {
			text += " Its payment is disputed; that ends by itself."
		}
		return text
	})
}

type licenseSuspend struct{ licenseChange }

// Run suspends.
func (c *licenseSuspend) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.apply(ctx, cfg, s, "suspend")
}

type licenseReinstate struct{ licenseChange }

// Run reinstates.
func (c *licenseReinstate) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.apply(ctx, cfg, s, "reinstate")
}

type licenseRevoke struct {
	licenseChange
	consent
}

// Run revokes, which is final.
func (c *licenseRevoke) Run(ctx context.Context, cfg app.Config, s streams) error {
	if err := c.ask(ctx, s, "Revoke "+word(c.ID)+" for good? Its seats are released and it can never be reinstated."); err != nil {
		return err
	}
	return c.apply(ctx, cfg, s, "revoke")
}
