package usage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
)

// Bounds of what a batch may say.
const (
	quarter  = sdk.UsageBucket * time.Second
	hashLen  = 16 // hex digits of a digest that a source remembers
	lateFrom = 24 * time.Hour
	attempts = 4
)

// earliest is before any product of ours; a bucket before it is a clock that was never set.
var earliest = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// Open issues a source to the caller, or answers with the one it has under the same nonce.
func (s *Service) Open(ctx context.Context, r sdk.SourceRequest) (sdk.SourceResponse, error) {
	if n := len(r.Nonce); n < 16 || n > 64 {
		return sdk.SourceResponse{}, errForm.With("/nonce", "must have 16 to 64 characters")
	}
	src, err := s.open(ctx, r.Nonce)
	if err != nil {
		return sdk.SourceResponse{}, err
	}
	if err := s.Switches.Check(ctx, licensing.SwitchAPI, src.ProductID); err != nil {
		return sdk.SourceResponse{}, err
	}
	return sdk.SourceResponse{Source: src.ID}, nil
}

// open makes a source of the caller's with a name, or returns the one that is there.
func (s *Service) open(ctx context.Context, nonce string) (Source, error) {
	actor := licensing.ActorFrom(ctx)
	carrier := carrierOf(actor)
	if carrier == "" {
		return Source{}, licensing.ErrNotFound
	}
	return s.Store.OpenSource(ctx, Source{ID: s.IDs.New("src"), Holder: actor.ID, Nonce: nonce, Carrier: carrier, CreatedAt: s.Clock.Now()})
}

// Purge forgets sources that were opened long ago and never counted anything. A job runs it daily.
func (s *Service) Purge(ctx context.Context) (int64, error) {
	return s.Store.PurgeSources(ctx, s.Clock.Now().Add(-sourceUnused))
}

// carrierOf is what the usage that an actor reports counts for: the license it speaks for, or the API key itself.
func carrierOf(a licensing.Actor) string {
	if a.Kind == licensing.APIKey {
		return a.ID
	}
	return a.License
}

// Count counts a batch, once however often it is sent, and answers with its receipt.
func (s *Service) Count(ctx context.Context, r sdk.UsageRequest) (sdk.UsageResponse, error) {
	if err := check(&r); err != nil {
		return sdk.UsageResponse{}, err
	}
	digest := r.Digest()
	for range attempts {
		src, err := s.own(ctx, r.Source)
		if err != nil {
			return sdk.UsageResponse{}, err
		}
		if err := s.Switches.Check(ctx, licensing.SwitchAPI, src.ProductID); err != nil {
			return sdk.UsageResponse{}, err
		}
		switch {
		case r.Seq == src.Seq && digest[:hashLen] == src.Hash: // counted before; the answer was lost
			return s.receipt(ctx, src.ID, src.Seq, digest, src.At)
		case r.Seq <= src.Seq:
			return sdk.UsageResponse{}, s.forked(ctx, &src, r.Seq)
		case r.Seq > src.Seq+1 && !s.proved(ctx, &r):
			return sdk.UsageResponse{}, ErrGap.With("/seq", "expected %d", src.Seq+1)
		}
		b := s.batch(src, &r, digest)
		done := false
		err = s.Tx.InTx(ctx, func(ctx context.Context) (err error) {
			if done, err = s.Store.Advance(ctx, b); err != nil || !done {
				return err
			}
			return s.Store.Add(ctx, b)
		})
		if err != nil {
			return sdk.UsageResponse{}, err
		}
		if done {
			s.memory.forget(src.Carrier)
			if b.From != b.Seq-1 {
				s.Logger.WarnContext(ctx, "a source of usage was ahead of this server and was moved up", "source", src.ID, "from", b.From+1, "to", b.Seq-1)
			}
			return s.receipt(ctx, src.ID, b.Seq, digest, b.At)
		}
	}
	return sdk.UsageResponse{}, errBusy
}

// own loads a source of the caller. One whose activation gave its seat back is handed over to the one that took its place on
// the same license, so that what it sent last is known to be counted or not.
func (s *Service) own(ctx context.Context, id string) (Source, error) {
	actor := licensing.ActorFrom(ctx)
	carrier := carrierOf(actor)
	src, err := s.Store.Source(ctx, id)
	if errors.Is(err, licensing.ErrNotFound) || err == nil && (carrier == "" || src.Carrier != carrier) {
		return Source{}, ErrUnknown
	}
	if err != nil || src.Holder == actor.ID {
		return src, err
	}
	moved, err := s.Store.HandOver(ctx, id, carrier, actor.ID)
	if err == nil && !moved {
		err = ErrUnknown
	}
	src.Holder = actor.ID
	return src, err
}

// forked refuses a batch and flags its source.
func (s *Service) forked(ctx context.Context, src *Source, seq int64) error {
	s.Logger.WarnContext(ctx, "a source of usage is used by two or was set back", "source", src.ID, "seq", seq, "last", src.Seq)
	if err := s.Store.Flag(ctx, src.ID, s.Clock.Now()); err != nil {
		return err
	}
	return ErrForked
}

// proved reports whether our own receipt shows that the batch before was counted.
func (s *Service) proved(ctx context.Context, r *sdk.UsageRequest) bool {
	if r.Receipt == "" {
		return false
	}
	c, err := s.Keyring.VerifyReceipt(ctx, r.Receipt)
	return err == nil && c.Source == r.Source && c.Seq == r.Seq-1
}

func (s *Service) receipt(ctx context.Context, source string, seq int64, digest string, at time.Time) (sdk.UsageResponse, error) {
	text, _, err := s.Keyring.SignReceipt(ctx, &doc.Receipt{Issuer: s.Keyring.Issuer(), Source: source, Seq: seq, SHA: digest, IssuedAt: at.Unix()})
	return sdk.UsageResponse{LastSeq: seq, Receipt: text}, err
}

// check refuses a batch that breaks a rule of form.
func check(r *sdk.UsageRequest) error {
	bad := errForm
	if r.Source == "" {
		bad = bad.With("/source", "is missing")
	}
	if r.Seq < 1 {
		bad = bad.With("/seq", "batches are numbered from 1")
	}
	if len(r.Rows) == 0 || len(r.Rows) > sdk.MaxUsageRows {
		bad = bad.With("/rows", "must have 1 to %d rows", sdk.MaxUsageRows)
	}
	if len(r.Receipt) > doc.MaxReceipt {
		bad = bad.With("/receipt", "is too long")
	}
	for i := range r.Rows {
		w, at := &r.Rows[i], fmt.Sprintf("/rows/%d", i)
		if !sdk.UsageCode(w.Meter) {
			bad = bad.With(at+"/meter", "must be 1 to 64 of a-z 0-9 _ . and -")
		}
		for name, v := range map[string]string{"/subject": w.Subject, "/group": w.Group} {
			if v != "" && !sdk.UsageCode(v) {
				bad = bad.With(at+name, "must be up to 64 of a-z 0-9 _ . and -")
			}
		}
		if w.At%sdk.UsageBucket != 0 {
			bad = bad.With(at+"/at", "must be the beginning of a quarter of an hour")
		}
		if w.Events < 1 || w.Events > sdk.MaxUsageSum || w.Sum < 0 || w.Sum > sdk.MaxUsageSum || w.Max < 0 || w.Max > w.Sum {
			bad = bad.With(at, "must have 1 event or more and numbers of 0 or more that add up")
		}
	}
	if len(bad.Fields) > 0 {
		return bad
	}
	return nil
}

// batch adds the rows up by every span and scope.
func (s *Service) batch(src Source, r *sdk.UsageRequest, digest string) Batch {
	now := s.Clock.Now()
	sums := newAdder(&src, r.Seq, now)
	for i := range r.Rows {
		w := &r.Rows[i]
		sums.add(w.Meter, w.Subject, w.Group, sums.instant(time.Unix(w.At, 0)), Value{Events: w.Events, Total: w.Sum, Max: w.Max}, nil)
	}
	return Batch{Source: src, From: src.Seq, Seq: r.Seq, Hash: digest[:hashLen], At: now, Tally: sums.tally()}
}
