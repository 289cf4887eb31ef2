package catalog

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing"
)

// CreateProductRequest describes a new product, which starts as a draft.
type CreateProductRequest struct {
	Slug        string  `json:"slug" doc:"Name in links and tokens; cannot change once the product was active." example:"photo-editor"`
	Name        string  `json:"name" doc:"Name for people."`
	Description string  `json:"description,omitempty" doc:"What it is, plain text."`
	Purpose     Purpose `json:"purpose" doc:"What the product is for." enum:"revenue,retention,distribution"`
	KeyPrefix   string  `json:"key_prefix,omitempty" doc:"First group of license keys; MINT unless said."`
}

// ProductView is a product as staff sees it.
type ProductView struct {
	ID          string     `json:"id" doc:"Id of the product."`
	Slug        string     `json:"slug" doc:"Name in links and tokens."`
	Name        string     `json:"name" doc:"Name for people."`
	Description string     `json:"description" doc:"What it is, plain text."`
	Purpose     Purpose    `json:"purpose" doc:"What the product is for." enum:"revenue,retention,distribution"`
	KeyPrefix   string     `json:"key_prefix" doc:"First group of its license keys."`
	State       State      `json:"state" doc:"Where it stands in its life." enum:"draft,active,sunset,retired"`
	Version     int64      `json:"version" doc:"Counts changes."`
	CreatedAt   time.Time  `json:"created_at" doc:"When it was made."`
	UpdatedAt   time.Time  `json:"updated_at" doc:"When it last changed."`
	Plans       []PlanView `json:"plans,omitempty" doc:"Its plans."`
}

// CreateProduct makes a draft.
func (s *Service) CreateProduct(ctx context.Context, r CreateProductRequest) (ProductView, error) {
	if err := reach(ctx, ""); err != nil {
		return ProductView{}, err
	}
	if r.KeyPrefix == "" {
		r.KeyPrefix = "MINT"
	}
	c := newChecker()
	c.slug("/slug", r.Slug)
	c.line("/name", r.Name)
	c.longText("/description", r.Description)
	c.purpose("/purpose", r.Purpose)
	c.prefix("/key_prefix", r.KeyPrefix)
	if err := c.result(); err != nil {
		return ProductView{}, err
	}
	now := s.Clock.Now()
	p := Product{ID: s.IDs.New("prod"), Slug: r.Slug, Name: r.Name, Description: r.Description, Purpose: r.Purpose,
		KeyPrefix: r.KeyPrefix, State: Draft, Version: 1, CreatedAt: now, UpdatedAt: now}
	err := s.inTx(ctx, func(ctx context.Context) error {
		if err := s.Store.AddProduct(ctx, p); err != nil {
			return err
		}
		return s.Audit.Record(ctx, licensing.Event{Action: "product.create", Target: p.ID, Product: p.ID, Detail: map[string]any{"slug": p.Slug}})
	})
	if err != nil {
		return ProductView{}, err
	}
	return viewProduct(p, nil), nil
}

// ProductRequest names one product.
type ProductRequest struct {
	ID string `path:"id" doc:"Id of the product."`
}

// GetProduct returns a product with all its plans.
func (s *Service) GetProduct(ctx context.Context, r ProductRequest) (ProductView, error) {
	return s.ReadProduct(ctx, r.ID, "")
}

// ReadProduct answers the replay of an operation whose result is a product.
func (s *Service) ReadProduct(ctx context.Context, id, _ string) (ProductView, error) {
	p, plans, err := s.Store.Whole(ctx, id)
	if err != nil {
		return ProductView{}, err
	}
	if err := reach(ctx, p.ID); err != nil {
		return ProductView{}, err
	}
	offers, err := s.offers(ctx, plans)
	if err != nil {
		return ProductView{}, err
	}
	return viewProduct(p, viewPlans(plans, offers)), nil
}

// ListProductsRequest asks for a page of products.
type ListProductsRequest struct {
	licensing.Page
	State State  `query:"state,omitempty" doc:"Only products in this state." enum:"draft,active,sunset,retired"`
	Slug  string `query:"slug,omitempty" doc:"Only the product with this slug."`
}

// ListProducts returns products, oldest first, without their plans.
func (s *Service) ListProducts(ctx context.Context, r ListProductsRequest) (licensing.List[ProductView], error) {
	list, err := s.Store.ListProducts(ctx, Filter{State: r.State, Slug: r.Slug}, r.Page)
	if err != nil {
		return licensing.List[ProductView]{}, err
	}
	out := licensing.List[ProductView]{Items: make([]ProductView, 0, len(list.Items)), Next: list.Next}
	for _, p := range list.Items {
		if reach(ctx, p.ID) != nil {
			continue
		}
		out.Items = append(out.Items, viewProduct(p, nil))
	}
	return out, nil
}

// UpdateProductRequest changes what is given and leaves the rest.
type UpdateProductRequest struct {
	ID          string   `path:"id" doc:"Id of the product."`
	Slug        *string  `json:"slug,omitempty" doc:"New slug; only while the product is a draft."`
	Name        *string  `json:"name,omitempty" doc:"New name."`
	Description *string  `json:"description,omitempty" doc:"New description."`
	Purpose     *Purpose `json:"purpose,omitempty" doc:"New purpose." enum:"revenue,retention,distribution"`
	KeyPrefix   *string  `json:"key_prefix,omitempty" doc:"New first group of the license keys made from now on."`
	Version     *int64   `json:"version,omitempty" doc:"The version that was read; the change is refused when the product has another by now."`
}

// UpdateProduct changes a product. Orders keep the names they were made with.
func (s *Service) UpdateProduct(ctx context.Context, r UpdateProductRequest) (ProductView, error) {
	p, err := s.changeProduct(ctx, r.ID, "product.update", r.Version, func(_ context.Context, p *Product) error {
		if r.Slug != nil && *r.Slug != p.Slug && p.State != Draft {
			return licensing.Fail(licensing.Conflict, "slug-fixed", "The slug cannot change once the product was active: links and tokens name it.")
		}
		set(&p.Slug, r.Slug)
		set(&p.Name, r.Name)
		set(&p.Description, r.Description)
		set(&p.Purpose, r.Purpose)
		set(&p.KeyPrefix, r.KeyPrefix)
		c := newChecker()
		c.slug("/slug", p.Slug)
		c.line("/name", p.Name)
		c.longText("/description", p.Description)
		c.purpose("/purpose", p.Purpose)
		c.prefix("/key_prefix", p.KeyPrefix)
		return c.result()
	})
	return viewProduct(p, nil), err
}

// PublishProduct starts the sale: draft or sunset → active. At least one plan must be active.
func (s *Service) PublishProduct(ctx context.Context, r ProductRequest) (ProductView, error) {
	p, err := s.changeProduct(ctx, r.ID, "product.publish", nil, func(ctx context.Context, p *Product) error {
		if p.State != Draft && p.State != Sunset {
			return ErrState.With("state", "is %s; only a draft or a sunset product can be published", p.State)
		}
		plans, err := s.Store.Plans(ctx, []string{p.ID})
		if err != nil {
			return err
		}
		for _, plan := range plans {
			if plan.State == Active {
				p.State = Active
				return nil
			}
		}
		return licensing.Fail(licensing.Conflict, "no-active-plan", "Publish a plan of the product first: without one there is nothing to buy.")
	})
	return viewProduct(p, nil), err
}

// SunsetProduct ends the sale and keeps everything that was sold: active → sunset.
func (s *Service) SunsetProduct(ctx context.Context, r ProductRequest) (ProductView, error) {
	return s.moveProduct(ctx, r.ID, "product.sunset", Active, Sunset)
}

// RetireProduct closes the product's book: sunset → retired, for good.
func (s *Service) RetireProduct(ctx context.Context, r ProductRequest) (ProductView, error) {
	return s.moveProduct(ctx, r.ID, "product.retire", Sunset, Retired)
}

func (s *Service) moveProduct(ctx context.Context, id, action string, from, to State) (ProductView, error) {
	p, err := s.changeProduct(ctx, id, action, nil, func(_ context.Context, p *Product) error {
		if p.State != from {
			return ErrState.With("state", "is %s; must be %s", p.State, from)
		}
		p.State = to
		return nil
	})
	return viewProduct(p, nil), err
}

// changeProduct loads, changes and saves a product in one transaction. The write is conditional on the version that was read.
func (s *Service) changeProduct(ctx context.Context, id, action string, saw *int64, change func(context.Context, *Product) error) (Product, error) {
	var out Product
	err := s.inTx(ctx, func(ctx context.Context) error {
		p, err := s.Store.Product(ctx, id)
		if err != nil {
			return err
		}
		if err := reach(ctx, p.ID); err != nil {
			return err
		}
		if saw != nil && *saw != p.Version {
			return ErrChanged
		}
		if err := change(ctx, &p); err != nil {
			return err
		}
		p.Version++
		p.UpdatedAt = s.Clock.Now()
		switch ok, err := s.Store.SaveProduct(ctx, p); {
		case err != nil:
			return err
		case !ok:
			return ErrChanged
		}
		out = p
		return s.Audit.Record(ctx, licensing.Event{Action: action, Target: p.ID, Product: p.ID, Detail: map[string]any{"state": p.State, "version": p.Version}})
	})
	if err != nil {
		return Product{}, err
	}
	return out, nil
}

func viewProduct(p Product, plans []PlanView) ProductView {
	return ProductView{ID: p.ID, Slug: p.Slug, Name: p.Name, Description: p.Description, Purpose: p.Purpose, KeyPrefix: p.KeyPrefix,
		State: p.State, Version: p.Version, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt, Plans: plans}
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// reach refuses a machine token that is narrowed to another product.
func reach(ctx context.Context, product string) error {
	if a := licensing.ActorFrom(ctx); a.Kind == licensing.Machine && a.Product != "" && a.Product != product {
		return licensing.ErrNotFound
	}
	return nil
}

// notFound reports whether err says that there is no such object.
func notFound(err error) bool { return errors.Is(err, licensing.ErrNotFound) }
