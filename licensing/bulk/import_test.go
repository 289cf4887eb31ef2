package bulk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/bulk"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/feed"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// importing is a request of these tests.
func (w *world) importing(source, format, data string, dry bool) bulk.ImportRequest {
	return bulk.ImportRequest{From: w.from(), Source: source, Format: format, Data: data, DryRun: dry}
}

// imported imports a file that has no problem and returns its report and its run when it is done.
func (w *world) imported(t *testing.T, r bulk.ImportRequest) (bulk.ImportReport, bulk.RunView) {
	t.Helper()
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	report, err := w.ImportFile(w.ctx, r)
	if err != nil || report.Run == nil {
		t.Fatalf("%+v, %v", report, err)
	}
	w.work(t)
	return report, w.get(t, report.Run.ID)
}

// finds fails the test unless the key opens a license in a state, and returns it.
func (w *world) finds(t *testing.T, key string, state license.State) license.License {
	t.Helper()
	holder, err := w.licenses.ByCredential(t.Context(), key)
	if err != nil || holder.License == "" {
		t.Fatalf("%q finds %+v, %v", key, holder, err)
	}
	l, err := w.licenses.Store.LicenseByID(t.Context(), holder.License)
	if err != nil || l.State != state {
		t.Errorf("%q finds a license that is %s, %v", key, l.State, err)
	}
	return l
}

const keygenFile = `{"data": [
  {"id": "b18e3f3a-2e2e", "type": "licenses", "attributes": {"name": "Ada", "key": "key/eyJhIjoxfQ==.c2lnbmF0dXJl.more", "expiry": "2099-01-01T00:00:00.000Z", "status": "ACTIVE",
    "suspended": false, "maxMachines": 4, "metadata": {"email": "Ada@Example.com", "tier": 2}, "created": "2024-05-01T10:00:00.000Z"},
   "relationships": {"product": {"data": {"type": "products", "id": "kp1"}}}},
  {"id": "c2", "type": "licenses", "attributes": {"name": null, "key": "C1B6DE-39A6E3-DE1529", "expiry": null, "status": "SUSPENDED", "suspended": true, "maxMachines": null,
    "metadata": {"email": "bob@example.com"}, "created": "2024-05-02T10:00:00.000Z"}, "relationships": {"product": {"data": {"id": "kp1"}}}},
  {"id": "c3", "type": "licenses", "attributes": {"key": "OTHER-PRODUCT-KEY", "metadata": {}}, "relationships": {"product": {"data": {"id": "kp2"}}}}
]}`

// Exports of keygen, Gumroad and Lemon Squeezy, with the names that these give, become licenses with their states, ends, seats and owners; their keys
// open them byte for byte and in no other spelling; the same file again changes nothing.
func TestImport_Formats(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		r := w.importing("keygen", "json", keygenFile, false)
		r.Only = "kp1"
		report, run := w.imported(t, r)
		if report.Skipped != 1 || report.Fresh != 2 || run.Done != 2 {
			t.Errorf("keygen: %+v, %+v", report, run)
		}
		ada := w.finds(t, "key/eyJhIjoxfQ==.c2lnbmF0dXJl.more", license.Active)
		if ada.Seats != 4 || ada.Licensee != "Ada" || ada.ValidUntil.Year() != 2099 || ada.CreatedAt.Year() != 2024 || ada.Source.ID != "keygen/b18e3f3a-2e2e" {
			t.Errorf("%+v", ada)
		}
		w.finds(t, "C1B6DE-39A6E3-DE1529", license.Suspended)
		if holder, _ := w.licenses.ByCredential(t.Context(), "c1b6de-39a6e3-de1529"); holder.License != "" {
			t.Error("an imported key is found in another spelling")
		}
		if again, run := w.imported(t, r); again.Unchanged != 2 || run.Unchanged != 2 || run.Done != 0 {
			t.Errorf("again: %+v, %+v", again, run)
		}
		gumroad := "Purchase ID,Item Name,Buyer Name,Purchase Email,Purchase Time (UTC timezone),Recurring Charge?,Fully Refunded?,Disputed?,Dispute Won?,Access Revoked?,Product ID,Quantity,Giftee Email,License Key,License Key Enabled?,Subscription End Date\n" +
			"g1,Notes,'=Eve,eve@example.com,2024-03-01 09:00:00 UTC,0,0,0,0,0,abc,1,,85DB562A-C11D4B06-A2335A6B-8C079166,1,\n" +
			"g2,Notes,Fay,fay@example.com,2024-03-02 09:00:00 UTC,0,1,0,0,0,abc,1,,REFUNDED-KEY-1,1,\n" +
			"g3,Notes,Gil,gil@example.com,2024-03-03 09:00:00 UTC,0,0,0,0,0,abc,3,hal@example.com,GIFTED-KEY-333,0,\n" +
			"g4,Notes,Gil,gil@example.com,2024-03-03 09:00:00 UTC,1,0,0,0,0,abc,3,,GIFTED-KEY-333,1,\n" +
			"g5,Notes,Jay,jay@example.com,2024-03-03 09:00:00 UTC,0,0,1,0,0,abc,1,,DISPUTED-KEY-5,1,\n" +
			"Totals,,,,,,,,,,,,,,,\n"
		if report, run = w.imported(t, w.importing("gumroad", "csv", gumroad, false)); report.Skipped != 2 || run.Done != 4 {
			t.Errorf("gumroad: %+v, %+v", report, run)
		}
		if eve := w.finds(t, "85DB562A-C11D4B06-A2335A6B-8C079166", license.Active); eve.Licensee != "=Eve" {
			t.Errorf("%+v", eve)
		}
		if l := w.finds(t, "REFUNDED-KEY-1", license.Revoked); l.RevokedAt.IsZero() || l.Reason == "" {
			t.Errorf("%+v", l)
		}
		w.finds(t, "DISPUTED-KEY-5", license.Suspended)
		if l := w.finds(t, "GIFTED-KEY-333", license.Suspended); l.Seats != 3 || l.Licensee != "" {
			t.Errorf("%+v", l)
		}
		lemon := `{"data": [{"type": "license-keys", "id": "1", "attributes": {"product_id": 7, "user_name": "Ivy", "user_email": "ivy@example.com", "key": "80e15db5-c796-436b-850c-8f9c98a48abe",
			"activation_limit": null, "disabled": 0, "status": "active", "expires_at": null, "created_at": "2024-05-24T14:15:07.000000Z"}},
			{"type": "license-keys", "id": "2", "attributes": {"product_id": 7, "user_email": "jo@example.com", "key": "80e15db5-0000-436b-850c-8f9c98a48abe", "activation_limit": 5, "disabled": true,
			"status": "disabled", "expires_at": "2025-05-24T14:15:07.000000Z", "created_at": "2024-05-24T14:15:07.000000Z"}}]}`
		if report, run = w.imported(t, w.importing("lemonsqueezy", "json", lemon, false)); run.Done != 2 {
			t.Errorf("lemon squeezy: %+v, %+v", report, run)
		}
		w.finds(t, "80e15db5-c796-436b-850c-8f9c98a48abe", license.Active)
		if l := w.finds(t, "80e15db5-0000-436b-850c-8f9c98a48abe", license.Suspended); l.Seats != 5 || l.ValidUntil.Year() != 2025 {
			t.Errorf("%+v", l)
		}
		w.sound(t)
	})
}

// A key that another replica was asked for before an import brought it is found there as soon as that replica has read the change feed, though the feed
// has one row for all licenses that were made together.
func TestImport_KeyAskedForBefore(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		other := license.New(license.Deps{Store: e.Store.Licenses(), Seal: w.seal, Clock: e.Clock.Now, Fresh: func() bool { return true }})
		changes := feed.New(feed.Deps{Store: e.Store.Changes(), Clock: e.Clock.Now, Logger: slog.New(slog.DiscardHandler)})
		changes.Subscribe("license", func(_ context.Context, id string) { other.ForgetHolder(id) })
		heard := func(key string, want bool) {
			t.Helper()
			if holder, err := other.ByCredential(t.Context(), key); err != nil || (holder.License != "") != want {
				t.Errorf("%s finds %+v, %v", key, holder, err)
			}
		}
		if err := changes.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		heard("THE-FIRST-KEY", false)
		heard("THE-SECOND-KEY", false)
		w.imported(t, w.importing("mintreu", "csv", "reference,key,email\n1,THE-FIRST-KEY,ada@example.com\n2,THE-SECOND-KEY,ada@example.com\n", false))
		heard("THE-FIRST-KEY", false) // it has not heard
		if n := w.number(t, `SELECT count(*) FROM change WHERE kind = 'license'`); n != 1 {
			t.Errorf("%d rows of the feed", n)
		}
		if err := changes.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		heard("THE-FIRST-KEY", true)
		heard("THE-SECOND-KEY", true)
	})
}

// A dry run names every problem by its line with what to do, those that only the database shows too, and keeps nothing; the real run of the same
// file keeps nothing either.
func TestImport_DryRun(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		if _, run := w.imported(t, w.importing("mintreu", "csv", "reference,key,email\n1,THE-FIRST-KEY,ada@example.com\n", false)); run.Done != 1 {
			t.Fatalf("%+v", run)
		}
		before := w.number(t, `SELECT count(*) FROM customer`)
		file := "reference,key,email,state,seats,valid_until,policy,entitlement_level\n" +
			"1,THE-FIRST-KEY,ada@example.com,,,,,\n" + // imported before
			"2,THE-FIRST-KEY,bob@example.com,,,,,\n" + // another license's key
			"3,SHORT,bob@example.com,,,,,\n" +
			"4,A-GOOD-KEY-4,nobody,,,,,\n" +
			"5,A-GOOD-KEY-5,bob@example.com,broken,,,,\n" +
			"6,A-GOOD-KEY-6,bob@example.com,,many,,,\n" +
			"7,A-GOOD-KEY-7,bob@example.com,,,soon,,\n" +
			"8,A-GOOD-KEY-8,bob@example.com,,,,team,\n" +
			"9,A-GOOD-KEY-9,,,,,,\n" +
			",A-GOOD-KEY-10,bob@example.com,,,,,\n" +
			"9,A-GOOD-KEY-11,bob@example.com,,,,,\n" +
			"12,A-GOOD-KEY-4,bob@example.com,,,,,\n" +
			"13,A-GOOD-KEY-13,bob@example.com,,,2020-01-01,,\n" + // ends before it was issued
			"14,SCHLÜSSEL-14,bob@example.com,,,,,\n" + // no product could send it
			"15,A-GOOD-KEY-14,bob@example.com,suspended,2,2099-01-01,standard,7\n"
		report, err := w.ImportFile(w.ctx, w.importing("mintreu", "csv", file, true))
		if err != nil || report.Run != nil || report.Fresh != 1 || report.Unchanged != 1 || report.Failed != 13 {
			t.Fatalf("%+v, %v", report, err)
		}
		want := map[int]string{3: "key", 4: "key", 5: "email", 6: "state", 7: "seats", 8: "valid_until", 9: "policy", 10: "email", 11: "reference", 12: "reference", 13: "key", 14: "valid_until", 15: "key"}
		for _, row := range report.Rows {
			if field := want[row.Line]; field != "" && (len(row.Problems) == 0 || row.Problems[0].Name != field || row.Problems[0].Detail == "") {
				t.Errorf("line %d: %+v, want a problem of %s", row.Line, row.Problems, field)
			}
		}
		_, err = w.ImportFile(w.ctx, w.importing("mintreu", "csv", file, false))
		var refused *licensing.Error
		if !errors.As(err, &refused) || refused.Code != "import-refused" || !strings.HasPrefix(refused.Fields[0].Name, "line 3") {
			t.Errorf("%v", err)
		}
		if n := w.number(t, `SELECT count(*) FROM bulk_run`); n != 1 || w.number(t, `SELECT count(*) FROM customer`) != before || w.number(t, `SELECT count(*) FROM license`) != 1 {
			t.Error("something was kept")
		}
	})
}

// What a spreadsheet makes of a file is what was meant: a feature that is FALSE is not granted, TRUE is no text, and a mark in front of the file is
// none of the first column.
func TestImport_FromASpreadsheet(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		file := "\ufeffreference,key,email,entitlement_sync,entitlement_beta,entitlement_level\r\n1,A-GOOD-KEY-1,ada@example.com,TRUE,FALSE,7\r\n2,A-GOOD-KEY-2,ada@example.com,false,True,\r\n"
		if _, run := w.imported(t, w.importing("mintreu", "csv", file, false)); run.Done != 2 {
			t.Fatalf("%+v", run)
		}
		one, two := w.finds(t, "A-GOOD-KEY-1", license.Active), w.finds(t, "A-GOOD-KEY-2", license.Active)
		if n, _ := one.Entitlements["level"].Int(); !one.Entitlements["sync"].IsOn() || n != 7 || !two.Entitlements["beta"].IsOn() {
			t.Errorf("%v, %v", one.Entitlements, two.Entitlements)
		}
		for name, l := range map[string]license.License{"beta": one, "sync": two} {
			if v, granted := l.Entitlements[name]; granted {
				t.Errorf("%s was granted as %v", name, v)
			}
		}
		_, err := w.ImportFile(w.ctx, w.importing("mintreu", "csv", "reference,email,seats,seats\n1,ada@example.com,1,9\n", true))
		is(t, err, "import-unreadable")
	})
}

// References that somebody made up for a file are those of one product and environment: the numbers of another product's file are other licenses.
func TestImport_ReferencesOfTwoProducts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		r := w.importing("mintreu", "csv", "reference,email\n1,ada@example.com\n2,bob@example.com\n", false)
		for i := range 2 { // the second time nothing is fresh
			for _, env := range []licensing.Env{licensing.Live, licensing.Test} {
				r.Env = env
				if _, run := w.imported(t, r); run.Done != int64(2-2*i) || run.Unchanged != int64(2*i) {
					t.Errorf("%s, time %d: %+v", env, i, run)
				}
			}
		}
		if n := w.number(t, `SELECT count(DISTINCT source_id) FROM license WHERE source_kind = 'import'`); n != 4 {
			t.Errorf("%d licenses", n)
		}
		w.sound(t)
	})
}

// What would keep a run from going on is a problem of its row: an issue before there were instants, as exports have for none, and an owner who is
// nobody, whose license nobody would ever see. Bulk issue refuses the latter too.
func TestImport_RowsThatNobodyCouldKeep(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		nobody := "cus_00000000000070008000000000000009"
		file := "reference,key,owner,issued_at\n1,A-GOOD-KEY-1," + reseller + ",1970-01-01\n2,A-GOOD-KEY-2," + reseller + ",1969-07-20T20:17:40Z\n3,A-GOOD-KEY-3," + nobody + ",\n" +
			"4,A-GOOD-KEY-4," + reseller + ",0001-01-01T00:00:00Z\n5,A-GOOD-KEY-5," + reseller + ",1970-01-02\n"
		report, err := w.ImportFile(w.ctx, w.importing("mintreu", "csv", file, true))
		if err != nil || report.Failed != 4 || report.Fresh != 1 {
			t.Fatalf("%+v, %v", report, err)
		}
		for i, want := range []string{"issued_at", "issued_at", "owner", "issued_at", ""} {
			if row := report.Rows[i]; want == "" && len(row.Problems) > 0 || want != "" && (len(row.Problems) != 1 || row.Problems[0].Name != want) {
				t.Errorf("line %d: %+v", row.Line, row.Problems)
			}
		}
		good := "reference,key,owner,issued_at\n5,A-GOOD-KEY-5," + reseller + ",1970-01-02\n"
		if _, run := w.imported(t, w.importing("mintreu", "csv", good, false)); run.State != "done" || run.Done != 1 {
			t.Errorf("%+v", run)
		}
		many := bulk.IssueManyRequest{From: w.from(), Rows: []bulk.RowSpec{{Whom: bulk.Whom{Owner: reseller}}, {Whom: bulk.Whom{Owner: nobody}}}}
		_, err = w.IssueMany(w.ctx, many)
		is(t, err, "no-such-owner")
		w.sound(t)
	})
}

// Pages of an export that were saved behind each other are all read, each once; what is no page is refused with its line, not left out.
func TestImport_PagesBehindEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	page := func(ids ...string) string {
		var rows []string
		for _, id := range ids {
			rows = append(rows, fmt.Sprintf(`{"id": %q, "type": "licenses", "attributes": {"key": "A-GOOD-KEY-%s", "metadata": {"email": "ada@example.com"}}}`, id, id))
		}
		return `{"data": [` + strings.Join(rows, ",\n") + "],\n\"links\": {\"data\": null}}"
	}
	for name, file := range map[string]string{"objects": page("1", "2") + "\n" + page("3") + page(), "lists": `[{"id": "1", "attributes": {"key": "A-GOOD-KEY-1", "metadata": {"email": "a@example.com"}}}]` + page("2", "3")} {
		report, err := w.ImportFile(w.ctx, w.importing("keygen", "json", file, true))
		if err != nil || report.Fresh != 3 || report.Total != 3 {
			t.Errorf("%s: %+v, %v", name, report, err)
		}
	}
	report, err := w.ImportFile(w.ctx, w.importing("keygen", "json", page("1", "2")+"\n"+page("2"), true))
	if err != nil || report.Failed != 1 || report.Rows[2].Line != 4 {
		t.Errorf("a row of two pages: %+v, %v", report, err)
	}
	for name, file := range map[string]string{"cut": page("1")[:len(page("1"))-1], "text behind": page("1") + "and so on", "another thing behind": page("1") + `{"errors": []}`, "two lists": `{"data": [], "data": []}`,
		"a list of no page": page("1") + "7"} {
		if _, err := w.ImportFile(w.ctx, w.importing("keygen", "json", file, true)); err == nil {
			t.Errorf("%s: taken", name)
		} else {
			is(t, err, "import-unreadable")
		}
	}
}

// Files that cannot be read are refused with where, and none makes the reader fail.
func TestImport_Unreadable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	for _, c := range []struct{ source, format, data, code string }{
		{"mintreu", "csv", "", "import-unreadable"},
		{"mintreu", "csv", "reference,colour\n1,red\n", "import-unreadable"},
		{"mintreu", "csv", "reference,key\n1\n", "import-unreadable"},
		{"mintreu", "csv", "reference,key\n", "import-empty"},
		{"mintreu", "json", `{"licenses": [`, "import-unreadable"},
		{"mintreu", "json", `{"others": []}`, "import-unreadable"},
		{"mintreu", "json", `{"licenses": []}`, "import-empty"},
		{"keygen", "json", `null`, "import-unreadable"},
		{"gumroad", "csv", "Date,Amount\n", "import-unreadable"},
		{"mintreu", "csv", "reference,key\n" + many(bulk.MaxRows+1), "import-too-large"},
	} {
		_, err := w.ImportFile(w.ctx, w.importing(c.source, c.format, c.data, true))
		is(t, err, c.code)
	}
	r := w.importing("lemonsqueezy", "csv", "a", true)
	is(t, r.Validate(), "bulk-form")
	report, err := w.ImportFile(w.ctx, w.importing("mintreu", "json", `[{"reference": "1", "email": "a@example.com", "colour": "red"}, {"reference": 2}]`, true))
	if err != nil || report.Failed != 2 || report.Rows[0].Problems[0].Name != "colour" {
		t.Errorf("%+v, %v", report, err)
	}
}

// A text that no database could keep is a problem of its row, and no failure of all that are imported with it.
func TestImport_ControlCharacters(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		w := newWorld(t, e)
		for _, name := range []string{"reason", "licensee", "key", "reference", "owner", "policy", "state"} {
			row := map[string]string{"reference": "1", "key": "A-KEY-OF-OLD-1", "email": "ada@example.com", "licensee": "Ada", "state": "suspended", "reason": "late"}
			if row[name] += "\x00"; name == "owner" {
				delete(row, "email")
			}
			text, err := json.Marshal([]any{row})
			if err != nil {
				t.Fatal(err)
			}
			report, err := w.ImportFile(w.ctx, w.importing("mintreu", "json", string(text), true))
			if err != nil || report.Failed != 1 || report.Rows[0].Problems[0].Name != name {
				t.Errorf("%s: %+v, %v", name, report, err)
			}
		}
		for _, name := range []string{"reference", "owner", "hash", "hint", "name"} {
			row := map[string]string{"reference": "1", "hash": hexOf("1"), "hint": "sk_1", "owner": reseller, "name": "key"}
			row[name] += "\x00"
			text, err := json.Marshal(map[string]any{"keys": []any{row}})
			if err != nil {
				t.Fatal(err)
			}
			report, err := w.ImportKeys(w.ctx, bulk.ImportKeysRequest{Product: product, Env: licensing.Live, Source: "import", Format: "json", Data: string(text), DryRun: true})
			if err != nil || report.Failed != 1 {
				t.Errorf("%s of an API key: %+v, %v", name, report, err)
			}
		}
	})
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d,A-GOOD-KEY-%d\n", i, i)
	}
	return b.String()
}

// TestImport_NoGrantsNothing: a cell that says no adds no feature, as spreadsheets write it too, and one that says yes a mere yes. A text that means
// yes or no is refused wherever features are written down, since whoever has a feature is granted it, whatever its text is.
func TestImport_NoGrantsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	w.imported(t, w.importing("mintreu", "csv", "reference,key,email,entitlement_sync,entitlement_print,entitlement_scan,entitlement_tier\n"+
		"1,A-KEY-OF-OLD-1,ada@example.com,FALSE,TRUE,false,gold\n", false))
	l := w.finds(t, "A-KEY-OF-OLD-1", license.Active)
	_, sync := l.Entitlements["sync"]
	_, scan := l.Entitlements["scan"]
	if tier, _ := l.Entitlements["tier"].Text(); sync || scan || !l.Entitlements["print"].IsOn() || tier != "gold" {
		t.Errorf("it has %v", l.Entitlements)
	}
	report, err := w.ImportFile(w.ctx, w.importing("mintreu", "json", `[{"reference": "2", "email": "a@example.com", "entitlements": {"sync": "False"}}]`, true))
	if err != nil || report.Failed != 1 || !strings.Contains(report.Rows[0].Problems[0].Detail, "leave out what is not granted") {
		t.Errorf("%+v, %v", report, err)
	}
	no := license.Entitlements{"sync": doc.Text("false")}
	change := license.ChangeRequest{ID: l.ID, Reason: "test", Entitlements: no}
	act := bulk.ActRequest{Action: "entitle", Reason: "test", Count: 1, Entitlements: no}
	terms := license.Terms{Type: doc.Perpetual, Seats: license.Seats{N: 1, By: doc.ByDevice}, Entitlements: no}.WithDefaults()
	for name, err := range map[string]error{"a change": change.Validate(), "an action": act.Validate(), "a policy": terms.Validate()} {
		if err == nil {
			t.Errorf("%s takes the text false", name)
		}
	}
}

// FuzzImport: whatever the file, reading it ends with a report or a refusal.
func FuzzImport(f *testing.F) {
	w := newWorld(f, storetest.SQLite(f))
	for _, seed := range []string{keygenFile, "reference,key\n1,A-KEY-OF-OLD\n", `{"licenses": [{"reference": "1", "entitlements": {"a": true}}]}`, "Purchase ID,Purchase Email,License Key\na,b,c\n"} {
		for which := range byte(5) {
			f.Add(which, seed)
		}
	}
	kinds := [][2]string{{"mintreu", "csv"}, {"mintreu", "json"}, {"keygen", "json"}, {"lemonsqueezy", "json"}, {"gumroad", "csv"}}
	f.Fuzz(func(t *testing.T, which byte, data string) {
		k := kinds[int(which)%len(kinds)]
		r := w.importing(k[0], k[1], data, true)
		if r.Validate() != nil {
			return
		}
		report, err := w.ImportFile(w.ctx, r)
		if licensing.KindOf(err) == licensing.Internal && err != nil {
			t.Fatal(err)
		}
		if err == nil && report.Fresh+report.Unchanged+report.Failed != report.Total {
			t.Errorf("%+v", report)
		}
	})
}

// A row of the product that is asked for, in which something cannot be read, is told as a problem and not left out as one of another product.
func TestImport_OnlyLeavesOutNoBadRow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	const (
		keygen = `{"type": "licenses", "id": "a", "attributes": {"key": "A-KEY-OF-OLD-1", "maxMachines": "four"}, "relationships": {"product": {"data": {"id": "7"}}}},
			{"type": "licenses", "id": "b", "attributes": {"key": "A-KEY-OF-OLD-2", "maxMachines": "four"}, "relationships": {"product": {"data": {"id": "8"}}}},
			{"type": "licenses", "id": "c", "attributes": {"key": "A-KEY-OF-OLD-3", "name": 5}, "relationships": "none"},
			{"type": "licenses", "id": "d", "attributes": {"key": "A-KEY-OF-OLD-4"}}, {"type": "machines", "id": "e", "attributes": 5}`
		lemon = `{"type": "license-keys", "id": "1", "attributes": {"key": "A-KEY-OF-OLD-1", "activation_limit": "two", "product_id": 7}},
			{"type": "license-keys", "id": "2", "attributes": {"key": "A-KEY-OF-OLD-2", "activation_limit": "two", "product_id": "8"}},
			{"type": "license-keys", "id": "3", "attributes": 5},
			{"type": "license-keys", "id": "4", "attributes": {"key": "A-KEY-OF-OLD-4"}}, {"type": "orders", "id": "5", "attributes": 5}`
	)
	for source, rows := range map[string]string{"keygen": keygen, "lemonsqueezy": lemon} {
		r := w.importing(source, "json", `{"data": [`+rows+`]}`, true)
		r.Only = "7"
		report, err := w.ImportFile(w.ctx, r)
		if err != nil || report.Total != 2 || report.Failed != 2 || report.Skipped != 3 {
			t.Errorf("%s: %+v, %v", source, report, err)
		}
	}
	lemons := `{"data": [{"type": "license-keys", "id": "1", "attributes": {"key": "A-KEY-OF-OLD-1", "user_email": "ada@example.com", "product_id": "7"}}]}`
	r := w.importing("lemonsqueezy", "json", lemons, true)
	r.Only = "7"
	if report, err := w.ImportFile(w.ctx, r); err != nil || report.Fresh != 1 {
		t.Errorf("an id of a product as a text: %+v, %v", report, err)
	}
}
