package admin

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/a-h/templ"

	"github.com/mintreu/mintreu/commerce/download"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/web/site"
	"github.com/mintreu/mintreu/service/web/ui"
)

func (p *pages) filePages() []site.Page {
	back := to("/admin/releases/{id}", "Release")
	out := []site.Page{get("files", "/admin/files", p.files), get("release", "/admin/releases/{id}", p.release),
		{Name: "page.admin_upload", Pattern: "POST /admin/releases/{id}/files", For: site.Staff, Serve: p.upload, Stream: true}}
	out = append(out, both("release_new", "/admin/products/{id}/releases/new", p.newRelease)...)
	return append(out, p.asked(
		action{name: "release_publish", path: "/admin/releases/{id}/publish", spec: p.ops.PublishRelease.Spec(), calm: true, silent: true, back: back,
			title: "Publish the release", button: "Publish it", done: "The release is published, with a signed manifest.",
			what: "Customers whose licenses cover it can download it at once. Its files do not change any more; it can be withdrawn.",
			do:   plain(func() op[download.PublishRequest, download.View] { return p.ops.PublishRelease }, func(id, _ string) download.PublishRequest { return download.PublishRequest{ID: id} })},
		action{name: "release_withdraw", path: "/admin/releases/{id}/withdraw", spec: p.ops.WithdrawRelease.Spec(), reason: true, back: back,
			title: "Withdraw the release", button: "Withdraw it for good", done: "The release is withdrawn.",
			what: "This cannot be undone: nobody gets it any more, and links that were given stop at their next request. A mended version is a new release.",
			do: plain(func() op[download.WithdrawRequest, download.View] { return p.ops.WithdrawRelease }, func(id, reason string) download.WithdrawRequest {
				return download.WithdrawRequest{ID: id, Reason: reason}
			})},
		action{name: "file_drop", path: "/admin/release-files/{id}/drop", spec: p.ops.DropFile.Spec(), silent: true, back: func(string) ui.Link { return ui.Link{Href: "/admin/files", Name: "Files"} },
			title: "Remove the file", button: "Remove it", done: "The file is removed from the draft.",
			what: "The file is deleted from the draft. Upload it again if you need it after all.",
			do: func(v *site.Visit, id, _ string) (templ.Component, error) {
				_, err := p.ops.DropFile.Call(v.Ctx(), download.DropRequest{ID: id})
				return nil, err
			}})...)
}

// filesView is what the page of files shows.
type filesView struct {
	Releases []download.View
	Product  string // id of the product shown
	More     string
	Create   bool
}

func (p *pages) files(v *site.Visit) error {
	products, err := p.products(v)
	if err != nil {
		return err
	}
	f, view := v.Filter(), filesView{Product: pick(v, "product", productChoices("", products)), Create: may(v, p.ops.CreateRelease.Spec())}
	if view.Product == "" && len(products) > 0 {
		view.Product = products[0].ID
		f.Values.Set("product", view.Product)
	}
	if view.Product != "" {
		list, err := p.ops.Releases.Call(v.Ctx(), download.ListRequest{ProductID: view.Product, Page: page(v, 25)})
		if err != nil {
			return err
		}
		view.Releases, view.More = list.Items, next(v, list.Next)
	}
	return v.Show(filesPage(v.Frame("Files"), f, view, products))
}

func (p *pages) newRelease(v *site.Visit) error {
	if err := v.Ready(p.ops.CreateRelease.Spec()); err != nil {
		return err
	}
	f, id := v.Form(), v.Param("id")
	frame := v.Frame("New release", ui.Link{Href: link("/admin/files", "product", id), Name: "Files"})
	f.Default("channel", "stable")
	if !v.Posted() {
		return v.Show(newReleasePage(frame, f))
	}
	r := download.CreateRequest{ProductID: id, Version: f.Text("version"), Channel: f.Text("channel"), Access: f.Text("access"), Notes: f.Text("notes"), FromMin: f.Text("from_min"), FromMax: f.Text("from_max"),
		UsesMax: f.Int("uses_max", 0), SameAddress: f.Has("same_address")}
	if !f.OK() {
		return v.Show(newReleasePage(frame, f))
	}
	out, err := p.ops.CreateRelease.Call(v.Ctx(), r)
	if other := f.Refuse(err, nil); other != nil {
		return other
	}
	if err != nil {
		return v.Show(newReleasePage(frame, f))
	}
	return v.Go("/admin/releases/"+out.ID, "good", "The release is drafted. Upload its files, then publish it.")
}

func (p *pages) release(v *site.Visit) error {
	r, err := p.ops.ReleaseOf.Call(v.Ctx(), download.GetRequest{ID: v.Param("id")})
	if err != nil {
		return err
	}
	products, err := p.products(v)
	if err != nil {
		return err
	}
	frame := v.Frame(named(products, r.ProductID)+" "+r.Version, ui.Link{Href: link("/admin/files", "product", r.ProductID), Name: "Files"})
	f := v.Form()
	if wrong := v.Query("wrong"); wrong != "" {
		f.Wrong("file", wrong)
	}
	return v.Show(releasePage(frame, f, r, may(v, p.ops.CreateRelease.Spec())))
}

// partPatience is how long 64 KiB of an upload may take.
const partPatience = 30 * time.Second

// upload takes a file of a draft from a form, as it arrives: nothing of it is held in memory or in a temporary file. Its platform stands
// before it in the form, as browsers send fields in their order.
func (p *pages) upload(v *site.Visit) error {
	id := v.Param("id")
	back := "/admin/releases/" + id
	control := http.NewResponseController(v.W)
	_ = control.SetWriteDeadline(time.Time{}) // the answer follows the file, however long it takes
	err := p.receive(v, id, control)
	_ = control.SetWriteDeadline(time.Now().Add(partPatience))
	if told := public(err); told != nil {
		return v.Go(back, "bad", told.Text+fieldsText(told))
	} else if err != nil {
		return err
	}
	return v.Go(back, "good", "The file is stored and its checksum taken.")
}

func (p *pages) receive(v *site.Visit, release string, control *http.ResponseController) error {
	if kind, _, err := mime.ParseMediaType(v.R.Header.Get("Content-Type")); err != nil || kind != "multipart/form-data" {
		return licensing.Fail(licensing.Unsupported, "not-a-form", "A page takes a form as browsers send it.")
	}
	parts, err := v.R.MultipartReader()
	if err != nil {
		return errUpload.Because(err)
	}
	platform := ""
	for {
		_ = control.SetReadDeadline(time.Now().Add(partPatience))
		part, err := parts.NextPart()
		if err == io.EOF {
			return errUpload
		} else if err != nil {
			return errUpload.Because(err)
		}
		switch part.FormName() {
		case "platform":
			text, err := io.ReadAll(io.LimitReader(part, 100))
			if err != nil {
				return errUpload.Because(err)
			}
			platform = string(text)
		case "file":
			if part.FileName() == "" {
				return errUpload
			}
			_, err := p.site.Upload(v.Ctx(), &download.Upload{ReleaseID: release, Name: part.FileName(), Platform: platform, Size: download.UnknownSize, Content: &patient{part, control}})
			return err
		}
	}
}

var errUpload = licensing.Fail(licensing.Invalid, "upload-incomplete", "No file arrived whole. Choose one, and send it again.")

// patient gives each read of an upload its own time, instead of all of them one.
type patient struct {
	from    io.Reader
	control *http.ResponseController
}

// Read implements [io.Reader].
func (r *patient) Read(b []byte) (int, error) {
	_ = r.control.SetReadDeadline(time.Now().Add(partPatience)) // the connection's, so wall time; a test's recorder has none
	return r.from.Read(b)
}

// sizeText is a size for people.
func sizeText(n int64) string {
	for _, unit := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= unit.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(unit.size), unit.name)
		}
	}
	return ui.Plural(n, "byte", "bytes")
}
