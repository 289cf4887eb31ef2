package eval

import (
	"fmt"
	"slices"

	"github.com/mintreu/mintreu/sdk/doc"
)

// soon is the longest time before its end at which a license is reported as
// expiring; for short licenses it is a quarter of their length.
const soon = 7 * 24 * 3600

// evaluation collects findings and the instants at which they may change.
type evaluation struct {
	in       *Input
	lic      *doc.License
	lease    *doc.Lease // only if it rests on lic
	now      int64
	mode     string
	findings []Finding
	next     int64
}

// Evaluate decides. It is pure, and safe for concurrent use as long as nobody
// changes the documents.
func Evaluate(in Input) Decision {
	e := evaluation{in: &in, lic: in.License, now: in.Now, mode: ModeFull}
	e.findings = append(e.findings, in.Known...)
	if e.lic == nil {
		if len(in.Known) == 0 {
			e.deny(NotFound, "There is no such license.")
		}
		return e.decide()
	}
	e.status()
	e.scope()
	e.term()
	e.version()
	if e.lic.Pol.Activation == doc.ActivationRequired {
		e.activation()
	}
	e.entitlement()
	return e.decide()
}

func (e *evaluation) deny(c Code, format string, args ...any) {
	e.findings = append(e.findings, Finding{c, Deny, fmt.Sprintf(format, args...)})
}

func (e *evaluation) warn(c Code, format string, args ...any) {
	e.findings = append(e.findings, Finding{c, Warn, fmt.Sprintf(format, args...)})
}

// at notes an instant at which the answer may change.
func (e *evaluation) at(t int64) {
	if t > e.now && (e.next == 0 || t < e.next) {
		e.next = t
	}
}

// status looks at revocation and at how old the proof of the contrary is.
func (e *evaluation) status() {
	pol := &e.lic.Pol
	if s := e.in.Status; s != nil {
		switch s.Value {
		case doc.StatusValid:
		case doc.StatusInvalid:
			e.deny(Revoked, "The license was revoked or replaced.")
		default:
			e.deny(Suspended, "The license is suspended.")
		}
	}
	if pol.Status == doc.StatusOff {
		return
	}
	until := e.lic.IssuedAt + pol.StatusMaxAge
	if l := e.in.Lease; l != nil && l.RestsOn(e.lic) == nil {
		until = max(until, l.IssuedAt+pol.StatusMaxAge)
	}
	if s := e.in.Status; s != nil {
		fresh := s.IssuedAt + pol.StatusMaxAge
		if s.Expires != 0 {
			fresh = min(fresh, s.Expires)
		}
		until = max(until, fresh)
	}
	e.at(until)
	switch {
	case e.now < until:
	case pol.Status == doc.StatusRequire:
		e.deny(StatusStale, "The last proof that the license is not revoked is too old.")
	default:
		e.warn(StatusStale, "The last proof that the license is not revoked is old.")
	}
}

// scope compares product and environment.
func (e *evaluation) scope() {
	r := &e.in.Request
	switch r.Product {
	case e.lic.Audience:
	case "":
		e.deny(ProductRequired, "The request names no product.")
	default:
		e.deny(ProductMismatch, "The license is for product %s.", e.lic.Audience)
	}
	env := r.Env
	if env == "" {
		env = doc.EnvLive
	}
	if env != e.lic.Env {
		e.deny(EnvironmentMismatch, "The license is for the %s environment.", e.lic.Env)
	}
}

// term compares the time with the license's commercial life.
func (e *evaluation) term() {
	l := e.lic
	if e.now+doc.Skew < l.NotBefore {
		e.deny(NotYetValid, "The license is not valid yet.")
		e.at(l.NotBefore - doc.Skew)
	}
	if l.ValidUntil == 0 {
		return
	}
	end := l.ValidUntil + l.Pol.ExpiryGrace
	early := l.ValidUntil - min(soon, max(0, l.ValidUntil-l.NotBefore)/4)
	e.at(early)
	e.at(l.ValidUntil)
	e.at(end)
	switch {
	case e.now < early:
	case e.now < l.ValidUntil:
		e.warn(ExpiringSoon, "The license expires soon.")
	case e.now < end:
		e.warn(InGrace, "The license has expired and is in its grace time.")
	case l.Pol.Expired == doc.ExpiredMaintain || l.Pol.Expired == doc.ExpiredAllow:
		e.warn(Expired, "The license has expired; what it granted keeps working.")
	default:
		e.deny(Expired, "The license has expired.")
	}
}

// version compares the product's version with the highest the license covers.
func (e *evaluation) version() {
	limit, v := e.lic.MaxVersion, e.in.Request.Version
	switch {
	case limit == "":
	case v == "":
		e.deny(VersionRequired, "The license is for versions up to %s and the request names none.", limit)
	case !Covers(limit, v):
		e.deny(VersionNotCovered, "The license is for versions up to %s.", limit)
	}
}

// activation looks at the lease.
func (e *evaluation) activation() {
	l := e.in.Lease
	if l == nil {
		e.deny(ActivationRequired, "The license must be activated.")
		return
	}
	if err := l.RestsOn(e.lic); err != nil {
		e.deny(ActivationRequired, "The license must be activated again: %v.", err)
		return
	}
	e.lease = l
	e.device()
	e.user()
	e.leaseTerm()
}

func (e *evaluation) device() {
	if len(e.lease.Device) == 0 || e.lease.Match == 0 {
		return
	}
	if len(e.in.Request.Device) == 0 {
		e.deny(DeviceRequired, "The activation is bound to a device and the request names none.")
		return
	}
	agree := int64(0)
	for component, digest := range e.lease.Device {
		if d := e.in.Request.Device[component]; d != "" && d == digest {
			agree++
		}
	}
	if agree < e.lease.Match {
		e.deny(DeviceMismatch, "The activation is of another device: %d of %d needed components agree.", agree, e.lease.Match)
	}
}

func (e *evaluation) user() {
	switch want, got := e.lease.User, e.in.Request.User; {
	case want == "" && e.lic.Seats.By == doc.ByUser:
		e.deny(UserMismatch, "Seats of the license are taken by users and the activation names none.")
	case want == "", want == got:
	case got != "":
		e.deny(UserMismatch, "The activation is of another user.")
	case e.lic.Seats.By == doc.ByUser:
		e.deny(UserRequired, "The activation is of a user and the request names none.")
	}
}

// leaseTerm walks the clocks of an activation: fresh, stale, grace, then.
func (e *evaluation) leaseTerm() {
	l, pol := e.lease, &e.lic.Pol
	end := l.FreshUntil + pol.Stale + pol.Grace
	if l.Expires != 0 {
		end = l.Expires
	}
	stale := min(l.FreshUntil+pol.Stale, end)
	for _, t := range [...]int64{l.RecheckAt, l.FreshUntil, stale, end} {
		e.at(t)
	}
	switch {
	case e.now < l.FreshUntil && e.now < end:
	case e.now < stale:
		e.warn(LeaseStale, "The product has been without contact for longer than it should.")
	case e.now < end:
		e.warn(InGrace, "The product has been without contact for too long and is in its grace time.")
	case pol.Then == doc.ThenDegrade:
		e.mode = ModeDegraded
		e.warn(LeaseExpired, "The product has been without contact for too long; only some features stay.")
	case pol.Then == doc.ThenAdvisory:
		e.mode = ModeAdvisory
		e.warn(LeaseExpired, "The product has been without contact for too long.")
	default:
		e.deny(LeaseExpired, "The product has been without contact for too long.")
	}
}

// Entitlements returns the entitlements in force: those of the lease if it
// rests on the license, else those of the license.
func Entitlements(lic *doc.License, lease *doc.Lease) (ent map[string]doc.Value, until map[string]int64) {
	if lease != nil && lic.Pol.Activation == doc.ActivationRequired && lease.RestsOn(lic) == nil {
		return lease.Ent, lease.EntUntil
	}
	return lic.Ent, lic.EntUntil
}

func (e *evaluation) entitlement() {
	code, n := e.in.Request.Entitlement, e.in.Request.N
	if code == "" {
		return
	}
	ent, until := Entitlements(e.lic, e.lease)
	value, ok := ent[code]
	if !ok {
		e.deny(EntitlementMissing, "The license does not include %s.", code)
		return
	}
	if e.mode == ModeDegraded && !slices.Contains(e.lic.Pol.Keep, code) {
		e.deny(EntitlementMissing, "Without contact, %s does not stay.", code)
	}
	if end := until[code]; end != 0 {
		e.at(end)
		if e.now >= end {
			e.deny(EntitlementExpired, "The license no longer includes %s.", code)
		}
	}
	if limit, ok := value.Int(); ok && n > limit || n < 0 {
		e.deny(QuotaExceeded, "The license includes %s of %s, and %d was asked for.", value, code, n)
	}
}

// decide sorts the findings and draws the conclusion.
func (e *evaluation) decide() Decision {
	slices.SortStableFunc(e.findings, func(a, b Finding) int {
		if c := Severity(a.Code) - Severity(b.Code); c != 0 {
			return c
		}
		if a.Effect == b.Effect {
			return 0
		}
		if a.Effect == Deny {
			return -1
		}
		return 1
	})
	d := Decision{Allowed: true, Mode: e.mode, Code: Valid, Findings: e.findings, RecheckAt: e.next,
		Explanation: "The license is valid."}
	if d.Findings == nil {
		d.Findings = []Finding{}
	}
	first := slices.IndexFunc(e.findings, func(f Finding) bool { return f.Effect != Warn })
	if first >= 0 {
		d.Allowed, d.Mode = false, ModeNone
	} else if len(e.findings) > 0 {
		first = 0
	}
	if first >= 0 {
		d.Code, d.Explanation = e.findings[first].Code, e.findings[first].Detail
	}
	return d
}
