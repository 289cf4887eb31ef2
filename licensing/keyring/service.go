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

// Deps is what a [Service] is made of; all are required.
type Deps struct {
	Store Store
	Seal  licensing.Sealer
	Clock licensing.Clock
	Tx    licensing.Transactor
	Audit licensing.Auditor
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
	set, err := signKeyset(iss, 1, now, keys, root.KID, rootPrivate)
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

// Rotated is the answer of [Service.Rotate].
type Rotated struct {
	Active  string `json:"active" doc:"The key that signs from now on."`
	Retired string `json:"retired" doc:"The key that signed until now; it goes on verifying."`
	Keyset  int64  `json:"keyset" doc:"Number of the keyset now in force; unchanged while the root is offline."`
}

// RotateRequest asks for planned rotation.
type RotateRequest struct {
	Reason string `json:"reason" doc:"Why, for the audit trail."`
}

// Validate demands a reason.
func (r RotateRequest) Validate() error {
	if r.Reason == "" || len(r.Reason) > 500 {
		return licensing.Fail(licensing.Invalid, "reason", "Say why, in at most 500 bytes.").With("/reason", "required")
	}
	return nil
}

// Rotate makes the next standby key the active one. With the root online it also adds a standby key and publishes the keyset that
// names it.
func (s *Service) Rotate(ctx context.Context, r RotateRequest) (Rotated, error) {
	old, err := s.fetch(ctx)
	if err != nil {
		return Rotated{}, err
	}
	step, err := s.plan(old)
	if err != nil {
		return Rotated{}, err
	}
	out := Rotated{Active: step.Activate, Retired: step.Retire, Keyset: old.set.Num}
	if step.Keyset != nil {
		out.Keyset = step.Keyset.Num
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		done, err := s.Store.Rotate(ctx, step)
		if err != nil {
			return err
		}
		if !done {
			return ErrRotated
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "keyring.rotate", Target: step.Activate, Reason: r.Reason,
			Detail: map[string]any{"retired": step.Retire, "keyset": out.Keyset}})
	})
	if err != nil {
		return Rotated{}, err
	}
	s.Forget()
	return out, nil
}

// RotateAgain answers a replay of a rotation: kid is the key it activated.
func (s *Service) RotateAgain(ctx context.Context, kid, _ string) (Rotated, error) {
	r, err := s.fetch(ctx)
	if err != nil {
		return Rotated{}, err
	}
	out := Rotated{Active: kid, Keyset: r.set.Num}
	for i, k := range r.keys {
		if k.KID == kid && i > 0 {
			out.Retired = r.keys[i-1].KID
			return out, nil
		}
	}
	return Rotated{}, licensing.ErrNotFound
}

// plan works out a rotation from the keys as they are.
func (s *Service) plan(r *ring) (Rotation, error) {
	now := s.Clock.Now().Truncate(time.Second)
	step := Rotation{Retire: r.active.KID, At: now}
	last := int64(0)
	after := make([]Key, len(r.keys))
	copy(after, r.keys)
	for i := range after {
		k := &after[i]
		if k.Role != Signing {
			continue
		}
		last = max(last, k.Position)
		switch {
		case k.KID == r.active.KID:
			k.State, k.RetiredAt = Retired, now
		case k.State == Standby && step.Activate == "":
			if k.NotBefore.After(now) {
				return Rotation{}, ErrTooNew.After(k.NotBefore.Sub(now))
			}
			step.Activate, k.State, k.ActivatedAt = k.KID, Active, now
		}
	}
	if step.Activate == "" {
		return Rotation{}, ErrNoStandby
	}
	if r.root == nil || r.root.Sealed == nil {
		return step, nil
	}
	private, err := s.open(r.root)
	if err != nil {
		return Rotation{}, err
	}
	added, _, err := s.generate(Signing, Standby, last+1, now)
	if err != nil {
		return Rotation{}, err
	}
	added.NotBefore = now.Add(PublishLead)
	set, err := signKeyset(r.iss, r.set.Num+1, now, append(after, added), r.root.KID, private)
	step.Added, step.Keyset = &added, &set
	return step, err
}
