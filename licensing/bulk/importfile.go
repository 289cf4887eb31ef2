package bulk

import (
	"encoding/csv"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
)

// reader reads a file into entries, those of one product if only names it, and counts the rows that are no licenses. Faults of single rows are
// problems of their entries; a file that cannot be read at all is an error.
type reader func(data, only string) (entries []entry, skipped int, err error)

var readers = map[string]reader{
	"mintreu/csv": readOwnCSV, "mintreu/json": readOwnJSON, "keygen/json": readKeygen, "lemonsqueezy/json": readLemonSqueezy, "gumroad/csv": readGumroad,
}

func itoa(n int) string { return strconv.Itoa(n) }

func unreadable(text string, args ...any) *licensing.Error {
	return licensing.Fail(licensing.Invalid, "import-unreadable", "The file cannot be read: "+text, args...)
}

// table reads a CSV file row by row; each sees the cells by the names in the first row.
func table(data string, check func(header []string) error, each func(line int, cells map[string]string)) error {
	r := csv.NewReader(strings.NewReader(data))
	header, err := r.Read()
	if err != nil {
		return unreadable("its first row must name the columns.").Because(err)
	}
	if err := check(header); err != nil {
		return err
	}
	r.FieldsPerRecord = len(header)
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			return unreadable("line %d: %s.", bad.Line, bad.Err)
		} else if err != nil {
			return err
		}
		line, _ := r.FieldPos(0)
		cells := make(map[string]string, len(header))
		for i, name := range header {
			if _, twice := cells[name]; !twice { // columns of one's own may be named like those of the system
				cells[name] = record[i]
			}
		}
		each(line, cells)
	}
}

// objects reads a JSON file that has a list of objects under a name, or is one, object by object.
func objects(data, name string, each func(line int, text jsontext.Value)) error {
	bad := func(d *jsontext.Decoder, err error) error {
		return unreadable("it is not JSON with a list named %q; see line %d.", name, 1+strings.Count(data[:min(int(d.InputOffset()), len(data))], "\n")).Because(err)
	}
	d := jsontext.NewDecoder(strings.NewReader(data), jsontext.AllowDuplicateNames(true))
	inside := d.PeekKind() == '{'
	if inside {
		if _, err := d.ReadToken(); err != nil {
			return bad(d, err)
		}
		for {
			t, err := d.ReadToken()
			if err != nil || t.Kind() != '"' {
				return bad(d, err)
			}
			if t.String() == name {
				break
			}
			if err := d.SkipValue(); err != nil {
				return bad(d, err)
			}
		}
	}
	if t, err := d.ReadToken(); err != nil || t.Kind() != '[' {
		return bad(d, err)
	}
	line, counted := 1, 0
	for d.PeekKind() != ']' {
		text, err := d.ReadValue()
		if err != nil {
			return bad(d, err)
		}
		start := int(d.InputOffset()) - len(text)
		line, counted = line+strings.Count(data[counted:start], "\n"), start
		each(line, text.Clone())
	}
	return nil
}

// ownColumns are what the first row of a CSV file of ours may name, besides entitlement_CODE.
var ownColumns = []string{"reference", "key", "email", "owner", "licensee", "state", "reason", "seats", "valid_until", "issued_at", "policy"}

const entitlementColumn = "entitlement_"

func readOwnCSV(data, _ string) (entries []entry, skipped int, err error) {
	check := func(header []string) error {
		known := map[string]bool{}
		for _, name := range ownColumns {
			known[name] = true
		}
		for i, name := range header {
			if !known[name] && !strings.HasPrefix(name, entitlementColumn) {
				return unreadable("column %d, %q, is not known; the columns are %s, and entitlement_ with the code of a feature.", i+1, name, strings.Join(ownColumns, ", "))
			}
		}
		return nil
	}
	err = table(data, check, func(line int, cells map[string]string) {
		e := entry{line: line, policy: cells["policy"]}
		e.Reference, e.Key, e.Email, e.Owner, e.Licensee, e.State, e.Why = cells["reference"], cells["key"], cells["email"], cells["owner"], cells["licensee"], license.State(cells["state"]), cells["reason"]
		e.Seats, e.ValidUntil, e.IssuedAt = e.whole("seats", cells["seats"]), e.instant("valid_until", cells["valid_until"]), e.instant("issued_at", cells["issued_at"])
		for name, text := range cells {
			if code, ok := strings.CutPrefix(name, entitlementColumn); ok && text != "" && !strings.EqualFold(text, "false") { // spreadsheets write FALSE
				if e.Entitlements == nil {
					e.Entitlements = license.Entitlements{}
				}
				e.Entitlements[code] = feature(text)
			}
		}
		entries = append(entries, e)
	})
	return entries, 0, err
}

// feature is the value of an entitlement as a cell has it: true, a whole number, or a text.
func feature(text string) doc.Value {
	if strings.EqualFold(text, "true") {
		return doc.On()
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return doc.Int(n)
	}
	return doc.Text(text)
}

// own is a license in a JSON file of ours.
type own struct {
	Whom
	What
	Key      string     `json:"key"`
	State    string     `json:"state"`
	Reason   string     `json:"reason"`
	IssuedAt *time.Time `json:"issued_at"`
	Policy   string     `json:"policy"`
}

func readOwnJSON(data, _ string) (entries []entry, skipped int, err error) {
	err = objects(data, "licenses", func(line int, text jsontext.Value) {
		var o own
		e := entry{line: line}
		if err := json.Unmarshal(text, &o, json.RejectUnknownMembers(true)); err != nil {
			e.unread(err)
		}
		e.item, e.policy = item{Whom: o.Whom, What: o.What, Key: o.Key, State: license.State(o.State), Why: o.Reason, IssuedAt: o.IssuedAt}, o.Policy
		entries = append(entries, e)
	})
	return entries, 0, err
}

// unread notes why a JSON object could not be read.
func (e *entry) unread(err error) {
	var s *json.SemanticError
	if errors.As(err, &s) {
		name := strings.TrimPrefix(string(s.JSONPointer), "/")
		if name == "" {
			name = "row"
		}
		if errors.Is(s.Err, json.ErrUnknownName) {
			e.wrong(name, "is not known; the members are those of the documentation")
			return
		}
		e.wrong(name, "a JSON "+s.JSONKind.String()+" is not what belongs here")
		return
	}
	e.wrong("row", "cannot be read; it must be an object with the members of the documentation")
}

// whole reads a number of a cell; an empty one is none.
func (e *entry) whole(name, text string) *int64 {
	if text == "" {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		e.wrong(name, strconv.Quote(text)+" is not a whole number")
		return nil
	}
	return &n
}

// layouts are how instants are written in the files that are read.
var layouts = []string{time.RFC3339Nano, "2006-01-02 15:04:05 MST", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05", "2006-01-02"}

// instant reads an instant of a cell; an empty one is none. One without a zone is in UTC.
func (e *entry) instant(name, text string) *time.Time {
	if text == "" {
		return nil
	}
	for _, layout := range layouts {
		if at, err := time.Parse(layout, text); err == nil {
			at = at.UTC()
			return &at
		}
	}
	e.wrong(name, strconv.Quote(text)+" is not an instant; write it like 2027-03-01T12:00:00Z or 2027-03-01")
	return nil
}
