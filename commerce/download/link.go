package download

import (
	"context"
	"slices"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// Item is a release as a customer sees it.
type Item struct {
	Release    string     `json:"release" doc:"The release."`
	Product    string     `json:"product" doc:"Slug of the product."`
	Name       string     `json:"name,omitempty" doc:"Name of the product."`
	Version    string     `json:"version" doc:"The version."`
	Channel    string     `json:"channel" doc:"The channel."`
	Notes      string     `json:"notes,omitempty" doc:"What is new."`
	FromMin    string     `json:"from_min,omitempty" doc:"Oldest version that may update to it."`
	FromMax    string     `json:"from_max,omitempty" doc:"Newest version that may update to it."`
	ReleasedAt time.Time  `json:"released_at" doc:"When it came out."`
	License    string     `json:"license,omitempty" doc:"The license that covers it; absent for a free release. For one that is not covered, the license that comes nearest."`
	Lacks      string     `json:"lacks,omitempty" doc:"Why it cannot be had; absent when it can. Its files are then left out." enum:"no-license,expired,version,updates"`
	CoveredTo  *time.Time `json:"covered_to,omitempty" doc:"For a release that came out after the updates or the term of the license ended: when they did."`
	UsesMax    int64      `json:"uses_max" doc:"How often a license may fetch one file; 0 is any number."`
	Manifest   string     `json:"manifest,omitempty" doc:"The signed manifest, a release+jwt with size and SHA-256 of every file."`
	Files      []FileView `json:"files" doc:"Its files."`
}

// BrowseRequest narrows what there is to download.
type BrowseRequest struct {
	licensing.Page
	Product  string `query:"product" doc:"Only this product (its slug)."`
	Channel  string `query:"channel" doc:"Only this channel."`
	Platform string `query:"platform" doc:"Only files for this platform, and those for any."`
	From     string `query:"from" doc:"Only releases that this installed version may update to."`
	All      bool   `query:"all" doc:"Also releases of the same products that no license of the caller covers, with why."`
}

// Validate implements the check of requests.
func (r BrowseRequest) Validate() error {
	if r.From != "" && !versionShape.MatchString(r.From) {
		return errRelease.With("from", "is no version")
	}
	return nil
}

// reach says whose downloads the caller may have, and by which license alone.
func reach(ctx context.Context) (owner licensing.Owner, license string) {
	switch a := licensing.ActorFrom(ctx); a.Kind {
	case licensing.Customer:
		return a.Owner, ""
	case licensing.Holder:
		if a.License != "" {
			return a.Owner, a.License
		}
	}
	return "", ""
}

// Browse lists what the caller may download, newest first: releases that one of his licenses covers now, and free ones.
func (s *Service) Browse(ctx context.Context, r BrowseRequest) (licensing.List[Item], error) {
	owner, only := reach(ctx)
	if owner == "" {
		return licensing.List[Item]{Items: []Item{}}, nil
	}
	page, grants, err := s.Store.Offers(ctx, OfferFilter{Owner: owner, License: only, Product: r.Product, Channel: r.Channel}, r.Page)
	if err != nil {
		return licensing.List[Item]{}, err
	}
	now := s.Clock.Now()
	out := licensing.List[Item]{Items: []Item{}, Next: page.Next}
	for i := range page.Items {
		rel := &page.Items[i]
		grant, ok := granted(rel, grants, now)
		if !rel.fits(r.From) {
			continue
		}
		if !ok {
			if r.All {
				out.Items = append(out.Items, rel.lacking(grants, now))
			}
			continue
		}
		if item := rel.item(grant, r.Platform); len(item.Files) > 0 {
			out.Items = append(out.Items, item)
		}
	}
	return out, nil
}

func (r *Release) item(grant, platform string) Item {
	it := Item{Release: r.ID, Product: r.ProductSlug, Name: r.ProductName, Version: r.Version, Channel: r.Channel, Notes: r.Notes, FromMin: r.FromMin, FromMax: r.FromMax,
		ReleasedAt: r.ReleasedAt, UsesMax: r.UsesMax, Manifest: r.Manifest, Files: []FileView{}}
	if grant != FreeGrant {
		it.License = grant
	}
	for i := range r.Files {
		if f := &r.Files[i]; platform == "" || f.Platform == platform || f.Platform == "any" {
			it.Files = append(it.Files, f.view())
		}
	}
	return it
}

// lacking is the release for somebody whose licenses do not give it: what it is, and what the license that comes nearest lacks.
func (r *Release) lacking(grants []Grant, now time.Time) Item {
	it := Item{Release: r.ID, Product: r.ProductSlug, Name: r.ProductName, Version: r.Version, Channel: r.Channel, Notes: r.Notes, ReleasedAt: r.ReleasedAt, Files: []FileView{},
		Lacks: lacksLicense}
	order := []string{lacksLicense, lacksTerm, lacksVersion, lacksUpdates}
	for i := range grants {
		g := &grants[i]
		lacks := g.lacks(r, now)
		if slices.Index(order, lacks) <= slices.Index(order, it.Lacks) {
			continue
		}
		it.License, it.Lacks, it.CoveredTo = g.License, lacks, nil
		switch lacks {
		case lacksUpdates:
			it.CoveredTo = &g.UpdatesUntil
		case lacksTerm:
			it.CoveredTo = &g.ValidUntil
		}
	}
	return it
}

// granted is the grant under which a release may be had.
func granted(r *Release, grants []Grant, now time.Time) (string, bool) {
	if r.Access == Free {
		return FreeGrant, true
	}
	for i := range grants {
		if grants[i].Covers(r, now) {
			return grants[i].License, true
		}
	}
	return "", false
}

// LinkRequest asks for a link.
type LinkRequest struct {
	FileID  string `path:"id" doc:"The file."`
	Minutes int64  `json:"minutes,omitempty" doc:"How long the link may be used for a start, 5 to 15; 10 unless said."`
	License string `json:"license,omitempty" doc:"By which license; chosen unless said. Staff must name it."`
}

// Validate implements the check of requests.
func (r LinkRequest) Validate() error {
	if r.Minutes != 0 && (r.Minutes < int64(minTTL/time.Minute) || r.Minutes > int64(maxTTL/time.Minute)) {
		return licensing.Fail(licensing.Invalid, "link-invalid", "The link cannot be made so; see the fields.").With("/minutes", "must be 5 to 15")
	}
	return nil
}

// LinkResponse is a link.
type LinkResponse struct {
	ID        string    `json:"id" doc:"The link."`
	URL       string    `json:"url" doc:"Address of the page from which the download starts. A POST to it answers with the address of the file." secret:"once"`
	ExpiresAt time.Time `json:"expires_at" doc:"When the link ends. A download that has begun can be resumed a little longer."`
	File      FileView  `json:"file" doc:"The file."`
}

// Link makes a link to a file for whom a license or a free release gives it.
func (s *Service) Link(ctx context.Context, r LinkRequest) (LinkResponse, error) {
	owner, only, err := s.linkFor(ctx, r)
	if err != nil {
		return LinkResponse{}, err
	}
	page, grants, err := s.Store.Offers(ctx, OfferFilter{Owner: owner, License: only, File: r.FileID}, licensing.Page{Limit: 1})
	if err != nil {
		return LinkResponse{}, err
	}
	if len(page.Items) == 0 {
		return LinkResponse{}, licensing.ErrNotFound
	}
	rel, now := &page.Items[0], s.Clock.Now()
	grant, ok := granted(rel, grants, now)
	if !ok {
		return LinkResponse{}, ErrCovered
	}
	if err := s.Switches.Check(ctx, licensing.SwitchDownloads, rel.ProductID); err != nil {
		return LinkResponse{}, err
	}
	if err := s.throttle(ctx, "link", owner, linksPerHour); err != nil {
		return LinkResponse{}, err
	}
	ttl := defaultTTL
	if r.Minutes > 0 {
		ttl = time.Duration(r.Minutes) * time.Minute
	}
	l := Link{ID: s.IDs.New("lnk"), FileID: r.FileID, ReleaseID: rel.ID, ProductID: rel.ProductID, GrantID: grant, Owner: owner, State: Open,
		ExpiresAt: now.Add(ttl).Truncate(time.Second), CreatedAt: now}
	if rel.SameAddress {
		l.Address = s.address(ctx)
	}
	return s.addLink(ctx, rel, l)
}

// linkFor says for whom a link is asked and by which license alone.
func (s *Service) linkFor(ctx context.Context, r LinkRequest) (licensing.Owner, string, error) {
	switch licensing.ActorFrom(ctx).Kind {
	case licensing.Staff, licensing.CLI:
		if r.License == "" {
			return "", "", licensing.Fail(licensing.Invalid, "link-invalid", "Say whose download it is.").With("/license", "is missing")
		}
		owner, err := s.Links.LicenseOwner(ctx, r.License)
		return owner, r.License, err
	}
	owner, only := reach(ctx)
	switch {
	case owner == "", only != "" && r.License != "" && r.License != only:
		return "", "", licensing.ErrNotFound
	case only == "":
		only = r.License
	}
	return owner, only, nil
}

func (s *Service) addLink(ctx context.Context, rel *Release, l Link) (LinkResponse, error) {
	token, err := s.token(&l, forPage)
	if err != nil {
		return LinkResponse{}, err
	}
	out := LinkResponse{ID: l.ID, URL: s.BaseURL + PagePath + token, ExpiresAt: l.ExpiresAt}
	for i := range rel.Files {
		if rel.Files[i].ID == l.FileID {
			out.File = rel.Files[i].view()
		}
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		if err := s.Links.AddLink(ctx, l); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "download.link", Target: l.ID, Product: l.ProductID, Detail: map[string]any{"file": l.FileID, "release": l.ReleaseID, "grant": l.GrantID}})
	})
	return out, err
}

// LinkAgain answers a replay of Link with the same link.
func (s *Service) LinkAgain(ctx context.Context, id, _ string) (LinkResponse, error) {
	t, err := s.Links.Ticket(ctx, id)
	if err != nil {
		return LinkResponse{}, err
	}
	token, err := s.token(&t.Link, forPage)
	return LinkResponse{ID: id, URL: s.BaseURL + PagePath + token, ExpiresAt: t.Link.ExpiresAt, File: t.File.view()}, err
}

// PagePath is where links lead, TransferPath where the bytes are; each is followed by a token.
const (
	PagePath     = "/download/"
	TransferPath = "/download/file/"
)
