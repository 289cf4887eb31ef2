package keyring

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
)

// PublishLead is how long a new standby key is published before it may sign: the time products have to fetch the keyset.
const PublishLead = 24 * time.Hour

// Deps is what a [Service] is made of. What signs, rotates and lists needs the first five; all are required for the rest.
type Deps struct {
	Store Store
	Seal  licensing.Sealer
	Clock licensing.Clock
	Tx    licensing.Transactor
	Audit licensing.Auditor

	Works    Works
	Requests Requests
	Exports  Exports
	IDs      licensing.IDs
	Jobs     licensing.Enqueuer
	// Alone reports that one person runs the installation, so that the operator at the machine may take the root out of it without a
	// second person.
	Alone bool
}

// Service signs with the active key and answers for all keys. It is safe for concurrent use. Keys are kept in memory until
// [Service.Forget].
type Service struct {
	Deps
	mu   sync.RWMutex
	ring *ring
}

// New makes a Service. Call [Service.Ensure] before anything else.
func New(d Deps) *Service { return &Service{Deps: d} }

// Ensure makes the installation's keys if there are none, with iss as its issuer for all time, and loads them. It fails when
// the master key does not open them.
func (s *Service) Ensure(ctx context.Context, iss string) error {
	have, err := s.Store.Issuer(ctx)
	if err != nil {
		return err
	}
	if have == "" {
		if iss == "" {
			return errors.New("keyring: the first start needs an issuer")
		}
		if err := s.found(ctx, iss); err != nil {
			return err
		}
	}
	_, err = s.load(ctx)
	return err
}

// found makes a root, an active key and two standby keys, and signs the first keyset.
func (s *Service) found(ctx context.Context, iss string) error {
	now := s.Clock.Now().Truncate(time.Second)
	root, rootPrivate, err := s.generate(Root, Active, 0, now)
	if err != nil {
		return err
	}
	keys := []Key{root}
	for i, state := range []State{Active, Standby, Standby} {
		k, _, err := s.generate(Signing, state, int64(i), now)
		if err != nil {
			return err
		}
		keys = append(keys, k)
	}
	claims, err := keysetClaims(iss, 1, now, keys, nil)
	if err != nil {
		return err
	}
	set, err := signKeyset(claims, rootPrivate, now)
	if err != nil {
		return err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		won, err := s.Store.Found(ctx, iss, keys, set, now)
		if err != nil {
			return err
		}
		if !won {
			return errFounded
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "keyring.found", Target: root.KID,
			Detail: map[string]any{"issuer": iss, "active": keys[1].KID, "keyset": 1}})
	})
	if errors.Is(err, errFounded) {
		return nil // another process was first; its keys are loaded next
	}
	return err
}

var errFounded = errors.New("keyring: founded by another process")

// generate makes a key pair and seals its seed.
func (s *Service) generate(role Role, state State, position int64, now time.Time) (Key, ed25519.PrivateKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, nil, err
	}
	if err := doc.CheckPublicKey(public); err != nil {
		return Key{}, nil, err
	}
	k := Key{KID: doc.Thumbprint(public), Role: role, State: state, Public: public, Position: position, NotBefore: now, CreatedAt: now}
	if state == Active {
		k.ActivatedAt = now
	}
	k.Sealed, err = s.Seal.Seal(private.Seed(), place(k.KID))
	return k, private, err
}

func place(kid string) string { return "signing_key/" + kid + "/sealed" }

// open unseals a key's private part.
func (s *Service) open(k *Key) (ed25519.PrivateKey, error) {
	seed, err := s.Seal.Open(k.Sealed, place(k.KID))
	if err != nil {
		return nil, fmt.Errorf("keyring: the master key does not open key %s: %w", k.KID, err)
	}
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("keyring: key %s is damaged", k.KID)
	}
	private := ed25519.NewKeyFromSeed(seed)
	if !k.Public.Equal(private.Public()) {
		return nil, fmt.Errorf("keyring: key %s does not match its public part", k.KID)
	}
	return private, nil
}
