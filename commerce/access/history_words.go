package access

import (
	"fmt"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/explain"
)

// say makes a text of several.
func say(parts ...func(r *Record, d map[string]any, staff bool) string) func(*Record, map[string]any, bool) string {
	return func(r *Record, d map[string]any, staff bool) string {
		var out []string
		for _, part := range parts {
			if text := part(r, d, staff); text != "" {
				out = append(out, text)
			}
		}
		return strings.Join(out, " ")
	}
}

// at tells an instant of the detail, after some words.
func at(words, member string) func(*Record, map[string]any, bool) string {
	return func(_ *Record, d map[string]any, _ bool) string {
		text, _ := d[member].(string)
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return ""
		}
		return words + " " + explain.When(t) + "."
	}
}

// word tells a text or number of the detail, after some words, to staff.
func word(words, member string) func(*Record, map[string]any, bool) string {
	return func(_ *Record, d map[string]any, staff bool) string {
		switch v := d[member].(type) {
		case string:
			if staff && v != "" {
				return words + " " + v + "."
			}
		case float64:
			return fmt.Sprintf("%s %.0f.", words, v)
		}
		return ""
	}
}

// plain tells a sentence.
func plain(text string) func(*Record, map[string]any, bool) string {
	return func(*Record, map[string]any, bool) string { return text }
}

// device names the device.
func device(r *Record, _ map[string]any, _ bool) string {
	if r.Name == "" {
		return "A device without a name."
	}
	return "“" + r.Name + "”."
}

// trailWords are those of the audit trail.
func trailWords(action string) (words, bool) {
	w, ok := map[string]words{
		"license.issue":       {title: "Issued", tone: "good", say: say(word("Source:", "source_id"), word("Plan:", "plan"), word("Policy:", "policy"))},
		"license.grant":       {title: "Issued by hand", staff: true},
		"license.start":       {title: "Term began", tone: "good", say: plain("It waited for its first use.")},
		"license.change":      {title: "Changed", say: say(word("Seats:", "seats"), at("Valid until", "valid_until"))},
		"license.renew":       {title: "Renewed", tone: "good", say: say(at("Valid until", "valid_until"), at("It was", "was"), at("Updates until", "updates_until"), word("Paid by", "source_id"))},
		"license.repolicy":    {title: "Put under other terms", say: sayRepolicy},
		"license.transfer":    {title: "Transferred", say: say(word("From", "from"), word("To", "to"), plain("It has a new key, and every seat was given back."))},
		"transfer.ask":        {title: "Offered to somebody", say: plain("Nothing changes until it is accepted.")},
		"transfer.accept":     {title: "Offer accepted"},
		"transfer.approve":    {title: "Transfer approved"},
		"transfer.decline":    {title: "Offer declined"},
		"transfer.cancel":     {title: "Offer taken back"},
		"transfer.lapse":      {title: "Offer lapsed"},
		"license.unrenew":     {title: "Renewal taken back", tone: "bad", say: say(at("Valid until", "valid_until"), at("It was", "was"), at("Updates until", "updates_until"))},
		"license.suspend":     {title: "Suspended", tone: "bad"},
		"license.reinstate":   {title: "Reinstated", tone: "good"},
		"license.dispute":     {title: "Suspended, since its payment is disputed", tone: "bad"},
		"license.dispute-end": {title: "Dispute of its payment ended", tone: "good"},
		"license.revoke":      {title: "Revoked for good", tone: "bad"},
		"license.lapse":       {title: "Ended by its terms", tone: "bad"},
		"license.reissue":     {title: "Given a new key", say: plain("The old key is good no longer; devices keep their seats.")},
		"license.reveal":      {title: "Key looked at"},
		"license.stuffing":    {title: "Tried with one device after another", tone: "bad", staff: true},
		"activation.create":   {title: "Device activated", tone: "good", say: device},
		"activation.add":      {title: "User given a seat ahead", tone: "good", say: device},
		"activation.replace":  {title: "Device replaced by another", tone: "bad", say: plain("Every seat was held, so the one that was silent longest gave way.")},
		"activation.release":  {title: "Device released", say: device},
		"activation.die":      {title: "Seat given back after long silence", say: device},
		"activation.answer":   {title: "Machine without a network answered", tone: "good", say: device},
		"activation.borrow":   {title: "Seat borrowed", say: say(device, at("Until", "until"))},
		"activation.return":   {title: "Borrowing ended", say: device},
	}[action]
	return w, ok
}

// sayRepolicy lists what changed.
func sayRepolicy(_ *Record, d map[string]any, staff bool) string {
	list, _ := d["changes"].([]any)
	var names []string
	for _, name := range list {
		if text, ok := name.(string); ok {
			names = append(names, strings.ReplaceAll(strings.TrimPrefix(text, "terms/"), "_", " "))
		}
	}
	if len(names) == 0 {
		return "Nothing differs."
	}
	return "Changed: " + strings.Join(names, ", ") + "."
}

// detail tells what the order wrote down, to staff.
func detail(r *Record, _ map[string]any, staff bool) string {
	if staff {
		return r.Text
	}
	return ""
}

// orderWords are those of the steps of an order.
func orderWords(kind string) (words, bool) {
	w, ok := map[string]words{
		"created":        {title: "Ordered", say: func(r *Record, _ map[string]any, _ bool) string { return r.Text }},
		"session":        {title: "Payment page opened", staff: true, say: detail},
		"paid":           {title: "Paid", tone: "good", say: detail},
		"awaiting_funds": {title: "Money under way", say: detail},
		"fulfilled":      {title: "Order fulfilled", tone: "good", say: detail},
		"queued":         {title: "Waits to be given", staff: true, say: detail},
		"held":           {title: "Held back", staff: true, say: detail},
		"parked":         {title: "Waits for a person", tone: "bad", staff: true, say: detail},
		"stranded":       {title: "Its license was revoked with another order", tone: "bad", staff: true, say: detail},
		"refunded":       {title: "Refunded", tone: "bad", say: detail},
		"stray":          {title: "Money arrived that is not what was ordered", tone: "bad", staff: true, say: detail},
		"refund":         {title: "Money went back", say: func(r *Record, _ map[string]any, _ bool) string { return r.Text }},
		"refund_failed":  {title: "Refund failed", staff: true, say: detail},
		"credit_note":    {title: "Credit note made", say: func(r *Record, _ map[string]any, _ bool) string { return r.Text }},
		"disputed":       {title: "Payment disputed", tone: "bad", say: detail},
		"dispute_ended":  {title: "Dispute over", say: detail},
		"dispute_lost":   {title: "Dispute lost", tone: "bad"},
		"closed":         {title: "Order closed", tone: "bad", say: detail},
		"revealed":       {title: "Keys shown on the order's page", say: detail},
		"resolved":       {title: "A person dealt with it", say: detail},
		"redrive":        {title: "Order tried again", staff: true, say: detail},
	}[kind]
	return w, ok
}

// mailWords are those of mail about a license or its order.
func mailWords(template string) (words, bool) {
	about, ok := map[string]string{"purchase": "Mail with the keys", "receipt": "Mail with the receipt", "awaiting_funds": "Mail that the money is under way", "license": "Mail with lost keys"}[template]
	return words{title: about, say: func(r *Record, _ map[string]any, staff bool) string {
		state := map[string]string{"pending": "It waits to be sent.", "sent": "It was sent.", "failed": "It could not be sent."}[r.Text]
		if staff && r.Reason != "" {
			state += " " + r.Reason
		}
		return state
	}}, ok
}

// sayUsage sums up a source of usage.
func sayUsage(r *Record, _ map[string]any, _ bool) string {
	who := "A device"
	switch kind, _, _ := strings.Cut(r.By, ":"); licensing.ActorKind(kind) {
	case licensing.Holder:
		who = "The product, with the license's token,"
	case licensing.Machine:
		who = "A program of the shop, with an API key,"
	}
	if r.Count == 0 {
		return who + " asked to report usage, and has reported none yet."
	}
	return fmt.Sprintf(who+" began to report: %d events in %d batches until now, the last on %s.", r.Sum, r.Count, explain.When(r.Last))
}
