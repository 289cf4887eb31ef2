package download

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/mintreu/mintreu/licensing"
)

// UnknownSize is the Size of an upload whose sender could not say it: a part of a form sent by a page.
const UnknownSize = -1

// Upload describes a file that arrives. Content is read once, to its end. Size is what was announced and must be what comes, unless it is
// [UnknownSize]; then whatever comes is the file, up to the largest that is allowed.
type Upload struct {
	ReleaseID string
	Name      string
	Platform  string // "any" unless said
	Size      int64
	SHA256    []byte // what the content must have, nil when the caller did not say
	Content   io.Reader

	received atomic.Int64
}

var (
	errUpload  = licensing.Fail(licensing.Invalid, "upload-invalid", "The file cannot be taken so; see the fields.")
	errShort   = licensing.Fail(licensing.Invalid, "upload-incomplete", "The file did not arrive whole.")
	errDigest  = licensing.Fail(licensing.Invalid, "upload-digest", "The content does not have the SHA-256 that was announced.")
	errRunning = licensing.Fail(licensing.Conflict, "upload-running", "A file of this name is being uploaded.")
)

func (s *Service) checkUpload(u *Upload) error {
	err := errUpload
	if !nameShape.MatchString(u.Name) || strings.HasSuffix(u.Name, ".") || strings.HasSuffix(u.Name, " ") {
		err = err.With("name", "must be 1 to 120 letters, digits, spaces and ._+@()-, starting with a letter or digit")
	}
	if u.Platform == "" {
		u.Platform = "any"
	}
	if !wordShape.MatchString(u.Platform) {
		err = err.With("platform", "must be 1 to 32 of a-z, 0-9, dot, dash and underscore, such as linux-amd64")
	}
	if u.Size <= 0 && u.Size != UnknownSize {
		err = err.With("Content-Length", "must be given and positive")
	}
	if u.SHA256 != nil && len(u.SHA256) != sha256.Size {
		err = err.With("Repr-Digest", "must hold a SHA-256")
	}
	if len(err.Fields) > 0 {
		return err
	}
	if u.Size > s.MaxFile {
		return s.tooLarge()
	}
	return nil
}

func (s *Service) tooLarge() error {
	return licensing.Fail(licensing.TooLarge, "upload-too-large", "A file may have at most %d bytes.", s.MaxFile)
}

// Upload stores a file of a draft, in place of one of the same name. The content goes to the blob store as it arrives; its SHA-256 and
// those of its blocks are taken on the way. Only a whole file with the announced size and digest becomes part of the release.
func (s *Service) Upload(ctx context.Context, u *Upload) (FileView, error) {
	if err := s.checkUpload(u); err != nil {
		return FileView{}, err
	}
	rel, err := s.load(ctx, u.ReleaseID)
	if err != nil {
		return FileView{}, err
	}
	if rel.State != Draft {
		return FileView{}, ErrState
	}
	others := slices.DeleteFunc(slices.Clone(rel.Files), func(f File) bool { return f.Name == u.Name })
	if len(others) >= maxFiles {
		return FileView{}, licensing.Fail(licensing.Conflict, "release-full", "A release may have at most %d files.", maxFiles)
	}
	if !s.startUpload(u) {
		return FileView{}, errRunning
	}
	defer s.endUpload(u)
	f := File{ID: s.IDs.New("file"), ReleaseID: rel.ID, Name: u.Name, Platform: u.Platform, Size: u.Size, CreatedAt: s.Clock.Now()}
	f.Blob = "download/" + rel.ID + "/" + f.ID
	most := u.Size
	if most == UnknownSize {
		most = s.MaxFile
	}
	in := &digester{from: io.LimitReader(u.Content, most+1), count: &u.received, whole: sha256.New(), block: sha256.New()}
	if err := s.receive(ctx, u, f.Blob, in); err != nil {
		return FileView{}, err
	}
	f.Size, f.SHA256 = in.total, in.whole.Sum(nil)
	if err := s.keep(ctx, &rel, f, in.finish()); err != nil {
		s.discard(ctx, f.Blob)
		return FileView{}, err
	}
	return f.view(), nil
}

// receive stores the content and refuses what is not what was announced; nothing is left of it then.
func (s *Service) receive(ctx context.Context, u *Upload, blob string, in *digester) error {
	_, err := s.Blobs.PutFrom(ctx, blob, in)
	switch {
	case err != nil && in.failed != nil:
		return errShort.Because(errors.Join(err, in.failed))
	case err != nil:
		return err
	case u.Size == UnknownSize && in.total == 0:
		err = errUpload.With("file", "is empty; choose a file")
	case u.Size == UnknownSize && in.total > s.MaxFile:
		err = s.tooLarge()
	case u.Size != UnknownSize && in.total != u.Size:
		err = errShort
	case u.SHA256 != nil && !bytes.Equal(u.SHA256, in.whole.Sum(nil)):
		err = errDigest
	}
	if err != nil {
		s.discard(ctx, blob)
	}
	return err
}

func (s *Service) keep(ctx context.Context, rel *Release, f File, blocks []byte) error {
	var replaced string
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		old, ok, err := s.Store.PutFile(ctx, f, blocks)
		if err != nil {
			return err
		}
		if !ok {
			return ErrState
		}
		replaced = old
		return s.Audit.Record(ctx, licensing.Event{Action: "release.upload", Target: f.ID, Product: rel.ProductID,
			Detail: map[string]any{"release": rel.ID, "name": f.Name, "size": f.Size, "sha256": f.view().SHA256}})
	})
	if err == nil && replaced != "" {
		s.discard(ctx, replaced)
	}
	return err
}

// discard removes a blob that nothing names any more, even when the caller has gone.
func (s *Service) discard(ctx context.Context, blob string) {
	if err := s.Blobs.Delete(context.WithoutCancel(ctx), blob); err != nil {
		s.Log.WarnContext(ctx, "a file that nothing names is left in the store", "blob", blob, "error", err.Error())
	}
}

func (s *Service) startUpload(u *Upload) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := u.ReleaseID + "/" + u.Name
	if s.uploads[at] != nil {
		return false
	}
	s.uploads[at] = u
	return true
}

func (s *Service) endUpload(u *Upload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.uploads, u.ReleaseID+"/"+u.Name)
}

// uploading lists the uploads of a release that this process receives, by name.
func (s *Service) uploading(release string) []UploadView {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []UploadView
	for _, u := range s.uploads {
		if u.ReleaseID == release {
			out = append(out, UploadView{u.Name, u.received.Load(), max(u.Size, 0)})
		}
	}
	slices.SortFunc(out, func(a, b UploadView) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// digester passes content on and takes its SHA-256, and that of each block.
type digester struct {
	from         io.Reader
	count        *atomic.Int64
	whole, block hash.Hash
	inBlock      int
	total        int64
	blocks       []byte
	failed       error
}

// Read implements [io.Reader].
func (d *digester) Read(p []byte) (int, error) {
	n, err := d.from.Read(p)
	d.whole.Write(p[:n])
	for part := p[:n]; len(part) > 0; {
		take := min(len(part), BlockSize-d.inBlock)
		d.block.Write(part[:take])
		part, d.inBlock = part[take:], d.inBlock+take
		if d.inBlock == BlockSize {
			d.cut()
		}
	}
	d.total += int64(n)
	d.count.Store(d.total)
	if err != nil && err != io.EOF {
		d.failed = err
	}
	return n, err
}

func (d *digester) cut() {
	d.blocks = d.block.Sum(d.blocks)
	d.block.Reset()
	d.inBlock = 0
}

// finish returns the digests of all blocks, the last of which may be short.
func (d *digester) finish() []byte {
	if d.inBlock > 0 {
		d.cut()
	}
	return d.blocks
}
