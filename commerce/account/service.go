package account

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/apikey/credential"
)

// Deps is what a [Service] is made of. People, Tokens, Factors, Customers, Sessions, Renewals, Machines, Clock, IDs, Tx, Audit, Notices and Throttle are required.
type Deps struct {
	// Organisations, Members and Invites keep groups of people.
	Organisations Organisations
	Members       Members
	Invites       Invites

	People  People
	Crowd   Crowd // for Guests alone
	Tokens  Tokens
	Factors Factors
	// Customers is how staff find and stop people.
	Customers Customers
	// Personal is who holds something on people, in the order in which it is erased: the person last.
	Personal []Personal
	Sessions Sessions
	Renewals Renewals
	Machines Machines
	Notices  Notices
	Throttle Throttle
	Clock    licensing.Clock
	IDs      licensing.IDs
	// Seal seals the secrets of one-time codes, and with Settings keeps the token of the first owner's link. BaseURL is where customers reach the service, without a slash at
	// its end; every link is made of it.
	Settings Settings
	Seal     licensing.Sealer
	BaseURL  string
	Tx       licensing.Transactor
	Audit    licensing.Auditor
	// Random is where secrets come from, crypto/rand unless said.
	Random io.Reader
	// FeedAlive reports whether changes made elsewhere arrive; while it says no, every request reads the database. Nil means
	// always.
	FeedAlive func() bool
	// Hashes is how many passwords are hashed at once, each taking 19 MiB; 2 unless said.
	Hashes int
	// From tells where a request comes from, for throttling: an IP address, "" if not known. Nil means never known.
	From func(ctx context.Context) string
	// Agent tells what the client calls itself, its User-Agent, "" if not known. Nil means never known.
	Agent func(ctx context.Context) string
	// Shop is what authenticators show beside the address.
	Shop string
	// RequireTOTP keeps staff without one-time codes out of everything but turning them on.
	RequireTOTP bool
	// Product reports whether there is a product, for machine tokens that are narrowed to one. Nil takes everybody's word.
	Product func(ctx context.Context, id string) (bool, error)
	// Scopes are what operations let machine tokens do; nil means that it is not known, and every scope is taken.
	Scopes []string
	// PassTTL is how long a session's bearer text works, one hour unless said and at most.
	PassTTL time.Duration
}

const (
	maxPass = time.Hour
	// freshFor is how long after entering a password a person may do sensitive things.
	freshFor = 10 * time.Minute
	// tokenTTL is how long a mailed link works.
	tokenTTL = 24 * time.Hour
)

// Service answers for people, sessions and machine tokens. It is safe for concurrent use.
type Service struct {
	Deps
	hasher   *hasher
	sessions *credential.Cache[*SignedIn]
	machines *credential.Cache[*MachineRecord]
	guesses  *credential.Guesses
	markKey  []byte
}

// New makes a Service. It hashes one password, which takes a moment.
func New(d Deps) (*Service, error) {
	if d.PassTTL <= 0 || d.PassTTL > maxPass {
		d.PassTTL = maxPass
	}
	if d.From == nil {
		d.From = func(context.Context) string { return "" }
	}
	if d.Agent == nil {
		d.Agent = func(context.Context) string { return "" }
	}
	h, err := newHasher(d.Hashes)
	if err != nil {
		return nil, err
	}
	cache := credential.CacheConfig{Clock: d.Clock, Trusted: d.FeedAlive}
	key := make([]byte, 32)
	if d.Seal != nil {
		key = d.Seal.Derive("session marks")
	} else {
		_, _ = rand.Read(key) // never fails; a text of another process is then no more than a guess
	}
	return &Service{
		markKey: key, Deps: d, hasher: h, sessions: credential.NewCache[*SignedIn](cache), machines: credential.NewCache[*MachineRecord](cache),
		guesses: credential.NewGuesses(d.Clock),
	}, nil
}

// Invalidate drops what is cached of the object with the given id, or everything for "". The change feed calls it with ids of the
// kinds "customer", "session", "machine_token" and "organisation".
func (s *Service) Invalidate(id string) {
	if id == "" {
		s.sessions.Reset()
		s.machines.Reset()
		return
	}
	s.sessions.Invalidate(id)
	s.machines.Invalidate(id)
}

// Guest returns the customer with the given e-mail address, made now if there is none: without password, unconfirmed, to be
// claimed through a mailed link. It joins the caller's transaction.
func (s *Service) Guest(ctx context.Context, email string) (licensing.Owner, error) {
	normal, err := NormalEmail(email)
	if err != nil {
		return "", err
	}
	p, err := s.findOrAdd(ctx, Person{ID: s.IDs.New("cus"), Email: normal, CreatedAt: s.Clock.Now()})
	return licensing.Owner(p.ID), err
}

// findOrAdd returns the person with p's address: p itself, stored and audited, or whoever had it.
func (s *Service) findOrAdd(ctx context.Context, p Person) (Person, error) {
	found, err := s.People.PersonByEmail(ctx, p.Email)
	if err == nil || !errors.Is(err, licensing.ErrNotFound) {
		return found, err
	}
	added, err := s.People.AddPerson(ctx, p)
	if err != nil {
		return Person{}, err
	}
	if !added {
		return s.People.PersonByEmail(ctx, p.Email)
	}
	return p, nil
}

// Known is the customer with the given e-mail address; [licensing.ErrNotFound] for nobody.
func (s *Service) Known(ctx context.Context, email string) (licensing.Owner, error) {
	normal, err := NormalEmail(email)
	if err != nil {
		return "", err
	}
	p, err := s.People.PersonByEmail(ctx, normal)
	return licensing.Owner(p.ID), err
}

// Email is the address of a person, for mails; [licensing.ErrNotFound] for nobody.
func (s *Service) Email(ctx context.Context, owner licensing.Owner) (string, error) {
	p, err := s.People.PersonByID(ctx, string(owner))
	return p.Email, err
}

// newSecret is 43 characters, 256 bits.
func newSecret(random io.Reader) (string, error) { return credential.Random(random, 43) }
