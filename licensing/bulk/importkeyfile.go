package bulk

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey"
)

// keyReaders read a file of keys, by its format.
var keyReaders = map[string]func(data string) ([]keyEntry, error){"csv": readKeyCSV, "json": readKeyJSON}

// keyColumns are what the first row of a CSV file of keys may name, besides metadata_NAME.
var keyColumns = []string{"reference", "hash", "hint", "owner", "email", "name", "plan", "env", "member", "scopes", "allow_from", "limits", "credits", "on_leak", "state", "expires_at"}

const metadataColumn = "metadata_"

func readKeyCSV(data string) (entries []keyEntry, err error) {
	check := func(header []string) error {
		known := map[string]bool{}
		for _, name := range keyColumns {
			known[name] = true
		}
		for i, name := range header {
			if !known[name] && !strings.HasPrefix(name, metadataColumn) {
				return unreadable("column %d, %q, is not known; the columns are %s, and metadata_ with a name.", i+1, name, strings.Join(keyColumns, ", "))
			}
		}
		return nil
	}
	err = table(data, check, func(line int, cells map[string]string) {
		e := keyEntry{row: entry{line: line}}
		e.keyItem = keyItem{Whom: Whom{Owner: cells["owner"], Email: cells["email"]}, Reference: cells["reference"], Hash: cells["hash"], Hint: cells["hint"], Name: cells["name"], Plan: cells["plan"],
			Env: licensing.Env(cells["env"]), Member: cells["member"], Scopes: strings.Fields(cells["scopes"]), AllowFrom: strings.Fields(cells["allow_from"]),
			OnLeak: apikey.OnLeak(cells["on_leak"]), State: apikey.State(cells["state"]), ExpiresAt: e.row.instant("expires_at", cells["expires_at"])}
		for _, text := range strings.Fields(cells["limits"]) {
			e.Limits = append(e.Limits, e.limit(text))
		}
		if n := e.row.whole("credits", cells["credits"]); n != nil {
			e.Credits = &apikey.CreditsSpec{Balance: *n}
		}
		for name, text := range cells {
			if name, ok := strings.CutPrefix(name, metadataColumn); ok && text != "" {
				if e.Metadata == nil {
					e.Metadata = map[string]string{}
				}
				e.Metadata[name] = text
			}
		}
		entries = append(entries, e)
	})
	return entries, err
}

// limit reads name=units/seconds, a rate, or name=units/period, a quota by the calendar in UTC.
func (e *keyEntry) limit(text string) apikey.Limit {
	name, rest, _ := strings.Cut(text, "=")
	units, period, _ := strings.Cut(rest, "/")
	n, err := strconv.ParseInt(units, 10, 64)
	l := apikey.Limit{Name: name, Count: n}
	if every := licensing.Every(period); every.Valid() {
		l.Every = every
	} else if l.Seconds, _ = strconv.ParseInt(period, 10, 64); l.Seconds <= 0 || err != nil {
		e.row.wrong("limits", strconv.Quote(text)+" is no limit; write name=units/seconds or name=units/month, such as calls=60/60, with spaces between several")
	}
	return l
}

func readKeyJSON(data string) (entries []keyEntry, err error) {
	err = objects(data, "keys", func(line int, text jsontext.Value) {
		e := keyEntry{row: entry{line: line}}
		if err := json.Unmarshal(text, &e.keyItem, json.RejectUnknownMembers(true)); err != nil {
			e.row.unread(err)
		}
		entries = append(entries, e)
	})
	return entries, err
}
