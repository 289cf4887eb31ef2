package support

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"path"
	"strings"
	"time"
	"unicode"

	"github.com/mintreu/mintreu/licensing"
)

// Bounds of attachments.
const (
	// MaxFile is the largest attachment in bytes.
	MaxFile = 10 << 20
	// maxTicketFiles is how many files a ticket has at most.
	maxTicketFiles = 200
	// keptFor is how long a file waits for a message that takes it.
	keptFor = 24 * time.Hour
)

// Upload is a file on its way. Content is read once. Ticket is the one it is for, empty for one that is about to be opened.
type Upload struct {
	Ticket  string
	Access  string // of a guest
	Name    string
	Content io.Reader
}

// Attach takes a file, which a message then names. Its content goes to the blob store as it comes; what it is, is found by looking at it as bytes,
// never by decoding or unpacking it. A declared type counts for nothing, so there is none. The id is known to nobody else.
func (s *Service) Attach(ctx context.Context, u Upload) (FileView, error) {
	f := File{ID: s.IDs.New("att"), Name: fileName(u.Name), Uploader: uploader(ctx), CreatedAt: s.Clock.Now()}
	if refusedName(f.Name) {
		return FileView{}, ErrRefused
	}
	if err := s.mayAttach(ctx, &f, u); err != nil {
		return FileView{}, err
	}
	f.Blob = "support/" + f.ID[len(f.ID)-2:] + "/" + f.ID
	if err := s.Files.ReserveFile(ctx, f); err != nil {
		return FileView{}, err
	}
	err := s.receive(ctx, &f, u.Content)
	if err == nil {
		err = s.Tx.InTx(ctx, func(ctx context.Context) error {
			if err := s.Files.FinishFile(ctx, f); err != nil {
				return err
			}
			return s.Audit.Record(ctx, licensing.Event{Action: "ticket.attach", Target: f.ID, Detail: map[string]any{"ticket": f.TicketID, "size": f.Size, "type": f.MediaType}})
		})
	}
	if err != nil {
		s.discard(context.WithoutCancel(ctx), f)
		return FileView{}, err
	}
	return f.view(), nil
}

// mayAttach finds the ticket and counts the attempt.
func (s *Service) mayAttach(ctx context.Context, f *File, u Upload) error {
	staff := u.Access == "" && isStaff(licensing.ActorFrom(ctx))
	product := ""
	if u.Ticket != "" {
		t, err := s.find(ctx, u.Ticket, u.Access)
		if err != nil {
			return err
		}
		n, err := s.Files.CountFiles(ctx, t.ID)
		switch {
		case err != nil:
			return err
		case n >= maxTicketFiles:
			return ErrFull
		}
		f.TicketID, product = t.ID, t.ProductID
	}
	if staff {
		return nil
	}
	if err := s.Switches.Check(ctx, licensing.SwitchSupport, product); err != nil {
		return err
	}
	if err := s.slow(ctx, "attach-from", s.From(ctx), 60, time.Hour); err != nil {
		return err
	}
	key := f.TicketID
	if a := licensing.ActorFrom(ctx); a.Kind == licensing.Customer {
		key = a.ID
	}
	return s.slow(ctx, "attach", key, 60, time.Hour)
}

// receive stores the content and finds out what it is.
func (s *Service) receive(ctx context.Context, f *File, content io.Reader) error {
	in := &intake{from: content, digest: sha256.New()}
	n, err := s.Blobs.PutFrom(ctx, f.Blob, in)
	switch {
	case in.over || n > MaxFile:
		return ErrTooLarge
	case in.failed != nil:
		return in.failed
	case err != nil:
		return errAway.Because(err)
	case n == 0:
		return licensing.Fail(licensing.Invalid, "attachment-empty", "The file is empty.")
	}
	f.Size, f.SHA256 = n, in.digest.Sum(nil)
	var ok bool
	if f.MediaType, ok = in.kind(); !ok {
		return ErrRefused
	}
	f.Name = named(f.Name, f.MediaType)
	return nil
}

// discard removes what was stored of a file that is not kept.
func (s *Service) discard(ctx context.Context, f File) {
	if err := s.Blobs.Delete(ctx, f.Blob); err != nil {
		s.Log.WarnContext(ctx, "an attachment that nothing names is left in the store until it is swept", "blob", f.Blob, "error", err.Error())
		return
	}
	if _, err := s.Files.DropFile(ctx, f.ID); err != nil {
		s.Log.WarnContext(ctx, "the row of an attachment that was refused is left until it is swept", "file", f.ID, "error", err.Error())
	}
}

// fileName is the name that an attachment has here: the last element of whatever path came, without what is not visible.
func fileName(name string) string {
	name = line(strings.ReplaceAll(name, `\`, "/"))
	name = path.Base("/" + name)
	name = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || strings.ContainsRune(`<>:"|?*/`, r) {
			return '_'
		}
		return r
	}, name)
	name = strings.Trim(name, ". ")
	if ext := path.Ext(name); len(ext) <= 12 {
		name = cutTo(strings.TrimSuffix(name, ext), 100) + ext
	} else {
		name = cutTo(name, 100)
	}
	if name == "" || name == "_" {
		return "file"
	}
	return name
}

// Content is an attachment that is open. Close must be called.
type Content struct {
	FileView
	io.ReadSeekCloser
}

// OpenRequest names an attachment.
type OpenRequest struct {
	ID     string
	Access string // of a guest
}

// Open opens an attachment for who may see the message that it is in; everybody else is told [licensing.ErrNotFound].
func (s *Service) Open(ctx context.Context, r OpenRequest) (Content, error) {
	f, err := s.findFile(ctx, r)
	if err != nil {
		return Content{}, err
	}
	in, size, err := s.Blobs.OpenSized(ctx, f.Blob)
	if err != nil {
		return Content{}, errAway.Because(err)
	}
	if size != f.Size {
		return Content{}, errors.Join(errAway, in.Close())
	}
	return Content{f.view(), in}, nil
}

func (s *Service) findFile(ctx context.Context, r OpenRequest) (File, error) {
	if r.Access != "" {
		return s.Files.FileByAccess(ctx, r.ID, digest(r.Access))
	}
	if isStaff(licensing.ActorFrom(ctx)) {
		return s.Files.File(ctx, r.ID)
	}
	p, _, ok, err := s.party(ctx)
	if err == nil && !ok {
		err = licensing.ErrNotFound
	}
	if err != nil {
		return File{}, err
	}
	return s.Files.FileOf(ctx, r.ID, p)
}

// Sweep removes files that no message took within a day. It is safe to run at once on several replicas.
func (s *Service) Sweep(ctx context.Context) error {
	for {
		files, err := s.Files.Orphans(ctx, s.Clock.Now().Add(-keptFor), 100)
		if err != nil {
			return err
		}
		for _, f := range files {
			ok, err := s.Files.DropFile(ctx, f.ID)
			if err != nil {
				return err
			}
			if !ok {
				continue // a message took it, or another replica was first
			}
			if err := s.Blobs.Delete(ctx, f.Blob); err != nil {
				s.Log.WarnContext(ctx, "an attachment that nothing names is left in the store", "blob", f.Blob, "error", err.Error())
			}
		}
		if len(files) < 100 {
			return nil
		}
	}
}
