// Package bulk does one thing to many licenses or API keys: it issues thousands of licenses from a policy, imports those that another system
// sold, or keys that it issued, and changes the state or the terms of all that a search finds. It also issues single licenses by hand, which is the same with one row.
//
// A piece of such work is a [Run]. Its operation only writes down what is to be done and answers with the run's id; a job then works
// through the rows in batches of hundreds. Each batch is one transaction that also moves the run's position, and drafts are made
// before it: a process that dies in the middle leaves whole batches behind, and whoever goes on starts at the position. So each row is done
// exactly once, however often the work is interrupted, cancelled or picked up by two at a time. Licenses have a source besides, which
// is unique: the same reference, or the same row of the same import, never makes a second license.
package bulk

import (
	"context"
	"log/slog"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/licensing/combine"
	"github.com/mintreu/mintreu/licensing/license"
)

// Limits of one run.
const (
	MaxRows    = 10_000  // rows of an issue or of an import
	MaxActed   = 100_000 // licenses or keys of an action
	MaxBody    = 8 << 20 // bytes of a request
	batchRows  = 500     // rows of a batch
	liteRows   = 100     // where a transaction keeps all others from writing
	actedRows  = 50      // of an action
	workFor    = 20 * time.Second
	staleAfter = 10 * time.Second
)

// JobWork is the kind of the job that works on a run.
const JobWork = "bulk.work"

// Kind says what a run does.
type Kind string

// The kinds of runs.
const (
	Issue     Kind = "issue"
	Import    Kind = "import"
	Suspend   Kind = "suspend"
	Reinstate Kind = "reinstate"
	Revoke    Kind = "revoke"
	Extend    Kind = "extend"
	Entitle   Kind = "entitle"
)

// About says what a run works on.
type About string

// What runs work on. A machine token sees and moves those of which it has the scope.
const (
	Licenses About = "license"
	APIKeys  About = "key"
)

// Scope is the scope that lets a machine token work on these.
func (a About) Scope() string {
	if a == APIKeys {
		return "keys:write"
	}
	return "licenses:issue"
}

// makes reports whether the kind makes licenses; the others change them.
func (k Kind) makes() bool { return k == Issue || k == Import }

// State is where a run stands.
type State string

// The states of a run. One that was cancelled can go on later.
const (
	Running   State = "running"
	Done      State = "done"
	Cancelled State = "cancelled"
)

// Outcome is what became of a row.
type Outcome string

// The outcomes. Unchanged means that nothing was to be done: the license existed, or was in that state already.
const (
	OutcomeDone      Outcome = "done"
	OutcomeUnchanged Outcome = "unchanged"
	OutcomeFailed    Outcome = "failed"
)

// Run is one piece of work on many licenses or keys.
type Run struct {
	ID        string
	About     About
	Kind      Kind
	State     State
	ProductID string // of all its rows; empty when they may be of several
	PolicyID  string
	Env       licensing.Env
	Actor     string // who asked for it
	Reason    string
	Total     int64
	Position  int64 // rows dealt with
	Done      int64
	Unchanged int64
	Failed    int64
	CreatedAt time.Time
	UpdatedAt time.Time
	EndedAt   time.Time
	KeysAt    time.Time // when its keys were fetched
}

// Row is what became of one row of a run.
type Row struct {
	Num       int64
	Outcome   Outcome
	License   string
	Key       string // id of an API key
	Reference string
	Problem   string
}

// Issued is a license of a run with its sealed key.
type Issued struct {
	Row
	Owner      string
	Email      string
	Licensee   string
	KeySealed  []byte
	ValidUntil time.Time
}

// Filter narrows a list of runs; empty members do not.
type Filter struct {
	About   About
	Env     licensing.Env
	Kind    Kind
	State   State
	Product string
}

// Store keeps runs. Methods that write run in the caller's transaction. Not found is [licensing.ErrNotFound].
type Store interface {
	// AddRun stores a run with its sealed input.
	AddRun(ctx context.Context, r Run, input []byte) error
	Run(ctx context.Context, id string) (Run, error)
	// Input returns the sealed input, nil when the run is done.
	Input(ctx context.Context, id string) ([]byte, error)
	ListRuns(ctx context.Context, f Filter, page licensing.Page) (licensing.List[Run], error)
	// HoldRun locks a run until the transaction ends.
	HoldRun(ctx context.Context, id string) (Run, error)
	// Advance moves a held run behind the rows given, which follow its position, and keeps what became of them.
	Advance(ctx context.Context, id string, rows []Row, at time.Time) error
	// SetRun moves a held run to another state. Its input goes when it is done.
	SetRun(ctx context.Context, id string, to State, at time.Time) error
	// Stalled returns runs that are running and have not moved since before, with their positions.
	Stalled(ctx context.Context, before time.Time, limit int) ([]Run, error)
}

// Results reads what runs did.
type Results interface {
	// Rows lists the rows of a run in order, those with an outcome if one is given.
	Rows(ctx context.Context, run string, outcome Outcome, page licensing.Page) (licensing.List[Row], error)
	// Issued returns up to limit licenses that a run made, behind row after.
	Issued(ctx context.Context, run string, after int64, limit int) ([]Issued, error)
	// TakeKeys notes that the keys were fetched, and reports false when they were before.
	TakeKeys(ctx context.Context, run string, at time.Time) (bool, error)
	// Find returns the ids of the licenses that a filter finds, at most limit, in order.
	Find(ctx context.Context, f license.Filter, limit int) ([]string, error)
	// Count counts what Find finds.
	Count(ctx context.Context, f license.Filter) (int64, error)
}

// Product is what a license says of its product.
type Product struct{ ID, Slug, KeyPrefix string }

// Products reads the catalogue.
type Products interface {
	// LicensedProduct returns [licensing.ErrNotFound] for an id of nothing.
	LicensedProduct(ctx context.Context, id string) (Product, error)
}

// Owners finds and makes customers by their e-mail addresses.
type Owners interface {
	// NormalEmail returns the address as accounts have it, or an error for whoever wrote it.
	NormalEmail(email string) (string, error)
	// Guests returns the customer of each address, which must be normal; those who are none become one, as guests are.
	Guests(ctx context.Context, emails []string) (map[string]licensing.Owner, error)
	// OwnersExist reports which of them are customers or organisations.
	OwnersExist(ctx context.Context, owners []licensing.Owner) (map[licensing.Owner]bool, error)
}

// Deps is what a [Service] is made of. All members but Logger and Fresh are required.
type Deps struct {
	Store    Store
	Results  Results
	Licenses *license.Service
	APIKeys  *apikey.Service
	Products Products
	Owners   Owners
	Jobs     licensing.Enqueuer
	Seal     licensing.Sealer
	Clock    licensing.Clock
	IDs      licensing.IDs
	Tx       licensing.Transactor
	Joint    Joint
	Audit    licensing.Auditor
	Switches licensing.Switches
	Logger   *slog.Logger
	// Small keeps batches short, where a transaction keeps all others from writing.
	Small bool
	// Fresh reports whether the change feed can be believed; nil means that products are read anew each time.
	Fresh func() bool
}

// Service starts runs, works on them and tells of them. It is safe for concurrent use, also by several processes on one database.
type Service struct {
	Deps
	products licensing.Memo[Product]
	together combine.Group[*asked]
}

// New makes a Service.
func New(d Deps) *Service {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{Deps: d}
	s.products.Fresh = d.Fresh
	return s
}

// ForgetProduct drops what is kept of a product; the change feed calls it for "product", with "" for all.
func (s *Service) ForgetProduct(id string) { s.products.Forget(id) }

// batch is how many rows a batch has. To change licenses, or to do anything with keys, takes some statements for each, so that such batches are shorter: whoever waits
// for the run does not wait long.
func (s *Service) batch(r *Run) int {
	n := batchRows
	if s.Small {
		n = liteRows
	}
	if !r.Kind.makes() || r.About == APIKeys {
		n = actedRows
	}
	return n
}

// Job is what the job of a run carries.
type Job struct {
	Run string `json:"run"`
}

func inputPlace(id string) string { return "bulk_run/" + id + "/input" }
