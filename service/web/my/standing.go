package my

import (
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/service/web/ui"
)

// telling is where a license stands, for people.
type telling struct {
	// Word is the state in a word or two, Tone its colour.
	Word, Tone string
	// Text says why it stands so, Do what to do; Do is "" when there is nothing to do.
	Text, Do string
}

// tell puts a code of package sdk/eval into words. allowed is whether the product runs all the same.
func tell(code eval.Code, allowed bool, v *license.View) telling {
	switch code {
	case eval.Valid:
		return telling{"Valid", "good", "Everything is in order: the product runs with all that this license grants" + until(v.ValidUntil) + ".", ""}
	case eval.ExpiringSoon:
		return telling{"Expires soon", "wait", "The license is valid" + until(v.ValidUntil) + ".", "Renew it before then if you want to go on without a break."}
	case eval.InGrace:
		return telling{"In its grace time", "wait", "The license has expired, and the product goes on for a while so that nothing breaks" + until(v.EndsAt) + ".", "Renew it before the grace time ends."}
	case eval.Expired:
		if allowed {
			return telling{"Term over", "wait", "The term of the license is over. What it granted keeps working; what came out after " + day(v.ValidUntil) + " is not covered.", "Renew it to get newer versions again."}
		}
		return telling{"Expired", "bad", "The license expired on " + day(v.ValidUntil) + ", and the product stops.", "Buy or renew it to go on. Your devices and data stay as they are."}
	case eval.Suspended:
		return telling{"Suspended", "wait", "The license is suspended: the product stops until that ends. Your devices keep their seats.", "Ask us what is needed to lift it."}
	case eval.Revoked:
		return telling{"Revoked", "bad", "The license was revoked for good. Devices stop at their next contact, at the latest when their offline time ends.", "If you did not expect this, ask us."}
	case eval.NotFound:
		return telling{"Unknown", "bad", "There is no such license.", "Compare the key with the one in your mail; letters and digits that look alike do not count as different."}
	case eval.NotYetValid:
		return telling{"Not valid yet", "wait", "The license begins later.", "Wait until it begins. If it should have begun, check the clock of your device."}
	case eval.ActivationRequired:
		return telling{"Not in use yet", "wait", "The license is valid, and no device uses it yet.", "Enter the license key in the product; that takes a seat for the device."}
	case eval.ActivationReleased:
		return telling{"Device released", "bad", "The seat of this device was given back.", "Enter the license key in the product again; it takes a free seat."}
	case eval.TooManySeats:
		return telling{"Too many devices", "wait", "More devices hold a seat than the license has.", "Release devices that you do not use any more."}
	case eval.LeaseExpired:
		return telling{"Too long offline", "bad", "The device was without a network for longer than the license lets it.", "Connect it to the network once and open the product."}
	case eval.LeaseStale:
		return telling{"Offline for long", "wait", "The device has not been in contact for a while. It goes on working.", "Connect it to the network before its offline time ends."}
	case eval.StatusStale:
		return telling{"Check is old", text(allowed, "wait", "bad"), "The last proof that the license was not revoked is old.", "Connect the device to the network once."}
	case eval.ClockRollback:
		return telling{"Clock is wrong", "bad", "The clock of the device is behind what it was before.", "Set date and time, then connect the device to the network once."}
	case eval.DeviceMismatch:
		return telling{"Another device", "bad", "The activation belongs to another device, or much of this one was replaced.", "Enter the license key in the product again; release the old device if no seat is free."}
	case eval.UserMismatch:
		return telling{"Another user", "bad", "The activation belongs to another user.", "Sign in to the product as that user, or activate it for this one."}
	case eval.ProductMismatch:
		return telling{"Another product", "bad", "The license is for " + product(v) + ", not for the product that asked.", "Use it in " + product(v) + "."}
	case eval.EnvironmentMismatch:
		return telling{"Other environment", "bad", "The license is for the " + v.Env + " environment; the product runs in the other.", "Use a license of the same environment. Test licenses come from test payments."}
	case eval.VersionNotCovered:
		return telling{"Version not covered", "bad", "The license covers older versions than the one that asked.", "Use a version that your downloads list, or upgrade the license."}
	case eval.EntitlementMissing:
		return telling{"Feature not included", "bad", "The license does not include the feature.", "Choose a plan that does."}
	case eval.EntitlementExpired:
		return telling{"Feature ended", "bad", "The feature was included for a time that is over.", "Buy it again, or choose a plan that includes it."}
	case eval.QuotaExceeded:
		return telling{"Used up", "bad", "More is used than the license includes.", "Use less, or choose a larger plan."}
	case eval.ProductRequired, eval.VersionRequired, eval.DeviceRequired, eval.UserRequired:
		return telling{"Product says too little", "bad", "The product did not say what the license needs to know: its name, its version, the device or the user.", "Update the product. If that does not help, ask us."}
	}
	return telling{"Unclear", "bad", "The license cannot be judged.", "Ask us, and quote " + string(code) + "."}
}

// standing is where a license stands: first what decides, then whatever else was found.
func standing(v *license.View) []telling {
	out := []telling{tell(v.Decision.Code, v.Decision.Allowed, v)}
	for _, f := range v.Decision.Findings {
		if f.Code != v.Decision.Code {
			out = append(out, tell(f.Code, v.Decision.Allowed, v))
		}
	}
	return out
}

// attention reports whether a license wants its owner's attention.
func attention(v *license.View) bool {
	switch v.Decision.Code {
	case eval.Valid, eval.Revoked:
		return false
	case eval.ActivationRequired:
		return len(v.Decision.Findings) > 1
	}
	return true
}

// product is what a license's product is called.
func product(v *license.View) string {
	if v.ProductName != "" {
		return v.ProductName
	}
	return v.Product
}

func until(t *time.Time) string {
	if t == nil {
		return ""
	}
	return " until " + ui.When(*t)
}

func day(t *time.Time) string {
	if t == nil {
		return "its end"
	}
	return ui.When(*t)
}

func text(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

// lower is a word as it stands within a sentence.
func lower(word string) string {
	if word == "" {
		return ""
	}
	return strings.ToLower(word[:1]) + word[1:]
}
