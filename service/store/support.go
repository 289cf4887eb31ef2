package store

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// tickets implements what [support.Service] keeps of tickets.
type tickets struct{ *Store }

var (
	_ support.Store   = (*tickets)(nil)
	_ support.Threads = (*tickets)(nil)
	_ support.Files   = (*tickets)(nil)
	_ support.Records = (*tickets)(nil)
)

// Tickets returns the store of tickets, their messages and files.
func (s *Store) Tickets() interface {
	support.Store
	support.Threads
	support.Files
	support.Records
} {
	return &tickets{s}
}

const ticketColumns = `t.id, t.number, t.subject, t.status, t.priority, t.owner, t.requester, t.email, t.name, t.order_id, t.license_id, t.product_id, t.assignee,
	t.access_hash, t.access, t.search, t.first_reply_at, t.waiting_since, t.row_version, t.created_at, t.updated_at`

func scanTicket(row db.Row) (t support.Ticket, err error) {
	var first, waiting *time.Time
	err = row.Scan(&t.ID, &t.Number, &t.Subject, &t.Status, &t.Priority, &t.Owner, &t.Requester, &t.Email, &t.Name, &t.OrderID, &t.LicenseID, &t.ProductID, &t.Assignee,
		&t.AccessHash, &t.Access, &t.Search, &first, &waiting, &t.Row, &t.CreatedAt, &t.UpdatedAt)
	t.FirstReplyAt, t.WaitingSince = instant(first), instant(waiting)
	return t, missing(err)
}

// AddTicket implements [support.Store].
func (s *tickets) AddTicket(ctx context.Context, t support.Ticket) (bool, error) {
	n, err := s.db.Exec(ctx, `INSERT INTO ticket (id, number, subject, status, priority, owner, requester, email, name, order_id, license_id, product_id, assignee,
			access_hash, access, search, first_reply_at, waiting_since, row_version, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) ON CONFLICT (number) DO NOTHING`,
		t.ID, t.Number, t.Subject, t.Status, t.Priority, t.Owner, t.Requester, t.Email, t.Name, t.OrderID, t.LicenseID, t.ProductID, t.Assignee,
		t.AccessHash, t.Access, t.Search, nullable(t.FirstReplyAt), nullable(t.WaitingSince), t.Row, t.CreatedAt, t.UpdatedAt)
	return n > 0, err
}

// SaveTicket implements [support.Store]. Whose it is and how a guest reaches it never change.
func (s *tickets) SaveTicket(ctx context.Context, t support.Ticket) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE ticket SET subject = $3, status = $4, priority = $5, order_id = $6, license_id = $7, product_id = $8, assignee = $9, search = $10,
			first_reply_at = $11, waiting_since = $12, updated_at = $13, row_version = $2 WHERE id = $1 AND row_version = $14`,
		t.ID, t.Row, t.Subject, t.Status, t.Priority, t.OrderID, t.LicenseID, t.ProductID, t.Assignee, t.Search,
		nullable(t.FirstReplyAt), nullable(t.WaitingSince), t.UpdatedAt, t.Row-1)
	return n > 0, err
}

// Ticket implements [support.Store].
func (s *tickets) Ticket(ctx context.Context, id string) (support.Ticket, error) {
	return scanTicket(s.db.QueryRow(ctx, `SELECT `+ticketColumns+` FROM ticket t WHERE t.id = $1`, id))
}

// ofParty is the condition on tickets of a customer, with the owner as parameter n and the address as the next. An empty owner or address never
// matches what has none.
func ofParty(n int) string {
	owner, email := "$"+strconv.Itoa(n), "$"+strconv.Itoa(n+1)
	return `(t.owner = ` + owner + ` AND t.owner <> '' OR t.email = ` + email + ` AND t.owner = '' AND t.email <> '')`
}

// TicketOf implements [support.Store].
func (s *tickets) TicketOf(ctx context.Context, id string, p support.Party) (support.Ticket, error) {
	return scanTicket(s.db.QueryRow(ctx, `SELECT `+ticketColumns+` FROM ticket t WHERE t.id = $1 AND `+ofParty(2), id, p.Owner, p.Email))
}

// TicketByAccess implements [support.Store].
func (s *tickets) TicketByAccess(ctx context.Context, id string, hash []byte) (support.Ticket, error) {
	return scanTicket(s.db.QueryRow(ctx, `SELECT `+ticketColumns+` FROM ticket t WHERE t.id = $1 AND t.access_hash = $2`, id, hash))
}

// contains adds a condition that a column holds each of the words; % and _ in a word stand for themselves.
func (n *narrowing) contains(column string, words []string) *narrowing {
	for _, w := range words {
		n.args = append(n.args, "%"+strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(w)+"%")
		n.conditions = append(n.conditions, column+` LIKE $`+strconv.Itoa(len(n.args))+` ESCAPE '\'`)
	}
	return n
}

func ticketFilter(f support.Filter) *narrowing {
	n := new(narrowing).by("t.status =", string(f.Status)).by("t.priority =", string(f.Priority)).by("t.assignee =", f.Assignee).
		by("t.owner =", string(f.Owner)).by("t.email =", f.Email)
	if f.Unassigned {
		n.conditions = append(n.conditions, "t.assignee = ''")
	}
	return n.contains("t.search", f.Words)
}

// Tickets implements [support.Store]. A page is filled from those that wait, then from the others; a cursor says in which part it stopped.
func (s *tickets) Tickets(ctx context.Context, f support.Filter, page licensing.Page) (licensing.List[support.Ticket], error) {
	limit := pageSize(page)
	var items []support.Ticket
	after, resting := strings.CutPrefix(page.Cursor, "r:")
	if !resting {
		waiting, err := s.waiting(ctx, f, page.Cursor, limit+1)
		if err != nil {
			return licensing.List[support.Ticket]{}, err
		}
		items, after = waiting, ""
	}
	if left := limit + 1 - len(items); left > 0 {
		n := ticketFilter(f).by("t.id <", after)
		n.conditions = append(n.conditions, "t.waiting_since IS NULL")
		sql, args := n.statement(`SELECT `+ticketColumns+` FROM ticket t`, "t.id DESC", left)
		rows, err := s.db.Query(ctx, sql, args...)
		rest, err := db.Collect(rows, err, scanTicket)
		if err != nil {
			return licensing.List[support.Ticket]{}, err
		}
		items = append(items, rest...)
	}
	return cut(items, limit, func(t support.Ticket) string {
		if t.WaitingSince.IsZero() {
			return "r:" + t.ID
		}
		return "w:" + strconv.FormatInt(t.WaitingSince.UnixMicro(), 10) + ":" + t.ID
	}), nil
}

// waiting lists tickets whose customer waits, the longest first, after the cursor "w:<microseconds>:<id>".
func (s *tickets) waiting(ctx context.Context, f support.Filter, cursor string, limit int) ([]support.Ticket, error) {
	n := ticketFilter(f)
	n.conditions = append(n.conditions, "t.waiting_since IS NOT NULL")
	if at, id, ok := strings.Cut(strings.TrimPrefix(cursor, "w:"), ":"); ok {
		micros, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			return nil, err
		}
		n.args = append(n.args, time.UnixMicro(micros).UTC(), id)
		n.conditions = append(n.conditions, "(t.waiting_since, t.id) > ($"+strconv.Itoa(len(n.args)-1)+", $"+strconv.Itoa(len(n.args))+")")
	}
	sql, args := n.statement(`SELECT `+ticketColumns+` FROM ticket t`, "t.waiting_since, t.id", limit)
	rows, err := s.db.Query(ctx, sql, args...)
	return db.Collect(rows, err, scanTicket)
}

// TicketsOf implements [support.Store].
func (s *tickets) TicketsOf(ctx context.Context, p support.Party, status support.Status, page licensing.Page) (licensing.List[support.Ticket], error) {
	limit := pageSize(page)
	n := &narrowing{conditions: []string{ofParty(1)}, args: []any{p.Owner, p.Email}}
	sql, args := n.by("t.status =", string(status)).by("t.id <", page.Cursor).statement(`SELECT `+ticketColumns+` FROM ticket t`, "t.id DESC", limit+1)
	rows, err := s.db.Query(ctx, sql, args...)
	items, err := db.Collect(rows, err, scanTicket)
	return cut(items, limit, func(t support.Ticket) string { return t.ID }), err
}

// Queue implements [support.Store].
func (s *tickets) Queue(ctx context.Context) (q support.Queue, err error) {
	var oldest *time.Time
	err = s.db.QueryRow(ctx, `SELECT (SELECT count(*) FROM ticket WHERE status = 'open'), (SELECT count(*) FROM ticket WHERE status = 'pending'),
			(SELECT count(*) FROM ticket WHERE assignee = '' AND status = 'open'), (SELECT count(*) FROM ticket WHERE waiting_since > $1)`, time.Unix(0, 0).UTC()).
		Scan(&q.Open, &q.Pending, &q.Unassigned, &q.Waiting)
	if err != nil || q.Waiting == 0 {
		return q, err
	}
	err = s.db.QueryRow(ctx, `SELECT waiting_since FROM ticket WHERE waiting_since IS NOT NULL ORDER BY waiting_since LIMIT 1`).Scan(&oldest)
	if errors.Is(err, db.ErrNoRows) {
		err = nil
	}
	q.OldestWaiting = instant(oldest)
	return q, err
}

// AddMessage implements [support.Threads].
func (s *tickets) AddMessage(ctx context.Context, m support.Message) (bool, error) {
	n, err := s.db.Exec(ctx, `INSERT INTO ticket_message (id, ticket_id, author_kind, author, author_name, internal, body, original, by_mail, mail_sum, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (mail_sum) DO NOTHING`,
		m.ID, m.TicketID, m.From, m.AuthorID, m.Name, m.Internal, m.Body, m.Original, m.Mail, m.MailSum, m.At)
	return n > 0, err
}

// CountMessages implements [support.Threads].
func (s *tickets) CountMessages(ctx context.Context, ticket string) (n int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT count(*) FROM ticket_message WHERE ticket_id = $1`, ticket).Scan(&n)
	return n, err
}

// Messages implements [support.Threads].
func (s *tickets) Messages(ctx context.Context, ticket string, internal bool) ([]support.Message, error) {
	var m written
	err := s.db.Ask(ctx, m.asked(ticket, internal)...)
	return m.all(), err
}

// Whole implements [support.Threads].
func (s *tickets) Whole(ctx context.Context, id string) (support.Ticket, []support.Message, error) {
	var found []support.Ticket
	var m written
	err := s.db.Ask(ctx, append(m.asked(id, true), ticketAsked(id, &found))...)
	t, err := only(found, err)
	return t, m.all(), err
}

// ticketAsked asks for a ticket by id alone.
func ticketAsked(id string, out *[]support.Ticket) db.Question {
	return db.Question{SQL: `SELECT ` + ticketColumns + ` FROM ticket t WHERE t.id = $1`, Args: []any{id}, Each: db.Into(out, scanTicket)}
}

// written are the messages of a ticket and the files in them, as they are read.
type written struct {
	messages []support.Message
	files    []support.File
}

func (w *written) asked(ticket string, internal bool) []db.Question {
	return []db.Question{
		{SQL: `SELECT id, ticket_id, author_kind, author, author_name, internal, body, original, by_mail, at FROM ticket_message
			WHERE ticket_id = $1 AND (NOT internal OR $2) ORDER BY ticket_id, id LIMIT 1000`, Args: []any{ticket, internal},
			Each: db.Into(&w.messages, func(row db.Row) (m support.Message, err error) {
				err = row.Scan(&m.ID, &m.TicketID, &m.From, &m.AuthorID, &m.Name, &m.Internal, &m.Body, &m.Original, &m.Mail, &m.At)
				return m, err
			})},
		{SQL: `SELECT ` + attachmentColumns + ` FROM ticket_attachment f WHERE f.ticket_id = $1 AND f.message_id IS NOT NULL ORDER BY f.ticket_id, f.id`,
			Args: []any{ticket}, Each: db.Into(&w.files, scanAttachment)},
	}
}

// all are the messages, each with its files; a file of a message that was not asked for is left out.
func (w *written) all() []support.Message {
	at := map[string]int{}
	for i := range w.messages {
		at[w.messages[i].ID] = i
	}
	for _, f := range w.files {
		if i, shown := at[f.MessageID]; shown {
			w.messages[i].Files = append(w.messages[i].Files, f)
		}
	}
	return w.messages
}
