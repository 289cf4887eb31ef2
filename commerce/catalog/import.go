package catalog

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/licensing"
)

// Limits of one import.
const (
	MaxImportBytes = 1 << 20
	MaxImportRows  = 2000
)

// Setter sets prices that an import names: the first price of a plan in a currency at once, a change of one as a proposal that a
// second person approves.
type Setter interface {
	// SetImported returns "create" for a first price, "propose" for a change, "unchanged" when the price, or a proposal of
	// it, stands already. It runs in the caller's transaction.
	SetImported(ctx context.Context, plan string, price money.Amount, recurring bool) (outcome string, err error)
}

// ImportRequest is a file of products and plans.
type ImportRequest struct {
	Format string `json:"format" doc:"csv: one row a plan, first row names the columns; json: {\"products\": […]}." enum:"csv,json"`
	Data   string `json:"data" doc:"The file's text, at most 1 MiB and 2,000 rows."`
	DryRun bool   `json:"dry_run,omitempty" doc:"Do everything, report it, and keep nothing."`
}

// ImportReport tells what an import did, or would do, row by row.
type ImportReport struct {
	ID        string      `json:"id,omitempty" doc:"Id of the import in the audit trail; absent for a dry run."`
	Committed bool        `json:"committed" doc:"Whether anything was kept: all rows or none."`
	Failed    int         `json:"failed" doc:"Rows with errors."`
	Rows      []ImportRow `json:"rows" doc:"What happened to each product, plan and price."`
}

// ImportRow is what became of one object of one row.
type ImportRow struct {
	Line    int               `json:"line" doc:"Line of the file where the row starts, from 1."`
	Object  string            `json:"object" doc:"What the row speaks of: product/plan currency."`
	Outcome string            `json:"outcome" doc:"What happened." enum:"create,update,unchanged,propose,error"`
	Errors  []licensing.Field `json:"errors,omitempty" doc:"What is wrong and what would be right."`
}

// entry is a product of a file with its plans, from whichever format.
type entry struct {
	line        int
	Slug        string      `json:"slug"`
	Name        string      `json:"name"`
	Description string      `json:"description"`
	Purpose     Purpose     `json:"purpose"`
	KeyPrefix   string      `json:"key_prefix"`
	Plans       []planEntry `json:"plans"`
}

type planEntry struct {
	line        int
	Code        string         `json:"code"`
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Type        PlanType       `json:"type"`
	Grants      []Grant        `json:"grants"`
	Prices      []money.Amount `json:"prices"`
}

// errRollback undoes the transaction of a dry run, and of an import with errors that only the database could show.
var errRollback = errors.New("catalog: import not kept")

// Import creates and updates products, plans and prices from a file: all of it or, if any row has an error, nothing. It is
// idempotent by slug, code and currency: the same file a second time changes nothing. New objects start as drafts. Products and
// plans that the file does not name are left alone. A dry run does the same work and rolls it back.
func (s *Service) Import(ctx context.Context, r ImportRequest) (ImportReport, error) {
	if err := reach(ctx, ""); err != nil {
		return ImportReport{}, err
	}
	entries, rows, err := parseImport(r)
	if err != nil {
		return ImportReport{}, err
	}
	for _, e := range entries {
		rows = append(rows, checkEntry(e)...)
	}
	if len(rows) > 0 {
		return refused(r, rows)
	}
	report := ImportReport{ID: s.IDs.New("imp"), Committed: true}
	err = s.inTx(ctx, func(ctx context.Context) error {
		rows = nil
		if err := s.Audit.Record(ctx, licensing.Event{Action: "catalog.import", Target: report.ID, Detail: map[string]any{"products": len(entries)}}); err != nil {
			return err
		}
		for _, e := range entries {
			done, err := s.importProduct(ctx, e)
			if err != nil {
				return err
			}
			rows = append(rows, done...)
		}
		if r.DryRun || failed(rows) > 0 {
			return errRollback
		}
		return nil
	})
	switch {
	case errors.Is(err, errRollback) && failed(rows) > 0:
		return refused(r, rows)
	case errors.Is(err, errRollback):
		return ImportReport{Rows: rows}, nil
	case err != nil:
		return ImportReport{}, err
	}
	report.Rows = rows
	return report, nil
}

// ReadImport answers the replay of an import: that it was kept. Its rows are in the audit trail.
func (s *Service) ReadImport(_ context.Context, id, _ string) (ImportReport, error) {
	return ImportReport{ID: id, Committed: true, Rows: []ImportRow{}}, nil
}

// refused reports errors: as the result of a dry run, as a failure otherwise.
func refused(r ImportRequest, rows []ImportRow) (ImportReport, error) {
	n := failed(rows)
	if r.DryRun {
		return ImportReport{Failed: n, Rows: rows}, nil
	}
	err := licensing.Fail(licensing.Invalid, "import-refused", "%d rows have errors, so nothing was imported; try a dry run.", n)
	for _, row := range rows {
		for _, f := range row.Errors {
			err = err.With(fmt.Sprintf("line %d %s", row.Line, f.Name), "%s", f.Detail)
		}
	}
	return ImportReport{}, err
}

func failed(rows []ImportRow) int {
	n := 0
	for _, r := range rows {
		if len(r.Errors) > 0 {
			n++
		}
	}
	return n
}

// checkEntry checks what can be checked without the database and returns a row for each fault.
func checkEntry(e entry) []ImportRow {
	var rows []ImportRow
	add := func(line int, object string, c *checker) {
		if len(c.err.Fields) > 0 {
			rows = append(rows, ImportRow{Line: line, Object: object, Outcome: "error", Errors: c.err.Fields})
		}
	}
	c := newChecker()
	c.slug("slug", e.Slug)
	c.line("name", e.Name)
	c.longText("description", e.Description)
	c.purpose("purpose", e.Purpose)
	c.prefix("key_prefix", e.KeyPrefix)
	add(e.line, e.Slug, c)
	codes := map[string]bool{}
	for _, p := range e.Plans {
		c := newChecker()
		c.that(!codes[p.Code], "code", "%q is in the file twice for this product", p.Code)
		codes[p.Code] = true
		c.slug("code", p.Code)
		c.line("name", p.Name)
		c.longText("description", p.Description)
		c.planType("type", p.Type)
		c.grants("grants", p.Grants)
		currencies := map[money.Currency]bool{}
		for _, a := range p.Prices {
			c.that(a.Currency.Valid(), "price", "%q is not an ISO 4217 currency", a.Currency)
			c.that(a.Minor >= 0, "price_"+string(a.Currency), "must not be negative")
			c.that(!currencies[a.Currency], "price_"+string(a.Currency), "is given twice")
			currencies[a.Currency] = true
		}
		add(p.line, e.Slug+"/"+p.Code, c)
	}
	return rows
}

func (s *Service) importProduct(ctx context.Context, e entry) ([]ImportRow, error) {
	p, err := s.Store.ProductBySlug(ctx, e.Slug)
	now := s.Clock.Now()
	row := ImportRow{Line: e.line, Object: e.Slug, Outcome: "unchanged"}
	switch {
	case notFound(err):
		row.Outcome = "create"
		p = Product{ID: s.IDs.New("prod"), Slug: e.Slug, Name: e.Name, Description: e.Description, Purpose: e.Purpose, KeyPrefix: e.KeyPrefix,
			State: Draft, Version: 1, CreatedAt: now, UpdatedAt: now}
		err = s.Store.AddProduct(ctx, p)
	case err != nil:
	case p.State == Retired:
		row.Outcome = "error"
		row.Errors = []licensing.Field{{Name: "slug", Detail: "the product is retired; choose another slug"}}
		return []ImportRow{row}, nil
	case p.Name != e.Name || p.Description != e.Description || p.Purpose != e.Purpose || p.KeyPrefix != e.KeyPrefix:
		row.Outcome = "update"
		p.Name, p.Description, p.Purpose, p.KeyPrefix, p.UpdatedAt = e.Name, e.Description, e.Purpose, e.KeyPrefix, now
		p.Version++
		err = saved(s.Store.SaveProduct(ctx, p))
	}
	if err == nil && row.Outcome != "unchanged" {
		err = s.Audit.Record(ctx, licensing.Event{Action: "product." + row.Outcome, Target: p.ID, Product: p.ID, Detail: map[string]any{"slug": p.Slug, "import": true}})
	}
	if err != nil {
		return nil, err
	}
	plans, err := s.Store.Plans(ctx, []string{p.ID})
	if err != nil {
		return nil, err
	}
	rows := []ImportRow{row}
	for _, pe := range e.Plans {
		done, err := s.importPlan(ctx, p, plans, pe)
		if err != nil {
			return nil, err
		}
		rows = append(rows, done...)
	}
	return rows, nil
}

func (s *Service) importPlan(ctx context.Context, product Product, existing []Plan, e planEntry) ([]ImportRow, error) {
	now := s.Clock.Now()
	row := ImportRow{Line: e.line, Object: product.Slug + "/" + e.Code, Outcome: "create"}
	p := Plan{ID: s.IDs.New("plan"), ProductID: product.ID, Code: e.Code, Name: e.Name, Description: e.Description, Type: e.Type,
		State: Draft, Grants: e.Grants, Version: 1, CreatedAt: now, UpdatedAt: now}
	for _, old := range existing {
		if old.Code == e.Code {
			row.Outcome = "unchanged"
			if old.Name != e.Name || old.Description != e.Description || old.Type != e.Type || !sameGrants(old.Grants, e.Grants) {
				row.Outcome = "update"
			}
			if old.Type != e.Type && old.State != Draft {
				row.Outcome, row.Errors = "error", []licensing.Field{{Name: "type", Detail: fmt.Sprintf("the plan was on sale as %s; its type cannot change", old.Type)}}
				return []ImportRow{row}, nil
			}
			p.ID, p.State, p.CreatedAt, p.Version = old.ID, old.State, old.CreatedAt, old.Version+1
		}
	}
	var refusal *licensing.Error
	if p.State == Active {
		if err := s.sellable(ctx, p); errors.As(err, &refusal) {
			row.Outcome, row.Errors = "error", append(refusal.Fields, licensing.Field{Name: "grants", Detail: refusal.Text})
			return []ImportRow{row}, nil
		} else if err != nil {
			return nil, err
		}
	}
	if err := s.writePlan(ctx, p, row.Outcome); err != nil {
		return nil, err
	}
	rows := []ImportRow{row}
	for _, price := range e.Prices {
		done := ImportRow{Line: e.line, Object: row.Object + " " + string(price.Currency)}
		var err error
		if done.Outcome, err = s.Prices.SetImported(ctx, p.ID, price, p.Type == Subscription); errors.As(err, &refusal) && refusal.Kind != licensing.Internal {
			done.Outcome, done.Errors = "error", []licensing.Field{{Name: "price_" + string(price.Currency), Detail: refusal.Text}}
		} else if err != nil {
			return nil, err
		}
		rows = append(rows, done)
	}
	return rows, nil
}

func (s *Service) writePlan(ctx context.Context, p Plan, outcome string) error {
	switch outcome {
	case "create":
		if err := s.Store.AddPlan(ctx, p); err != nil {
			return err
		}
	case "update":
		if err := saved(s.Store.SavePlan(ctx, p)); err != nil {
			return err
		}
	default:
		return nil
	}
	return s.Audit.Record(ctx, licensing.Event{Action: "plan." + outcome, Target: p.ID, Product: p.ProductID, Detail: map[string]any{"code": p.Code, "import": true}})
}

func saved(ok bool, err error) error {
	if err == nil && !ok {
		return ErrChanged
	}
	return err
}

func sameGrants(a, b []Grant) bool {
	return len(a) == len(b) && (len(a) == 0 || reflect.DeepEqual(a, b))
}

func itoa(n int) string { return strconv.Itoa(n) }
