package store

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/service/db"
)

const attachmentColumns = `f.id, f.ticket_id, f.message_id, f.uploader, f.name, f.media_type, f.size, f.sha256, f.blob, f.created_at`

func scanAttachment(row db.Row) (f support.File, err error) {
	var ticket, message *string
	err = row.Scan(&f.ID, &ticket, &message, &f.Uploader, &f.Name, &f.MediaType, &f.Size, &f.SHA256, &f.Blob, &f.CreatedAt)
	if ticket != nil {
		f.TicketID = *ticket
	}
	if message != nil {
		f.MessageID = *message
	}
	return f, missing(err)
}

// textOrNull writes the empty text as NULL.
func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// ReserveFile implements [support.Files].
func (s *tickets) ReserveFile(ctx context.Context, f support.File) error {
	_, err := s.db.Exec(ctx, `INSERT INTO ticket_attachment (id, ticket_id, message_id, uploader, name, media_type, size, sha256, blob, created_at)
		VALUES ($1, $2, NULL, $3, $4, '', 0, NULL, $5, $6)`, f.ID, textOrNull(f.TicketID), f.Uploader, f.Name, f.Blob, f.CreatedAt)
	return err
}

// FinishFile implements [support.Files].
func (s *tickets) FinishFile(ctx context.Context, f support.File) error {
	n, err := s.db.Exec(ctx, `UPDATE ticket_attachment SET name = $2, media_type = $3, size = $4, sha256 = $5 WHERE id = $1 AND size = 0`, f.ID, f.Name, f.MediaType, f.Size, f.SHA256)
	if err == nil && n == 0 {
		err = support.ErrAttachment // swept while it came
	}
	return err
}

// TakeFile implements [support.Files].
func (s *tickets) TakeFile(ctx context.Context, id, uploader, ticket, message string) (bool, error) {
	n, err := s.db.Exec(ctx, `UPDATE ticket_attachment SET ticket_id = $3, message_id = $4
		WHERE id = $1 AND uploader = $2 AND message_id IS NULL AND size > 0 AND (ticket_id IS NULL OR ticket_id = $3)`, id, uploader, ticket, message)
	return n > 0, err
}

// visible is a file with its message and ticket, as customers may see it.
const visible = `SELECT ` + attachmentColumns + ` FROM ticket_attachment f JOIN ticket_message m ON m.id = f.message_id JOIN ticket t ON t.id = m.ticket_id
	WHERE f.id = $1 AND NOT m.internal AND `

// FileOf implements [support.Files].
func (s *tickets) FileOf(ctx context.Context, id string, p support.Party) (support.File, error) {
	return scanAttachment(s.db.QueryRow(ctx, visible+ofParty(2), id, p.Owner, p.Email))
}

// FileByAccess implements [support.Files].
func (s *tickets) FileByAccess(ctx context.Context, id string, hash []byte) (support.File, error) {
	return scanAttachment(s.db.QueryRow(ctx, visible+`t.access_hash = $2`, id, hash))
}

// File implements [support.Files].
func (s *tickets) File(ctx context.Context, id string) (support.File, error) {
	return scanAttachment(s.db.QueryRow(ctx, `SELECT `+attachmentColumns+` FROM ticket_attachment f WHERE f.id = $1 AND f.message_id IS NOT NULL`, id))
}

// Orphans implements [support.Files].
func (s *tickets) Orphans(ctx context.Context, before time.Time, limit int) ([]support.File, error) {
	rows, err := s.db.Query(ctx, `SELECT `+attachmentColumns+` FROM ticket_attachment f WHERE f.message_id IS NULL AND f.created_at < $1 ORDER BY f.created_at LIMIT $2`, before, limit)
	return db.Collect(rows, err, scanAttachment)
}

// DropFile implements [support.Files].
func (s *tickets) DropFile(ctx context.Context, id string) (bool, error) {
	n, err := s.db.Exec(ctx, `DELETE FROM ticket_attachment WHERE id = $1 AND message_id IS NULL`, id)
	return n > 0, err
}

// CountFiles implements [support.Files].
func (s *tickets) CountFiles(ctx context.Context, ticket string) (n int64, err error) {
	err = s.db.QueryRow(ctx, `SELECT count(*) FROM ticket_attachment WHERE ticket_id = $1`, ticket).Scan(&n)
	return n, err
}

// ofRecord is the condition on an order or license of a party: its own, or, of a guest, that of the customer with the address.
const ofRecord = `(r.owner = $2 AND $2 <> '' OR r.owner IN (SELECT c.id FROM customer c WHERE c.email = $3 AND $3 <> ''))`

// OwnOrder implements [support.Records].
func (s *tickets) OwnOrder(ctx context.Context, id string, p support.Party) (product string, err error) {
	var first, last *string
	err = s.db.QueryRow(ctx, `SELECT (SELECT MIN(l.product_id) FROM order_line l WHERE l.order_id = r.id), (SELECT MAX(l.product_id) FROM order_line l WHERE l.order_id = r.id)
		FROM orders r WHERE r.id = $1 AND `+ofRecord, id, p.Owner, p.Email).Scan(&first, &last)
	if err != nil || first == nil || *first != *last {
		return "", missing(err)
	}
	return *first, nil
}

// OwnLicense implements [support.Records].
func (s *tickets) OwnLicense(ctx context.Context, id string, p support.Party) (product string, err error) {
	err = s.db.QueryRow(ctx, `SELECT r.product_id FROM license r WHERE r.id = $1 AND `+ofRecord, id, p.Owner, p.Email).Scan(&product)
	return product, missing(err)
}

// TicketByNumber implements [support.Records].
func (s *tickets) TicketByNumber(ctx context.Context, number string) (support.Ticket, error) {
	return scanTicket(s.db.QueryRow(ctx, `SELECT `+ticketColumns+` FROM ticket t WHERE t.number = $1`, number))
}

// TicketByNotice implements [support.Records]. A notice is about a ticket or about one of its messages.
func (s *tickets) TicketByNotice(ctx context.Context, notice string) (support.Ticket, error) {
	var about string
	if err := s.db.QueryRow(ctx, `SELECT subject FROM notice WHERE id = $1 AND template LIKE 'ticket_%'`, notice).Scan(&about); err != nil {
		return support.Ticket{}, missing(err)
	}
	t, err := scanTicket(s.db.QueryRow(ctx, `SELECT `+ticketColumns+` FROM ticket_message m JOIN ticket t ON t.id = m.ticket_id WHERE m.id = $1`, about))
	if err == nil {
		return t, nil
	}
	return s.Ticket(ctx, about)
}

// TicketByMail implements [support.Records].
func (s *tickets) TicketByMail(ctx context.Context, sum []byte) (support.Ticket, error) {
	return scanTicket(s.db.QueryRow(ctx, `SELECT `+ticketColumns+` FROM ticket_message m JOIN ticket t ON t.id = m.ticket_id WHERE m.mail_sum = $1`, sum))
}

// AllOf implements [support.Records].
func (s *tickets) AllOf(ctx context.Context, p support.Party) ([]support.Ticket, error) {
	rows, err := s.db.Query(ctx, `SELECT `+ticketColumns+` FROM ticket t WHERE `+ofParty(1)+` ORDER BY t.id LIMIT 10000`, p.Owner, p.Email)
	return db.Collect(rows, err, scanTicket)
}

// Forget implements [support.Records].
func (s *tickets) Forget(ctx context.Context, ticket string, at, orphaned time.Time) error {
	_, err := s.db.Batch(ctx, []db.Statement{
		{SQL: `SELECT id FROM ticket WHERE id = $1 FOR UPDATE`, Args: []any{ticket}}, // as whoever writes to it holds it first
		{SQL: `UPDATE ticket_attachment SET ticket_id = NULL, message_id = NULL, uploader = '', name = '', created_at = $2 WHERE ` +
			inOrder("ticket_attachment", `ticket_id = $1`), Args: []any{ticket, orphaned}},
		{SQL: `UPDATE ticket_message SET author = CASE WHEN author_kind = 'staff' THEN author ELSE '' END, author_name = CASE WHEN author_kind = 'staff' THEN author_name ELSE '' END,
			body = '', original = '', mail_sum = NULL WHERE ticket_id = $1`, Args: []any{ticket}},
		{SQL: `UPDATE ticket SET subject = '', owner = '', requester = '', email = '', name = '', order_id = '', license_id = '', search = '', access_hash = NULL, access = NULL,
			status = 'closed', waiting_since = NULL, row_version = row_version + 1, updated_at = $2 WHERE id = $1`, Args: []any{ticket, at}},
	})
	return err
}
