package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/account"
	"github.com/mintreu/mintreu/service/db"
)

// holding is what the tables of one module hold on a person: how it is shown, and how it is taken away.
type holding struct {
	*Store
	columns string // to be shown, "o.id, o.state", each named by what follows its dot
	from    string // and from where, with $1 the id
	byEmail bool   // $1 is the address instead
	erase   []erasure
}

// erasure is one statement; args are numbers: 1 the id, 2 the address, 3 the pseudonym, 4 the instant, 5 no bytes. One that writes rows of the
// change feed returns their kind and id, of which this process is told at once.
type erasure struct {
	sql  string
	args []int
}

var (
	_ account.Exporter = holding{}
	_ account.Eraser   = holding{}
)

// paidBy are the orders o of a person that a payment_event is about which names none.
const paidBy = ` FROM orders o WHERE (o.owner = $1 OR o.email = $2) AND o.intent <> ''
	AND (payment_event.object IN (o.session, o.intent, o.charge) OR payment_event.body LIKE '%"' || o.intent || '"%' OR o.charge <> '' AND payment_event.body LIKE '%"' || o.charge || '"%')`

// aboutBuyer is the condition on events that are about a person's orders, by name or by the payment.
const aboutBuyer = `id IN (SELECT id FROM payment_event WHERE order_id IN (SELECT o.id FROM orders o WHERE o.owner = $1 OR o.email = $2)
	UNION ALL SELECT id FROM payment_event WHERE order_id = '' AND EXISTS (SELECT 1` + paidBy + `))`

// exportMost is how many rows of a kind an export shows.
const exportMost = 10_000

// Personal lists what is held on people, module by module, in the order in which it is erased: the person last.
func (s *Store) Personal() []account.Personal {
	of := func(name string, h holding) account.Personal {
		h.Store = s
		return account.Personal{Name: name, Exporter: h, Eraser: h}
	}
	return []account.Personal{
		// What the payment provider told names its customer. The order is found without it: by the event's row, or by the payment that it is about.
		of("payments", holding{columns: "e.id, e.type, e.object, e.order_id, e.body, e.received_at", from: "orders o JOIN payment_event e ON e.order_id = o.id WHERE o.owner = $1 ORDER BY e.id",
			erase: []erasure{
				// Whoever applies an event holds it before its order. So those that are there are held first; then the orders, since what arrives from
				// now on waits until this is over, and then finds the buyer erased.
				{held("payment_event", aboutBuyer), []int{1, 2}},
				{held("orders", `owner = $1 OR email = $2`), []int{1, 2}},
				{`UPDATE payment_event SET body = '{}' WHERE order_id IN (SELECT id FROM orders WHERE owner = $1 OR email = $2)`, []int{1, 2}},
				{`UPDATE payment_event SET body = '{}', order_id = (SELECT MIN(o.id)` + paidBy + `) WHERE order_id = '' AND EXISTS (SELECT 1` + paidBy + `)`, []int{1, 2}},
			}}),
		of("orders", holding{columns: "o.id, o.email, o.env, o.state, o.currency, o.total, o.refunded, o.receipt, o.snapshot, o.created_at, o.paid_at", from: "orders o WHERE o.owner = $1 ORDER BY o.id",
			erase: []erasure{
				{`UPDATE orders SET email = $2 WHERE owner = $1`, []int{1, 3}}, // which are held since what was paid for them was erased
				{`UPDATE orders SET email = $2 WHERE email = $1`, []int{2, 3}}, // bought for an organisation
			}}),
		of("receipts", holding{columns: "r.number, r.order_id, r.at", from: "receipt r JOIN orders o ON o.id = r.order_id WHERE o.owner = $1 ORDER BY r.number"}),
		of("transfers", holding{columns: "r.id, r.license_id, r.email, r.state, r.created_at, r.accepted_at, r.ended_at", from: "transfer_request r WHERE r.asked_by = $1 OR r.accepted_by = $1 ORDER BY r.id",
			erase: []erasure{
				{`UPDATE transfer_request SET state = 'cancelled', ended_at = $3, email = '' WHERE ` +
					inOrder("transfer_request", `state IN ('offered', 'accepted') AND (asked_by = $1 OR accepted_by = $1 OR email = $2)`), []int{1, 2, 4}},
			}}),
		of("licenses", holding{columns: "l.id, l.product_id, l.plan_code, l.licensee, l.state, l.env, l.valid_until, l.created_at", from: "license l WHERE l.owner = $1 ORDER BY l.id",
			erase: []erasure{
				{`INSERT INTO change (kind, id, at) SELECT 'license', l.id, $2 FROM license l WHERE l.owner = $1 RETURNING kind, id`, []int{1, 4}},
				// All of them are held, with a name or without: their tokens and seats are changed below.
				{`UPDATE license SET licensee = CASE licensee WHEN '' THEN '' ELSE $2 END WHERE ` + inOrder("license", `owner = $1`), []int{1, 3}},
				// A token without text is signed anew, under the same id, when it is asked for.
				{`UPDATE license_token SET token = '' WHERE license_id IN (SELECT id FROM license WHERE owner = $1)`, []int{1}},
			}}),
		of("activations", holding{columns: "a.id, a.license_id, a.state, a.name, a.usr, a.activated_at, a.last_seen_at, a.released_at",
			from:  "license l JOIN activation a ON a.license_id = l.id WHERE l.owner = $1 ORDER BY a.id",
			erase: []erasure{{`UPDATE activation SET name = '' WHERE license_id IN (SELECT id FROM license WHERE owner = $1)`, []int{1}}}}),
		of("keys", holding{columns: "k.id, k.product_id, k.name, k.metadata, k.env, k.created_at", from: "api_key k WHERE k.owner = $1 ORDER BY k.id",
			erase: []erasure{
				{`SELECT owner FROM api_key_family WHERE owner = $1 FOR NO KEY UPDATE`, []int{1}}, // held before its keys, as by everybody
				{`UPDATE api_key SET name = 'key', metadata = '{}' WHERE ` + inOrder("api_key", `owner = $1`), []int{1}},
			}}),
		of("downloads", holding{columns: "d.id, d.file_id, d.state, d.sent, d.created_at", from: "download_link d WHERE d.owner = $1 ORDER BY d.id",
			erase: []erasure{{`UPDATE download_link SET address = NULL WHERE ` + inOrder("download_link", `owner = $1`), []int{1}}}}),
		of("tickets", holding{columns: "t.number, t.subject, t.status, t.email, t.name, t.created_at", from: "ticket t WHERE t.owner = $1 ORDER BY t.id",
			erase: []erasure{
				{`UPDATE ticket SET email = $3, name = '', subject = CASE owner WHEN $1 THEN 'Erased' ELSE subject END, search = lower(number) WHERE ` +
					inOrder("ticket", `owner = $1 OR email = $2`), []int{1, 2, 3}}, // the address alone as a guest, or for an organisation
				{`UPDATE ticket_message SET author_name = '', body = 'Erased at the customer''s wish.', original = '' WHERE author_kind = 'customer' AND ticket_id IN (SELECT id FROM ticket WHERE owner = $1)`, []int{1}},
			}}),
		of("messages", holding{columns: "m.ticket_id, m.author_kind, m.body, m.at", from: "ticket t JOIN ticket_message m ON m.ticket_id = t.id WHERE t.owner = $1 AND NOT m.internal ORDER BY m.id"}),
		of("organisations", holding{columns: "m.organisation_id, m.role, m.joined_at", from: "organisation_member m WHERE m.customer_id = $1 ORDER BY m.id"}),
		of("mail", holding{columns: "m.id, m.recipient, m.subject, m.at", from: "mail m WHERE m.recipient = $1 ORDER BY m.id", byEmail: true,
			erase: []erasure{
				{`DELETE FROM mail WHERE recipient = $1`, []int{2}},
				{`UPDATE notice SET recipient = $2, data = $3, state = CASE state WHEN 'pending' THEN 'failed' ELSE state END WHERE ` + inOrder("notice", `recipient = $1`), []int{2, 3, 5}},
			}}),
		of("sessions", holding{columns: "s.id, s.browser, s.remembered, s.signed_in_at, s.seen_at, s.ends_at", from: "session s WHERE s.customer_id = $1 ORDER BY s.id",
			erase: []erasure{
				{held("session", `customer_id = $1`), []int{1}}, // who renews one holds it first
				{`DELETE FROM session_pass WHERE session_id IN (SELECT id FROM session WHERE customer_id = $1)`, []int{1}},
				{`DELETE FROM session_renewal WHERE session_id IN (SELECT id FROM session WHERE customer_id = $1)`, []int{1}},
				{`DELETE FROM session WHERE customer_id = $1`, []int{1}},
			}}),
		of("account", holding{columns: "c.id, c.email, c.name, c.confirmed_at, c.totp_at, c.created_at", from: "customer c WHERE c.id = $1",
			erase: []erasure{
				{`DELETE FROM account_token WHERE customer_id = $1`, []int{1}},
				{`DELETE FROM email_change WHERE customer_id = $1`, []int{1}},
				{`DELETE FROM sign_in_challenge WHERE customer_id = $1`, []int{1}},
				{`DELETE FROM recovery_code WHERE customer_id = $1`, []int{1}},
				{`DELETE FROM totp WHERE customer_id = $1`, []int{1}},
				{`UPDATE customer SET email = $2, name = '', name_fold = '', password = '', confirmed_at = NULL, totp_at = NULL, disabled_at = $3, updated_at = $3 WHERE id = $1`, []int{1, 3, 4}},
				{`INSERT INTO change (kind, id, at) VALUES ('customer', $1, $2) RETURNING kind, id`, []int{1, 4}},
			}}),
	}
}

// ExportPerson implements [account.Exporter]. Every value is shown as text, what is not there not at all.
func (h holding) ExportPerson(ctx context.Context, p account.Person) ([]json.RawMessage, error) {
	columns := strings.Split(h.columns, ", ")
	casts := make([]string, len(columns))
	for i, c := range columns {
		casts[i] = "CAST(" + c + " AS text)"
	}
	key := p.ID
	if h.byEmail {
		key = p.Email
	}
	rows, err := h.db.Query(ctx, fmt.Sprintf(`SELECT %s FROM %s LIMIT %d`, strings.Join(casts, ", "), h.from, exportMost), key)
	return db.Collect(rows, err, func(row db.Row) (json.RawMessage, error) {
		values, dest := make([]*string, len(columns)), make([]any, len(columns))
		for i := range values {
			dest[i] = &values[i]
		}
		if err := row.Scan(dest...); err != nil {
			return nil, err
		}
		out := map[string]string{}
		for i, v := range values {
			if _, name, _ := strings.Cut(columns[i], "."); v != nil {
				out[name] = *v
			}
		}
		return json.Marshal(out)
	})
}

// ErasePerson implements [account.Eraser].
func (h holding) ErasePerson(ctx context.Context, p account.Person, pseudonym string, at time.Time) error {
	known := map[int]any{1: p.ID, 2: p.Email, 3: pseudonym, 4: at, 5: []byte{}}
	for _, e := range h.erase {
		args := make([]any, len(e.args))
		for i, n := range e.args {
			args[i] = known[n]
		}
		if !strings.Contains(e.sql, "RETURNING") {
			if _, err := h.db.Exec(ctx, e.sql, args...); err != nil {
				return err
			}
			continue
		}
		rows, err := h.db.Query(ctx, e.sql, args...)
		told, err := db.Collect(rows, err, func(row db.Row) (c change, err error) {
			err = row.Scan(&c.kind, &c.id)
			return c, err
		})
		if err != nil {
			return err
		}
		for _, c := range told {
			h.noteChange(ctx, c.kind, c.id)
		}
	}
	return nil
}
