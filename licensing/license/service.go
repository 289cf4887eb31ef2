package license

import (
	"log/slog"
	"sync"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// Deps is what a [Service] is made of. All members but Logger and Fresh are required; Many and Trail by DraftMany and IssueMany alone.
type Deps struct {
	Store     Store
	Policies  Policies
	Tokens    Tokens
	Renewals  Renewals
	Seating   Seating
	Transfers Transfers
	Trials    Trials
	Env       licensing.Env // of trials: that of the payments which follow them
	Many      ManyStore
	Trail     ManyAuditor
	Signer    Signer
	Verifier  Verifier
	Seal      licensing.Sealer
	Clock     licensing.Clock
	IDs       licensing.IDs
	Tx        licensing.Transactor
	Audit     licensing.Auditor
	Switches  licensing.Switches
	Logger    *slog.Logger
	// Fresh reports whether the change feed can be believed; nil means that nothing is kept in memory which it tells of.
	Fresh func() bool
}

// Service issues licenses and answers for them. It is safe for concurrent use.
type Service struct {
	Deps
	lookupKey []byte
	indexes   *indexes
	lists     *statusCache
	policies  licensing.Memo[Policy]
	holders   *credential.Cache[licensing.Actor] // by their credentials
}

// New makes a Service.
func New(d Deps) *Service {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{Deps: d, lookupKey: d.Seal.Derive("license-key lookup")}
	s.policies.Fresh = d.Fresh
	s.holders = credential.NewCache[licensing.Actor](credential.CacheConfig{Clock: d.Clock, Trusted: func() bool { return d.Fresh != nil && d.Fresh() }})
	s.indexes = &indexes{tokens: d.Tokens, clock: d.Clock, drawn: map[slot]bool{}}
	s.lists = &statusCache{texts: map[int64]statusText{}, building: map[int64]*sync.Mutex{}}
	return s
}

// now is the present second: what a license remembers of time, its token can carry exactly.
func (s *Service) now() time.Time { return s.Clock.Now().Truncate(time.Second) }
