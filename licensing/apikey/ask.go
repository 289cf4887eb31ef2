package apikey

import (
	"context"
	"net/netip"
	"strconv"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// VerifyCheck is one key to verify.
type VerifyCheck struct {
	Key     string        `json:"key,omitempty" doc:"The key's text as its holder presented it."`
	Cost    *int64        `json:"cost,omitempty" doc:"Units that the use spends of every limit; 1 unless said." example:"1"`
	Scopes  []string      `json:"scopes,omitempty" doc:"Scopes the use needs; the key must carry all of them."`
	IP      string        `json:"ip,omitempty" doc:"Address the use comes from, for keys with an allow-list." example:"192.0.2.7"`
	Product string        `json:"product,omitempty" doc:"Id of the product of the resource; a key of another does not fit."`
	Env     licensing.Env `json:"env,omitempty" doc:"Environment of the resource; a key of the other does not fit." enum:"live,test"`
}

// VerifyRequest is one key, or a batch.
type VerifyRequest struct {
	VerifyCheck
	Batch []VerifyCheck `json:"batch,omitempty" doc:"Several keys instead of one, at most 1000; answered in order, each by itself."`
}

// Validate refuses a request that is neither one key nor a batch, and costs and addresses that make no sense.
func (r VerifyRequest) Validate() error {
	e := licensing.Fail(licensing.Invalid, "invalid", "The request cannot be answered as it stands.")
	switch {
	case (r.Key != "") == (len(r.Batch) > 0):
		return e.With("/key", "send either key or batch")
	case len(r.Batch) > maxQuestions:
		return e.With("/batch", "must have at most %d keys", maxQuestions)
	}
	if len(r.Batch) == 0 {
		return r.VerifyCheck.fault(e, "")
	}
	if c := r.VerifyCheck; c.Cost != nil || len(c.Scopes) > 0 || c.IP != "" || c.Product != "" || c.Env != "" {
		return e.With("/batch", "each of a batch says by itself what it is for; beside it nothing can be said")
	}
	for i := range r.Batch {
		if err := r.Batch[i].fault(e, "/batch/"+strconv.Itoa(i)); err != nil {
			return err
		}
	}
	return nil
}

// fault is e with what is wrong with a check that is found at a place of the request, nil when nothing is.
func (c *VerifyCheck) fault(e *licensing.Error, at string) error {
	if c.Cost != nil && *c.Cost < 1 {
		return e.With(at+"/cost", "must be at least 1")
	}
	if bad := badScope(c.Scopes); bad != "" {
		return e.With(at+"/scopes", "%s", bad)
	}
	if c.IP == "" {
		return nil
	}
	if _, err := netip.ParseAddr(c.IP); err != nil {
		return e.With(at+"/ip", "must be an address")
	}
	return nil
}

// LimitView is how one limit stands.
type LimitView struct {
	Name       string          `json:"name" doc:"Name of the limit."`
	Limit      int64           `json:"limit" doc:"Units that come back in each period."`
	Seconds    int64           `json:"seconds" doc:"The period in seconds."`
	Burst      int64           `json:"burst" doc:"Units that can be taken at once."`
	Every      licensing.Every `json:"every,omitempty" doc:"The calendar period of a quota." enum:"hour,day,week,month,year"`
	Remaining  int64           `json:"remaining" doc:"Units that could be taken at once now. What other replicas hold up front, about a second at most, counts as used."`
	Reset      float64         `json:"reset_seconds" doc:"Seconds until the counter is as if never used."`
	RetryAfter float64         `json:"retry_after_seconds,omitempty" doc:"Seconds until the same cost would be admitted; absent when it was."`
	Allowed    bool            `json:"allowed" doc:"Whether this limit would admit the use."`
	Degraded   bool            `json:"degraded,omitempty" doc:"The counter was away; the limit's degraded mode answered."`
}

// VerifyResult is the answer for one key.
type VerifyResult struct {
	Valid      bool            `json:"valid" doc:"Whether the use may go on."`
	Code       Code            `json:"code" doc:"Why." enum:"VALID,NOT_FOUND,DISABLED,REVOKED,EXPIRED,FORBIDDEN_IP,INSUFFICIENT_SCOPE,RATE_LIMITED,QUOTA_EXCEEDED,NO_CREDITS,SWITCHED_OFF"`
	KeyID      string          `json:"key_id,omitempty" doc:"Id of the key."`
	Owner      licensing.Owner `json:"owner,omitempty" doc:"Customer or organisation that owns the key."`
	Product    string          `json:"product,omitempty" doc:"Id of the key's product."`
	Plan       string          `json:"plan,omitempty" doc:"Code of the key's plan."`
	Env        licensing.Env   `json:"env,omitempty" doc:"Environment of the key." enum:"live,test"`
	Scopes     []string        `json:"scopes,omitempty" doc:"Scopes the key carries."`
	ExpiresAt  *time.Time      `json:"expires_at,omitempty" doc:"When the key ends."`
	Limits     []LimitView     `json:"limits,omitempty" doc:"How the key's limits stand after the answer."`
	Credits    *CreditsView    `json:"credits,omitempty" doc:"What the key may still spend; absent for a key without credits."`
	RetryAfter float64         `json:"retry_after_seconds,omitempty" doc:"Seconds to wait when the code is RATE_LIMITED, QUOTA_EXCEEDED or NO_CREDITS; absent when waiting does not help."`
	Degraded   bool            `json:"degraded,omitempty" doc:"A counter was away; the limit's degraded mode answered."`
}

// VerifyResponse answers a [VerifyRequest]: the members of one result, or a batch.
type VerifyResponse struct {
	VerifyResult
	Batch []VerifyResult `json:"batch,omitempty" doc:"The answers of a batch, in its order; valid is then true when all are."`
}

// Verify answers whether a key, or each of a batch, is good for a use, and spends its limits. A refusal is an answer, not an
// error. A machine token that is narrowed to a product or an environment does not learn of other keys.
func (s *Service) Verify(ctx context.Context, r VerifyRequest) (VerifyResponse, error) {
	if err := r.Validate(); err != nil {
		return VerifyResponse{}, err
	}
	within, err := reach(ctx)
	if err != nil {
		return VerifyResponse{}, err
	}
	checks := r.Batch
	if len(checks) == 0 {
		checks = []VerifyCheck{r.VerifyCheck}
	}
	verdicts, err := s.ask(ctx, checks, within)
	if err != nil {
		return VerifyResponse{}, err
	}
	results := make([]VerifyResult, len(verdicts))
	all := true
	for i, v := range verdicts {
		results[i] = s.result(v)
		all = all && results[i].Valid
	}
	if len(r.Batch) == 0 {
		return VerifyResponse{VerifyResult: results[0]}, nil
	}
	out := VerifyResponse{VerifyResult: VerifyResult{Valid: all, Code: Valid}, Batch: results}
	for _, res := range results {
		if !res.Valid {
			out.Code = res.Code
			break
		}
	}
	return out, nil
}

func (s *Service) ask(ctx context.Context, checks []VerifyCheck, within Reach) ([]Verdict, error) {
	questions := make([]Question, len(checks))
	for i, c := range checks {
		q := Question{Text: c.Key, Scopes: c.Scopes, Product: c.Product, Env: c.Env, Within: within}
		if c.Cost != nil {
			q.Cost = *c.Cost
		}
		q.IP, _ = netip.ParseAddr(c.IP) // checked by Validate; none is the zero address
		questions[i] = q
	}
	return s.Ask(ctx, questions)
}

func (s *Service) result(v Verdict) VerifyResult {
	out := VerifyResult{Valid: v.Code == Valid, Code: v.Code, Degraded: v.Degraded, Credits: v.Credits.view(), RetryAfter: v.RetryAfter.Seconds()}
	if k := v.Key; k != nil {
		out.KeyID, out.Owner, out.Product, out.Plan, out.Env = k.ID, k.Owner, k.ProductID, k.PlanCode, k.Env
		out.Scopes, out.ExpiresAt = k.Scopes, instant(k.ExpiresAt)
	}
	for _, l := range v.Limits {
		burst, period := l.Limit.Burst, l.Limit.Seconds
		if l.Limit.Every != "" {
			burst, period = l.Quota.Most, int64(l.Quota.Until.Sub(l.Quota.From)/time.Second)
		}
		out.Limits = append(out.Limits, LimitView{
			Name: l.Limit.Name, Limit: l.Limit.Count, Seconds: period, Burst: burst, Every: l.Limit.Every, Remaining: l.Remaining,
			Reset: l.Reset.Seconds(), RetryAfter: l.RetryAfter.Seconds(), Allowed: l.Allowed, Degraded: l.Degraded,
		})
	}
	return out
}

// Authorize answers a proxy that forwards a caller's API key: nil when the use may go on, otherwise a *licensing.Error of kind
// Unauthorized for a key that is not good, whatever the reason, Forbidden, TooMany or Unavailable. The verdict comes with
// it, for the RateLimit fields.
func (s *Service) Authorize(ctx context.Context, q Question) (Verdict, error) {
	verdicts, err := s.Ask(ctx, []Question{q})
	if err != nil {
		return Verdict{}, err
	}
	v := verdicts[0]
	switch v.Code {
	case Valid:
		return v, nil
	case ForbiddenIP:
		return v, ErrAddress
	case InsufficientScope:
		return v, licensing.Fail(licensing.Forbidden, "insufficient-scope", "The API key is not good for this: it lacks a scope, or is of another product or environment.")
	case SwitchedOff:
		return v, licensing.Fail(licensing.Unavailable, "switched-off", "The service is switched off for now.")
	case RateLimited, QuotaExceeded:
		return v, licensing.Fail(licensing.TooMany, "quota-exceeded", "A limit of the API key is used up. Try again later.").After(v.RetryAfter)
	case NoCredits:
		return v, licensing.Fail(licensing.TooMany, "no-credits", "The credits of the API key are used up.").After(v.RetryAfter)
	default:
		return v, ErrCredential
	}
}

// Look tells how the limits of keys stand, and spends nothing. A limit whose counter is away says so in Degraded.
func (s *Service) Look(ctx context.Context, keys []*Key) ([][]LimitState, error) {
	groups := make([][]Check, 0, len(keys))
	for _, k := range keys {
		group, err := k.checks(1, s.Clock.Now())
		if err != nil {
			return nil, err
		}
		groups = append(groups, group)
	}
	taken, err := s.Limiter.Look(ctx, groups)
	if err != nil {
		return nil, err
	}
	out := make([][]LimitState, len(keys))
	for i, k := range keys {
		for n, l := range k.Limits {
			out[i] = append(out[i], LimitState{Limit: l, Quota: groups[i][n].Quota, Taken: answer(taken, i, n)})
		}
	}
	return out, nil
}
