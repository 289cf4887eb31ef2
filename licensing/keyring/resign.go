package keyring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// JobResign is the job that signs again what a revoked key signed. It is a nudge; the row of the work is its state.
const JobResign = "keyring.resign"

const (
	// holdWork is how long a worker may be silent before another goes on in its place.
	holdWork = 20 * time.Second
	// settle is how long after a revocation another process may still have signed with the key that it remembered. A walk
	// through all documents that began later than that and found nothing is the proof that none is left.
	settle = 10 * time.Second
)

// Work is the work of signing again what a revoked key signed, as stored.
type Work struct {
	ID         string
	KID        string
	Keyset     int64
	Reason     string
	Total      int64 // -1 until counted
	Done       int64
	Failed     int64
	Part       int64     // the kind of documents that it is at
	After      string    // the last one of them that was looked at
	Pass       int64     // walks through all of them that were begun
	PassAt     time.Time // when this one was
	StartedAt  time.Time
	FinishedAt time.Time
}

// Works keeps what has to be signed again.
type Works interface {
	// AddWork stores new work, in the caller's transaction.
	AddWork(ctx context.Context, w Work) error
	// ListWork returns all work, newest first; OpenWork what is not finished, oldest first.
	ListWork(ctx context.Context) ([]Work, error)
	OpenWork(ctx context.Context) ([]Work, error)
	// TakeWork gives unfinished work to a worker until an instant, unless another one has it now, and returns it as it stands.
	TakeWork(ctx context.Context, id, worker string, now, until time.Time) (Work, bool, error)
	// SaveWork stores how far work is and prolongs the worker's hold, or reports false when another one has taken it.
	SaveWork(ctx context.Context, w Work, worker string, until time.Time) (bool, error)
	// LeaveWork lets go of work.
	LeaveWork(ctx context.Context, id, worker string) error
}

// Documents is one kind of stored documents. Both methods look at those that a key signed and that are still good, in the order of
// their ids, after one of them.
type Documents interface {
	// CountSigned counts such documents among the next ones; next is where to go on, "" at the end.
	CountSigned(ctx context.Context, kid, after string) (n int64, next string, err error)
	// SignAgain signs a batch of such documents with the key that is active now and stores those that nobody else signed meanwhile in
	// one transaction with keep.
	SignAgain(ctx context.Context, kid, after string, keep func(ctx context.Context, b Batch) error) error
}

// Batch is what became of a batch of documents. An empty Last says that there was none left.
type Batch struct {
	Done   int64
	Failed int64
	Last   string
}

// errHeld says that another worker has the work.
var errHeld = errors.New("keyring: another worker signs")

// WorkOff goes on with all work that followed revocations until it is done, ctx ends, or others do it. It returns how long to wait
// before it should be asked again, 0 when nothing is left. docs must be given in the same order every time.
func (s *Service) WorkOff(ctx context.Context, docs ...Documents) (time.Duration, error) {
	list, err := s.Works.OpenWork(ctx)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	s.Forget() // whatever this process remembers may be the revoked key
	wait := time.Duration(0)
	for _, work := range list {
		w := worker{Service: s, name: s.IDs.New("wrk"), work: work, docs: docs}
		again, err := w.run(ctx)
		if errors.Is(err, errHeld) {
			again, err = holdWork/4, nil
		}
		if err != nil {
			return 0, fmt.Errorf("resigning %s: %w", work.ID, err)
		}
		wait = max(wait, again)
	}
	return wait, nil
}

// WorkOffJob is the handler of [JobResign] in terms of [Service.WorkOff]; snooze puts the job back.
func (s *Service) WorkOffJob(snooze func(time.Duration) error, docs ...Documents) func(context.Context, json.RawMessage) error {
	return func(ctx context.Context, _ json.RawMessage) error {
		wait, err := s.WorkOff(ctx, docs...)
		if err == nil && wait > 0 {
			return snooze(wait)
		}
		return err
	}
}

// worker does one piece of work.
type worker struct {
	*Service
	name string
	work Work // as stored
	kept Work // as in the transaction under way
	docs []Documents
}

func (w *worker) run(ctx context.Context) (wait time.Duration, err error) {
	now, held := w.Clock.Now(), false
	if w.work, held, err = w.Works.TakeWork(ctx, w.work.ID, w.name, now, now.Add(holdWork)); err != nil {
		return 0, err
	}
	if !held {
		return 0, errHeld
	}
	defer func() {
		if ctx.Err() != nil { // others need not wait until the hold ends
			err = errors.Join(ctx.Err(), w.Works.LeaveWork(context.WithoutCancel(ctx), w.work.ID, w.name))
		}
	}()
	if w.work.Total < 0 {
		if err := w.count(ctx); err != nil {
			return 0, err
		}
	}
	for {
		if w.work.Pass == 0 || w.work.Part >= int64(len(w.docs)) {
			over, wait, err := w.turn(ctx)
			if err != nil || over {
				return wait, err
			}
		}
		if err := w.batch(ctx); err != nil {
			return 0, err
		}
	}
}

// count looks through all documents once, for those who wait.
func (w *worker) count(ctx context.Context) error {
	total := int64(0)
	for _, d := range w.docs {
		after := ""
		for {
			n, next, err := d.CountSigned(ctx, w.work.KID, after)
			if err != nil {
				return err
			}
			total += n
			if next == "" {
				break
			}
			after = next
		}
	}
	w.work.Total = total
	return w.save(ctx)
}

// turn ends a walk through all documents and begins the next, or ends the work: when the walk began after everybody knew of the
// revocation.
func (w *worker) turn(ctx context.Context) (over bool, wait time.Duration, err error) {
	now, known := w.Clock.Now(), w.work.StartedAt.Add(settle)
	if w.work.Pass > 0 {
		if !w.work.PassAt.Before(known) {
			w.work.FinishedAt = now
			return true, 0, w.save(ctx)
		}
		if now.Before(known) {
			return true, known.Sub(now), w.Works.LeaveWork(ctx, w.work.ID, w.name)
		}
	}
	w.work.Failed = 0 // they are tried once more
	w.work.Pass, w.work.PassAt, w.work.Part, w.work.After = w.work.Pass+1, now, 0, ""
	return false, 0, w.save(ctx)
}

// batch signs the next documents.
func (w *worker) batch(ctx context.Context) error {
	err := w.docs[w.work.Part].SignAgain(ctx, w.work.KID, w.work.After, func(ctx context.Context, b Batch) error {
		next := w.work
		next.Done += b.Done
		next.Failed += b.Failed
		next.After = b.Last
		if b.Last == "" {
			next.Part++
		}
		if err := w.keep(ctx, next); err != nil {
			return err
		}
		w.kept = next
		return nil
	})
	if err == nil {
		w.work = w.kept
	}
	return err
}

// save writes how far the work is; it fails when another worker has taken it.
func (w *worker) save(ctx context.Context) error { return w.keep(ctx, w.work) }

func (w *worker) keep(ctx context.Context, work Work) error {
	held, err := w.Works.SaveWork(ctx, work, w.name, w.Clock.Now().Add(holdWork))
	if err == nil && !held {
		err = errHeld
	}
	return err
}
