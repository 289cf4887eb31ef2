package apikey

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Rate is a limit by the generic cell rate algorithm: Burst units at once, then one unit every Period/Count. The interval is
// whole microseconds, rounded up, so that a rate is never exceeded by rounding.
type Rate struct {
	Count  int64
	Period time.Duration
	Burst  int64
}

// Degrade says what a limit does while its counters are away.
type Degrade string

// The degraded modes: refuse, admit what this replica took up front while there were counters, or admit up to its share of the
// limit.
const (
	Closed    Degrade = "closed"
	LeaseOnly Degrade = "lease_only"
	Open      Degrade = "open"
)

// Quota bounds what is spent in one calendar period: at most Most units from From on and before Until. The counter of the next
// period is another one.
type Quota struct {
	Most        int64
	From, Until time.Time
	// First and Next are the period by the dates of the calendar, which are the same in every zone (see [licensing.Every.Dates]): a counter is named by
	// them, so that what was used stays used where the quota goes on in another zone. Over is when no zone is in the period any more. They are seconds
	// since 1970; all zero, a counter is named by From and Until.
	First, Next, Over int64 `json:",omitzero"`
}

// Named is the period that the counter is named by, in seconds since 1970.
func (q Quota) Named() (first, next int64) {
	if q.Next == 0 {
		return q.From.Unix(), q.Until.Unix()
	}
	return q.First, q.Next
}

// Ends is when nobody asks for the period any more, whatever zone the quota is given meanwhile.
func (q Quota) Ends() time.Time {
	if over := time.Unix(q.Over, 0); over.After(q.Until) {
		return over.UTC()
	}
	return q.Until
}

// Check asks for Cost units of one counter, which is that of a Rate or, when Quota says how many, of a Quota.
type Check struct {
	// Key names the counter. It includes the owner, so that no counter spans owners.
	Key string
	// Owner is whose counter it is, "" for one that is nobody's. Checks with an owner are counted together with others of
	// that owner; a group has one owner, or one check.
	Owner    licensing.Owner
	Rate     Rate
	Quota    Quota
	Cost     int64
	Degraded Degrade // Closed unless said
	// Less is, where units of a rate are given back, what of them came back by itself since they were taken.
	Less time.Duration
}

// Back is what a counter of a rate gets back when the check's units are given to it.
func (c *Check) Back() time.Duration {
	return max(time.Duration(c.Cost)*c.Rate.Interval()-c.Less, 0)
}

// Unit is what counters are kept together by: the owner, or the counter itself when it has none.
func (c *Check) Unit() string {
	if c.Owner != "" {
		return string(c.Owner)
	}
	return c.Key
}

// IsQuota reports whether the check is against a quota.
func (c *Check) IsQuota() bool { return c.Quota != Quota{} }

// Taken is the answer to a [Check]. The zero value is a refusal.
type Taken struct {
	Allowed bool
	// Remaining is how many units could be taken at once now.
	Remaining int64
	// RetryAfter is how long until the same cost would be admitted, zero when it was.
	RetryAfter time.Duration
	// Reset is how long until the counter is as if never used: for a quota, until its period ends.
	Reset time.Duration
	// Degraded reports that the counters were away and the answer follows the limit's degraded mode.
	Degraded bool
}

// Limiter counts. It is safe for concurrent use. A result that is missing is a refusal.
type Limiter interface {
	// Take decides a group of checks: all of them are admitted and spent, or none is spent. The results are in the order
	// of the checks. A cost outside 1 to the rate's burst or what the quota gives, or a limit that cannot be counted, is an
	// error of kind [licensing.Invalid] and spends nothing.
	Take(ctx context.Context, group []Check) ([]Taken, error)
	// TakeEach decides several groups, first in first out, each by itself, in one step.
	TakeEach(ctx context.Context, groups [][]Check) ([][]Taken, error)
	// Look tells how groups would be decided, and spends nothing. While counters are away the answer is a refusal that says so.
	Look(ctx context.Context, groups [][]Check) ([][]Taken, error)
	// Give gives back what was taken and not used, once: the caller sees to that. Counters never hold less than nothing, and
	// giving to one that is not there any more does nothing. It is an effort, not a promise: while counters are away, units
	// of a rate are lost, which come back by themselves.
	Give(ctx context.Context, units []Check)
}

// ErrCost refuses a cost that could never be admitted.
var ErrCost = licensing.Fail(licensing.Invalid, "cost", "The cost must be at least 1 and at most the burst of every limit it counts against.")

// ErrRate refuses a rate that cannot be counted.
var ErrRate = licensing.Fail(licensing.Invalid, "rate", "A rate needs a count and a burst of at least 1 and a period of 1 microsecond per unit to 366 days.")

const maxSpan = 366 * 24 * time.Hour

// Interval is the time one unit takes to come back, at least a microsecond.
func (r Rate) Interval() time.Duration {
	micros := r.Period.Microseconds()
	return time.Duration((micros+r.Count-1)/r.Count) * time.Microsecond
}

// Validate returns [ErrRate] for a rate that cannot be counted: count and burst of at least 1, a microsecond or more for each
// unit, a period and a full burst of 366 days at most.
func (r Rate) Validate() error {
	if r.Count < 1 || r.Burst < 1 || r.Period < time.Microsecond || r.Period > maxSpan || r.Count > r.Period.Microseconds() {
		return ErrRate
	}
	if r.Burst > int64(maxSpan/r.Interval()) {
		return ErrRate
	}
	return nil
}

// ErrOwner refuses a group whose counters are not of one owner.
var ErrOwner = licensing.Fail(licensing.Invalid, "limit-owner", "Limits that are spent together must be of one owner.")

// ErrQuota refuses a quota that cannot be counted.
var ErrQuota = licensing.Fail(licensing.Invalid, "quota", "A quota needs 1 to 1,000,000,000,000,000 units and a period that ends after it begins.")

// maxQuota is the largest quota. Counters are exact to 2^53.
const maxQuota = 1_000_000_000_000_000

// Validate returns [ErrQuota], [ErrRate] or [ErrCost] for a check that no counter could decide.
func (c Check) Validate() error {
	if c.IsQuota() {
		switch q := c.Quota; {
		case q.Most < 1 || q.Most > maxQuota || !q.From.Before(q.Until) || c.Rate != Rate{}:
			return ErrQuota
		case c.Cost < 1 || c.Cost > q.Most:
			return ErrCost
		}
		return nil
	}
	if err := c.Rate.Validate(); err != nil {
		return err
	}
	if c.Cost < 1 || c.Cost > c.Rate.Burst {
		return ErrCost
	}
	return nil
}

// Span is what a limit counts over.
type Span string

// The spans. None goes beyond one owner.
const (
	PerKey    Span = "key"    // each key by itself
	PerMember Span = "member" // all keys of one member of an organisation for the product; of all that are nobody's, too
	PerPlan   Span = "plan"   // all keys that the owner has of one plan
	PerOwner  Span = "owner"  // all keys of the owner for the product
)

// Limit is one named limit of a key: a rate, which comes back steadily, or, with Every, a quota, which begins anew with each
// calendar period.
type Limit struct {
	Name     string          `json:"name" doc:"Name of the limit, unique within the key: 1 to 32 of a-z, 0-9, _ and -."`
	Per      Span            `json:"per,omitempty" doc:"What is counted together: one key, all keys of a member of an organisation for the product, all keys of the owner in the plan, or all keys of the owner for the product. One key unless said." enum:"key,member,plan,owner"`
	Count    int64           `json:"count" doc:"Units that come back in each period." example:"60"`
	Seconds  int64           `json:"seconds,omitempty" doc:"The period of a rate in seconds: units come back steadily." example:"60"`
	Burst    int64           `json:"burst,omitempty" doc:"Units of a rate that can be taken at once; count unless said." example:"10"`
	Every    licensing.Every `json:"every,omitempty" doc:"Instead of seconds, the calendar period of a quota: all units come back when it ends." enum:"hour,day,week,month,year"`
	Zone     string          `json:"zone,omitempty" doc:"Time zone of the quota's calendar, UTC unless said." example:"Europe/Berlin"`
	Degraded Degrade         `json:"degraded,omitempty" doc:"While counters are away: closed refuses, lease_only admits what a replica took up front, open admits up to a replica's share. Closed unless said." enum:"closed,lease_only,open"`
}

const maxLimits = 8

var limitName = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

// normal returns the limit with its defaults filled in.
func (l Limit) normal() Limit {
	if l.Per == "" {
		l.Per = PerKey
	}
	if l.Burst == 0 && l.Every == "" {
		l.Burst = l.Count
	}
	if l.Degraded == "" {
		l.Degraded = Closed
	}
	return l
}

// FreeName is a name for one more limit beside others: the one given, with a number where they have it.
func FreeName(name string, limits []Limit) string {
	free := name
	for n := 2; slices.ContainsFunc(limits, func(l Limit) bool { return l.Name == free }); n++ {
		free = name + "-" + strconv.Itoa(n)
	}
	return free
}

// Period is the limit's period in words, to follow an amount: "a minute", "every 90 seconds", "a month (Europe/Berlin)".
func (l Limit) Period() string {
	if l.Every != "" {
		one := "a " + string(l.Every)
		if l.Every == licensing.Hourly {
			one = "an hour"
		}
		if l.Zone != "" && l.Zone != "UTC" {
			one += " (" + l.Zone + ")"
		}
		return one
	}
	for _, unit := range []struct {
		n         int64
		one, many string
	}{{86400, "a day", "days"}, {3600, "an hour", "hours"}, {60, "a minute", "minutes"}, {1, "a second", "seconds"}} {
		if l.Seconds == unit.n {
			return unit.one
		}
		if l.Seconds%unit.n == 0 {
			return "every " + strconv.FormatInt(l.Seconds/unit.n, 10) + " " + unit.many
		}
	}
	return ""
}

// Rate is the limit as counters know it, if it is a rate.
func (l Limit) Rate() Rate {
	if l.Seconds < 0 || l.Seconds > int64(maxSpan/time.Second) {
		return Rate{}
	}
	return Rate{Count: l.Count, Period: time.Duration(l.Seconds) * time.Second, Burst: l.Burst}
}

// Quota is the quota of the period that an instant lies in, if the limit is one. A valid limit's zone is known.
func (l Limit) Quota(at time.Time) Quota {
	zone, ok := licensing.Zone(l.Zone)
	if l.Every == "" || !ok {
		return Quota{}
	}
	q := Quota{Most: l.Count}
	q.From, q.Until = l.Every.Period(at, zone)
	first, next, over := l.Every.Dates(q.From, zone)
	q.First, q.Next, q.Over = first.Unix(), next.Unix(), over.Unix()
	return q
}

func (l Limit) valid() bool {
	if l.Every != "" {
		_, known := licensing.Zone(l.Zone)
		if !l.Every.Valid() || !known || l.Count < 1 || l.Count > maxQuota || l.Seconds != 0 || l.Burst != 0 {
			return false
		}
	} else if l.Zone != "" || l.Rate().Validate() != nil {
		return false
	}
	return limitName.MatchString(l.Name) && (l.Per == PerKey || l.Per == PerMember || l.Per == PerPlan || l.Per == PerOwner) &&
		(l.Degraded == Closed || l.Degraded == LeaseOnly || l.Degraded == Open)
}

// check is the check of the limit for one use of a key.
func (l Limit) check(k *Key, cost int64, now time.Time) Check {
	c := Check{Key: l.counter(k), Owner: k.Owner, Cost: cost, Degraded: l.Degraded}
	if l.Every != "" {
		c.Quota = l.Quota(now)
	} else {
		c.Rate = l.Rate()
	}
	return c
}

// counter is the name of the counter of a limit for a key. The environment keeps tests from spending what is live. Rates that keys share have
// a counter each by what they say: on one counter the smaller would put back, at each use, what the larger has spent.
func (l Limit) counter(k *Key) string {
	base, name := "k:"+string(k.Env)+":"+string(k.Owner)+":", l.Name
	if l.Per != PerKey && l.Every == "" {
		name = fmt.Sprintf("%s:%d.%d.%d", name, l.Count, l.Seconds, l.Burst)
	}
	switch l.Per {
	case PerOwner:
		return base + "o:" + k.ProductID + ":" + name
	case PerMember:
		return base + "m:" + k.Member + ":" + k.ProductID + ":" + name
	case PerPlan:
		return base + "p:" + k.ProductID + ":" + k.PlanCode + ":" + name // a key made by hand or imported knows its plan by its code alone
	default:
		return base + k.Place() + ":" + l.Name
	}
}
