package catalog

import (
	"encoding/csv"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/mintreu/mintreu/commerce/money"
	"github.com/mintreu/mintreu/licensing"
)

// parseImport reads a file into entries. Faults of single rows come back as rows; a file that cannot be read at all is an error.
func parseImport(r ImportRequest) ([]entry, []ImportRow, error) {
	if len(r.Data) > MaxImportBytes {
		return nil, nil, licensing.Fail(licensing.TooLarge, "import-too-large", "The file is larger than %d bytes; split it.", MaxImportBytes)
	}
	if !utf8.ValidString(r.Data) {
		return nil, nil, licensing.Fail(licensing.Invalid, "import-encoding", "The file is not UTF-8 text.")
	}
	data := strings.TrimPrefix(r.Data, "\ufeff")
	var entries []entry
	var rows []ImportRow
	var err error
	switch r.Format {
	case "csv":
		entries, rows, err = parseCSV(data)
	case "json":
		entries, rows, err = parseJSON(data)
	default:
		err = licensing.Fail(licensing.Invalid, "invalid-request", "The format must be csv or json.").With("/format", "must be csv or json")
	}
	n := 0
	for i := range entries {
		n += max(1, len(entries[i].Plans))
		if entries[i].KeyPrefix == "" {
			entries[i].KeyPrefix = "MINT"
		}
	}
	switch {
	case err != nil:
		return nil, nil, err
	case n > MaxImportRows:
		return nil, nil, licensing.Fail(licensing.TooLarge, "import-too-large", "The file has more than %d rows; split it.", MaxImportRows)
	case n == 0 && len(rows) == 0:
		return nil, nil, licensing.Fail(licensing.Invalid, "import-empty", "The file has no rows.")
	}
	return entries, rows, nil
}

func fault(line int, object, field, detail string) ImportRow {
	return ImportRow{Line: line, Object: object, Outcome: "error", Errors: []licensing.Field{{Name: field, Detail: detail}}}
}

// parseJSON reads {"products": [...]} strictly, one product at a time, so that a fault names its line and the rest is still read.
func parseJSON(data string) ([]entry, []ImportRow, error) {
	unreadable := func(offset int64, err error) error {
		return licensing.Fail(licensing.Invalid, "import-unreadable", "The file is not JSON of the form {\"products\": […]}: see line %d.", lineAt(data, offset)).Because(err)
	}
	d := jsontext.NewDecoder(strings.NewReader(data), jsontext.AllowDuplicateNames(true)) // each product is checked by itself
	for _, want := range []string{"{", `"products"`, "["} {
		if t, err := d.ReadToken(); err != nil || t.Kind() != jsontext.Kind(want[0]) || want[0] == '"' && t.String() != "products" {
			return nil, nil, unreadable(d.InputOffset(), err)
		}
	}
	var entries []entry
	var rows []ImportRow
	slugs := map[string]int{}
	for d.PeekKind() != ']' {
		raw, err := d.ReadValue()
		if err != nil {
			return nil, nil, unreadable(d.InputOffset(), err)
		}
		line := lineAt(data, d.InputOffset()-int64(len(raw)))
		var e entry
		if err := json.Unmarshal(raw, &e, json.RejectUnknownMembers(true)); err != nil {
			rows = append(rows, fault(line, "", pointer(err), "cannot be read: "+cause(err)))
			continue
		}
		e.line = line
		for i := range e.Plans {
			e.Plans[i].line = line
		}
		if first, twice := slugs[e.Slug]; twice {
			rows = append(rows, fault(line, e.Slug, "slug", "is in the file already, at line "+itoa(first)))
			continue
		}
		slugs[e.Slug] = line
		entries = append(entries, e)
	}
	for range 2 {
		if _, err := d.ReadToken(); err != nil {
			return nil, nil, unreadable(d.InputOffset(), err)
		}
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, nil, unreadable(d.InputOffset(), err)
	}
	return entries, rows, nil
}

func pointer(err error) string {
	var s *json.SemanticError
	if errors.As(err, &s) && s.JSONPointer != "" {
		return string(s.JSONPointer)
	}
	return "/"
}

func cause(err error) string {
	var s *json.SemanticError
	if errors.As(err, &s) && s.Err != nil {
		return s.Err.Error()
	} else if s != nil {
		return "a JSON " + s.JSONKind.String() + " is not what belongs here"
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) && errors.Is(syntax.Err, jsontext.ErrDuplicateName) {
		return "a member is there twice"
	}
	return "it is not valid JSON"
}

func lineAt(data string, offset int64) int {
	return 1 + strings.Count(data[:min(max(offset, 0), int64(len(data)))], "\n")
}

// columns are what the first row of a CSV file may name, besides price_EUR and its like.
var columns = []string{"product_slug", "product_name", "product_description", "purpose", "key_prefix", "plan_code", "plan_name",
	"plan_description", "plan_type", "license_policy", "license_seats", "api_scopes", "api_rate_count", "api_rate_period", "api_environment"}

// parseCSV reads one plan a row. Rows of one product repeat its columns or leave all but the slug empty.
func parseCSV(data string) ([]entry, []ImportRow, error) {
	reader := csv.NewReader(strings.NewReader(data))
	header, err := reader.Read()
	if err != nil {
		return nil, nil, licensing.Fail(licensing.Invalid, "import-unreadable", "The first row must name the columns.").Because(err)
	}
	if err := checkHeader(header); err != nil {
		return nil, nil, err
	}
	var entries []entry
	var rows []ImportRow
	at := map[string]int{}
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return entries, rows, nil
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			if !errors.Is(bad.Err, csv.ErrFieldCount) {
				return nil, nil, licensing.Fail(licensing.Invalid, "import-unreadable", "Line %d is not CSV: %s.", bad.Line, bad.Err)
			}
			rows = append(rows, fault(bad.StartLine, "", "columns", "has "+itoa(len(record))+" columns; the first row names "+itoa(len(header))))
			continue
		} else if err != nil {
			return nil, nil, err
		}
		line, _ := reader.FieldPos(0)
		cells := make(map[string]string, len(header))
		for i, name := range header {
			cells[name] = record[i]
		}
		e, faults := readRow(line, header, cells)
		rows = append(rows, faults...)
		i, known := at[e.Slug]
		if !known {
			i = len(entries)
			at[e.Slug] = i
			entries = append(entries, e)
			continue
		}
		if !sameProduct(entries[i], e) {
			rows = append(rows, fault(line, e.Slug, "product_slug", "the product's columns differ from those at line "+itoa(entries[i].line)+"; repeat them or leave them empty"))
		}
		entries[i].Plans = append(entries[i].Plans, e.Plans...)
	}
}

func sameProduct(a, b entry) bool {
	blank := b.Name == "" && b.Description == "" && b.Purpose == "" && b.KeyPrefix == ""
	return blank || a.Name == b.Name && a.Description == b.Description && a.Purpose == b.Purpose && a.KeyPrefix == b.KeyPrefix
}

func checkHeader(header []string) error {
	c := newChecker()
	seen := map[string]bool{}
	for i, name := range header {
		known := strings.HasPrefix(name, "price_") && money.Currency(name[len("price_"):]).Valid()
		for _, column := range columns {
			known = known || name == column
		}
		c.that(known, "column "+itoa(i+1), "%q is not a column; the columns are %s and price_EUR with any ISO 4217 currency", name, strings.Join(columns, ", "))
		c.that(!seen[name], "column "+itoa(i+1), "%q is there twice", name)
		seen[name] = true
	}
	c.that(seen["product_slug"], "columns", "product_slug is missing")
	return c.result()
}

// readRow turns the cells of a row into an entry with at most one plan.
func readRow(line int, header []string, cells map[string]string) (entry, []ImportRow) {
	e := entry{line: line, Slug: cells["product_slug"], Name: cells["product_name"], Description: cells["product_description"],
		Purpose: Purpose(cells["purpose"]), KeyPrefix: cells["key_prefix"]}
	var faults []ImportRow
	bad := func(column, detail string) {
		faults = append(faults, fault(line, e.Slug+"/"+cells["plan_code"], column, detail))
	}
	whole := func(column string) int64 {
		n, err := strconv.ParseInt(cells[column], 10, 64)
		if err != nil {
			bad(column, strconv.Quote(cells[column])+" is not a whole number")
		}
		return n
	}
	if cells["plan_code"] == "" {
		for _, name := range header {
			if cells[name] != "" && (strings.HasPrefix(name, "plan_") || strings.HasPrefix(name, "license_") || strings.HasPrefix(name, "api_") || strings.HasPrefix(name, "price_")) {
				bad("plan_code", "is empty, but "+name+" is not")
				break
			}
		}
		return e, faults
	}
	p := planEntry{line: line, Code: cells["plan_code"], Name: cells["plan_name"], Description: cells["plan_description"], Type: PlanType(cells["plan_type"])}
	if cells["license_policy"] != "" {
		g := &LicenseGrant{Policy: cells["license_policy"]}
		if cells["license_seats"] != "" {
			n := whole("license_seats")
			g.Seats = &n
		}
		p.Grants = append(p.Grants, Grant{License: g})
	}
	if cells["api_rate_count"] != "" {
		p.Grants = append(p.Grants, Grant{APIKey: &APIKeyGrant{Scopes: strings.Fields(cells["api_scopes"]), RateCount: whole("api_rate_count"),
			RatePeriod: whole("api_rate_period"), Environment: licensing.Env(cells["api_environment"])}})
	}
	for _, name := range header {
		if code, ok := strings.CutPrefix(name, "price_"); ok && cells[name] != "" {
			a, err := money.Parse(cells[name], money.Currency(code))
			if err != nil {
				bad(name, strconv.Quote(cells[name])+" is not an amount of "+code+"; write it like "+money.New(1234, money.Currency(code)).Decimal())
				continue
			}
			p.Prices = append(p.Prices, a)
		}
	}
	e.Plans = []planEntry{p}
	return e, faults
}
