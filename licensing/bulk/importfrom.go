package bulk

import (
	"cmp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/mintreu/mintreu/licensing/license"
)

// What other systems export, by the names that their documentation gives.

// resource is an object of a JSON:API document, as keygen and Lemon Squeezy list them.
type resource[A any] struct {
	ID         string `json:"id"`
	Attributes A      `json:"attributes"`
}

// member is a member of a JSON object below the names of a path, as text, "" where there is none; whatever else of the object cannot be read.
func member(object jsontext.Value, path ...string) string {
	for _, name := range path {
		var members map[string]jsontext.Value
		if json.Unmarshal(object, &members, jsontext.AllowDuplicateNames(true)) != nil {
			return ""
		}
		object = members[name]
	}
	var text string
	if json.Unmarshal(object, &text) == nil {
		return text
	}
	return string(object)
}

// other reports whether an object is of another type than one, or of another product than the only one that is asked for, as it stands below the
// names of a path. One that is of no product is of another, unless it cannot be read: that is told.
func (e *entry) other(object jsontext.Value, kind, only string, path ...string) bool {
	if t := member(object, "type"); t != kind && t != "" {
		return true
	}
	of := member(object, path...)
	return only != "" && of != only && (of != "" || len(e.problems) == 0)
}

// keygenLicense are the attributes of keygen's license object that mean something here. Machines stay where they are: products activate
// again by their own keys.
type keygenLicense struct {
	Name        string                    `json:"name"`
	Key         string                    `json:"key"`
	Expiry      string                    `json:"expiry"`
	Status      string                    `json:"status"`
	Suspended   bool                      `json:"suspended"`
	MaxMachines *int64                    `json:"maxMachines"`
	Metadata    map[string]jsontext.Value `json:"metadata"`
	Created     string                    `json:"created"`
}

func readKeygen(data, only string) (entries []entry, skipped int, err error) {
	err = objects(data, "data", func(line int, text jsontext.Value) {
		var r resource[keygenLicense]
		e := entry{line: line}
		if err := json.Unmarshal(text, &r); err != nil {
			e.unread(err)
		}
		if e.other(text, "licenses", only, "relationships", "product", "data", "id") {
			skipped++
			return
		}
		a := &r.Attributes
		e.Reference, e.Key, e.Licensee, e.Seats = r.ID, a.Key, cut(a.Name), a.MaxMachines
		e.ValidUntil, e.IssuedAt = e.instant("expiry", a.Expiry), e.instant("created", a.Created)
		if email, ok := a.Metadata["email"]; ok && email.Kind() == '"' {
			_ = json.Unmarshal(email, &e.Email) // what is no text was told apart
		}
		switch {
		case a.Status == "BANNED":
			e.State, e.Why = license.Suspended, "banned at keygen"
		case a.Suspended || a.Status == "SUSPENDED":
			e.State, e.Why = license.Suspended, "suspended at keygen"
		}
		e.needsKey()
		entries = append(entries, e)
	})
	return entries, skipped, err
}

// lemonKey are the attributes of Lemon Squeezy's license key object that mean something here.
type lemonKey struct {
	UserName        string         `json:"user_name"`
	UserEmail       string         `json:"user_email"`
	Key             string         `json:"key"`
	ActivationLimit *int64         `json:"activation_limit"`
	Disabled        jsontext.Value `json:"disabled"` // a truth value, or a number that stands for one
	Status          string         `json:"status"`
	ExpiresAt       string         `json:"expires_at"`
	CreatedAt       string         `json:"created_at"`
}

func readLemonSqueezy(data, only string) (entries []entry, skipped int, err error) {
	err = objects(data, "data", func(line int, text jsontext.Value) {
		var r resource[lemonKey]
		e := entry{line: line}
		if err := json.Unmarshal(text, &r); err != nil {
			e.unread(err)
		}
		a := &r.Attributes
		if e.other(text, "license-keys", only, "attributes", "product_id") {
			skipped++
			return
		}
		e.Reference, e.Key, e.Licensee, e.Email, e.Seats = r.ID, a.Key, cut(a.UserName), a.UserEmail, a.ActivationLimit
		e.ValidUntil, e.IssuedAt = e.instant("expires_at", a.ExpiresAt), e.instant("created_at", a.CreatedAt)
		if disabled := string(a.Disabled); disabled == "true" || disabled == "1" || a.Status == "disabled" {
			e.State, e.Why = license.Suspended, "disabled at Lemon Squeezy"
		}
		e.needsKey()
		entries = append(entries, e)
	})
	return entries, skipped, err
}

// gumroadColumns are those of Gumroad's sales export that must be there.
var gumroadColumns = []string{"Purchase ID", "Purchase Email", "License Key"}

func readGumroad(data, only string) (entries []entry, skipped int, err error) {
	check := func(header []string) error {
		for _, name := range gumroadColumns {
			if !slices.Contains(header, name) {
				return unreadable("the column %q is missing; is it a sales export of Gumroad?", name)
			}
		}
		return nil
	}
	err = table(data, check, func(line int, cells map[string]string) {
		yes := func(name string) bool { return cells[name] == "1" || strings.EqualFold(cells[name], "true") }
		other := only != "" && cells["Product ID"] != only && cells["Item Name"] != only
		if other || cells["Purchase ID"] == "Totals" || yes("Recurring Charge?") || cells["License Key"] == "" {
			skipped++
			return
		}
		e := entry{line: line}
		e.Reference, e.Key, e.Licensee = cells["Purchase ID"], cells["License Key"], cut(unguarded(cells["Buyer Name"]))
		if cells["Giftee Email"] != "" {
			e.Licensee = "" // it is the giver's name
		}
		e.Email = unguarded(cmp.Or(cells["Giftee Email"], cells["Purchase Email"], cells["Buyer Email"]))
		e.IssuedAt = e.instant("Purchase Date", cmp.Or(cells["Purchase Time (UTC timezone)"], cells["Purchase Date"]))
		e.ValidUntil = e.instant("Subscription End Date", cells["Subscription End Date"])
		if n := e.whole("Quantity", cells["Quantity"]); n != nil && *n > 1 {
			e.Seats = n
		}
		switch {
		case yes("Fully Refunded?"):
			e.State, e.Why = license.Revoked, "refunded at Gumroad"
		case yes("Disputed?") && !yes("Dispute Won?"):
			e.State, e.Why = license.Suspended, "disputed at Gumroad" // which may end well, and what is revoked never comes back
		case yes("Access Revoked?"), cells["License Key Enabled?"] == "0":
			e.State, e.Why = license.Suspended, "disabled at Gumroad"
		}
		entries = append(entries, e)
	})
	return entries, skipped, err
}

// unguarded takes away the apostrophe that keeps a spreadsheet from taking a text for a formula.
func unguarded(text string) string {
	if len(text) > 1 && text[0] == '\'' && strings.ContainsRune("=+-@", rune(text[1])) {
		return text[1:]
	}
	return text
}

// cut keeps a name within what a license says of its holder, without cutting a character in two.
func cut(name string) string {
	for i := range name {
		if i > maxLicensee-4 && len(name) > maxLicensee {
			return name[:i]
		}
	}
	return name
}

// needsKey notes that a license of another system came without the key by which its holder knows it.
func (e *entry) needsKey() {
	if e.Key == "" && len(e.problems) == 0 {
		e.wrong("key", "is missing; export the licenses together with their keys")
	}
}
