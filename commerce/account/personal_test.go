package account_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// holds names the columns of the database that hold a text, on SQLite.
func holds(t *testing.T, d db.DB, text string) (found []string) {
	t.Helper()
	list := func(sql string, args ...any) []string {
		rows, err := d.Query(t.Context(), sql, args...)
		out, err := db.Collect(rows, err, func(r db.Row) (s string, err error) { return s, r.Scan(&s) })
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, table := range list(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`) {
		for _, column := range list(`SELECT name FROM pragma_table_info($1)`, table) {
			var n int64
			if err := d.QueryRow(t.Context(), `SELECT count(*) FROM "`+table+`" WHERE instr(lower(CAST("`+column+`" AS text)), $1) > 0`, strings.ToLower(text)).Scan(&n); err != nil {
				t.Fatal(err)
			}
			if n > 0 {
				found = append(found, table+"."+column)
			}
		}
	}
	return found
}

// TestQ11_ErasedPeopleAreGone: an export shows what is held, without a secret; after erasing, no column of the database holds the address or
// the name, the person is out, the same address signs up anew as somebody else, and the trail names the id alone.
func TestQ11_ErasedPeopleAreGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.SQLite(t))
	id := r.signUp(t, "ada@example.com")
	in := r.signIn(t, "ada@example.com")
	a := as(t, r.actor(t, in.Token))
	if _, err := r.SetProfile(a, account.ProfileRequest{Name: "Augusta King"}); err != nil {
		t.Fatal(err)
	}
	r.enrol(t, in)
	r.reset(t, "ada@example.com")
	if _, err := r.ChangeEmail(a, account.EmailRequest{Email: "countess@example.com"}); err != nil {
		t.Fatal(err)
	}
	out, err := r.ExportAccount(a, account.ExportRequest{})
	text, _ := json.Marshal(out)
	if err != nil || !strings.Contains(string(text), "ada@example.com") || !strings.Contains(string(text), "Augusta King") || len(out.Parts) < 8 {
		t.Fatalf("%s, %v", text, err)
	}
	for _, secret := range []string{in.Token, in.Renewal, "argon2id"} {
		if strings.Contains(string(text), secret) {
			t.Error("the export shows a secret")
		}
	}
	for what, req := range map[string]account.EraseRequest{"no word": {Password: password}, "another password": {Password: "not " + password, Confirm: "erase"}} {
		if _, err := r.EraseAccount(a, req); err == nil {
			t.Errorf("%s erased", what)
		}
	}
	if _, err := r.EraseAccount(a, account.EraseRequest{Password: password, Confirm: "erase"}); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"ada@example.com", "augusta", "countess"} {
		if where := holds(t, r.DB, text); len(where) != 0 {
			t.Errorf("%q is still in %v", text, where)
		}
	}
	r.dead(t, "erased", in.Token)
	_, err = r.Renew(as(t, nobody), account.RenewRequest{Renewal: in.Renewal})
	fails(t, "its renewal", err, account.ErrRenewal)
	r.later(t, time.Hour)
	_, err = r.SignIn(as(t, nobody), account.SignInRequest{Email: "ada@example.com", Password: password})
	fails(t, "signing in", err, account.ErrSignIn)
	if again := r.signUp(t, "ada@example.com"); again == id {
		t.Error("the address came back as the erased person")
	}
	if page, err := r.ListCustomers(as(t, operator), account.ListCustomersRequest{Q: "august"}); err != nil || len(page.Items) != 0 {
		t.Errorf("%+v, %v", page, err)
	}
}

// TestQ11_OnBothEngines: exporting and erasing works alike on both, for a person who has nothing, and what is remembered of the person is
// forgotten at once; staff are not erased by it.
func TestQ11_OnBothEngines(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		r := newRig(t, e)
		id := r.signUp(t, "ada@example.com")
		in := r.signIn(t, "ada@example.com")
		a := as(t, r.actor(t, in.Token))
		if out, err := r.ExportAccount(a, account.ExportRequest{}); err != nil || len(out.Parts) < 8 {
			t.Errorf("%+v, %v", out, err)
		}
		var told []string
		e.Store.Watch("customer", func(id string) { told = append(told, id) })
		if _, err := r.EraseAccount(a, account.EraseRequest{Password: password, Confirm: "erase"}); err != nil {
			t.Error(err)
		}
		if !slices.Contains(told, id) {
			t.Errorf("this process was told of %v, not of %s", told, id)
		}
		r.dead(t, "erased", in.Token)
		r.staff(t, "grace@example.com", licensing.RoleAdmin)
		_, err := r.EraseAccount(as(t, r.actor(t, r.signIn(t, "grace@example.com").Token)), account.EraseRequest{Password: password, Confirm: "erase"})
		fails(t, "staff", err, account.ErrPassword)
	})
}
