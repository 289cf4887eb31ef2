package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mintreu/mintreu/service/app"
)

// origin is what licenses are made from and to whom they go; the flags of commands that make some.
type origin struct {
	Policy string `required:"" help:"Policy whose terms they get: PRODUCT/CODE, or its id." placeholder:"POLICY"`
	Plan   string `help:"Code of the plan that they tell of." placeholder:"CODE"`
	Env    string `help:"Environment, live or test." enum:"live,test" default:"live" placeholder:"ENV"`
	Owner  string `help:"Customer or organisation that gets them, by id." placeholder:"ID"`
	Email  string `help:"Or the customer's e-mail address; whoever has no account becomes a customer." placeholder:"ADDRESS"`
}

// request is the part of a request that origin fills.
func (f *origin) request(ctx context.Context, o *operator, reason string) (map[string]any, error) {
	policy, err := o.policy(ctx, f.Policy)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"policy": policy, "env": f.Env, "reason": reason}
	for name, value := range map[string]string{"plan": f.Plan, "owner": f.Owner, "email": f.Email} {
		if value != "" {
			out[name] = value
		}
	}
	return out, nil
}

// policy is the id of a policy, which is named by it or as PRODUCT/CODE.
func (o *operator) policy(ctx context.Context, name string) (string, error) {
	if strings.HasPrefix(name, "pol_") {
		return name, nil
	}
	product, code, ok := strings.Cut(name, "/")
	if !ok {
		return "", fmt.Errorf("%q names no policy; write PRODUCT/CODE, as in notes/standard", name)
	}
	id, err := o.product(ctx, product)
	if err != nil {
		return "", err
	}
	rows, err := o.all(ctx, "/v1/policies"+filter("product", id))
	if err != nil {
		return "", err
	}
	var codes []string
	for _, row := range rows {
		if row["code"] == code {
			return cell(row["id"]), nil
		}
		codes = append(codes, cell(row["code"]))
	}
	return "", fmt.Errorf("%s has no policy %q; it has: %s", product, code, strings.Join(codes, ", "))
}

// extras are what may be said of licenses beyond their policy.
type extras struct {
	Licensee    string   `help:"Name shown to the user." placeholder:"NAME"`
	Seats       string   `help:"Seats, instead of the policy's." placeholder:"N"`
	ValidUntil  string   `help:"Commercial end, as 2027-03-01 or 2027-03-01T12:00:00Z." placeholder:"WHEN"`
	Entitlement []string `help:"Features to add or replace: CODE for a mere yes, CODE=NUMBER, CODE=TEXT." placeholder:"CODE[=VALUE]"`
	Reference   string   `help:"Your own id of what it is for: the same reference never makes a second license." placeholder:"TEXT"`
}

func (x *extras) into(out map[string]any) error {
	if x.Licensee != "" {
		out["licensee"] = x.Licensee
	}
	if x.Reference != "" {
		out["reference"] = x.Reference
	}
	if x.Seats != "" {
		n, err := strconv.ParseInt(x.Seats, 10, 64)
		if err != nil {
			return fmt.Errorf("--seats %s is not a whole number", x.Seats)
		}
		out["seats"] = n
	}
	if x.ValidUntil != "" {
		at, err := instant(x.ValidUntil)
		if err != nil {
			return err
		}
		out["valid_until"] = at
	}
	if len(x.Entitlement) > 0 {
		granted, err := features(x.Entitlement)
		if err != nil {
			return err
		}
		out["entitlements"] = granted
	}
	return nil
}

// features reads CODE and CODE=VALUE.
func features(words []string) (map[string]any, error) {
	out := map[string]any{}
	for _, w := range words {
		code, value, given := strings.Cut(w, "=")
		n, err := strconv.ParseInt(value, 10, 64)
		switch {
		case strings.EqualFold(value, "false"):
			return nil, fmt.Errorf("--entitlement %s: a feature is granted or left out; leave it out", word(w))
		case !given, strings.EqualFold(value, "true"):
			out[code] = true
		case err == nil:
			out[code] = n
		default:
			out[code] = value
		}
	}
	return out, nil
}

// instant reads a date, which begins at midnight in UTC, or an instant.
func instant(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not an instant; write it like 2027-03-01 or 2027-03-01T12:00:00Z", text)
}

type licenseIssue struct {
	output
	origin
	extras
	Reason string `required:"" help:"Why, for the audit trail." placeholder:"TEXT"`
}

// Run issues a license and prints its key, which is shown this once.
func (c *licenseIssue) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		in, err := c.request(ctx, o, c.Reason)
		if err != nil {
			return err
		}
		if err := c.into(in); err != nil {
			return err
		}
		var out struct {
			ID, Key, State string
			Existing       bool
		}
		if c.JSON {
			return c.pass(ctx, o, s, call{http.MethodPost, "/v1/licenses", in})
		}
		if err := o.call(ctx, http.MethodPost, "/v1/licenses", in, &out); err != nil {
			return err
		}
		if out.Existing {
			_, err = fmt.Fprintf(s.out, "%s was issued for this reference before; it is %s.\n", out.ID, out.State)
			return err
		}
		_, _ = fmt.Fprintf(s.err, "%s is issued. Its key is shown this once:\n", out.ID)
		_, err = fmt.Fprintln(s.out, out.Key)
		return err
	})
}

type licenseBulk struct {
	output
	origin
	Count    int64  `required:"" help:"How many, at most 10,000." placeholder:"N"`
	Reason   string `required:"" help:"Why, for the audit trail." placeholder:"TEXT"`
	To       string `help:"File to make with the keys, as CSV; it must not exist. Without it: mintreu run keys." placeholder:"FILE" type:"path"`
	Detached bool   `help:"Do not wait until it is done."`
}

// Run starts a bulk issue, shows how it goes and fetches the keys.
func (c *licenseBulk) Run(ctx context.Context, cfg app.Config, s streams) error {
	if c.Detached && c.To != "" {
		return errors.New("--detached does not wait for the keys; fetch them later with \"mintreu run keys\"")
	}
	var file *os.File
	if c.To != "" {
		var err error
		if file, err = keysFile(c.To); err != nil {
			return err
		}
		defer unused(file)
	}
	return with(ctx, cfg, func(o *operator) error {
		in, err := c.request(ctx, o, c.Reason)
		if err != nil {
			return err
		}
		in["count"] = c.Count
		run, err := c.started(ctx, o, s, call{http.MethodPost, "/v1/licenses/bulk", in}, c.Detached)
		if err != nil || c.To == "" {
			return err
		}
		return saveKeys(ctx, o, s, run, file)
	})
}

type licenseImport struct {
	output
	origin
	File     string `arg:"" help:"File to read; - reads standard input."`
	From     string `help:"Where it comes from: mintreu, keygen, gumroad or lemonsqueezy." enum:"mintreu,keygen,gumroad,lemonsqueezy" default:"mintreu" placeholder:"SYSTEM"`
	Format   string `help:"csv or json. Default: what the file's name ends with." enum:"csv,json," default:"" placeholder:"FORMAT"`
	Only     string `help:"Only what the file says to be of this product: its id there, for Gumroad also its name." placeholder:"PRODUCT"`
	DryRun   bool   `help:"Check every row, report it, and keep nothing."`
	Reason   string `help:"Why, for the audit trail." default:"import" placeholder:"TEXT"`
	Detached bool   `help:"Do not wait until it is done."`
}

// maxLicenseFile is a little more than the operation takes, so that the refusal is the operation's.
const maxLicenseFile = 40 << 20

// Run checks a file row by row and imports it.
func (c *licenseImport) Run(ctx context.Context, cfg app.Config, s streams) error {
	format := c.Format
	if format == "" {
		format = strings.ToLower(strings.TrimPrefix(filepath.Ext(c.File), "."))
	}
	if format != "csv" && format != "json" {
		return fmt.Errorf("%s: its name tells no format; give --format csv or --format json", c.File)
	}
	text, err := readAll(s.in, c.File, maxLicenseFile)
	if err != nil {
		return err
	}
	return with(ctx, cfg, func(o *operator) error {
		in, err := c.request(ctx, o, c.Reason)
		if err != nil {
			return err
		}
		in["source"], in["format"], in["data"], in["dry_run"] = c.From, format, text, true
		if c.Only != "" {
			in["only"] = c.Only
		}
		var report licenseReport
		if err := o.call(ctx, http.MethodPost, "/v1/licenses/import", in, &report); err != nil {
			return err
		}
		if c.DryRun && c.JSON {
			err = c.value(s.out, report)
		} else if c.DryRun || report.Failed > 0 {
			err = report.print(s.out)
		}
		if report.Failed > 0 {
			return errors.Join(err, fmt.Errorf("%s with problems; nothing was imported", count(report.Failed, "license")))
		}
		if c.DryRun || err != nil {
			return err
		}
		in["dry_run"] = false
		_, err = c.started(ctx, o, s, call{http.MethodPost, "/v1/licenses/import", in}, c.Detached)
		return err
	})
}

// licenseReport is what the check of a file found.
type licenseReport struct {
	Total     int `json:"total"`
	Fresh     int `json:"fresh"`
	Unchanged int `json:"unchanged"`
	Skipped   int `json:"skipped"`
	Failed    int `json:"failed"`
	Rows      []struct {
		Line      int    `json:"line"`
		Reference string `json:"reference"`
		Outcome   string `json:"outcome"`
		License   string `json:"license,omitempty"`
		Key       string `json:"key,omitempty"`
		Email     string `json:"email,omitempty"`
		KeyHint   string `json:"key_hint,omitempty"`
		State     string `json:"state,omitempty"`
		Problems  []struct {
			Name   string `json:"name"`
			Detail string `json:"detail"`
		} `json:"problems,omitempty"`
	} `json:"rows"`
}

func (r *licenseReport) print(w interface{ Write([]byte) (int, error) }) error {
	for _, row := range r.Rows {
		_, _ = fmt.Fprintf(w, "line %-5d %-10s %-20s …%-6s %-10s %s\n", row.Line, row.Outcome, word(row.Reference), word(row.KeyHint), word(row.State), word(row.Email))
		for _, p := range row.Problems {
			_, _ = fmt.Fprintf(w, "           %s: %s\n", word(p.Name), word(p.Detail))
		}
	}
	_, err := fmt.Fprintf(w, "\n%d in the file: %d to import, %d imported before, %d with problems; %d rows are neither.\n", r.Total, r.Fresh, r.Unchanged, r.Failed, r.Skipped)
	return err
}

// keysFile makes the file for the keys of a run, which must not exist. Keys are given out once, so it is made before they are asked for.
func keysFile(to string) (*os.File, error) {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists; the keys are given out once, so name a new file", to)
	}
	return f, err
}

// unused closes a file, and removes it if nothing was written.
func unused(f *os.File) {
	if info, err := f.Stat(); err == nil && info.Size() == 0 {
		_ = os.Remove(f.Name())
	}
	_ = f.Close()
}

// saveKeys writes the keys of a run into a file.
func saveKeys(ctx context.Context, o *operator, s streams, run string, f *os.File) error {
	var out struct{ CSV string }
	if err := o.call(ctx, http.MethodPost, "/v1/runs/"+run+"/keys", map[string]any{}, &out); err != nil {
		return err
	}
	_, err := f.WriteString(out.CSV)
	if err = errors.Join(err, f.Sync()); err != nil {
		return errors.Join(err, errors.New("the keys were fetched but not kept; show them license by license"))
	}
	_, err = fmt.Fprintf(s.err, "The keys are in %s, which only you may read.\n", f.Name())
	return err
}
