package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/mintreu/mintreu/service/app"
)

type staffCommand struct {
	Add  staffAdd  `cmd:"" help:"Let somebody work here."`
	List staffList `cmd:"" help:"Show who works here."`
}

type staffAdd struct {
	output
	Email        string `required:"" help:"E-mail address, which is also the name to sign in with." placeholder:"ADDRESS"`
	Role         string `required:"" help:"owner, admin, finance, support, catalogue or auditor." enum:"owner,admin,finance,support,catalogue,auditor" placeholder:"ROLE"`
	Name         string `help:"What people call them." placeholder:"NAME"`
	PasswordFile string `help:"File with the password to sign in with, 10 characters or more; - reads standard input. Without it they are mailed a link to set one." placeholder:"FILE"`
}

// Run makes a staff account.
func (c *staffAdd) Run(ctx context.Context, cfg app.Config, s streams) error {
	in := map[string]any{"email": c.Email, "role": c.Role}
	if c.Name != "" {
		in["name"] = c.Name
	}
	if c.PasswordFile != "" {
		password, err := readLine(s.in, c.PasswordFile)
		if err != nil {
			return err
		}
		if password == "" {
			return errors.New("the password is empty: write it on the first line")
		}
		in["password"] = password
	}
	return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/staff", in}, func(a map[string]any) string {
		text := fmt.Sprintf("%s is %s.", cell(a["email"]), cell(a["role"]))
		if c.PasswordFile == "" {
			text += " A link to set a password is on its way; without an SMTP server it is in \"mintreu mail list\"."
		}
		return text
	})
}

type staffList struct{ output }

// Run shows who works here.
func (c *staffList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		var staff struct {
			Items []map[string]any `json:"items"`
		}
		if err := o.call(ctx, http.MethodGet, "/v1/staff", nil, &staff); err != nil {
			return err
		}
		return c.list(s.out, staff.Items, "Nobody works here yet. Add yourself: mintreu staff add --role owner --email you@example.com", "id", "email", "role", "name")
	})
}

type ownerLinkCommand struct{ output }

// Run prints the link that makes the first owner, or says that there is one.
func (c *ownerLinkCommand) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.change(ctx, cfg, s, call{http.MethodGet, "/v1/setup", nil}, func(a map[string]any) string {
		if link, _ := a["link"].(string); link != "" {
			return printable(link, false)
		}
		return "There is an owner already: \"mintreu staff list\" names the staff."
	})
}

type tokenCommand struct {
	Add    tokenAdd    `cmd:"" help:"Make a machine token. Its secret is shown this once."`
	List   tokenList   `cmd:"" help:"Show machine tokens."`
	Revoke tokenRevoke `cmd:"" help:"Revoke a machine token for good."`
}

type tokenAdd struct {
	output
	Name    string     `arg:"" help:"What it is for, for people."`
	Scope   []string   `required:"" help:"What it may do, such as licenses:read; repeat or set apart by commas." placeholder:"SCOPE,…"`
	Product string     `help:"Bind it to one product, by slug or id." placeholder:"PRODUCT"`
	Env     string     `help:"Bind it to one environment, live or test." enum:"live,test," default:"" placeholder:"ENV"`
	Expires *time.Time `help:"When it ends by itself, as 2027-03-01 or 2027-03-01T12:00:00Z. Default: never." placeholder:"WHEN"`
}

// Run makes a machine token and prints its secret on a line of its own.
func (c *tokenAdd) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		in := map[string]any{"name": c.Name, "scopes": c.Scope}
		if c.Product != "" {
			id, err := o.product(ctx, c.Product)
			if err != nil {
				return err
			}
			in["product"] = id
		}
		if c.Env != "" {
			in["env"] = c.Env
		}
		if c.Expires != nil {
			in["expires_at"] = c.Expires
		}
		var raw json.RawMessage
		if err := o.call(ctx, http.MethodPost, "/v1/machine-tokens", in, &raw); err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, raw)
		}
		var made struct {
			Secret string              `json:"secret"`
			Token  struct{ ID string } `json:"token"`
		}
		if err := json.Unmarshal(raw, &made); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(s.err, "%s, shown this once; send it as Authorization: Bearer …\n", made.Token.ID)
		_, err := fmt.Fprintln(s.out, made.Secret)
		return err
	})
}

type tokenList struct{ output }

// Run shows machine tokens.
func (c *tokenList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return c.listed(ctx, cfg, s, "/v1/machine-tokens", "There are no machine tokens.", "id", "name", "scopes", "product", "env", "expires_at", "revoked_at", "created_at")
}

type tokenRevoke struct {
	output
	consent
	ID     string `arg:"" help:"Id of the token, as \"mintreu token list\" shows it."`
	Reason string `help:"Why, for the audit trail." placeholder:"TEXT"`
}

// Run revokes a machine token.
func (c *tokenRevoke) Run(ctx context.Context, cfg app.Config, s streams) error {
	if err := c.ask(ctx, s, "Revoke "+word(c.ID)+" for good? What uses it is refused within two seconds."); err != nil {
		return err
	}
	in := map[string]any{}
	if c.Reason != "" {
		in["reason"] = c.Reason
	}
	return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/machine-tokens/" + url.PathEscape(c.ID) + "/revoke", in}, func(map[string]any) string {
		return c.ID + " is revoked."
	})
}

// readLine reads the first line of a file, or of standard input for "-".
func readLine(in io.Reader, path string) (string, error) {
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}
