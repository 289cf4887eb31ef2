package store

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/commerce/access"
	"github.com/mintreu/mintreu/commerce/order"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/db"
)

// accesses implements [access.Store].
type accesses struct{ *Store }

var _ access.Store = (*accesses)(nil)

// Access returns the reader of why somebody has access.
func (s *Store) Access() access.Store { return &accesses{s} }

// Facts implements [access.Store]: first what was asked for, then what belongs to it. Whatever is read for an owner has the owner in its
// WHERE.
func (s *accesses) Facts(ctx context.Context, a access.Ask) (access.Facts, error) {
	var f access.Facts
	var products []access.Product
	err := s.db.Ask(ctx, s.askedProduct(a, &products), askedLicenses(a, &f.Licenses), askedKeys(a, &f.Keys), askedOrders(a, &f.Orders))
	if err != nil {
		return f, err
	}
	if len(products) > 0 {
		f.Product = &products[0]
	}
	f.More = len(f.Licenses) > a.Limit || len(f.Keys) > a.Limit || len(f.Orders) > a.Limit
	f.Licenses, f.Keys, f.Orders = f.Licenses[:min(a.Limit, len(f.Licenses))], f.Keys[:min(a.Limit, len(f.Keys))], f.Orders[:min(a.Limit, len(f.Orders))]
	for _, o := range f.Orders {
		f.Asked = append(f.Asked, o.ID)
	}
	return f, s.around(ctx, a, &f)
}

// byProduct narrows to the product asked for; column holds its id.
func byProduct(n *narrowing, column, product string) *narrowing {
	return n.byWrapped(column+" IN (SELECT p.id FROM product p WHERE p.slug =", product, "UNION ALL SELECT p.id FROM product p WHERE p.id = $"+n.next()+")")
}

// byPerson narrows to what a customer or their organisations own, by id or by address; an organisation's id is its own.
func byPerson(n *narrowing, column string, a access.Ask) *narrowing {
	const members = ` UNION ALL SELECT m.organisation_id FROM organisation_member m JOIN customer c ON c.id = m.customer_id WHERE `
	n.byWrapped(column+" IN (SELECT c.id FROM customer c WHERE c.email =", a.Email, members+"c.email = $"+n.next()+")")
	return n.byWrapped(column+" IN (SELECT COALESCE($"+n.next()+", '') UNION ALL SELECT m.organisation_id FROM organisation_member m WHERE m.customer_id =", a.Customer, ")")
}

func (s *accesses) askedProduct(a access.Ask, out *[]access.Product) db.Question {
	return db.Question{SQL: `SELECT id, slug, name, state FROM product WHERE id = $1 OR slug = $1`, Args: []any{a.Product},
		Each: db.Into(out, func(r db.Row) (p access.Product, err error) {
			err = r.Scan(&p.ID, &p.Slug, &p.Name, &p.State)
			return p, err
		})}
}

// nothing is a question without an answer.
func nothing() db.Question {
	return db.Question{SQL: `SELECT 1 WHERE 1 = 0`, Each: func(db.Row) error { return nil }}
}

// buyer is whose an order must be that somebody asks for: an owner of what another's order gave does not learn of the order.
func buyer(a access.Ask) string {
	if a.Order == "" {
		return ""
	}
	return string(a.Owner)
}

// gaveLicenses are what orders gave and the licenses that they renewed.
const gaveLicenses = `SELECT g.object_id FROM (SELECT order_id, object_id FROM order_grant UNION ALL SELECT order_id, license_id AS object_id FROM order_renewal) g `

func askedLicenses(a access.Ask, out *[]license.License) db.Question {
	if a.Key != "" {
		return nothing()
	}
	n := new(narrowing).by("l.owner =", string(a.Owner)).by("l.id =", a.License).by("l.key_hint =", a.Hint).
		byWrapped("l.id IN ("+gaveLicenses+"WHERE g.order_id =", a.Order, ")").
		byWrapped("l.id IN ("+gaveLicenses+"JOIN orders o ON o.id = g.order_id WHERE o.owner =", buyer(a), ")")
	sql, args := byProduct(byPerson(n, "l.owner", a), "l.product_id", a.Product).statement(`SELECT `+namedColumns+fromLicense, "l.id DESC", a.Limit+1)
	return db.Question{SQL: sql, Args: args, Each: db.Into(out, scanNamed)}
}

func askedKeys(a access.Ask, out *[]access.Key) db.Question {
	if a.License != "" {
		return nothing()
	}
	n := new(narrowing).by("k.owner =", string(a.Owner)).by("k.id =", a.Key).
		byWrapped("k.id IN (SELECT s.key_id FROM api_secret s WHERE s.hint =", a.Hint, ")").
		byWrapped("k.id IN (SELECT g.object_id FROM order_grant g WHERE g.order_id =", a.Order, ")").
		byWrapped("k.id IN (SELECT g.object_id FROM order_grant g JOIN orders o ON o.id = g.order_id WHERE o.owner =", buyer(a), ")")
	sql, args := byProduct(byPerson(n, "k.owner", a), "k.product_id", a.Product).statement(`SELECT `+boughtColumns+`,
		COALESCE((SELECT p.slug FROM product p WHERE p.id = k.product_id), ''),
		COALESCE((SELECT s.hint FROM api_secret s WHERE s.key_id = k.id AND s.expires_at IS NULL), '')`+fromBought, "k.id DESC", a.Limit+1)
	return db.Question{SQL: sql, Args: args, Each: db.Into(out, func(r db.Row) (k access.Key, err error) {
		k.Key, err = scanBought(joined{r, []any{&k.Slug, &k.Hint}})
		return k, err
	})}
}

const accessOrder = `o.id, o.owner, o.env, o.state, o.reason, o.currency, o.total, o.captured, o.refunded, o.disputed, o.created_at, o.updated_at, o.expires_at, o.paid_at, o.fulfilled_at, o.resolved_at`

func scanAccessOrder(r db.Row) (o access.Order, err error) {
	var paid, done, resolved *time.Time
	err = r.Scan(&o.ID, &o.Owner, &o.Env, &o.State, &o.Reason, &o.Currency, &o.Total, &o.Captured, &o.Refunded, &o.Disputed, &o.CreatedAt, &o.UpdatedAt, &o.ExpiresAt, &paid, &done, &resolved)
	o.PaidAt, o.Done, o.ResolvedAt = instant(paid), instant(done), instant(resolved)
	return o, err
}

func askedOrders(a access.Ask, out *[]access.Order) db.Question {
	if a.License+a.Key+a.Hint != "" {
		return nothing()
	}
	n := new(narrowing).by("o.owner =", string(a.Owner)).by("o.id =", a.Order)
	n = byPerson(n, "o.owner", a)
	if a.Product != "" {
		n.that("o.id IN (SELECT ol.order_id FROM order_line ol WHERE ol.product_id IN (SELECT p.id FROM product p WHERE p.slug =", a.Product,
			"UNION ALL SELECT p.id FROM product p WHERE p.id = $"+n.next()+"))")
	}
	sql, args := n.statement(`SELECT `+accessOrder+` FROM orders o`, "o.id DESC", a.Limit+1)
	return db.Question{SQL: sql, Args: args, Each: db.Into(out, scanAccessOrder)}
}

// around reads what belongs to what was found.
func (s *accesses) around(ctx context.Context, a access.Ask, f *access.Facts) error {
	objects, owners, licenses := []string{""}, []string{""}, []string{""}
	for _, l := range f.Licenses {
		objects, owners, licenses = append(objects, l.ID), append(owners, string(l.Owner)), append(licenses, l.ID)
	}
	for _, k := range f.Keys {
		objects, owners = append(objects, k.ID), append(owners, string(k.Owner))
	}
	orders := append([]string{""}, f.Asked...)
	var gave []access.Order
	questions := []db.Question{
		givenFor("g.object_id", objects, &f.Given), givenFor("g.order_id", orders, &f.Given), renewedBy(orders, &f.Given),
		ordersThatGave(a.Owner, objects, &gave), linesOf(orders, &f.Lines), movedFor(a.Owner, licenses, orders, &f.Moved),
	}
	if a.Owner == "" {
		questions = append(questions, disabledOf(owners, &f.Disabled))
	}
	if err := s.db.Ask(ctx, questions...); err != nil {
		return err
	}
	known := map[string]bool{}
	for _, o := range f.Orders {
		known[o.ID] = true
	}
	for _, o := range gave {
		if !known[o.ID] {
			f.Orders = append(f.Orders, o)
		}
	}
	return nil
}

func givenFor(column string, ids []string, out *[]access.Given) db.Question {
	var args []any
	in := among(&args, ids)
	return db.Question{SQL: `SELECT g.order_id, g.kind, g.object_id, g.created_at FROM order_grant g WHERE ` + column + ` IN (` + in + `)`, Args: args, Each: db.Into(out, scanGiven)}
}

func scanGiven(r db.Row) (g access.Given, err error) {
	err = r.Scan(&g.Order, &g.Kind, &g.Object, &g.At)
	return g, err
}

// renewedBy reads which licenses orders renewed, whatever gave these.
func renewedBy(orders []string, out *[]access.Given) db.Question {
	var args []any
	in := among(&args, orders)
	return db.Question{SQL: `SELECT g.order_id, '` + order.KindRenewal + `', g.license_id, g.created_at FROM order_renewal g WHERE g.order_id IN (` + in + `)`, Args: args, Each: db.Into(out, scanGiven)}
}

func ordersThatGave(owner licensing.Owner, objects []string, out *[]access.Order) db.Question {
	args := []any{string(owner)}
	in := among(&args, objects)
	return db.Question{SQL: `SELECT ` + accessOrder + ` FROM orders o WHERE ($1 = '' OR o.owner = $1) AND o.id IN (SELECT g.order_id FROM order_grant g WHERE g.object_id IN (` + in + `))`,
		Args: args, Each: db.Into(out, scanAccessOrder)}
}

func linesOf(orders []string, out *[]access.Line) db.Question {
	var args []any
	in := among(&args, orders)
	return db.Question{SQL: `SELECT ol.order_id, p.id, p.slug, p.name, COALESCE((SELECT l.code FROM plan l WHERE l.id = ol.plan_id), '')
		FROM order_line ol JOIN product p ON p.id = ol.product_id WHERE ol.order_id IN (` + in + `) ORDER BY ol.order_id, ol.n`, Args: args,
		Each: db.Into(out, func(r db.Row) (l access.Line, err error) {
			err = r.Scan(&l.Order, &l.ProductID, &l.Slug, &l.Name, &l.Plan)
			return l, err
		})}
}

// movedFor reads who got licenses and when, the newest last: of those found, and of those that orders gave and that are their buyer's no
// longer. An owner learns of transfers that he had a part in.
func movedFor(owner licensing.Owner, licenses, orders []string, out *[]access.Moved) db.Question {
	args := []any{string(owner)}
	these, gave := among(&args, licenses), ""
	gave = among(&args, orders)
	return db.Question{SQL: `SELECT t.license_id, t.from_owner, t.to_owner, t.at FROM license_transfer t
		WHERE ($1 = '' OR t.from_owner = $1 OR t.to_owner = $1) AND t.license_id IN (SELECT l.id FROM license l WHERE l.id IN (` + these + `)
			UNION ALL SELECT g.object_id FROM order_grant g WHERE g.order_id IN (` + gave + `)) ORDER BY t.at, t.id`, Args: args,
		Each: db.Into(out, func(r db.Row) (m access.Moved, err error) {
			err = r.Scan(&m.License, &m.From, &m.To, &m.At)
			return m, err
		})}
}

func disabledOf(owners []string, out *[]licensing.Owner) db.Question {
	var args []any
	in := among(&args, owners)
	return db.Question{SQL: `SELECT c.id FROM customer c WHERE c.id IN (` + in + `) AND c.disabled_at IS NOT NULL`, Args: args,
		Each: db.Into(out, func(r db.Row) (o licensing.Owner, err error) {
			err = r.Scan(&o)
			return o, err
		})}
}
