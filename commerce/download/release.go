package download

import (
	"context"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// FileView is a file as staff and customers see it.
type FileView struct {
	ID       string `json:"id" doc:"The file."`
	Name     string `json:"name" doc:"Its name."`
	Platform string `json:"platform" doc:"What it is for." example:"linux-amd64"`
	Size     int64  `json:"size" doc:"Size in bytes."`
	SHA256   string `json:"sha256" doc:"SHA-256 of its content, in hex."`
}

// UploadView is an upload under way.
type UploadView struct {
	Name     string `json:"name" doc:"The file's name."`
	Received int64  `json:"received" doc:"Bytes that have arrived."`
	Size     int64  `json:"size" doc:"Bytes that were announced; 0 when the sender could not say."`
}

// View is a release as staff see it.
type View struct {
	ID          string       `json:"id" doc:"The release."`
	Product     string       `json:"product" doc:"Slug of the product."`
	ProductID   string       `json:"product_id" doc:"The product."`
	Version     string       `json:"version" doc:"The version."`
	Channel     string       `json:"channel" doc:"The channel."`
	Access      string       `json:"access" doc:"Who may have it." enum:"license,free"`
	Notes       string       `json:"notes,omitempty" doc:"What is new."`
	FromMin     string       `json:"from_min,omitempty" doc:"Oldest version that may update to it."`
	FromMax     string       `json:"from_max,omitempty" doc:"Newest version that may update to it."`
	UsesMax     int64        `json:"uses_max" doc:"How often one license may fetch one file; 0 is any number."`
	SameAddress bool         `json:"same_address" doc:"Whether links work only at the network address that asked for them."`
	State       string       `json:"state" doc:"State." enum:"draft,published,withdrawn"`
	Reason      string       `json:"reason,omitempty" doc:"Why it was withdrawn."`
	ReleasedAt  *time.Time   `json:"released_at,omitempty" doc:"When it came out; updates_until is held against it."`
	Manifest    string       `json:"manifest,omitempty" doc:"The signed manifest, a release+jwt with size and SHA-256 of every file."`
	Files       []FileView   `json:"files" doc:"Its files."`
	Uploads     []UploadView `json:"uploads,omitempty" doc:"Uploads under way on this replica."`
	CreatedAt   time.Time    `json:"created_at" doc:"When it was made."`
	UpdatedAt   time.Time    `json:"updated_at" doc:"When it last changed."`
}

func (f *File) view() FileView {
	return FileView{ID: f.ID, Name: f.Name, Platform: f.Platform, Size: f.Size, SHA256: hex.EncodeToString(f.SHA256)}
}

func (r *Release) files() []FileView {
	out := make([]FileView, len(r.Files))
	for i := range r.Files {
		out[i] = r.Files[i].view()
	}
	return out
}

func (r *Release) view() View {
	v := View{ID: r.ID, Product: r.ProductSlug, ProductID: r.ProductID, Version: r.Version, Channel: r.Channel, Access: string(r.Access), Notes: r.Notes,
		FromMin: r.FromMin, FromMax: r.FromMax, UsesMax: r.UsesMax, SameAddress: r.SameAddress, State: string(r.State), Reason: r.Reason, Manifest: r.Manifest,
		Files: r.files(), CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
	if !r.ReleasedAt.IsZero() {
		v.ReleasedAt = &r.ReleasedAt
	}
	return v
}

// CreateRequest describes a release.
type CreateRequest struct {
	ProductID   string `path:"id" doc:"The product."`
	Version     string `json:"version" doc:"The version: numbers separated by dots, a suffix such as -rc1 if wanted." example:"2.4.0"`
	Channel     string `json:"channel,omitempty" doc:"The channel; stable unless said." example:"beta"`
	Access      string `json:"access,omitempty" doc:"Who may have it; license unless said." enum:"license,free"`
	Notes       string `json:"notes,omitempty" doc:"What is new, plain text, at most 16000 bytes."`
	FromMin     string `json:"from_min,omitempty" doc:"Oldest version that may update to it."`
	FromMax     string `json:"from_max,omitempty" doc:"Newest version that may update to it."`
	UsesMax     int64  `json:"uses_max,omitempty" doc:"How often one license may fetch one file; 0 is any number."`
	SameAddress bool   `json:"same_address,omitempty" doc:"Let links work only at the network address that asked for them."`
}

var (
	versionShape = regexp.MustCompile(`^v?[0-9]{1,9}(\.[0-9]{1,9}){0,5}([-+][0-9A-Za-z.+-]{1,40})?$`)
	wordShape    = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,31}$`)
	nameShape    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._+@()-]{0,119}$`)
)

// maxNotes is the longest text of news, maxFiles how many files a release may have: its manifest must stay under its cap.
const (
	maxNotes = 16000
	maxFiles = 24
)

var errRelease = licensing.Fail(licensing.Invalid, "release-invalid", "The release cannot be made so; see the fields.")

// Validate implements the check of requests.
func (r CreateRequest) Validate() error {
	err := errRelease
	that := func(ok bool, name, detail string) {
		if !ok {
			err = err.With(name, "%s", detail)
		}
	}
	that(versionShape.MatchString(r.Version), "/version", "must be numbers separated by dots, such as 2.4.0 or 2.4.0-rc1")
	that(r.Channel == "" || wordShape.MatchString(r.Channel), "/channel", "must be 1 to 32 of a-z, 0-9, dot, dash and underscore")
	that(slices.Contains([]string{"", string(Licensed), string(Free)}, r.Access), "/access", "must be license or free")
	that(len(r.Notes) <= maxNotes, "/notes", "is longer than 16000 bytes")
	that(r.FromMin == "" || versionShape.MatchString(r.FromMin), "/from_min", "is no version")
	that(r.FromMax == "" || versionShape.MatchString(r.FromMax), "/from_max", "is no version")
	that(r.UsesMax >= 0 && r.UsesMax <= 1_000_000, "/uses_max", "must be 0 to 1000000")
	if len(err.Fields) == 0 {
		return nil
	}
	return err
}

// narrowed refuses a machine token of another product.
func narrowed(ctx context.Context, product string) error {
	if a := licensing.ActorFrom(ctx); a.Kind == licensing.Machine && a.Product != "" && a.Product != product {
		return licensing.ErrNotFound
	}
	return nil
}

// Create makes a draft.
func (s *Service) Create(ctx context.Context, r CreateRequest) (View, error) {
	if err := narrowed(ctx, r.ProductID); err != nil {
		return View{}, err
	}
	slug, err := s.Product(ctx, r.ProductID)
	if err != nil {
		return View{}, err
	}
	now := s.Clock.Now()
	rel := Release{ID: s.IDs.New("rel"), ProductID: r.ProductID, ProductSlug: slug, Version: r.Version, Channel: r.Channel, Access: Access(r.Access), Notes: r.Notes,
		FromMin: r.FromMin, FromMax: r.FromMax, UsesMax: r.UsesMax, SameAddress: r.SameAddress, State: Draft, Row: 1, CreatedAt: now, UpdatedAt: now}
	if rel.Channel == "" {
		rel.Channel = defaultChannel
	}
	if rel.Access == "" {
		rel.Access = Licensed
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Store.AddRelease(ctx, rel); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "release.create", Target: rel.ID, Product: rel.ProductID, Detail: map[string]any{"version": rel.Version, "channel": rel.Channel, "access": rel.Access}})
	})
	return rel.view(), err
}

// Again answers a replay of an operation whose result is the release with the given id.
func (s *Service) Again(ctx context.Context, id, _ string) (View, error) {
	return s.Get(ctx, GetRequest{ID: id})
}

// GetRequest names a release.
type GetRequest struct {
	ID string `path:"id" doc:"The release."`
}

// Get returns a release with the uploads under way.
func (s *Service) Get(ctx context.Context, r GetRequest) (View, error) {
	rel, err := s.load(ctx, r.ID)
	if err != nil {
		return View{}, err
	}
	v := rel.view()
	v.Uploads = s.uploading(rel.ID)
	return v, nil
}

// load is the door by which staff and machine tokens reach a release.
func (s *Service) load(ctx context.Context, id string) (Release, error) {
	rel, err := s.Store.Release(ctx, id)
	if err == nil {
		err = narrowed(ctx, rel.ProductID)
	}
	return rel, err
}

// ListRequest names a product and a page.
type ListRequest struct {
	licensing.Page
	ProductID string `path:"id" doc:"The product."`
}

// List returns the releases of a product, newest first.
func (s *Service) List(ctx context.Context, r ListRequest) (licensing.List[View], error) {
	if err := narrowed(ctx, r.ProductID); err != nil {
		return licensing.List[View]{}, err
	}
	page, err := s.Store.ListReleases(ctx, r.ProductID, r.Page)
	out := licensing.List[View]{Items: make([]View, len(page.Items)), Next: page.Next}
	for i := range page.Items {
		out.Items[i] = page.Items[i].view()
	}
	return out, err
}

// PublishRequest publishes a draft.
type PublishRequest struct {
	ID         string     `path:"id" doc:"The release."`
	ReleasedAt *time.Time `json:"released_at,omitempty" doc:"When it came out, for releases older than this installation; now unless said."`
}

// Publish signs the manifest of a draft and gives the release out.
func (s *Service) Publish(ctx context.Context, r PublishRequest) (View, error) {
	rel, err := s.load(ctx, r.ID)
	switch {
	case err != nil:
		return View{}, err
	case rel.State != Draft:
		return View{}, ErrState
	case len(rel.Files) == 0:
		return View{}, ErrEmpty
	}
	now := s.Clock.Now()
	rel.ReleasedAt = now
	if r.ReleasedAt != nil {
		if r.ReleasedAt.After(now) {
			return View{}, errRelease.With("/released_at", "is in the future")
		}
		rel.ReleasedAt = r.ReleasedAt.UTC().Truncate(time.Microsecond)
	}
	if rel.Manifest, err = s.sign(ctx, &rel, now); err != nil {
		return View{}, err
	}
	rel.State, rel.UpdatedAt, rel.Row = Published, now, rel.Row+1
	return s.save(ctx, rel, licensing.Event{Action: "release.publish", Target: rel.ID, Product: rel.ProductID, Detail: map[string]any{"version": rel.Version, "files": len(rel.Files)}})
}

// sign makes the manifest: every file with its size and SHA-256.
func (s *Service) sign(ctx context.Context, rel *Release, now time.Time) (string, error) {
	claims := &doc.Release{Issuer: s.Signer.Issuer(), Audience: rel.ProductSlug, Version: rel.Version, IssuedAt: now.Unix()}
	for i := range rel.Files {
		f := &rel.Files[i]
		claims.Files = append(claims.Files, doc.ReleaseFile{Name: f.Name, Size: f.Size, SHA256: hex.EncodeToString(f.SHA256)})
	}
	text, _, err := s.Signer.SignRelease(ctx, claims)
	return text, err
}

func (s *Service) save(ctx context.Context, rel Release, e licensing.Event) (View, error) {
	err := s.Tx.InTx(ctx, func(ctx context.Context) error {
		ok, err := s.Store.SaveRelease(ctx, rel)
		if err != nil {
			return err
		}
		if !ok {
			return ErrChanged
		}
		return s.Audit.Record(ctx, e)
	})
	return rel.view(), err
}

// WithdrawRequest withdraws a release.
type WithdrawRequest struct {
	ID     string `path:"id" doc:"The release."`
	Reason string `json:"reason" doc:"Why; kept in the audit trail."`
}

// Validate implements the check of requests.
func (r WithdrawRequest) Validate() error {
	if strings.TrimSpace(r.Reason) == "" || len(r.Reason) > 500 {
		return errRelease.With("/reason", "must be 1 to 500 bytes")
	}
	return nil
}

// Withdraw gives a published release to nobody any more; links that were given stop at their next request.
func (s *Service) Withdraw(ctx context.Context, r WithdrawRequest) (View, error) {
	rel, err := s.load(ctx, r.ID)
	if err != nil {
		return View{}, err
	}
	if rel.State != Published {
		return View{}, ErrState
	}
	rel.State, rel.Reason, rel.UpdatedAt, rel.Row = Withdrawn, r.Reason, s.Clock.Now(), rel.Row+1
	return s.save(ctx, rel, licensing.Event{Action: "release.withdraw", Target: rel.ID, Product: rel.ProductID, Reason: r.Reason})
}

// DropRequest names a file.
type DropRequest struct {
	ID string `path:"id" doc:"The file."`
}

// Dropped is the answer to a removal.
type Dropped struct{}

// Drop removes a file from a draft.
func (s *Service) Drop(ctx context.Context, r DropRequest) (Dropped, error) {
	f, err := s.Store.File(ctx, r.ID)
	if err != nil {
		return Dropped{}, err
	}
	rel, err := s.load(ctx, f.ReleaseID)
	if err != nil {
		return Dropped{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		ok, err := s.Store.DropFile(ctx, f.ID)
		if err != nil {
			return err
		}
		if !ok {
			return ErrState
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "release.drop_file", Target: f.ID, Product: rel.ProductID, Detail: map[string]any{"release": rel.ID, "name": f.Name}})
	})
	if err == nil {
		s.discard(ctx, f.Blob)
	}
	return Dropped{}, err
}

// fits reports whether an installed version may update to the release.
func (r *Release) fits(from string) bool {
	return from == "" || (r.FromMin == "" || eval.Covers(from, r.FromMin)) && (r.FromMax == "" || eval.Covers(r.FromMax, from))
}
