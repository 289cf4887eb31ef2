package insight

import (
	"fmt"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// State is how something goes.
type State string

// The states, from best to worst. Idle is well, but nothing happened lately.
const (
	OK   State = "ok"
	Idle State = "idle"
	Warn State = "warn"
	Bad  State = "bad"
)

// worse reports whether s needs more attention than t; idle needs none.
func (s State) worse(t State) bool {
	rank := map[State]int{Warn: 1, Bad: 2}
	return rank[s] > rank[t]
}

// Step is one step of the golden path, or one thing that carries it.
type Step struct {
	Name  string `json:"name" doc:"Which step." enum:"sign-up,browse,checkout,webhook,fulfilment,license,download,support,mail,jobs,audit,switches,keys,probe"`
	Title string `json:"title" doc:"What people call it."`
	State State  `json:"state" doc:"How it goes: bad needs a person now, warn soon; idle is well, but nothing happened lately." enum:"ok,warn,bad,idle"`
	Hour  int64  `json:"hour" doc:"How often it happened in the last hour."`
	Day   int64  `json:"day" doc:"How often it happened in the last 24 hours."`
	Text  string `json:"text" doc:"What the state rests on, in a sentence."`
	Where string `json:"where,omitempty" doc:"Page of the console with the rows behind it, relative to it." example:"orders?state=parked"`
}

// How long something may wait before people should know, and before it is bad.
const (
	slowAfter  = 15 * time.Second
	stuckAfter = time.Minute
	mailSlow   = 5 * time.Minute
	mailStuck  = time.Hour
	jobsStuck  = 2 * time.Minute
	replyLate  = 24 * time.Hour
)

// health judges counts.
type health struct {
	Counts
	now     time.Time
	off     []Off
	support Waiting
	keys    *Keys
}

func (h *health) steps() []Step {
	return []Step{h.signUp(), h.browse(), h.checkout(), h.webhook(), h.fulfilment(), h.license(), h.download(), h.help(), h.mail(), h.jobs(), h.audit(), h.switches(), h.signing()}
}

// judge makes a step of what happened lately. A switch that is off for all products, or else the first problem, decides.
func (h *health) judge(s Step, lately Lately, stop licensing.Switch, well, quiet string, problems ...problem) Step {
	s.Hour, s.Day, s.State, s.Text = lately.Hour, lately.Day, OK, well
	if lately.Day == 0 {
		s.State, s.Text = Idle, quiet
	}
	for _, p := range problems {
		if p.is {
			s.State, s.Text, s.Where = p.state, p.text, p.where
			break
		}
	}
	for _, o := range h.off {
		if stop != "" && o.Switch == stop && o.Product == "" && !(s.State == Bad) {
			s.State, s.Text, s.Where = Warn, "Switched off: "+sentence(o.Reason), "switches"
		}
	}
	return s
}

type problem struct {
	is    bool
	state State
	text  string
	where string
}

func (h *health) signUp() Step {
	return h.judge(Step{Name: "sign-up", Title: "Sign-up", Where: "customers"}, h.Customers, licensing.SwitchSignup,
		fmt.Sprintf("%s in the last 24 hours.", many(h.Customers.Day, "new customer")), "Nobody signed up in the last 24 hours.")
}

func (h *health) browse() Step {
	s := Step{Name: "browse", Title: "Catalogue", Where: "products", State: OK, Text: many(h.OnSale, "product") + " on sale."}
	switch {
	case h.OnSale == 0 && h.Products == 0:
		s.State, s.Text = Warn, "There is no product yet. Create one, or import a catalogue."
	case h.OnSale == 0:
		s.State, s.Text = Warn, "Nothing is on sale: publish a product that has a published plan with a price."
	}
	return s
}

func (h *health) checkout() Step {
	return h.judge(Step{Name: "checkout", Title: "Checkout", Where: "orders"}, h.Orders, licensing.SwitchPayments,
		fmt.Sprintf("%s made and %d paid in the last 24 hours.", many(h.Orders.Day, "order"), h.Paid.Day), "No order was made in the last 24 hours.",
		problem{h.Parked > 0, Bad, many(h.Parked, "order") + " parked: payment and order do not match, and a person has to look.", "orders?state=parked"})
}

func (h *health) webhook() Step {
	s := Step{Name: "webhook", Title: "Payment events", Where: "payments", State: Idle, Text: "No payment event arrived yet."}
	if !h.EventLast.IsZero() {
		s.State, s.Text = OK, "The last one arrived "+ago(h.now, h.EventLast)+"; none waits."
	}
	lag := since(h.now, h.EventOldest)
	switch {
	case lag > stuckAfter:
		s.State, s.Text, s.Where = Bad, fmt.Sprintf("%s not applied; the oldest waits for %s.", many(h.EventsPending, "event"), span(lag)), "payments?state=pending"
	case h.EventsParked > 0:
		s.State, s.Text, s.Where = Warn, many(h.EventsParked, "event")+" parked, waiting for a person.", "payments?state=parked"
	case lag > slowAfter:
		s.State, s.Text, s.Where = Warn, "The oldest event waits for "+span(lag)+".", "payments?state=pending"
	}
	return s
}

func (h *health) fulfilment() Step {
	wait := since(h.now, h.Oldest)
	return h.judge(Step{Name: "fulfilment", Title: "Fulfilment", Where: "orders?state=fulfilled"}, h.Paid, licensing.SwitchLicensing,
		"Every paid order has its licenses and keys.", "No order was paid in the last 24 hours; none waits.",
		problem{h.Held > 0 && wait > stuckAfter, Bad, fmt.Sprintf("%s paid but not fulfilled; the oldest waits for %s.", many(h.Held, "order"), span(wait)), "orders?state=paid"},
		problem{h.Held > 0 && wait > slowAfter, Warn, "The oldest paid order waits for " + span(wait) + ".", "orders?state=paid"})
}

func (h *health) license() Step {
	issued := Lately{Hour: h.Licenses.Hour + h.Keys.Hour, Day: h.Licenses.Day + h.Keys.Day}
	return h.judge(Step{Name: "license", Title: "Licenses and keys", Where: "licenses"}, issued, licensing.SwitchLicensing,
		fmt.Sprintf("%s, %s and %s in the last 24 hours.", many(h.Licenses.Day, "license"), many(h.Keys.Day, "API key"), many(h.Activations.Day, "activation")),
		"Nothing was issued in the last 24 hours; "+many(h.Activations.Day, "activation")+".")
}

func (h *health) download() Step {
	quiet := "Nothing was downloaded in the last 24 hours."
	if h.Releases == 0 {
		quiet = "No release is published, so there is nothing to download."
	}
	return h.judge(Step{Name: "download", Title: "Downloads", Where: "files"}, h.Downloads, licensing.SwitchDownloads,
		fmt.Sprintf("%s begun and %d completed in the last 24 hours.", many(h.Downloads.Day, "download"), h.Complete), quiet)
}

func (h *health) help() Step {
	s := Step{Name: "support", Title: "Support", Where: "tickets"}
	wait := since(h.now, h.support.Longest)
	return h.judge(s, h.support.Tickets, licensing.SwitchSupport, "Nobody waits for an answer.", "Nobody asked in the last 24 hours; nobody waits.",
		problem{h.support.Open > 0 && wait > replyLate, Warn, fmt.Sprintf("%s for an answer; the longest for %s.", waiting(h.support.Open), span(wait)), "tickets"},
		problem{h.support.Open > 0, OK, fmt.Sprintf("%s for an answer; the longest for %s.", waiting(h.support.Open), span(wait)), "tickets"})
}

func (h *health) mail() Step {
	s := Step{Name: "mail", Title: "Mail", Where: "mail", State: OK, Text: "Everything was handed over."}
	wait := since(h.now, h.MailOldest)
	switch {
	case wait > mailStuck:
		s.State, s.Text, s.Where = Bad, fmt.Sprintf("%s not sent; the oldest waits for %s.", many(h.MailPending, "mail"), span(wait)), "mail?state=pending"
	case h.MailFailed > 0:
		s.State, s.Text, s.Where = Warn, many(h.MailFailed, "mail")+" refused by the mail server.", "mail?state=failed"
	case wait > mailSlow:
		s.State, s.Text, s.Where = Warn, "The oldest mail waits for "+span(wait)+".", "mail?state=pending"
	}
	return s
}

func (h *health) jobs() Step {
	s := Step{Name: "jobs", Title: "Jobs", Where: "jobs", State: OK, Text: "Nothing is late and nothing failed."}
	late := since(h.now, h.JobOldest)
	switch {
	case late > jobsStuck:
		s.State, s.Text, s.Where = Bad, "The oldest job that could run waits for "+span(late)+". No worker takes jobs, or all are busy.", "jobs?state=available"
	case h.JobsDiscarded > 0:
		s.State, s.Text, s.Where = Warn, many(h.JobsDiscarded, "job")+" failed for the last time in the last 24 hours.", "jobs?state=discarded"
	case h.JobsFailing > 0:
		s.State, s.Text, s.Where = Warn, many(h.JobsFailing, "job")+" failed and will be tried again.", "jobs?state=retryable"
	}
	return s
}

func (h *health) audit() Step {
	s := Step{Name: "audit", Title: "Audit trail", Where: "audit", State: OK, Text: "Every row has its number."}
	if wait := since(h.now, h.Unnumbered); wait > slowAfter {
		s.State, s.Text = Warn, "The oldest row without a number waits for "+span(wait)+"."
	}
	return s
}

func (h *health) switches() Step {
	s := Step{Name: "switches", Title: "Kill switches", Where: "switches", State: OK, Text: "All on."}
	var names []string
	for _, o := range h.off {
		name := string(o.Switch)
		if o.Product != "" {
			name += " of a product"
		}
		names = append(names, name)
	}
	if len(names) > 0 {
		s.State, s.Text = Warn, "Off: "+strings.Join(names, ", ")+"."
	}
	return s
}

// signing says where the root is and whether planned rotation can go on.
func (h *health) signing() Step {
	s := Step{Name: "keys", Title: "Signing keys", Where: "signing-keys", State: OK}
	k := h.keys
	if k == nil {
		s.State, s.Text = Warn, "The keys cannot be read. The log says why."
		return s
	}
	s.Text = "Root online: it is sealed in this installation, until somebody moves it offline."
	if !k.RootOnline {
		s.Text = "Root offline."
	}
	s.Text += " " + many(int64(k.Standby), "key") + " in reserve."
	switch {
	case k.Resigning:
		s.State, s.Text = Warn, "What a revoked key signed is being signed again."
	case k.Standby == 0:
		s.State, s.Text = Warn, "No key is in reserve: the key that signs cannot be rotated. Let the root sign a new keyset."
	}
	return s
}

// since is how long ago an instant was; 0 for none.
func since(now, at time.Time) time.Duration {
	if at.IsZero() {
		return 0
	}
	return max(now.Sub(at), 0)
}

// span is a duration for people.
func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int64(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int64(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int64(d.Hours()))
	}
	return fmt.Sprintf("%d days", int64(d.Hours()/24))
}

func ago(now, at time.Time) string {
	if d := since(now, at); d >= 2*time.Minute {
		return span(d) + " ago"
	}
	return "a moment ago"
}

// many is "1 order", "2 orders".
func many(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func waiting(n int64) string {
	if n == 1 {
		return "1 ticket waits"
	}
	return fmt.Sprintf("%d tickets wait", n)
}

// sentence ends a text that a person wrote.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || strings.HasSuffix(s, ".") || strings.HasSuffix(s, "!") || strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}
