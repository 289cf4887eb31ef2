package apikey

import (
	"context"
	"errors"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// Code is the outcome of a verification.
type Code string

// The codes (keys-and-usage §3).
const (
	Valid             Code = "VALID"
	NotFound          Code = "NOT_FOUND"
	IsDisabled        Code = "DISABLED"
	IsRevoked         Code = "REVOKED"
	IsExpired         Code = "EXPIRED"
	ForbiddenIP       Code = "FORBIDDEN_IP"
	InsufficientScope Code = "INSUFFICIENT_SCOPE"
	RateLimited       Code = "RATE_LIMITED"
	QuotaExceeded     Code = "QUOTA_EXCEEDED"
	NoCredits         Code = "NO_CREDITS"
	SwitchedOff       Code = "SWITCHED_OFF"
)

// Question is one key and what it is about to be used for.
type Question struct {
	Text string
	// KeyID names a key whose text was checked already, instead of Text: the caller's own.
	KeyID string
	// Cost is what the use spends of every limit, 1 if zero.
	Cost   int64
	Scopes []string
	// Product and Env, when set, are those of the resource: a key of another does not fit.
	Product string
	Env     licensing.Env
	// IP is where the use comes from. A key with an allow-list is refused without one.
	IP netip.Addr
	// Within is what the asker may know of; a key outside it does not exist for him.
	Within Reach
}

// LimitState is how one limit of a key stands after the answer.
type LimitState struct {
	Limit Limit
	Quota Quota // of the period, if the limit is one
	Taken
}

// Window is what can be taken in which time, for the RateLimit-Policy field: a burst and how long it takes to come back, or a quota
// and its period.
func (l LimitState) Window() (most int64, window time.Duration) {
	if l.Limit.Every != "" {
		return l.Quota.Most, l.Quota.Until.Sub(l.Quota.From)
	}
	return l.Limit.Burst, l.Limit.Rate().Interval() * time.Duration(l.Limit.Burst)
}

// Verdict is the answer to a [Question]. Key is nil when there is none that the asker may know of.
type Verdict struct {
	Code   Code
	Key    *Key
	Limits []LimitState
	// Credits are what is left, nil for a key without.
	Credits *Credits
	// Degraded reports that a limit's counters were away.
	Degraded bool
	// RetryAfter is how long to wait after [RateLimited], [QuotaExceeded] and [NoCredits], zero when waiting does not help.
	RetryAfter time.Duration
}

// maxQuestions is the size of the largest batch.
const maxQuestions = 1000

var scopeForm = regexp.MustCompile(`^[a-z0-9_.-]{1,40}(:[a-z0-9_.*-]{1,40})?$`)

// ValidScope reports whether a key can carry the scope: noun or noun:verb.
func ValidScope(s string) bool { return scopeForm.MatchString(s) }

func badScope(scopes []string) string {
	if len(scopes) > maxScopes {
		return "must be at most 32"
	}
	for i, sc := range scopes {
		if !ValidScope(sc) {
			return "each is noun or noun:verb of a-z, 0-9, _ . and -"
		}
		if slices.Contains(scopes[:i], sc) {
			return "must differ"
		}
	}
	return ""
}

// Ask verifies keys: the record of each from the cache or the database, then the limits of all good ones in one step of the limiter, then the
// credits of those that have any. A refusal by one limit spends none of the key's others and no credits, one for want of credits gives back
// what the limits took; a key refused for another reason spends nothing. A cost beyond the burst of a limit is [ErrCost], among several questions [RateLimited] without a
// time to wait, so that one key cannot keep the others from being answered.
func (s *Service) Ask(ctx context.Context, questions []Question) ([]Verdict, error) {
	verdicts, records, groups := make([]Verdict, len(questions)), make([]*Record, len(questions)), make([][]Check, len(questions))
	rationed := false
	for i := range questions {
		q, v := &questions[i], &verdicts[i]
		if q.Cost == 0 {
			q.Cost = 1
		}
		if q.Cost < 0 {
			return nil, ErrCost
		}
		var err error
		if *v, records[i], err = s.judge(ctx, q); err != nil {
			return nil, err
		}
		if v.Code != Valid {
			continue
		}
		groups[i], err = v.Key.checks(q.Cost, s.Clock.Now())
		if errors.Is(err, ErrCost) && len(questions) > 1 {
			v.Code = RateLimited // never admitted, however long one waits; the others are answered all the same
			continue
		}
		if err != nil {
			return nil, err
		}
		rationed = rationed || v.Key.Rationed
	}
	if err := s.spend(ctx, questions, verdicts, groups, rationed); err != nil {
		return nil, err
	}
	now := s.Clock.Now()
	for i, rec := range records {
		if rec != nil {
			s.note(rec, verdicts[i].Code, now)
		}
	}
	return verdicts, nil
}

// spend asks limits and credits of the verdicts that are good so far: the limits first, so that a use that they refuse never touches what is money,
// and then the credits of those that they admit.
func (s *Service) spend(ctx context.Context, questions []Question, verdicts []Verdict, groups [][]Check, rationed bool) error {
	var open []int
	var began time.Time
	if rationed {
		open, began = s.recall(questions, verdicts), s.Clock.Now()
	}
	asked, ask := make([]int, 0, len(verdicts)), make([][]Check, 0, len(verdicts))
	for i := range verdicts {
		if verdicts[i].Code == Valid && len(groups[i]) > 0 {
			asked, ask = append(asked, i), append(ask, groups[i])
		}
	}
	if len(asked) > 0 {
		taken, err := s.Limiter.TakeEach(ctx, ask)
		if err != nil {
			return err
		}
		for g, i := range asked {
			verdicts[i].count(ask[g], taken, g)
		}
	}
	if len(open) == 0 {
		return nil
	}
	return s.ration(ctx, questions, verdicts, open, began)
}

// checks are the checks of every limit of the key for one use.
func (k *Key) checks(cost int64, now time.Time) ([]Check, error) {
	group := make([]Check, len(k.Limits))
	for i, l := range k.Limits {
		group[i] = l.check(k, cost, now)
		if err := group[i].Validate(); err != nil {
			return nil, err
		}
	}
	return group, nil
}

// answer is what a limiter says of check n of group g. What it does not say is a refusal: nobody is admitted for want of an answer.
func answer(taken [][]Taken, g, n int) Taken {
	if g < len(taken) && n < len(taken[g]) {
		return taken[g][n]
	}
	return Taken{RetryAfter: time.Second, Degraded: true}
}

// count lays the limiter's answers to a group, the g-th, over the verdict.
func (v *Verdict) count(group []Check, taken [][]Taken, g int) {
	v.Limits = make([]LimitState, len(group))
	for i := range group {
		t := answer(taken, g, i)
		v.Limits[i] = LimitState{Limit: v.Key.Limits[i], Quota: group[i].Quota, Taken: t}
		v.Degraded = v.Degraded || t.Degraded
		if t.Allowed {
			continue
		}
		if v.RetryAfter = max(v.RetryAfter, t.RetryAfter); v.Key.Limits[i].Every != "" {
			v.Code = QuotaExceeded // says more than that a rate is too high as well
		} else if v.Code != QuotaExceeded {
			v.Code = RateLimited
		}
	}
}

// judge answers everything but credits and limits. The record is nil when there is none that the asker may know of.
func (s *Service) judge(ctx context.Context, q *Question) (Verdict, *Record, error) {
	var rec *Record
	var err error
	if q.KeyID != "" {
		rec, err = s.byID(ctx, q.KeyID)
	} else {
		rec, err = s.find(ctx, q.Text, q.IP)
	}
	if wait := credential.Guessed(err); wait > 0 {
		return Verdict{Code: RateLimited, RetryAfter: wait}, nil, nil
	}
	if errors.Is(err, licensing.ErrNotFound) {
		return Verdict{Code: NotFound}, nil, nil
	}
	if err != nil {
		return Verdict{}, nil, err
	}
	if w, k := q.Within, &rec.Key; w.Owner != "" && w.Owner != k.Owner || w.Product != "" && w.Product != k.ProductID || w.Env != "" && w.Env != k.Env {
		return Verdict{Code: NotFound}, nil, nil
	}
	v := Verdict{Key: &rec.Key}
	v.Code, err = s.standing(ctx, rec, q)
	return v, rec, err
}

func (s *Service) standing(ctx context.Context, rec *Record, q *Question) (Code, error) {
	now, k := s.Clock.Now(), &rec.Key
	switch k.State(now) {
	case Revoked:
		return IsRevoked, nil
	case Expired:
		return IsExpired, nil
	case Disabled:
		if !k.StoppedAt().IsZero() {
			return SwitchedOff, nil // the press for one key, as the switch is for a product
		}
		return IsDisabled, nil
	}
	if !rec.Secret.ExpiresAt.IsZero() && !now.Before(rec.Secret.ExpiresAt) {
		return IsExpired, nil
	}
	if err := s.Switches.CheckProduct(ctx, licensing.SwitchAPI, k.ProductID); err != nil {
		if licensing.KindOf(err) == licensing.Unavailable {
			return SwitchedOff, nil
		}
		return "", err
	}
	if !k.admits(q.IP) {
		return ForbiddenIP, nil
	}
	if q.Product != "" && q.Product != k.ProductID || q.Env != "" && q.Env != k.Env {
		return InsufficientScope, nil
	}
	for _, scope := range q.Scopes {
		if !slices.Contains(k.Scopes, scope) {
			return InsufficientScope, nil
		}
	}
	return Valid, nil
}

// admits reports whether the key may be used from ip.
func (k *Key) admits(ip netip.Addr) bool {
	if len(k.AllowFrom) == 0 {
		return true
	}
	ip = ip.Unmap().WithZone("")
	return ip.IsValid() && slices.ContainsFunc(k.AllowFrom, func(n netip.Prefix) bool { return n.Contains(ip) })
}

// find returns the record of a text. A text without the right form and checksum dies here, before any lookup, unless keys of other systems were
// imported and it may be one of those. The
// stored digest is compared whole and in constant time, whatever the index said. An address from which too many unknown texts came is
// answered from memory alone until it has waited: a key that is known here goes on, so nobody is locked out by who guesses at keys.
func (s *Service) find(ctx context.Context, text string, from netip.Addr) (*Record, error) {
	parsed, ours := s.format.Parse(text)
	if !ours {
		if ok, err := s.mayBeForeign(ctx, text); err != nil {
			return nil, err
		} else if !ok {
			return nil, licensing.ErrNotFound
		}
	}
	digest := credential.Sum(text)
	rec, err := s.cache.Load(ctx, digest, func(ctx context.Context) (*Record, []string, error) {
		if wait := s.guesses.Wait(from); wait > 0 {
			return nil, nil, credential.ErrGuessing.After(wait)
		}
		r, err := s.Store.KeyByDigest(ctx, digest.Head())
		if errors.Is(err, licensing.ErrNotFound) {
			s.guesses.Count(from)
		}
		if err != nil {
			return nil, nil, err
		}
		r.trail = new(trail)
		return &r, []string{r.Key.ID}, nil
	})
	if err != nil {
		return nil, err
	}
	if !digest.Equal(rec.Secret.Digest[:]) || ours && rec.Key.Env != parsed.Env {
		return nil, licensing.ErrNotFound
	}
	return rec, nil
}

// byID returns a key, without a secret, from the same cache: under the digest of a text that no credential can have.
func (s *Service) byID(ctx context.Context, id string) (*Record, error) {
	return s.cache.Load(ctx, credential.Sum("id "+id), func(ctx context.Context) (*Record, []string, error) {
		k, err := s.Store.Key(ctx, id, Reach{})
		return &Record{Key: k, trail: new(trail)}, []string{id}, err
	})
}

// ByCredential authenticates the holder of a key by its text and the address he calls from. Every reason for a refusal is
// [ErrCredential], with the reason wrapped for the log, but for a good key from outside its networks, which is [ErrAddress]. The
// key's limits are not asked here.
func (s *Service) ByCredential(ctx context.Context, text string, from netip.Addr) (licensing.Actor, error) {
	rec, err := s.find(ctx, text, from)
	if errors.Is(err, licensing.ErrNotFound) {
		return licensing.Actor{}, ErrCredential.Because(err)
	}
	if err != nil {
		return licensing.Actor{}, err
	}
	now, k := s.Clock.Now(), &rec.Key
	if state := k.State(now); state != Active {
		return licensing.Actor{}, ErrCredential.Because(errors.New(k.ID + " is " + string(state)))
	}
	if !rec.Secret.ExpiresAt.IsZero() && !now.Before(rec.Secret.ExpiresAt) {
		return licensing.Actor{}, ErrCredential.Because(errors.New(k.ID + ": secret " + rec.Secret.Hint + " was rotated out"))
	}
	if !k.admits(from) {
		s.note(rec, ForbiddenIP, now)
		return licensing.Actor{}, ErrAddress.Because(errors.New(k.ID + " is not for use from " + from.String()))
	}
	s.note(rec, Valid, now)
	return licensing.Actor{
		Kind: licensing.APIKey, ID: k.ID, Owner: k.Owner, Scopes: slices.Clone(k.Scopes), Product: k.ProductID, Env: k.Env,
	}, nil
}
