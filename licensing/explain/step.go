package explain

import (
	"time"

	"github.com/mintreu/mintreu/licensing/apikey"
)

// State is whether a step of a chain lets access pass.
type State string

// The states of a [Step].
const (
	OK      State = "ok"
	Warning State = "warning"        // it passes, and something is to be known or done
	Blocked State = "blocked"        // access ends here
	None    State = "not_applicable" // there is no such thing here, or an earlier step blocks
)

// The steps of a chain, in their order.
const (
	Payment = "payment"
	Order   = "order"
	Grant   = "grant"
	Switch  = "switch"
	Limit   = "limit"
)

// The kinds of [Link].
const (
	LinkOrder    = "order"
	LinkCheckout = "checkout" // where an order is paid
	LinkLicense  = "license"
	LinkKey      = "key"
	LinkSwitch   = "switch"
	LinkCustomer = "customer" // or organisation
	LinkProduct  = "product"
	LinkDevices  = "devices" // of a license
)

// Link names a thing that a step speaks of.
type Link struct {
	Kind string `json:"kind" doc:"What it is." enum:"order,checkout,license,key,switch,customer,product,devices"`
	ID   string `json:"id" doc:"Its id; the name of a switch, the slug of a product."`
	Name string `json:"name" doc:"Its name, for people." example:"Order …7a1b2c3d"`
}

// Step is one link of the chain from a payment to access.
type Step struct {
	Step  string `json:"step" doc:"Which step." enum:"payment,order,grant,switch,limit"`
	State State  `json:"state" doc:"Whether access passes: warning passes and wants something known or done; not_applicable has no such thing, or an earlier step blocks." enum:"ok,warning,blocked,not_applicable"`
	Title string `json:"title" doc:"How it stands, in a word or two." example:"Paid"`
	Text  string `json:"text" doc:"How it stands, in a sentence."`
	Do    string `json:"do,omitempty" doc:"What to do; absent when there is nothing to do."`
	// Since and Until frame it in time.
	Since *time.Time `json:"since,omitempty" doc:"Since when it stands so, where that is known."`
	Until *time.Time `json:"until,omitempty" doc:"Until when it stands so by itself, where that is known."`
	Also  []Telling  `json:"also,omitempty" doc:"Whatever else was found in this step."`
	Links []Link     `json:"links" doc:"What it speaks of."`
}

// Key puts the state of an API key into words, for its owner or for staff: who stops it, and who can let it go on.
func Key(k *apikey.Key, now time.Time, staff bool) Telling {
	state := k.State(now)
	say := func(word, tone, text, owner, agent string) Telling {
		t := Telling{Code: string(state), Word: word, Tone: tone, Text: text, Do: owner}
		if staff {
			t.Do = agent
		}
		return t
	}
	switch state {
	case apikey.Active:
		return say("Valid", "good", "The key is good.", "", "")
	case apikey.Expired:
		return say("Expired", "bad", "The key has expired: every request with it is refused.", "Buy or ask for another one.", "Issue another key if the customer is entitled to one.")
	case apikey.Disabled:
		switch {
		case !k.DisputedAt.IsZero():
			return say("Payment disputed", "bad", "The payment of the key is disputed: every request with it is refused until that ends.", "Settle the dispute with your bank, or ask us.", "Wait for the end of the dispute; the key then goes on by itself.")
		case !k.HeldAt.IsZero():
			return say("Stopped", "bad", "We have stopped the key: every request with it is refused.", "Ask us what is needed to release it.", "Look in its history who stopped it and why; when that is settled, enable it on its page.")
		case !k.ParentStoppedAt.IsZero():
			return say("Stopped", "bad", "The key that was bought is stopped, and this one, which was made by its plan, with it: every request with it is refused.", "See on the page of the key that was bought what stops it.", "See on the page of the key that was bought what stops it.")
		}
		return say("Disabled", "bad", "The key is disabled by its owner: every request with it is refused.", "Enable it on its page.", "Tell the customer: Enable it on its page.")
	}
	return say("Revoked", "bad", "The key was revoked for good: every request with it is refused.", "Use another key. If you did not expect this, ask us.", "Issue another key if the customer is entitled to one.")
}

// Short is an id as people tell it apart from others.
func Short(id string) string {
	if len(id) <= 8 {
		return id
	}
	return "…" + id[len(id)-8:]
}

// Verdict puts what a product's back end is told of a key into words, for staff.
func Verdict(code apikey.Code) Telling {
	say := func(word, tone, text, do string) Telling {
		return Telling{Code: string(code), Word: word, Tone: tone, Text: text, Do: do}
	}
	switch code {
	case apikey.Valid:
		return say("Good", "good", "The use may go on.", "")
	case apikey.NotFound:
		return say("Unknown", "bad", "There is no such key, or its text was mistyped.", "Compare it with the text that its owner has; its hint, the part after live_ or test_, finds the key.")
	case apikey.IsDisabled:
		return say("Disabled", "bad", "The owner has disabled the key.", "Tell the owner to enable it.")
	case apikey.IsRevoked:
		return say("Revoked", "bad", "The key was revoked for good.", "Issue another key if the customer is entitled to one.")
	case apikey.IsExpired:
		return say("Expired", "bad", "The key has ended, or this text of it did when another took its place.", "Tell the owner to use the new text, or issue another key.")
	case apikey.ForbiddenIP:
		return say("Wrong address", "bad", "The key is not for use from this address.", "Compare the address with the networks on the key's page; a key with networks needs one.")
	case apikey.InsufficientScope:
		return say("Not for this", "bad", "The key lacks a scope, or is for another product or environment.", "Compare scopes, product and environment with those on the key's page.")
	case apikey.RateLimited:
		return say("Too fast", "wait", "A limit is spent for the moment.", "Wait, or raise the limit.")
	case apikey.QuotaExceeded:
		return say("Used up", "wait", "A quota is spent for its period.", "Wait for the next period, or raise the quota.")
	case apikey.NoCredits:
		return say("No credits", "wait", "The key has too few credits left.", "Wait for the refill, or add credits.")
	case apikey.SwitchedOff:
		return say("Stopped", "bad", "The shop stops the key: by staff, for a disputed payment, or by the kill switch of the product.", "Look on the key's page and at the kill switches.")
	}
	return say("Unclear", "bad", "The answer is not known here.", "Ask whoever runs the service.")
}
