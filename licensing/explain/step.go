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

// Key puts the state of an API key into words.
func Key(state apikey.State) Telling {
	say := func(word, tone, text, do string) Telling {
		return Telling{Code: string(state), Word: word, Tone: tone, Text: text, Do: do}
	}
	switch state {
	case apikey.Active:
		return say("Valid", "good", "The key is good.", "")
	case apikey.Disabled:
		return say("Disabled", "bad", "The key is disabled: every request with it is refused.", "Enable it on its page.")
	case apikey.Expired:
		return say("Expired", "bad", "The key has expired: every request with it is refused.", "Buy or ask for another one.")
	}
	return say("Revoked", "bad", "The key was revoked for good: every request with it is refused.", "Use another key. If you did not expect this, ask us.")
}

// Short is an id as people tell it apart from others.
func Short(id string) string {
	if len(id) <= 8 {
		return id
	}
	return "…" + id[len(id)-8:]
}
