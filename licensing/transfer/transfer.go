// Package transfer lets the owner of a license give it away. The owner names an e-mail address; who signs in with it and follows the
// mailed link accepts, for himself or for the organisation he acts for; where the license's policy says so, somebody of the shop then
// approves or declines. Only then does the license change hands, as [license.Service.DraftTransfer] says: new key, new token, seats given
// back, and one more of the transfers that its policy counts.
//
// A license has one open request at most, and each step is a conditional change of its row, so that of an acceptance, a cancellation and
// a decision at the same moment one happens. A request lapses by itself. Both sides are told by mail of each step, whoever took it.
package transfer

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
	"github.com/mintreu/mintreu/licensing/license"
)

// State is how far a request is.
type State string

// The states. Offered and Accepted are open; Accepted waits for the shop.
const (
	Offered   State = "offered"
	Accepted  State = "accepted"
	Done      State = "done"
	Cancelled State = "cancelled"
	Declined  State = "declined"
	Lapsed    State = "lapsed"
)

const (
	// offerFor is how long the mailed link is good, waitFor how long an accepted request waits for the shop.
	offerFor = 7 * 24 * time.Hour
	waitFor  = 14 * 24 * time.Hour
	// asksAnHour bounds the mail that one person can have sent to strangers, mailsAnHour what one address gets.
	asksAnHour  = 10
	mailsAnHour = 5
)

// Request is the wish to give a license away. Zero times mean not yet.
type Request struct {
	ID        string
	LicenseID string
	From      licensing.Owner
	AskedBy   string // the person who asked
	// Email is of who is to get it; it is forgotten once the request is over.
	Email      string
	Digest     credential.Digest // of the token in the mailed link
	To         licensing.Owner   // once accepted
	AcceptedBy string            // the person who accepted
	State      State
	Reason     string // of who declined
	DecidedBy  string // the actor who approved or declined
	CreatedAt  time.Time
	ExpiresAt  time.Time
	AcceptedAt time.Time
	EndedAt    time.Time
	// Of the license, as it is now.
	ProductID, ProductSlug, ProductName, PlanCode, KeyHint string
	Approval                                               bool
}

// product is what people call what is given away.
func (r *Request) product() string {
	name := r.ProductName
	if name == "" {
		name = r.ProductSlug
	}
	if r.PlanCode != "" {
		name += ", " + r.PlanCode
	}
	return name
}

// Person is somebody who has an account.
type Person struct {
	ID, Email, Name string
	Confirmed       bool
}

// called is how others know a person.
func (p *Person) called() string {
	if p.Name != "" {
		return p.Name
	}
	return p.Email
}

// Filter narrows a list of requests; empty members do not. Owner is either side.
type Filter struct {
	Owner   licensing.Owner
	License string
	State   State
}

// Step moves a request from one state to another.
type Step struct {
	ID         string
	From, To   State
	At         time.Time
	Owner      licensing.Owner // who gets the license, where the step says so
	AcceptedBy string
	DecidedBy  string
	Reason     string
	ExpiresAt  time.Time // the new end of an open request
}

// Store keeps requests. Methods that write run in the caller's transaction. Not found is [licensing.ErrNotFound].
type Store interface {
	// AddRequest stores a request, unless the license has an open one of the same owner that has not expired; others it ends.
	AddRequest(ctx context.Context, r Request) (bool, error)
	Request(ctx context.Context, id string) (Request, error)
	// RequestOf loads one of which the owner is either side.
	RequestOf(ctx context.Context, id string, owner licensing.Owner) (Request, error)
	RequestByDigest(ctx context.Context, d credential.Digest) (Request, error)
	ListRequests(ctx context.Context, f Filter, page licensing.Page) (licensing.List[Request], error)
	// Take takes a step if the request is in the state that it starts from, and forgets the address when that ends it.
	Take(ctx context.Context, s Step) (bool, error)
	// DueToLapse returns open requests whose time is over, the oldest first.
	DueToLapse(ctx context.Context, now time.Time, limit int) ([]Request, error)
}

// People knows who has an account.
type People interface {
	TransferPerson(ctx context.Context, id string) (Person, error)
	// Voices returns those who speak for an owner: the person, or the owners and admins of the organisation.
	Voices(ctx context.Context, owner licensing.Owner) ([]Person, error)
}

// Licenses is what a transfer needs of package license.
type Licenses interface {
	Transferable(ctx context.Context, id string) (license.License, error)
	DraftTransfer(ctx context.Context, s license.TransferSpec) (*license.Move, error)
	ApplyTransfer(ctx context.Context, m *license.Move) error
}

var _ Licenses = (*license.Service)(nil)

// Throttle slows repeated attempts down, as that of package activation.
type Throttle interface {
	Allow(ctx context.Context, key string, count int64, period time.Duration) (time.Duration, error)
}

// Topic is what a mail about a request tells.
type Topic string

// The topics. Waiting is for the shop's own people.
const (
	ToldOffered   Topic = "offered"
	ToldAccepted  Topic = "accepted"
	ToldWaiting   Topic = "waiting"
	ToldGiven     Topic = "given"
	ToldGot       Topic = "got"
	ToldCancelled Topic = "cancelled"
	ToldDeclined  Topic = "declined"
	ToldLapsed    Topic = "lapsed"
)

// Mail is one mail about a request. To is a bare address.
type Mail struct {
	Topic   Topic
	Request *Request
	Product string
	To      string
	Name    string // of who gets the mail, "" for a stranger
	By      string // whom the mail names: who offers
	Reason  string
	N       int64 // with the request and the topic, names the mail
	At      time.Time
}

// Notices tells people by mail, in the caller's transaction.
type Notices interface {
	// Offer sends the link that holds the token.
	Offer(ctx context.Context, m Mail, token string) error
	Tell(ctx context.Context, m Mail) error
	// Staff is who of the shop decides.
	Staff(ctx context.Context) ([]Person, error)
}

// Deps is what a [Service] is made of. Address makes an address as accounts have it, or an error for whoever typed it.
type Deps struct {
	Store    Store
	People   People
	Licenses Licenses
	Notices  Notices
	Throttle Throttle
	Address  func(string) (string, error)
	Clock    licensing.Clock
	IDs      licensing.IDs
	Tx       licensing.Transactor
	Audit    licensing.Auditor
	Switches licensing.Switches
	Random   io.Reader // crypto/rand's unless said
}

// Service takes requests and decides on them. It is safe for concurrent use.
type Service struct{ Deps }

// New makes a Service.
func New(d Deps) *Service {
	if d.Random == nil {
		d.Random = rand.Reader
	}
	return &Service{d}
}

var (
	// ErrOpen refuses a second request while one is open.
	ErrOpen = licensing.Fail(licensing.Conflict, "transfer-open", "A transfer of this license is under way. Cancel it first.")
	// ErrOver refuses a step on a request that is over, and a link that is good no longer.
	ErrOver = licensing.Fail(licensing.Gone, "transfer-over", "This transfer was answered, cancelled, or is over. Ask the license's owner for a new one.")
	// ErrState refuses a step that does not fit how far the request is.
	ErrState = licensing.Fail(licensing.Conflict, "transfer-state", "The transfer is not at a point that allows this; look again.")
	// ErrAddress refuses who signed in with another address than the one that was named.
	ErrAddress = licensing.Fail(licensing.Forbidden, "transfer-other-address", "The license was offered to another e-mail address. Sign in with the address that the mail went to.")
	// ErrOwn refuses a decision by somebody who is one of the two sides.
	ErrOwn = licensing.Fail(licensing.Forbidden, "transfer-own", "You are one of the two sides of this transfer. Somebody else of the shop decides on it.")
	// ErrPace refuses one more mail to a stranger.
	ErrPace = licensing.Fail(licensing.TooMany, "transfer-pace", "Too many transfers were asked for. Try again later.")
)

// customer is the person who calls, and whose objects he acts on.
func customer(ctx context.Context) (licensing.Actor, error) {
	a := licensing.ActorFrom(ctx)
	if a.Kind != licensing.Customer || a.ID == "" || a.Owner == "" {
		return a, licensing.ErrNotFound
	}
	return a, nil
}

func (s *Service) allow(ctx context.Context, key string, count int64) error {
	wait, err := s.Throttle.Allow(ctx, "transfer:"+key, count, time.Hour)
	if err == nil && wait > 0 {
		err = ErrPace.After(wait)
	}
	return err
}

// same reports whether two addresses are one person's: what follows a plus sign in front of the @ is an alias.
func same(a, b string) bool { return licensing.Unaliased(a) == licensing.Unaliased(b) }

// again reports whether a draft has to be made anew because something else happened to the license at the same moment.
func again(err error) bool {
	return errors.Is(err, license.ErrCollision) || errors.Is(err, license.ErrChanged)
}
