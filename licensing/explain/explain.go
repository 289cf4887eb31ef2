// Package explain says in words what was decided. It is the one place where codes become sentences: the answer to a product that
// validates, the command line, a customer's pages, the console and the chain of package access all say the same of the same thing.
//
//	for _, t := range explain.Decision(view.Decision, explain.Of(&view)) {
//		fmt.Println(t.Word, t.Text, t.Do)
//	}
//
// A [Telling] always says what to do, unless all is well. A [Step] is a telling within a chain: whether the thing that it looks at is in
// order, since when and until when, and where it is found.
package explain

import (
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/eval"
)

// Telling is something found, for people.
type Telling struct {
	Code string `json:"code" doc:"What was found, for programs." example:"SUSPENDED"`
	// Word is the state in a word or two, Tone its colour.
	Word string `json:"title" doc:"The same in a word or two." example:"Suspended"`
	Tone string `json:"tone" doc:"Whether it is good, wants waiting or acting, or is bad." enum:"good,wait,bad"`
	// Text says why it stands so, Do what to do; Do is "" when there is nothing to do.
	Text string `json:"text" doc:"Why, in a sentence."`
	Do   string `json:"do,omitempty" doc:"What to do; absent when there is nothing to do."`
}

// About is what a decision was made on.
type About struct {
	Product, Env       string
	ValidUntil, EndsAt *time.Time
	// Held, Disputed and Lapsed are what suspends it: staff, a dispute of its payment, the end of its term.
	Held, Disputed, Lapsed bool
}

// Of is what is told of a license.
func Of(v *license.View) About {
	return About{Product: v.Called(), Env: v.Env, ValidUntil: v.ValidUntil, EndsAt: v.EndsAt,
		Held: v.HeldAt != nil, Disputed: v.DisputedAt != nil, Lapsed: v.LapsedAt != nil}
}

// Code puts a code of package sdk/eval into words. allowed is whether the product runs all the same.
func Code(code eval.Code, allowed bool, a About) Telling {
	t := tell(code, allowed, a)
	t.Code = string(code)
	return t
}

func tell(code eval.Code, allowed bool, a About) Telling {
	say := func(word, tone, text, do string) Telling { return Telling{Word: word, Tone: tone, Text: text, Do: do} }
	switch code {
	case eval.Valid:
		return say("Valid", "good", "Everything is in order: the product runs with all that this license grants"+until(a.ValidUntil)+".", "")
	case eval.ExpiringSoon:
		return say("Expires soon", "wait", "The license is valid"+until(a.ValidUntil)+".", "Renew it before then if you want to go on without a break.")
	case eval.InGrace:
		return say("In its grace time", "wait", "The license has expired, and the product goes on for a while so that nothing breaks"+until(a.EndsAt)+".", "Renew it before the grace time ends.")
	case eval.Expired:
		if allowed {
			return say("Term over", "wait", "The term of the license is over. What it granted keeps working; what came out after "+day(a.ValidUntil)+" is not covered.", "Renew it to get newer versions again.")
		}
		return say("Expired", "bad", "The license expired on "+day(a.ValidUntil)+", and the product stops.", "Buy or renew it to go on. Your devices and data stay as they are.")
	case eval.Suspended:
		return suspended(a)
	case eval.Revoked:
		return say("Revoked", "bad", "The license was revoked for good. Devices stop at their next contact, at the latest when their offline time ends.", "If you did not expect this, ask us.")
	case eval.NotFound:
		return say("Unknown", "bad", "There is no such license.", "Compare the key with the one in your mail; letters and digits that look alike do not count as different.")
	case eval.NotYetValid:
		return say("Not valid yet", "wait", "The license begins later.", "Wait until it begins. If it should have begun, check the clock of your device.")
	case eval.ActivationRequired:
		return say("Not in use yet", "wait", "The license is valid, and no device uses it yet.", "Enter the license key in the product; that takes a seat for the device.")
	case eval.ActivationReleased:
		return say("Device released", "bad", "The seat of this device was given back.", "Enter the license key in the product again; it takes a free seat.")
	case eval.TooManySeats:
		return say("Too many devices", "wait", "More devices hold a seat than the license has.", "Release devices that you do not use any more.")
	case eval.LeaseExpired:
		return say("Too long offline", "bad", "The device was without a network for longer than the license lets it.", "Connect it to the network once and open the product.")
	case eval.LeaseStale:
		return say("Offline for long", "wait", "The device has not been in contact for a while. It goes on working.", "Connect it to the network before its offline time ends.")
	case eval.StatusStale:
		tone := "bad"
		if allowed {
			tone = "wait"
		}
		return say("Check is old", tone, "The last proof that the license was not revoked is old.", "Connect the device to the network once.")
	case eval.ClockRollback:
		return say("Clock is wrong", "bad", "The clock of the device is behind what it was before.", "Set date and time, then connect the device to the network once.")
	case eval.DeviceMismatch:
		return say("Another device", "bad", "The activation belongs to another device, or much of this one was replaced.", "Enter the license key in the product again; release the old device if no seat is free.")
	case eval.UserMismatch:
		return say("Another user", "bad", "The activation belongs to another user.", "Sign in to the product as that user, or activate it for this one.")
	case eval.ProductMismatch:
		return say("Another product", "bad", "The license is for "+a.Product+", not for the product that asked.", "Use it in "+a.Product+".")
	case eval.EnvironmentMismatch:
		return say("Other environment", "bad", "The license is for the "+a.Env+" environment; the product runs in the other.", "Use a license of the same environment. Test licenses come from test payments.")
	case eval.VersionNotCovered:
		return say("Version not covered", "bad", "The license covers older versions than the one that asked.", "Use a version that your downloads list, or upgrade the license.")
	case eval.EntitlementMissing:
		return say("Feature not included", "bad", "The license does not include the feature.", "Choose a plan that does.")
	case eval.EntitlementExpired:
		return say("Feature ended", "bad", "The feature was included for a time that is over.", "Buy it again, or choose a plan that includes it.")
	case eval.QuotaExceeded:
		return say("Used up", "bad", "More is used than the license includes.", "Use less, or choose a larger plan.")
	case eval.ProductRequired, eval.VersionRequired, eval.DeviceRequired, eval.UserRequired:
		return say("Product says too little", "bad", "The product did not say what the license needs to know: its name, its version, the device or the user.", "Update the product. If that does not help, ask us.")
	}
	return say("Unclear", "bad", "The license cannot be judged.", "Ask us, and quote "+string(code)+".")
}

// The words for a license that a dispute or the end of its term suspends, and staff do not.
const (
	wordDisputed = "Payment disputed"
	wordLapsed   = "Suspended at its end"
)

// suspended tells who suspends a license: what staff did before what ends by itself.
func suspended(a About) Telling {
	t := Telling{Word: "Suspended", Tone: "wait", Text: "The license is suspended: the product stops until that ends. Your devices keep their seats.", Do: "Ask us what is needed to lift it."}
	switch {
	case a.Held && a.Disputed:
		t.Text = "We have suspended the license, and its payment is disputed: the product stops until both end. Your devices keep their seats."
		t.Do = "Ask us what is needed to lift it, and settle the dispute with your bank."
	case a.Held && a.Lapsed:
		t.Text = "We have suspended the license, and its term is over: the product stops until that ends and it is renewed. Your devices keep their seats."
	case a.Held:
		t.Text = "We have suspended the license: the product stops until that ends. Your devices keep their seats."
	case a.Disputed:
		t.Word, t.Text = wordDisputed, "The payment of the license is disputed: the product stops until that ends. Your devices keep their seats."
		t.Do = "Settle the dispute with your bank, or ask us."
	case a.Lapsed:
		t.Word, t.Text = wordLapsed, "The license is suspended because its term is over: the product stops until it is renewed. Your devices keep their seats."
		t.Do = "Renew it to go on."
	}
	return t
}

// Decision puts a decision into words: first what decides, then whatever else was found. That no device uses a license yet is told only of one that
// a device could use.
func Decision(d eval.Decision, a About) []Telling {
	out := []Telling{Code(d.Code, d.Allowed, a)}
	for _, f := range d.Findings {
		if f.Code != d.Code && (d.Allowed || f.Code != eval.ActivationRequired || f.Effect != eval.Warn) {
			out = append(out, Code(f.Code, d.Allowed, a))
		}
	}
	return out
}

// ForStaff is what an agent does about a telling: his own part where there is one, else what to tell the customer.
func (t Telling) ForStaff() Telling {
	switch own := map[eval.Code]string{
		eval.Suspended:    "Look in its history who suspended it and why; when that is settled, reinstate it.",
		eval.Revoked:      "That is final. Look in its history why; if it was a mistake, issue another license.",
		eval.Expired:      "Renew it if it is paid; else tell the customer to buy or renew it.",
		eval.InGrace:      "Renew it if it is paid; else tell the customer to renew it before the grace time ends.",
		eval.ExpiringSoon: "Nothing yet; tell the customer to renew it before then.",
	}[eval.Code(t.Code)]; {
	case t.Do == "":
	case t.Word == wordDisputed:
		t.Do = "Wait for the end of the dispute; the license then goes on by itself."
	case t.Word == wordLapsed:
		t.Do = "Renew it if it is paid; else tell the customer to renew it."
	case own != "":
		t.Do = own
	default:
		t.Do = "Tell the customer: " + t.Do
	}
	t.Text = strings.ReplaceAll(strings.ReplaceAll(t.Text, " Your devices", " Its devices"), "We have suspended", "Staff have suspended")
	return t
}

// When is an instant as people read it.
func When(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2\u00a0Jan\u00a02006, 15:04\u00a0UTC")
}

func until(t *time.Time) string {
	if t == nil {
		return ""
	}
	return " until " + When(*t)
}

func day(t *time.Time) string {
	if t == nil {
		return "its end"
	}
	return When(*t)
}
