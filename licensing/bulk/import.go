package bulk

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
)

// ImportRequest asks for the licenses of another system to become ours.
type ImportRequest struct {
	From
	Whom
	Source string `json:"source" doc:"Where the file comes from: mintreu is the format of our own, the others are what those systems export." enum:"mintreu,keygen,gumroad,lemonsqueezy"`
	Format string `json:"format" doc:"Format of the file. keygen and lemonsqueezy export json, gumroad csv; ours may be either." enum:"csv,json"`
	Only   string `json:"only,omitempty" doc:"Only what the file says to be of this product: its id, for Gumroad also its name."`
	Data   string `json:"data" doc:"The file's text, at most 10,000 licenses."`
	DryRun bool   `json:"dry_run,omitempty" doc:"Check every row, report it, and keep nothing."`
}

// MaxImportBytes bounds the request of an import.
const MaxImportBytes = 32 << 20

// Validate checks the form.
func (r *ImportRequest) Validate() error {
	if r.DryRun && r.Reason == "" {
		r.Reason = "dry run"
	}
	c := &checker{err: errForm}
	r.From.check(c)
	r.Whom.check(c, "")
	_, known := readers[r.Source+"/"+r.Format]
	c.that(known, "/format", "%s files are not read from %s; see the documentation of imports", r.Source, r.Format)
	c.that(utf8.ValidString(r.Data), "/data", "is not UTF-8 text")
	return c.result()
}

// ImportReport tells what an import will do, or would do.
type ImportReport struct {
	Run       *RunView    `json:"run,omitempty" doc:"The run that imports; absent for a dry run."`
	Total     int         `json:"total" doc:"Licenses or keys in the file."`
	Fresh     int         `json:"fresh" doc:"Those that are imported."`
	Unchanged int         `json:"unchanged" doc:"Those that were imported before."`
	Skipped   int         `json:"skipped" doc:"Rows that are none: totals, repeated charges, other products."`
	Failed    int         `json:"failed" doc:"Those with problems."`
	Rows      []ImportRow `json:"rows" doc:"Every row with a problem, up to a thousand, and the first hundred of the others."`
}

// ImportRow is what becomes of one license or key of a file.
type ImportRow struct {
	Line      int               `json:"line" doc:"Line of the file where it stands, from 1."`
	Reference string            `json:"reference" doc:"Its id in the other system."`
	Outcome   string            `json:"outcome" doc:"What becomes of it." enum:"fresh,unchanged,failed"`
	License   string            `json:"license,omitempty" doc:"The license that it was imported as before."`
	Key       string            `json:"key,omitempty" doc:"The API key, by id, that it was imported as before."`
	KeyHint   string            `json:"key_hint,omitempty" doc:"The last characters of its key; of an API key its hint."`
	Email     string            `json:"email,omitempty" doc:"E-mail address of the customer who gets it."`
	State     string            `json:"state,omitempty" doc:"State that it will have." enum:"active,suspended,disabled,revoked"`
	Problems  []licensing.Field `json:"problems,omitempty" doc:"What is wrong and what would be right."`
}

const (
	maxProblems = 1000
	maxShown    = 100
)

var (
	errImport = licensing.Fail(licensing.Invalid, "import-refused", "Rows have problems, so nothing was imported; a dry run tells all of them.")
	errEmpty  = licensing.Fail(licensing.Invalid, "import-empty", "The file has no licenses.")
	errLarge  = licensing.Fail(licensing.TooLarge, "import-too-large", "The file has more than %d rows; split it.", MaxRows)
)

// entry is a license of a file, from whichever system.
type entry struct {
	item
	line     int
	policy   string // code, of our own format
	problems []licensing.Field
}

func (e *entry) wrong(name, detail string) {
	e.problems = append(e.problems, licensing.Field{Name: name, Detail: detail})
}

// ImportFile checks a file row by row. A dry run reports what it found; otherwise, when no row has a problem, a run imports them. A row whose
// id was imported before is left as it is.
func (s *Service) ImportFile(ctx context.Context, r ImportRequest) (ImportReport, error) {
	m, err := s.making(ctx, r.From)
	if err != nil {
		return ImportReport{}, err
	}
	m.Source, m.From = license.FromImport, r.Source
	if m.Owner, err = s.heir(ctx, r.Whom, r.DryRun); err != nil {
		return ImportReport{}, err
	}
	entries, skipped, err := readers[r.Source+"/"+r.Format](strings.TrimPrefix(r.Data, "\ufeff"), r.Only)
	switch {
	case err != nil:
		return ImportReport{}, err
	case len(entries) == 0:
		return ImportReport{}, errEmpty
	case len(entries) > MaxRows:
		return ImportReport{}, errLarge
	}
	report, err := s.examine(ctx, m, entries)
	report.Skipped = skipped
	if err != nil || r.DryRun {
		return report, err
	}
	if report.Failed > 0 {
		return ImportReport{}, report.refused()
	}
	for i := range entries {
		m.Items = append(m.Items, entries[i].item)
	}
	run, err := s.start(ctx, Run{About: Licenses, Kind: Import, ProductID: m.Product.ID, PolicyID: m.Policy, Env: m.Env, Reason: r.Reason, Total: int64(len(entries))}, m)
	report.Run = &run
	return report, err
}

// heir is who gets the rows of a file that name nobody, "" for no one. A dry run makes nobody a customer: there it may be an address.
func (s *Service) heir(ctx context.Context, w Whom, dry bool) (string, error) {
	if w.Owner == "" && (w.Email == "" || dry) {
		return w.Email, nil
	}
	owner, err := s.owner(ctx, w)
	return string(owner), err
}

// refused is the refusal of a file whose rows have problems.
func (r *ImportReport) refused() error {
	refused := errImport
	for _, row := range r.Rows {
		for _, p := range row.Problems {
			refused = refused.With("line "+itoa(row.Line)+" "+p.Name, "%s", p.Detail)
		}
	}
	return refused
}

// add counts a row and, unless there are too many, shows it.
func (r *ImportReport) add(row ImportRow, problems []licensing.Field, existing bool) {
	switch {
	case existing:
		row.Outcome = "unchanged"
		r.Unchanged++
	case len(problems) > 0:
		row.Outcome, row.Problems = "failed", problems
		r.Failed++
	default:
		r.Fresh++
	}
	if row.Outcome == "failed" && r.Failed <= maxProblems || row.Outcome != "failed" && r.Fresh+r.Unchanged <= maxShown {
		r.Rows = append(r.Rows, row)
	}
}

// ImportAgain answers a replay of an import: how far its run is.
func (s *Service) ImportAgain(ctx context.Context, id, _ string) (ImportReport, error) {
	run, err := s.GetRun(ctx, RunRequest{ID: id})
	return ImportReport{Run: &run, Total: int(run.Total), Rows: []ImportRow{}}, err
}

// examine finds the problems of entries, those that only the database shows too, and completes them.
func (s *Service) examine(ctx context.Context, m *making, entries []entry) (ImportReport, error) {
	if err := s.policies(ctx, m, entries); err != nil {
		return ImportReport{}, err
	}
	references, keys := map[string]int{}, make([]string, len(entries))
	for i := range entries {
		e := &entries[i]
		e.check(s, m)
		if first, twice := references[e.Reference]; twice && e.Reference != "" {
			e.wrong("reference", "stands at line "+itoa(first)+" already; each license needs an id of its own")
		} else {
			references[e.Reference] = e.line
		}
		keys[i] = e.Key
	}
	for i, first := range s.Licenses.Lookups(keys) {
		if first >= 0 && keys[i] != "" {
			entries[i].wrong("key", "is the key of line "+itoa(entries[first].line)+" too; a key opens one license")
		}
	}
	report := ImportReport{Total: len(entries), Rows: []ImportRow{}}
	for from := 0; from < len(entries); from += batchRows {
		if err := s.compare(ctx, m, entries[from:min(from+batchRows, len(entries))], &report); err != nil {
			return ImportReport{}, err
		}
	}
	return report, nil
}

// compare holds a batch of entries against the database and adds them to the report.
func (s *Service) compare(ctx context.Context, m *making, entries []entry, report *ImportReport) error {
	specs := make([]license.IssueSpec, len(entries))
	for i := range entries {
		it := entries[i].item
		if it.Email != "" {
			it.Owner = it.Email // whose id is not known yet
		} else if it.Owner == "" {
			it.Owner = m.Owner
		}
		specs[i] = m.spec(&it, m.sourceID(it.Reference, "none/"+itoa(entries[i].line)))
	}
	found, err := s.Licenses.CheckMany(ctx, specs)
	if err != nil {
		return err
	}
	nobody, err := s.nobody(ctx, len(entries), func(i int) string { return entries[i].Owner })
	if err != nil {
		return err
	}
	for i := range entries {
		e := &entries[i]
		if nobody[e.Owner] && len(e.problems) == 0 {
			e.wrong("owner", "is nobody's id")
		}
		row := ImportRow{Line: e.line, Reference: e.Reference, Outcome: "fresh", License: found[i].Existing, KeyHint: license.Hint(e.Key), Email: e.Email, State: string(e.State)}
		if len(e.problems) == 0 && found[i].Err != nil {
			e.problems = fields(found[i].Err)
		}
		report.add(row, e.problems, row.License != "")
	}
	return nil
}

// policies replaces the codes of policies that entries name by ids.
func (s *Service) policies(ctx context.Context, m *making, entries []entry) error {
	named := false
	for i := range entries {
		named = named || entries[i].policy != ""
	}
	if !named {
		return nil
	}
	ids := map[string]string{}
	for page := (licensing.Page{Limit: 100}); ; {
		list, err := s.Licenses.ListPolicies(ctx, license.ListPoliciesRequest{Page: page, Product: m.Product.ID})
		if err != nil {
			return err
		}
		for _, p := range list.Items {
			ids[p.Code] = p.ID
		}
		if page.Cursor = list.Next; page.Cursor == "" {
			break
		}
	}
	for i := range entries {
		e := &entries[i]
		if e.policy == "" {
			continue
		}
		if e.item.Policy = ids[e.policy]; e.item.Policy == "" {
			e.wrong("policy", "the product has no policy "+e.policy+"; make it first, or name another")
		}
	}
	return nil
}

// The shortest and longest key that is imported, in bytes.
const (
	minKey = 8
	maxKey = 2048
)

// check finds what is wrong with an entry by itself.
func (e *entry) check(s *Service, m *making) {
	c := &checker{err: errForm}
	e.Whom.check(c, "")
	e.What.check(c, "")
	c.that(e.Reference != "", "/reference", "is missing; each row needs the id that it has in the other system, so that it is imported once")
	c.that(e.Owner != "" || e.Email != "" || m.Owner != "", "/email", "is missing; add the customer's address, or say who gets those that name nobody")
	c.that(e.Key == "" || len(e.Key) >= minKey && len(e.Key) <= maxKey, "/key", "must have %d to %d bytes", minKey, maxKey)
	c.that(plain(e.Key) && strings.TrimSpace(e.Key) == e.Key, "/key", "must be one line without space at its ends, as products send it")
	c.that(strings.IndexFunc(e.Key, func(r rune) bool { return r > '~' }) < 0, "/key", "must be ASCII, as products send it in a header; leave it out to give the license a key of ours")
	c.that(e.IssuedAt == nil || e.IssuedAt.Unix() > 0 && !e.IssuedAt.After(s.Clock.Now()), "/issued_at", "must lie after 1970 and not in the future; leave it out if it is not known")
	c.that(len(e.Why) <= 500 && plain(e.Why), "/reason", "must be a line of text of at most 500 bytes")
	if e.State == "" {
		e.State = license.Active
	}
	c.that(e.State == license.Active || e.State == license.Suspended || e.State == license.Revoked, "/state", "must be active, suspended or revoked")
	if e.Email != "" {
		email, err := s.Owners.NormalEmail(e.Email)
		c.that(err == nil, "/email", "must be an address like name@example.com")
		e.Email = email
	}
	if e.State != license.Active && e.Why == "" {
		e.Why = "imported as " + string(e.State)
	}
	if c.broken {
		e.problems = append(e.problems, fields(c.err)...)
	}
	e.Reference, e.Owner = kept(e.Reference), kept(e.Owner)
}

// kept is a text of a row as the database may be asked for it: none, where none could be kept, which was told as a problem.
func kept(text string) string {
	if !plain(text) {
		return ""
	}
	return text
}

// fields are what an error says of single members.
func fields(err error) []licensing.Field {
	e, ok := err.(*licensing.Error)
	if !ok || len(e.Fields) == 0 {
		return []licensing.Field{{Name: "row", Detail: problem(err)}}
	}
	out := make([]licensing.Field, len(e.Fields))
	for i, f := range e.Fields {
		out[i] = licensing.Field{Name: strings.TrimPrefix(f.Name, "/"), Detail: f.Detail}
	}
	return out
}
