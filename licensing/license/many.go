package license

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

// ManyStore keeps licenses by the hundreds, each call in a handful of statements.
type ManyStore interface {
	// AddLicenses stores licenses with their tokens in the caller's transaction, whatever their state. It fails with [ErrCollision],
	// the transaction being over, when somebody else took a source, a key or a place in a status list meanwhile.
	AddLicenses(ctx context.Context, ls []License) error
	// IDsFrom returns which of the sources of a kind have a license, and which.
	IDsFrom(ctx context.Context, kind string, ids []string) (map[string]string, error)
	// IDsByKey returns which of the lookups of keys belong to a license, by the text of their bytes, and to which.
	IDsByKey(ctx context.Context, lookups [][]byte) (map[string]string, error)
}

// ManyAuditor writes many audit rows at once, in the caller's transaction.
type ManyAuditor interface {
	RecordMany(ctx context.Context, events []licensing.Event) error
	// RecordFor writes a row for each of several calls.
	RecordFor(ctx context.Context, calls []*licensing.Call, events []licensing.Event) error
}

// Drafted is what became of one spec of [Service.DraftMany]: a draft, the license that its source has already, or why it can have none.
// The last is an [licensing.Error] for whoever wrote the spec.
type Drafted struct {
	Draft    *Draft
	Existing string
	Err      error
}

// ErrKeyTaken refuses a key that another license has.
var ErrKeyTaken = licensing.Fail(licensing.Conflict, "license-key-taken", "Another license has this key.")

// DraftMany is [Service.Draft] for many specs, which must have one kind of source, at the price of a few statements. A spec that cannot be
// drafted does not keep the others from it.
func (s *Service) DraftMany(ctx context.Context, specs []IssueSpec) ([]Drafted, error) {
	places, err := s.indexes.drawMany(ctx, len(specs))
	if err != nil {
		return nil, err
	}
	return s.many(ctx, specs, func(i int, policy Policy) (*Draft, error) { return s.draft(ctx, specs[i], policy, places[i]) })
}

// CheckMany finds what would keep each spec from being drafted, and makes no draft.
func (s *Service) CheckMany(ctx context.Context, specs []IssueSpec) ([]Drafted, error) {
	return s.many(ctx, specs, func(i int, policy Policy) (*Draft, error) {
		_, err := s.fresh(specs[i], policy)
		return nil, err
	})
}

// many calls draft for each spec that has no license yet.
func (s *Service) many(ctx context.Context, specs []IssueSpec, draft func(i int, policy Policy) (*Draft, error)) ([]Drafted, error) {
	out := make([]Drafted, len(specs))
	if err := s.known(ctx, specs, out); err != nil {
		return nil, err
	}
	policies, of := map[string]Policy{}, make([]Policy, len(specs))
	var todo []int
	for i := range specs {
		if out[i].Existing != "" || out[i].Err != nil {
			continue
		}
		policy, err := s.policyFor(ctx, &specs[i], policies)
		if err != nil {
			return nil, err
		}
		if out[i].Err = specs[i].check(); out[i].Err == nil {
			of[i], todo = policy, append(todo, i)
		}
	}
	todo, err := s.firstTrials(ctx, specs, of, todo, out)
	if err != nil {
		return nil, err
	}
	return out, spread(todo, func(i int) (err error) {
		if out[i].Draft, err = draft(i, of[i]); err == nil {
			return nil
		}
		out[i].Err = refusal(err)
		if out[i].Err == nil {
			return err
		}
		return nil
	})
}

// spread calls do for each of the numbers, on all processors at once, since signing is what most of the time goes to. After a failure it begins
// no further one.
func spread(todo []int, do func(i int) error) error {
	workers := min(runtime.GOMAXPROCS(0), len(todo))
	errs := make([]error, workers)
	var next atomic.Int64
	var failed atomic.Bool
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := next.Add(1) - 1; n < int64(len(todo)) && !failed.Load(); n = next.Add(1) - 1 {
				if errs[w] = do(todo[n]); errs[w] != nil {
					failed.Store(true)
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// policyFor is the policy of a spec, once it is sure that licenses may be issued for its product.
func (s *Service) policyFor(ctx context.Context, spec *IssueSpec, read map[string]Policy) (policy Policy, err error) {
	if err := s.Switches.Check(ctx, licensing.SwitchLicensing, spec.ProductID); err != nil {
		return Policy{}, err
	}
	policy, ok := read[spec.PolicyID]
	if !ok {
		if policy, err = s.policies.Get(ctx, spec.PolicyID, s.Policies.Policy); err != nil {
			return Policy{}, fmt.Errorf("policy %s: %w", spec.PolicyID, err)
		}
		read[spec.PolicyID] = policy
	}
	if policy.ProductID != spec.ProductID {
		return Policy{}, fmt.Errorf("license: policy %s is not of product %s", policy.ID, spec.ProductID)
	}
	return policy, nil
}

// refusal is what err says of the spec; nil when it is no fault of the spec's.
func refusal(err error) error {
	var e *licensing.Error
	if errors.As(err, &e) && e.Kind == licensing.Invalid {
		return e
	}
	return nil
}

// known finds the specs whose source has a license, and those whose key another one has.
func (s *Service) known(ctx context.Context, specs []IssueSpec, out []Drafted) error {
	var sources []string
	var lookups [][]byte
	byKey := map[string][]int{}
	for i := range specs {
		if specs[i].Source.Kind != specs[0].Source.Kind {
			return errors.New("license: specs of several kinds of source")
		}
		if !specs[i].New {
			sources = append(sources, specs[i].Source.ID)
		}
		if specs[i].Key != "" {
			l := s.keyLookup(specs[i].Key)
			if byKey[string(l)] == nil {
				lookups = append(lookups, l)
			}
			byKey[string(l)] = append(byKey[string(l)], i)
		}
	}
	if len(specs) == 0 {
		return nil
	}
	existing, err := s.Many.IDsFrom(ctx, specs[0].Source.Kind, sources)
	if err != nil {
		return err
	}
	for i := range specs {
		out[i].Existing = existing[specs[i].Source.ID]
	}
	taken, err := s.Many.IDsByKey(ctx, lookups)
	if err != nil {
		return err
	}
	for l, rows := range byKey {
		for n, i := range rows {
			switch id := taken[l]; {
			case out[i].Existing != "":
			case id != "":
				out[i].Err = ErrKeyTaken.With("/key", "belongs to the license %s already", id)
			case n > 0:
				out[i].Err = ErrKeyTaken.With("/key", "stands in an earlier row already")
			}
		}
	}
	return nil
}

// Lookups tells whether each key looks the same as an earlier one, by the index of that; -1 for none. It is how a file of keys is
// checked before any is stored.
func (s *Service) Lookups(keys []string) []int {
	out, seen := make([]int, len(keys)), map[string]int{}
	for i, key := range keys {
		l := string(s.keyLookup(key))
		first, twice := seen[l]
		if !twice {
			first, seen[l] = -1, i
		}
		out[i] = first
	}
	return out
}

// IssueMany stores drafts in the caller's transaction, with an audit row for each. detail is added to each of them.
func (s *Service) IssueMany(ctx context.Context, drafts []*Draft, detail map[string]any) error {
	if len(drafts) == 0 {
		return nil
	}
	ls, events := make([]License, len(drafts)), make([]licensing.Event, len(drafts))
	for i, d := range drafts {
		ls[i], events[i] = d.License, issued(&d.License)
		for name, value := range detail {
			events[i].Detail.(map[string]any)[name] = value
		}
	}
	if err := s.Many.AddLicenses(ctx, ls); err != nil {
		return err
	}
	for _, d := range drafts {
		if err := s.noteTrial(ctx, &d.License); errors.Is(err, ErrTrialGiven) { // since the draft was made
			return ErrCollision
		} else if err != nil {
			return err
		}
	}
	return s.Trail.RecordMany(ctx, events)
}

// Asked is a draft that somebody asked for: the call, and why.
type Asked struct {
	*Draft
	Call   *licensing.Call
	Reason string
}

// event is the audit event of the issue.
func (a *Asked) event() licensing.Event {
	e := issued(&a.License)
	e.Reason = a.Reason
	return e
}

// IssueAsked stores one draft in the caller's transaction as [Service.Issue] does, with the reason that was given.
func (s *Service) IssueAsked(ctx context.Context, a *Asked) (bool, error) {
	added, err := s.Store.AddLicense(ctx, a.License)
	if err == nil && added {
		err = s.noteTrial(ctx, &a.License)
	}
	if err != nil || !added {
		return false, err
	}
	return true, s.Audit.Record(ctx, a.event())
}

// IssueFor stores drafts of several calls in a transaction for all of them, which gathers what is written: when one of them cannot be stored,
// the end of the transaction says so, and none is. None of them is a trial, of which is asked who had one.
func (s *Service) IssueFor(ctx context.Context, asked []*Asked) error {
	ls, calls, events := make([]License, len(asked)), make([]*licensing.Call, len(asked)), make([]licensing.Event, len(asked))
	for i, a := range asked {
		ls[i], calls[i], events[i] = a.License, a.Call, a.event()
	}
	if err := s.Many.AddLicenses(ctx, ls); err != nil {
		return err
	}
	return s.Trail.RecordFor(ctx, calls, events)
}

// drawMany draws n places as [indexes.draw] does, a list at a time.
func (x *indexes) drawMany(ctx context.Context, n int) ([]slot, error) {
	out := make([]slot, 0, n)
	for times := 1; len(out) < n; times *= 2 { // most lists are mostly empty; of a full one more and more have to be asked for
		list, err := x.list(ctx, n-len(out))
		if err != nil {
			return nil, err
		}
		among := make([]int64, min(2000, max(candidates, times*(n-len(out)))))
		for i := range among {
			among[i] = int64(random(doc.StatusListSize))
		}
		slices.Sort(among)
		among = slices.Compact(among)
		taken, err := x.tokens.TakenIndexes(ctx, list, among)
		if err != nil {
			return nil, err
		}
		slices.Sort(taken)
		free := among[:0]
		for _, idx := range among {
			if _, found := slices.BinarySearch(taken, idx); !found {
				free = append(free, idx)
			}
		}
		for i := range free { // in no order, so that the ones left out are not always the highest
			j := i + random(len(free)-i)
			free[i], free[j] = free[j], free[i]
			if len(out) < n && x.hold(slot{list, free[i]}) {
				out = append(out, slot{list, free[i]})
			}
		}
	}
	return out, nil
}

// ViewOf is a license as its owner and staff see it, at this moment.
func (s *Service) ViewOf(l *License) View { return s.viewOf(l, s.Clock.Now()) }

// KeyPlace is where the key of a license is sealed.
func KeyPlace(id string) string { return keyPlace(id) }

// Hint is the end of a key, by which people tell keys apart.
func Hint(key string) string { return hint(key) }
