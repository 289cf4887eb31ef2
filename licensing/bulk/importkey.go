package bulk

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// ImportKeysRequest asks for the API keys of another system, of which only the hashes are known, to become ours.
type ImportKeysRequest struct {
	Whom
	Product string        `json:"product" doc:"Id of the product that the keys open."`
	Plan    string        `json:"plan,omitempty" doc:"Code of the plan of keys that name none."`
	Env     licensing.Env `json:"env,omitempty" doc:"Environment of keys that name none; live unless said." enum:"live,test"`
	Source  string        `json:"source,omitempty" doc:"Name of the system that they come from, in which each reference is one key; 1 to 32 of a-z, 0-9, _ and -, import unless said." example:"unkey"`
	Format  string        `json:"format" doc:"Format of the file." enum:"csv,json"`
	Data    string        `json:"data" doc:"The file's text, at most 10,000 keys. It has hashes, never keys."`
	Reason  string        `json:"reason,omitempty" doc:"Why, for the audit trail; 1 to 500 bytes. A dry run needs none."`
	DryRun  bool          `json:"dry_run,omitempty" doc:"Check every row, report it, and keep nothing."`
}

var sourceName = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

// Validate checks the form.
func (r *ImportKeysRequest) Validate() error {
	if r.Env == "" {
		r.Env = licensing.Live
	}
	if r.Source == "" {
		r.Source = "import"
	}
	c := &checker{err: errForm}
	r.Whom.check(c, "")
	c.that(r.Product != "", "/product", "must be a product's id")
	c.that(r.Plan == "" || planCode.MatchString(r.Plan), "/plan", "must be 1 to 64 of a-z, 0-9, _ . -")
	c.that(r.Env.Valid(), "/env", "must be live or test")
	c.that(sourceName.MatchString(r.Source), "/source", "must be 1 to 32 of a-z, 0-9, _ and -")
	c.that(keyReaders[r.Format] != nil, "/format", "must be csv or json")
	c.that(utf8.ValidString(r.Data), "/data", "is not UTF-8 text")
	c.that(r.DryRun || strings.TrimSpace(r.Reason) != "" && len(r.Reason) <= 500, "/reason", "say why, in at most 500 bytes")
	return c.result()
}

// keyMaking is the input of an import of keys.
type keyMaking struct {
	Product string    `json:"product"`
	Source  string    `json:"source"`
	Owner   string    `json:"owner,omitempty"` // of rows that name nobody
	Items   []keyItem `json:"items"`
}

// keyItem is one key of a file.
type keyItem struct {
	Whom
	Reference string              `json:"reference"`
	Hash      string              `json:"hash"`
	Hint      string              `json:"hint,omitempty"`
	Name      string              `json:"name,omitempty"`
	Plan      string              `json:"plan,omitempty"`
	Env       licensing.Env       `json:"env,omitempty"`
	Member    string              `json:"member,omitempty"`
	Scopes    []string            `json:"scopes,omitempty"`
	AllowFrom []string            `json:"allow_from,omitempty"`
	Limits    []apikey.Limit      `json:"limits,omitempty"`
	Credits   *apikey.CreditsSpec `json:"credits,omitempty"`
	Metadata  map[string]string   `json:"metadata,omitempty"`
	OnLeak    apikey.OnLeak       `json:"on_leak,omitempty"`
	State     apikey.State        `json:"state,omitempty"`
	ExpiresAt *time.Time          `json:"expires_at,omitempty"`
}

// keyEntry is a key of a file on its way in, with its line and problems.
type keyEntry struct {
	keyItem
	row    entry
	digest credential.Digest
}

func (m *keyMaking) sourceID(reference string) string {
	return m.Source + "/" + m.Product + "/" + reference
}

// spec is what an item asks for, as far as can be told without the database.
func (m *keyMaking) spec(it *keyItem) (apikey.ImportSpec, error) {
	digest, ok := apikey.ParseDigest(it.Hash)
	if !ok {
		return apikey.ImportSpec{}, apikey.ErrSpec.With("hash", "must be the SHA-256 of the key's text, as 64 hexadecimal digits or as base64; a key itself never belongs into a file")
	}
	networks, err := apikey.ParseNetworks(it.AllowFrom)
	spec := apikey.ImportSpec{Digest: digest, Hint: it.Hint, State: it.State, IssueSpec: apikey.IssueSpec{Source: apikey.Source{Kind: apikey.FromImport, ID: m.sourceID(it.Reference)},
		Owner: licensing.Owner(it.Owner), ProductID: m.Product, PlanID: it.Plan, PlanCode: it.Plan, Env: it.Env, Name: it.Name, Member: it.Member, Metadata: it.Metadata,
		Scopes: it.Scopes, AllowFrom: networks, Limits: it.Limits, Credits: it.Credits, OnLeak: it.OnLeak}}
	if it.ExpiresAt != nil {
		spec.ExpiresAt = *it.ExpiresAt
	}
	return spec, err
}

// ImportKeys checks a file of keys row by row. A dry run reports what it found; otherwise, when no row has a problem, a run imports them. A row
// whose reference was imported before is left as it is.
func (s *Service) ImportKeys(ctx context.Context, r ImportKeysRequest) (ImportReport, error) {
	if a := licensing.ActorFrom(ctx); a.Kind == licensing.Machine && (a.Product != "" && a.Product != r.Product || a.Env != "" && a.Env != r.Env) {
		return ImportReport{}, errEnv
	}
	if _, err := s.products.Get(ctx, r.Product, s.Products.LicensedProduct); licensing.KindOf(err) == licensing.NotFound {
		return ImportReport{}, errForm.With("/product", "is no product's id")
	} else if err != nil {
		return ImportReport{}, err
	}
	if err := s.Switches.Check(ctx, licensing.SwitchAPI, r.Product); err != nil {
		return ImportReport{}, err
	}
	heir, err := s.heir(ctx, r.Whom, r.DryRun)
	if err != nil {
		return ImportReport{}, err
	}
	m := &keyMaking{Product: r.Product, Source: r.Source, Owner: heir}
	entries, err := keyReaders[r.Format](strings.TrimPrefix(r.Data, "\ufeff"))
	switch {
	case err != nil:
		return ImportReport{}, err
	case len(entries) == 0:
		return ImportReport{}, errNoKeys
	case len(entries) > MaxRows:
		return ImportReport{}, errLarge
	}
	for i := range entries {
		it := &entries[i].keyItem
		if it.Plan == "" {
			it.Plan = r.Plan
		}
		if it.Env == "" {
			it.Env = r.Env
		}
		if a := licensing.ActorFrom(ctx); a.Kind == licensing.Machine && a.Env != "" && a.Env != it.Env {
			entries[i].row.wrong("env", "is not the one that your token is for")
		}
	}
	report, err := s.examineKeys(ctx, m, entries)
	if err != nil || r.DryRun {
		return report, err
	}
	if report.Failed > 0 {
		return ImportReport{}, report.refused()
	}
	for i := range entries {
		m.Items = append(m.Items, entries[i].keyItem)
	}
	run, err := s.start(ctx, Run{About: APIKeys, Kind: Import, ProductID: m.Product, Env: r.Env, Reason: r.Reason, Total: int64(len(entries))}, m)
	report.Run = &run
	return report, err
}

var errNoKeys = licensing.Fail(licensing.Invalid, "import-empty", "The file has no keys.")

// examineKeys finds the problems of entries, those that only the database shows too.
func (s *Service) examineKeys(ctx context.Context, m *keyMaking, entries []keyEntry) (ImportReport, error) {
	references, hashes := map[string]int{}, map[credential.Digest]int{}
	for i := range entries {
		e := &entries[i]
		s.checkKey(m, e)
		if first, twice := references[e.Reference]; twice && e.Reference != "" {
			e.row.wrong("reference", "stands at line "+itoa(first)+" already; each key needs an id of its own")
		} else {
			references[e.Reference] = e.row.line
		}
		if first, twice := hashes[e.digest]; twice && e.digest != (credential.Digest{}) {
			e.row.wrong("hash", "is that of line "+itoa(first)+" too; a text is one key")
		} else {
			hashes[e.digest] = e.row.line
		}
	}
	report := ImportReport{Total: len(entries), Rows: []ImportRow{}}
	for from := 0; from < len(entries); from += batchRows {
		if err := s.compareKeys(ctx, m, entries[from:min(from+batchRows, len(entries))], &report); err != nil {
			return report, err
		}
	}
	return report, nil
}

// checkKey finds what is wrong with an entry by itself.
func (s *Service) checkKey(m *keyMaking, e *keyEntry) {
	c := &checker{err: errForm}
	e.Whom.check(c, "")
	c.that(e.Reference != "" && len(e.Reference) <= maxReference && plain(e.Reference), "/reference", "is missing or longer than %d bytes; each row needs the id that it has in the other system, so that it is imported once", maxReference)
	c.that(e.Owner != "" || e.Email != "" || m.Owner != "", "/email", "is missing; add the customer's address, or say who gets those that name nobody")
	c.that(e.Plan == "" || planCode.MatchString(e.Plan), "/plan", "must be 1 to 64 of a-z, 0-9, _ . -")
	c.that(plain(e.Name), "/name", "must be one line of text")
	c.that(e.State == "" || e.State == apikey.Active || e.State == apikey.Disabled || e.State == apikey.Revoked, "/state", "must be active, disabled or revoked")
	if e.Email != "" {
		email, err := s.Owners.NormalEmail(e.Email)
		c.that(err == nil, "/email", "must be an address like name@example.com")
		e.Email = email
	}
	if c.broken {
		e.row.problems = append(e.row.problems, fields(c.err)...)
	}
	e.Reference, e.Owner = kept(e.Reference), kept(e.Owner)
	it := e.keyItem
	if it.Owner = cmp.Or(it.Owner, it.Email, m.Owner, "nobody"); it.Env == "" {
		it.Env = licensing.Live
	}
	spec, err := m.spec(&it)
	if err == nil {
		e.digest = spec.Digest
		_, err = s.APIKeys.DraftImport(spec)
	}
	if err != nil {
		e.row.problems = append(e.row.problems, fields(err)...)
	}
}

// standing is what the database knows of a batch of keys: which references were imported, as what, which texts are keys, and which owners exist.
func (s *Service) standing(ctx context.Context, m *keyMaking, items []keyItem, digests []credential.Digest) (from, heads map[string]string, owners map[licensing.Owner]bool, err error) {
	sources, found, named := make([]string, len(items)), make([][]byte, len(digests)), []licensing.Owner{}
	for i := range items {
		sources[i], found[i] = m.sourceID(items[i].Reference), digests[i].Head()
		if items[i].Owner != "" {
			named = append(named, licensing.Owner(items[i].Owner))
		}
	}
	if from, err = s.APIKeys.Imports.KeysFrom(ctx, sources); err != nil {
		return nil, nil, nil, err
	}
	if heads, err = s.APIKeys.Imports.KeysByHead(ctx, found); err != nil {
		return nil, nil, nil, err
	}
	owners, err = s.Owners.OwnersExist(ctx, named)
	return from, heads, owners, err
}

// compareKeys holds a batch of entries against the database and adds them to the report.
func (s *Service) compareKeys(ctx context.Context, m *keyMaking, entries []keyEntry, report *ImportReport) error {
	items, digests := make([]keyItem, len(entries)), make([]credential.Digest, len(entries))
	for i := range entries {
		items[i], digests[i] = entries[i].keyItem, entries[i].digest
	}
	from, heads, owners, err := s.standing(ctx, m, items, digests)
	if err != nil {
		return err
	}
	for i := range entries {
		e := &entries[i]
		row := ImportRow{Line: e.row.line, Reference: e.Reference, Outcome: "fresh", Key: from[m.sourceID(e.Reference)], KeyHint: e.Hint, Email: e.Email, State: string(cmp.Or(e.State, apikey.Active))}
		if taken := heads[string(e.digest.Head())]; taken != "" && row.Key == "" {
			e.row.wrong("hash", "is that of "+taken+" already; a text is one key")
		}
		if e.Owner != "" && !owners[licensing.Owner(e.Owner)] {
			e.row.wrong("owner", "is nobody's id")
		}
		report.add(row, e.row.problems, row.Key != "")
	}
	return nil
}

// keyPlan imports keys.
type keyPlan struct {
	service *Service
	keyMaking
}

func (p *keyPlan) prepare(ctx context.Context, r *Run, from int64, n int) (func(context.Context) ([]Row, error), error) {
	s, items, digests := p.service, slices.Clone(p.Items[from:from+int64(n)]), make([]credential.Digest, n)
	whom := make([]*Whom, n)
	for i := range items {
		whom[i] = &items[i].Whom
		digests[i], _ = apikey.ParseDigest(items[i].Hash)
	}
	known, heads, _, err := s.standing(ctx, &p.keyMaking, items, digests)
	if err != nil {
		return nil, err
	}
	if err := s.own(ctx, whom, p.Owner); err != nil {
		return nil, err
	}
	rows, drafts := make([]Row, n), make([]*apikey.Draft, n)
	for i := range items {
		rows[i] = Row{Num: from + int64(i) + 1, Reference: items[i].Reference, Key: known[p.sourceID(items[i].Reference)]}
		if rows[i].Key != "" {
			rows[i].Outcome = OutcomeUnchanged
			continue
		}
		spec, err := p.spec(&items[i])
		if err == nil && heads[string(digests[i].Head())] != "" {
			err = apikey.ErrTaken
		}
		if err == nil {
			drafts[i], err = s.APIKeys.DraftImport(spec)
		}
		if err != nil {
			rows[i].Outcome, rows[i].Problem = OutcomeFailed, problem(err)
		}
	}
	turns := inTurn(n, func(i int) string { return items[i].Reference })
	return func(ctx context.Context) ([]Row, error) {
		for _, i := range turns {
			d := drafts[i]
			if d == nil {
				continue
			}
			issued, err := s.APIKeys.Issue(ctx, d)
			if err != nil {
				return nil, err
			}
			if rows[i].Outcome, rows[i].Key = OutcomeDone, d.Key.ID; !issued { // by another run, a moment ago
				rows[i].Outcome, rows[i].Key = OutcomeUnchanged, ""
			}
		}
		return rows, nil
	}, nil
}
