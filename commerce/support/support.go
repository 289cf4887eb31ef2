// Package support is the helpdesk: tickets, the messages and files in them, canned replies, and the FAQ.
//
// A [Ticket] belongs to a customer or an organisation, or to a guest who is known by an e-mail address alone. A guest reaches his
// ticket by an access code that nobody but his mailbox is ever told; once he has an account of that address, he finds it among his
// own. Customers reach tickets only through their [Party], which stands in the WHERE of every query.
//
// A ticket waits from the moment its customer writes until staff answer: WaitingSince is the instant of the first message that
// nobody answered, so that adding to it does not send anybody to the end of the queue. Internal notes are messages that no query
// made for customers returns.
//
// Every change names the version of the row it saw. What a customer writes is put on top of whatever happened meanwhile; what staff
// write is refused when the ticket is not the one they looked at, so that two agents do not answer at once and none overlooks what the
// customer just added.
//
// Texts are plain: they are kept as they were written, without control characters, and whoever shows them escapes them.
package support

import (
	"context"
	"io"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Status is where a ticket stands.
type Status string

// The statuses. Pending waits for the customer. A message of the customer opens a ticket again, whatever its status.
const (
	Open    Status = "open"
	Pending Status = "pending"
	Solved  Status = "solved"
	Closed  Status = "closed"
)

// Priority is how urgent staff take a ticket to be.
type Priority string

// The priorities.
const (
	Low    Priority = "low"
	Normal Priority = "normal"
	High   Priority = "high"
	Urgent Priority = "urgent"
)

// Ticket is one request for help.
type Ticket struct {
	ID       string // "tkt_…"
	Number   string // eight characters for people, never in sequence
	Subject  string
	Status   Status
	Priority Priority
	// Owner is whose ticket it is, empty for a guest's.
	Owner licensing.Owner
	// Requester is the person who asks, empty for a guest; Email and Name are the person's as they were then.
	Requester string
	Email     string
	Name      string
	// OrderID, LicenseID and ProductID are what it is about; empty if nobody said.
	OrderID   string
	LicenseID string
	ProductID string
	Assignee  string // the person who answers, empty for nobody yet
	// AccessHash is SHA-256 of a guest's access code and Access the sealed code; nil for tickets with an owner.
	AccessHash   []byte
	Access       []byte
	Search       string // what staff find it by, in lower case
	FirstReplyAt time.Time
	WaitingSince time.Time
	Row          int64 // counts changes; a write names the one it saw
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Author is the kind of who wrote a message.
type Author string

// The authors.
const (
	FromCustomer Author = "customer"
	FromStaff    Author = "staff"
	FromSystem   Author = "system"
)

// Message is one text of a ticket.
type Message struct {
	ID       string // "tms_…"
	TicketID string
	From     Author
	AuthorID string // the person, empty for guests and the system
	Name     string // of the author, as it was then
	Internal bool   // a note among staff
	Body     string
	// Original is what came by mail before quoted text and signature were taken off; empty when nothing was.
	Original string
	Mail     bool   // it came by mail
	MailSum  []byte // SHA-256 of that mail's Message-ID
	At       time.Time
	Files    []File
}

// File is one attachment. MessageID is empty until a message takes it, Size 0 until it has arrived whole.
type File struct {
	ID        string // "att_…"
	TicketID  string // empty while it is for a ticket to come
	MessageID string
	Uploader  string // who may attach it
	Name      string
	MediaType string
	Size      int64
	SHA256    []byte
	Blob      string
	CreatedAt time.Time
}

// Party is a customer as queries know one: whose tickets Owner's are, and those of a guest with the address Email, which the
// customer has shown to be theirs.
type Party struct {
	Owner licensing.Owner
	Email string
}

// Filter narrows the list of staff; empty members do not. Words must all occur in number, subject, address or name.
type Filter struct {
	Status     Status
	Priority   Priority
	Assignee   string
	Unassigned bool
	Owner      licensing.Owner
	Email      string
	Words      []string
}

// Queue is how much work there is.
type Queue struct {
	Open, Pending, Unassigned, Waiting int64
	OldestWaiting                      time.Time // zero when nobody waits
}

// Store keeps tickets. Writes run in the caller's transaction. Not found is [licensing.ErrNotFound].
type Store interface {
	// AddTicket stores a ticket and reports false, storing nothing, when its number is taken.
	AddTicket(ctx context.Context, t Ticket) (bool, error)
	// SaveTicket writes t if the row still has t.Row-1, and reports whether it did.
	SaveTicket(ctx context.Context, t Ticket) (bool, error)
	// Ticket loads by id alone: for staff and jobs. TicketOf and TicketByAccess are for customers and guests.
	Ticket(ctx context.Context, id string) (Ticket, error)
	TicketOf(ctx context.Context, id string, p Party) (Ticket, error)
	TicketByAccess(ctx context.Context, id string, hash []byte) (Ticket, error)
	// Tickets lists for staff: those whose customer waits first, the longest first, then the others, the newest first.
	Tickets(ctx context.Context, f Filter, page licensing.Page) (licensing.List[Ticket], error)
	// TicketsOf lists a customer's own, the newest first.
	TicketsOf(ctx context.Context, p Party, status Status, page licensing.Page) (licensing.List[Ticket], error)
	Queue(ctx context.Context) (Queue, error)
}

// Threads keeps the messages of tickets. Writes run in the caller's transaction.
type Threads interface {
	// AddMessage stores a message and reports false, storing nothing, when its mail is known already.
	AddMessage(ctx context.Context, m Message) (bool, error)
	// Messages returns the messages of a ticket with their files, oldest first; internal ones only if asked for.
	Messages(ctx context.Context, ticket string, internal bool) ([]Message, error)
	// Whole loads a ticket by id alone with all its messages: for staff.
	Whole(ctx context.Context, id string) (Ticket, []Message, error)
	// CannedFor returns a page of canned replies, the newest first, with what their placeholders stand for: a ticket, by id alone, and
	// the name of the person who answers, "" for nobody.
	CannedFor(ctx context.Context, page licensing.Page, ticket, person string) (list licensing.List[Canned], t Ticket, name string, err error)
	CountMessages(ctx context.Context, ticket string) (int64, error)
}

// Files keeps attachments.
type Files interface {
	// ReserveFile notes a file that is about to arrive, so that it can be swept should it never be finished. FinishFile says
	// what arrived and runs in the caller's transaction.
	ReserveFile(ctx context.Context, f File) error
	FinishFile(ctx context.Context, f File) error
	// TakeFile gives a finished file to a message of a ticket, once, and only to its uploader.
	TakeFile(ctx context.Context, id, uploader, ticket, message string) (bool, error)
	// FileOf and FileByAccess find a file of a message that a customer or guest may see; File any that is in a message: for staff.
	FileOf(ctx context.Context, id string, p Party) (File, error)
	FileByAccess(ctx context.Context, id string, hash []byte) (File, error)
	File(ctx context.Context, id string) (File, error)
	// Orphans are files older than an instant that no message took. DropFile removes one of them and reports whether it did.
	Orphans(ctx context.Context, before time.Time, limit int) ([]File, error)
	DropFile(ctx context.Context, id string) (bool, error)
	// CountFiles counts the files of a ticket, finished or not.
	CountFiles(ctx context.Context, ticket string) (int64, error)
}

// Records is what tickets know of the rest of the shop, and what is found by mail.
type Records interface {
	// OwnOrder and OwnLicense return the product of an order or license that is a party's own; "" when an order has several.
	OwnOrder(ctx context.Context, id string, p Party) (product string, err error)
	OwnLicense(ctx context.Context, id string, p Party) (product string, err error)
	// TicketByNumber and TicketByNotice find what a mail answers, TicketByMail what a mail became before.
	TicketByNumber(ctx context.Context, number string) (Ticket, error)
	TicketByNotice(ctx context.Context, notice string) (Ticket, error)
	TicketByMail(ctx context.Context, sum []byte) (Ticket, error)
	// AllOf are all tickets of a party. Forget empties one of everything personal; its files become orphans as old as orphaned.
	AllOf(ctx context.Context, p Party) ([]Ticket, error)
	Forget(ctx context.Context, ticket string, at, orphaned time.Time) error
}

// Contact is a person as the helpdesk knows one.
type Contact struct {
	ID    string
	Email string
	Name  string
	Role  licensing.Role // empty for who is not staff
}

// People tells who is who. Agents are the staff who answer tickets.
type People interface {
	Contact(ctx context.Context, id string) (Contact, error)
	Agents(ctx context.Context) ([]Contact, error)
}

// Mail is a mail to be sent about a ticket. Template, About and Epoch name it, of which there is never a second.
type Mail struct {
	Template string
	About    string // id of the message or ticket
	Epoch    int64
	To       string
	Name     string
	Number   string
	Topic    string // the subject, where it may be repeated
	Text     []string
	Link     string
	Note     string
}

// The templates.
const (
	MailReceived        = "ticket_received"
	MailReply           = "ticket_reply"
	MailCustomerReplied = "ticket_customer_replied"
	MailAssigned        = "ticket_assigned"
	MailSolved          = "ticket_solved"
)

// Notices writes mails into the outbox, in the caller's transaction. NoticeOf is the id of the notice whose mail has a Message-ID.
type Notices interface {
	Queue(ctx context.Context, m Mail) error
	NoticeOf(messageID string) (id string, ok bool)
}

// Blobs is where files are. Open returns a reader that seeks, and the size in bytes.
type Blobs interface {
	PutFrom(ctx context.Context, name string, content io.Reader) (int64, error)
	OpenSized(ctx context.Context, name string) (io.ReadSeekCloser, int64, error)
	Delete(ctx context.Context, name string) error
}

// Throttle slows callers down.
type Throttle interface {
	// Allow counts one attempt under key, at most count in each period, and returns how long to wait when that is too many.
	Allow(ctx context.Context, key string, count int64, period time.Duration) (wait time.Duration, err error)
}

// The failures of this package that callers may act on.
var (
	ErrChanged    = licensing.Fail(licensing.Conflict, "ticket-changed", "Somebody wrote in this ticket or changed it meanwhile. Look at it again; nothing of yours was sent.")
	ErrFull       = licensing.Fail(licensing.Conflict, "ticket-full", "This ticket has grown as long as one can be. Please open a new one.")
	ErrClosed     = licensing.Fail(licensing.Conflict, "ticket-closed", "This ticket is closed already.")
	ErrSlow       = licensing.Fail(licensing.TooMany, "ticket-rate", "Too many messages in a short time. Try again later.")
	ErrAttachment = licensing.Fail(licensing.Invalid, "attachment-unknown", "One of the files cannot be attached: it is not yours, or was attached already, or never arrived. Upload it again.")
	ErrTooLarge   = licensing.Fail(licensing.TooLarge, "attachment-too-large", "A file may have at most 10 MiB. Put a larger one where we can fetch it, and send us the link.")
	ErrRefused    = licensing.Fail(licensing.Unsupported, "attachment-refused", "We do not take files of this kind: programs, scripts, web pages and SVG. Put it into a ZIP archive or send a picture or text instead.")
	ErrName       = licensing.Fail(licensing.Conflict, "name-taken", "There is one of this name already. Choose another name.")
	ErrStale      = licensing.Fail(licensing.Conflict, "changed-meanwhile", "Somebody changed this meanwhile. Look at it again.")

	errTicket = licensing.Fail(licensing.Invalid, "ticket-invalid", "The ticket cannot be taken so; see the fields.")
	errAway   = licensing.Fail(licensing.Unavailable, "attachment-store-away", "The file store does not answer at the moment. Try again.").After(30 * time.Second)
)
