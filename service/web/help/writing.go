package help

import (
	"net/http"
	"strconv"

	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

// writing are the pages on which the staff writes the FAQ and canned replies.
func (p *pages) writing() []site.Page {
	return []site.Page{
		{Name: "page.admin_faq", Pattern: "GET /admin/faq", For: site.Staff, Serve: p.articles},
		{Name: "page.admin_article", Pattern: "GET /admin/faq/{id}", For: site.Staff, Serve: p.editArticle},
		{Name: "page.admin_article_send", Pattern: "POST /admin/faq/{id}", For: site.Staff, Serve: p.editArticle},
		{Name: "page.admin_article_drop", Pattern: "GET /admin/faq/{id}/remove", For: site.Staff, Serve: p.dropArticle},
		{Name: "page.admin_article_drop_send", Pattern: "POST /admin/faq/{id}/remove", For: site.Staff, Serve: p.dropArticle},
		{Name: "page.admin_canned", Pattern: "GET /admin/canned", For: site.Staff, Serve: p.canned},
		{Name: "page.admin_canned_edit", Pattern: "GET /admin/canned/{id}", For: site.Staff, Serve: p.editCanned},
		{Name: "page.admin_canned_send", Pattern: "POST /admin/canned/{id}", For: site.Staff, Serve: p.editCanned},
		{Name: "page.admin_canned_drop", Pattern: "GET /admin/canned/{id}/remove", For: site.Staff, Serve: p.dropCanned},
		{Name: "page.admin_canned_drop_send", Pattern: "POST /admin/canned/{id}/remove", For: site.Staff, Serve: p.dropCanned},
	}
}

// fresh is the last element of the address of the page that makes something new.
const fresh = "new"

func (p *pages) articles(v *site.Visit) error {
	list, err := p.ops.Articles.Call(v.Ctx(), support.ArticleListRequest{Page: licensing.Page{Cursor: v.Query("cursor"), Limit: 100}})
	if err != nil {
		return err
	}
	return v.Render(http.StatusOK, articlesPage(v.Frame("FAQ"), list))
}

// editArticle shows the form of an article, an old one or a new one, and stores what was sent.
func (p *pages) editArticle(v *site.Visit) error {
	if err := v.Ready(p.ops.ArticleChange.Spec()); err != nil {
		return err
	}
	f, id := v.Form(), v.Param("id")
	if id != fresh && !v.Posted() {
		a, err := p.ops.ArticleGet.Call(v.Ctx(), support.ArticleGetRequest{ID: id})
		if err != nil {
			return err
		}
		for name, value := range map[string]string{"slug": a.Slug, "title": a.Title, "body": a.Body, "category": a.Category,
			"position": strconv.FormatInt(a.Position, 10), "version": strconv.FormatInt(a.Version, 10)} {
			f.Default(name, value)
		}
		if a.Published {
			f.Default("published", "yes")
		}
	}
	if v.Posted() {
		r := support.ArticleRequest{Slug: f.Text("slug"), Title: f.Text("title"), Body: f.Text("body"), Category: f.Text("category"),
			Position: f.Int("position", 0), Published: f.Has("published")}
		var err error
		switch {
		case !f.OK():
		case id == fresh:
			_, err = p.ops.ArticleCreate.Call(v.Ctx(), r)
		default:
			_, err = p.ops.ArticleChange.Call(v.Ctx(), support.ChangeArticleRequest{ID: id, Version: f.Int("version", 0), ArticleRequest: r})
		}
		if f.OK() && err == nil {
			return v.Go("/admin/faq", "good", "The answer is kept.")
		}
		if other := f.Refuse(err, nil); other != nil {
			return other
		}
	}
	return v.Show(articleForm(v.Frame("An answer"), f, id))
}

func (p *pages) dropArticle(v *site.Visit) error {
	if err := v.Ready(p.ops.ArticleDrop.Spec()); err != nil {
		return err
	}
	if !v.Posted() {
		a, err := p.ops.ArticleGet.Call(v.Ctx(), support.ArticleGetRequest{ID: v.Param("id")})
		if err != nil {
			return err
		}
		return v.Show(dropPage(v.Frame("Remove an answer", ui.Link{Href: "/admin/faq", Name: "FAQ"}), v.Form(), "/admin/faq/"+a.ID+"/remove", "Remove “"+a.Title+"”?", "/admin/faq"))
	}
	if _, err := p.ops.ArticleDrop.Call(v.Ctx(), support.DropRequest{ID: v.Param("id")}); err != nil {
		return err
	}
	return v.Go("/admin/faq", "good", "The answer is removed.")
}

func (p *pages) canned(v *site.Visit) error {
	list, err := p.ops.Canned.Call(v.Ctx(), support.CannedListRequest{Page: licensing.Page{Limit: 100}})
	if err != nil {
		return err
	}
	return v.Render(http.StatusOK, cannedPage(v.Frame("Canned replies"), list))
}

// one finds a canned reply among all, of which there are few.
func (p *pages) one(v *site.Visit) (support.CannedView, error) {
	list, err := p.ops.Canned.Call(v.Ctx(), support.CannedListRequest{Page: licensing.Page{Limit: 100}})
	if err != nil {
		return support.CannedView{}, err
	}
	for _, c := range list.Items {
		if c.ID == v.Param("id") {
			return c, nil
		}
	}
	return support.CannedView{}, licensing.ErrNotFound
}

func (p *pages) editCanned(v *site.Visit) error {
	if err := v.Ready(p.ops.CannedChange.Spec()); err != nil {
		return err
	}
	f, id := v.Form(), v.Param("id")
	if id != fresh && !v.Posted() {
		c, err := p.one(v)
		if err != nil {
			return err
		}
		f.Default("name", c.Name)
		f.Default("body", c.Body)
		f.Default("version", strconv.FormatInt(c.Version, 10))
	}
	if v.Posted() {
		var err error
		if id == fresh {
			_, err = p.ops.CannedCreate.Call(v.Ctx(), support.CannedRequest{Name: f.Text("name"), Body: f.Text("body")})
		} else {
			_, err = p.ops.CannedChange.Call(v.Ctx(), support.ChangeCannedRequest{ID: id, Version: f.Int("version", 0), Name: f.Text("name"), Body: f.Text("body")})
		}
		if err == nil {
			return v.Go("/admin/canned", "good", "The reply is kept.")
		}
		if other := f.Refuse(err, nil); other != nil {
			return other
		}
	}
	return v.Show(cannedForm(v.Frame("A canned reply"), f, id))
}

func (p *pages) dropCanned(v *site.Visit) error {
	if err := v.Ready(p.ops.CannedDrop.Spec()); err != nil {
		return err
	}
	if !v.Posted() {
		c, err := p.one(v)
		if err != nil {
			return err
		}
		return v.Show(dropPage(v.Frame("Remove a reply", ui.Link{Href: "/admin/canned", Name: "Canned replies"}), v.Form(), "/admin/canned/"+c.ID+"/remove", "Remove “"+c.Name+"”?", "/admin/canned"))
	}
	if _, err := p.ops.CannedDrop.Call(v.Ctx(), support.DropRequest{ID: v.Param("id")}); err != nil {
		return err
	}
	return v.Go("/admin/canned", "good", "The reply is removed.")
}
