package download

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Page is what the page of a link shows.
type Page struct {
	Product string
	Version string
	File    FileView
	Expires time.Time
}

// Page opens a link for its page. It spends nothing.
func (s *Service) Page(ctx context.Context, token string) (Page, error) {
	t, err := s.open(ctx, token, forPage)
	if err != nil {
		return Page{}, err
	}
	return Page{Product: t.Release.ProductSlug, Version: t.Release.Version, File: t.File.view(), Expires: t.Link.ExpiresAt}, nil
}

// Start gives the path from which the bytes of a link come, to whoever pressed the page's button. It spends nothing.
func (s *Service) Start(ctx context.Context, token string) (string, error) {
	t, err := s.open(ctx, token, forPage)
	if err != nil {
		return "", err
	}
	token, err = s.token(&t.Link, forTransfer)
	return TransferPath + token, err
}

// Transfer opens a link for its bytes. It spends nothing yet.
func (s *Service) Transfer(ctx context.Context, token string) (Ticket, error) {
	return s.open(ctx, token, forTransfer)
}

// open checks a token and all that it rests on, as it stands now.
func (s *Service) open(ctx context.Context, token string, p purpose) (Ticket, error) {
	said, err := s.openToken(token, p)
	if err != nil {
		return Ticket{}, err
	}
	t, err := s.Links.Ticket(ctx, said.link)
	switch {
	case errors.Is(err, licensing.ErrNotFound):
		return Ticket{}, ErrExpired
	case err != nil:
		return Ticket{}, err
	case !bytes.Equal(said.binding, t.Link.binding()) || !said.expires.Equal(t.Link.ExpiresAt):
		return Ticket{}, ErrLink
	}
	now := s.Clock.Now()
	if !now.Before(t.Link.ExpiresAt) && (p == forPage || !t.Link.resumable(now)) {
		return Ticket{}, ErrExpired
	}
	if err := s.Switches.Check(ctx, licensing.SwitchDownloads, t.Link.ProductID); err != nil {
		return Ticket{}, err
	}
	if t.Release.State != Published {
		return Ticket{}, ErrRefused
	}
	if t.Link.GrantID == FreeGrant && t.Release.Access != Free || t.Link.GrantID != FreeGrant && (t.Grant == nil || !t.Grant.Covers(&t.Release, now)) {
		return Ticket{}, ErrRefused
	}
	return t, s.sameAddress(ctx, &t)
}

// resumable reports whether a transfer that has begun may go on after its link's end.
func (l *Link) resumable(now time.Time) bool {
	return (l.State == Reserved || l.State == Confirmed) && now.Before(l.ProgressAt.Add(patience)) && now.Before(l.BegunAt.Add(longest))
}

// sameAddress refuses a bound link elsewhere, and says so in the audit trail; once it has said so often, whoever goes on asking writes there no more.
func (s *Service) sameAddress(ctx context.Context, t *Ticket) error {
	if t.Link.Address == nil || bytes.Equal(t.Link.Address, s.address(ctx)) {
		return nil
	}
	if s.throttle(ctx, "refuse", licensing.Owner(t.Link.ID), refusalsPerHour) != nil {
		return ErrLink
	}
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		return s.Audit.Record(ctx, licensing.Event{Action: "download.refuse", Target: t.Link.ID, Product: t.Link.ProductID, Detail: map[string]any{"why": "another network address"}})
	})
	if err != nil {
		return err
	}
	return ErrLink
}

// Run is a part of a file on its way: length bytes from offset. It is for one goroutine. End must be called.
type Run struct {
	service *Service
	ticket  Ticket
	owner   licensing.Owner
	content io.ReadSeekCloser
	blocks  []byte
	buf     []byte
	ready   []byte // checked bytes not handed out yet
	block   int64  // the next block to read
	offset  int64
	left    int64
	length  int64
	sent    int64
	noted   time.Time
	first   bool
}

// Begin prepares a part and takes what it costs. It opens the file and checks the first block before anything is spent, so that a
// file that is not intact costs nobody anything.
func (s *Service) Begin(ctx context.Context, t Ticket, offset, length int64) (*Run, error) {
	if offset < 0 || length <= 0 || offset+length > t.File.Size {
		return nil, fmt.Errorf("download: %d bytes from %d of %d", length, offset, t.File.Size)
	}
	if err := s.throttle(ctx, "bytes", t.Link.Owner, requestsPerHour); err != nil {
		return nil, err
	}
	if !s.enter(t.Link.Owner) {
		return nil, ErrBusy
	}
	r := &Run{service: s, ticket: t, owner: t.Link.Owner, offset: offset, left: length, length: length, block: offset / BlockSize}
	err := r.openFile(ctx)
	if err == nil {
		err = r.fill(ctx)
	}
	if err == nil {
		err = r.take(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// take counts the request, and a use where uses count.
func (r *Run) take(ctx context.Context) error {
	s, t, now := r.service, &r.ticket, r.service.Clock.Now()
	b := Beginning{Link: t.Link, Length: r.length, UsesMax: t.Release.UsesMax, Now: now, StaleBefore: now.Add(-patience)}
	if b.UsesMax > 0 {
		b.Budget = Retries * t.File.Size
	}
	err := s.Tx.InTx(ctx, func(ctx context.Context) (err error) {
		if r.first, err = s.Links.Begin(ctx, b); err != nil || !r.first {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "download.begin", Target: t.Link.ID, Product: t.Link.ProductID, Detail: map[string]any{"file": t.File.ID, "grant": t.Link.GrantID}})
	})
	r.noted = now
	return err
}

// First reports whether this is the first request for bytes of the link; others are retries.
func (r *Run) First() bool { return r.first }

func (r *Run) openFile(ctx context.Context) (err error) {
	f := &r.ticket.File
	if r.blocks, err = r.service.Store.Blocks(ctx, f.ID); err != nil {
		return err
	}
	var size int64
	if r.content, size, err = r.service.Blobs.OpenSized(ctx, f.Blob); err != nil {
		return r.unread(ctx, err)
	}
	if size != f.Size || int64(len(r.blocks)) != (f.Size+BlockSize-1)/BlockSize*sha256.Size {
		return r.damaged(ctx, fmt.Errorf("%d bytes in store, %d published", size, f.Size))
	}
	if _, err = r.content.Seek(r.block*BlockSize, io.SeekStart); err != nil {
		return r.unread(ctx, err)
	}
	return nil
}

// unread tells a file that is gone or too short, which needs a person, from a store that does not answer.
func (r *Run) unread(ctx context.Context, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return r.damaged(ctx, err)
	}
	return errAway.Because(err)
}

// damaged tells a person, and refuses.
func (r *Run) damaged(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f := &r.ticket.File
	r.service.Alert(ctx, "download-damaged", fmt.Sprintf("file %s (%s) of release %s is not what was uploaded: %v", f.ID, f.Name, f.ReleaseID, err))
	return ErrDamaged.Because(err)
}

// fill reads the next block whole and checks it.
func (r *Run) fill(ctx context.Context) error {
	start := r.block * BlockSize
	n := min(BlockSize, r.ticket.File.Size-start)
	if r.buf == nil {
		r.buf = make([]byte, min(BlockSize, r.ticket.File.Size))
	}
	if _, err := io.ReadFull(r.content, r.buf[:n]); err != nil {
		return r.unread(ctx, err)
	}
	sum := sha256.Sum256(r.buf[:n])
	if !bytes.Equal(sum[:], r.blocks[r.block*sha256.Size:(r.block+1)*sha256.Size]) {
		return r.damaged(ctx, fmt.Errorf("block %d has another SHA-256", r.block))
	}
	from := max(0, r.offset-start)
	r.ready = r.buf[from:min(n, from+r.left)]
	r.block++
	return nil
}

// Over reports whether every byte of the part has been handed out.
func (r *Run) Over() bool { return r.left == 0 }

// Next returns the next checked bytes, at most limit; [io.EOF] after the last. They are good until the next call.
func (r *Run) Next(ctx context.Context, limit int) ([]byte, error) {
	if r.left == 0 {
		return nil, io.EOF
	}
	if len(r.ready) == 0 {
		if err := r.fill(ctx); err != nil {
			return nil, err
		}
	}
	out := r.ready[:min(limit, len(r.ready))]
	r.ready = r.ready[len(out):]
	r.left -= int64(len(out))
	r.offset += int64(len(out))
	return out, nil
}

// Sent notes that n bytes have gone out. Now and then it tells the database that the transfer is alive.
func (r *Run) Sent(ctx context.Context, n int) error {
	r.sent += int64(n)
	s := r.service
	now := s.Clock.Now()
	if now.Sub(r.noted) < progressEvery {
		return nil
	}
	r.noted = now
	return s.Tx.InTx(ctx, func(ctx context.Context) error { return s.Links.Progress(ctx, r.ticket.Link.ID, now) })
}

// Complete reports whether the file's last byte has been sent.
func (r *Run) Complete() bool { return r.sent == r.length && r.offset == r.ticket.File.Size }

// End closes the file and writes what was sent, even when the caller has gone: the last byte of the file confirms the use.
func (r *Run) End(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	s := r.service
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		return s.Links.End(ctx, Ending{Link: r.ticket.Link.ID, Length: r.length, Sent: r.sent, Last: r.Complete(), Now: s.Clock.Now()})
	})
	return errors.Join(err, r.close())
}

func (r *Run) close() error {
	s := r.service
	s.mu.Lock()
	if s.running[r.owner]--; s.running[r.owner] <= 0 {
		delete(s.running, r.owner)
	}
	s.mu.Unlock()
	if r.content == nil {
		return nil
	}
	return r.content.Close()
}

// enter counts a transfer of an owner, unless too many run.
func (s *Service) enter(owner licensing.Owner) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[owner] >= s.PerOwner {
		return false
	}
	s.running[owner]++
	return true
}
