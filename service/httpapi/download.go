package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mintreu/mintreu/commerce/download"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
)

// DownloadRoutes are the operations on releases and download links. The bytes themselves go through [DownloadRaws].
func DownloadRoutes(s *download.Service) []kit.Route {
	const releases, tag = "Releases", "Downloads"
	read := kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleCatalogue, licensing.RoleSupport, licensing.RoleAuditor}, Machine: "downloads:read"}
	buyers := kit.Allow{Customer: true, Holder: true}
	links := kit.Allow{Customer: true, Members: true, Holder: true, Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleSupport}}
	return []kit.Route{
		kit.New(kit.Spec{Name: "release.create", Method: http.MethodPost, Path: "/v1/products/{id}/releases", Tag: releases, Access: releaseWriters(), Status: http.StatusCreated,
			Summary: "Draft a release", Detail: "Upload its files with PUT /v1/releases/{id}/files/{name}, then publish it."}, s.Create).Again(s.Again),
		kit.New(kit.Spec{Name: "release.list", Method: http.MethodGet, Path: "/v1/products/{id}/releases", Tag: releases, Access: read,
			Summary: "List the releases of a product", Detail: "The newest first."}, s.List),
		kit.New(kit.Spec{Name: "release.get", Method: http.MethodGet, Path: "/v1/releases/{id}", Tag: releases, Access: read,
			Summary: "Read a release", Detail: "With the uploads under way and how far they are."}, s.Get),
		kit.New(kit.Spec{Name: "release.publish", Method: http.MethodPost, Path: "/v1/releases/{id}/publish", Tag: releases, Access: releaseWriters(),
			Summary: "Publish a release", Detail: "Signs a manifest of its files, which do not change from then on."}, s.Publish).Again(s.Again),
		kit.New(kit.Spec{Name: "release.withdraw", Method: http.MethodPost, Path: "/v1/releases/{id}/withdraw", Tag: releases, Access: releaseWriters(),
			Summary: "Withdraw a release", Detail: "Nobody gets it any more; links that were given stop at their next request."}, s.Withdraw).Again(s.Again),
		kit.New(kit.Spec{Name: "release.drop_file", Method: http.MethodDelete, Path: "/v1/release-files/{id}", Tag: releases, Access: releaseWriters(),
			Summary: "Remove a file from a draft"}, s.Drop),
		kit.New(kit.Spec{Name: "download.list", Method: http.MethodGet, Path: "/v1/downloads", Tag: tag, Access: buyers, Switch: licensing.SwitchDownloads,
			Summary: "List what may be downloaded", Detail: "Releases that a license of the caller covers now, and free ones. With a license key, only by that license."}, s.Browse),
		kit.New(kit.Spec{Name: "download.link", Method: http.MethodPost, Path: "/v1/downloads/{id}/links", Tag: tag, Access: links, Switch: licensing.SwitchDownloads, Status: http.StatusCreated,
			Summary: "Make a download link", Detail: "Good for five to fifteen minutes. Opening it shows a page and spends nothing; a POST to it answers with the address of the bytes."}, s.Link).Again(s.LinkAgain),
	}
}

// releaseWriters may make releases and upload their files.
func releaseWriters() kit.Allow {
	return kit.Allow{Staff: []licensing.Role{licensing.RoleAdmin, licensing.RoleCatalogue}, Machine: "downloads:write"}
}

// Downloads are what [DownloadRaws] need beside the Service.
type Downloads struct {
	Service *download.Service
	// Stack authenticates uploads.
	Stack kit.Stack
	// Page shows people the file of a link, or why there is none; it finds the headers set that keep the link secret.
	Page func(w http.ResponseWriter, r *http.Request, status int, v DownloadView)
	// Metrics counts transfers and bytes.
	Metrics prometheus.Registerer
	// Patience is how long a client may take to send or take 64 KiB; thirty seconds unless said.
	Patience time.Duration
}

// patience is enough for 2 KiB a second.
const (
	patience = 30 * time.Second
	slice    = 64 << 10
)

// DownloadRaws are the handlers that move bytes: uploads, the page of a link, and the transfer itself; and the signed manifest of the
// newest release, which products ask for and anybody may read.
func DownloadRaws(d Downloads) ([]Raw, error) {
	if d.Patience <= 0 {
		d.Patience = patience
	}
	m, err := newDownloadMeter(d.Metrics)
	if err != nil {
		return nil, err
	}
	return []Raw{
		{"release.upload", "PUT /v1/releases/{id}/files/{name}", http.HandlerFunc(d.upload)},
		{"download.page", download.PagePath + "{token}", http.HandlerFunc(d.page)},
		{"download.transfer", download.TransferPath + "{token}", &sending{d, m}},
		{"update.get", "GET /v1/updates/{product}", served("application/jwt", 300, func(ctx context.Context, r *http.Request) ([]byte, error) {
			q := r.URL.Query()
			a := download.Asked{Product: r.PathValue("product"), Channel: q.Get("channel"), From: q.Get("from"), Max: q.Get("max")}
			if until := q.Get("until"); until != "" {
				n, err := strconv.ParseInt(until, 10, 64)
				if err != nil || n <= 0 {
					return nil, download.ErrUntil
				}
				a.Until = time.Unix(n, 0)
			}
			text, err := d.Service.Newest(ctx, a)
			return []byte(text), err
		})},
	}, nil
}

// upload takes a file of a draft: the raw bytes, with a Content-Length, the platform in the query and, if wanted, the SHA-256 in
// Repr-Digest (RFC 9530).
func (d Downloads) upload(w http.ResponseWriter, r *http.Request) {
	f, err := d.receive(w, r)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d.Patience)) // the server's own ran out while the file came
	if err != nil {
		if licensing.KindOf(err) == licensing.Timeout {
			w.Header().Set("Connection", "close")
		}
		kit.WriteError(w, r, err)
		return
	}
	body, _ := json.Marshal(f) // strings and numbers alone cannot fail
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(body)
}

func (d Downloads) receive(w http.ResponseWriter, r *http.Request) (download.FileView, error) {
	actor, err := d.Stack.Actor(r)
	if err != nil {
		return download.FileView{}, err
	}
	call := licensing.CallFrom(r.Context())
	call.Actor, call.Mutating = actor, true
	if !releaseWriters().Permits(actor) {
		return download.FileView{}, kit.Refusal(actor)
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return download.FileView{}, licensing.Fail(licensing.Unsupported, "upload-encoded", "Send the file as it is, without a content encoding.")
	}
	sum, err := announced(r.Header)
	if err != nil {
		return download.FileView{}, err
	}
	body := &patientBody{r.Body, http.NewResponseController(w), d.Patience}
	f, err := d.Service.Upload(r.Context(), &download.Upload{ReleaseID: r.PathValue("id"), Name: r.PathValue("name"), Platform: r.URL.Query().Get("platform"),
		Size: max(r.ContentLength, 0), SHA256: sum, Content: body})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = licensing.Fail(licensing.Timeout, "upload-too-slow", "The file did not arrive in time.").Because(err)
	}
	return f, err
}

// Take stores a file of a draft for the actor of ctx, as the upload of raw bytes does; it is for uploads that come in another form.
func (d Downloads) Take(ctx context.Context, u *download.Upload) (download.FileView, error) {
	call := licensing.CallFrom(ctx)
	if !releaseWriters().Permits(call.Actor) {
		return download.FileView{}, kit.Refusal(call.Actor)
	}
	call.Operation, call.Mutating, call.IdempotencyKey = "release.upload", true, ""
	return d.Service.Upload(ctx, u)
}

// announced reads Repr-Digest: sha-256=:base64:, nil when it is not there.
func announced(h http.Header) ([]byte, error) {
	text := h.Get("Repr-Digest")
	if text == "" {
		return nil, nil
	}
	text, ok := strings.CutPrefix(text, "sha-256=:")
	text, ended := strings.CutSuffix(text, ":")
	sum, err := base64.StdEncoding.DecodeString(text)
	if !ok || !ended || err != nil || len(sum) != 32 {
		return nil, licensing.Fail(licensing.Invalid, "upload-invalid", "The file cannot be taken so; see the fields.").With("Repr-Digest", "must be sha-256=:base64:")
	}
	return sum, nil
}

// patientBody gives every read its own time, instead of the whole body one.
type patientBody struct {
	body interface {
		Read(p []byte) (int, error)
	}
	control  *http.ResponseController
	patience time.Duration
}

func (b *patientBody) Read(p []byte) (int, error) {
	// The deadline is the connection's, so it is wall time. A writer without deadlines is a test's.
	_ = b.control.SetReadDeadline(time.Now().Add(b.patience))
	return b.body.Read(p)
}

// downloadMeter counts what goes out. A retry is every request for bytes of a link after its first.
type downloadMeter struct {
	transfers, bytes *prometheus.CounterVec
	running          prometheus.Gauge
}

func newDownloadMeter(r prometheus.Registerer) (*downloadMeter, error) {
	m := &downloadMeter{
		transfers: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mintreu_download_requests_total", Help: "Requests for bytes, first or retry, by how they ended: complete (the file's last byte was sent), part, broken."}, []string{"attempt", "result"}),
		bytes:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mintreu_download_bytes_total", Help: "Bytes sent, by the attempt that asked for them and how it ended."}, []string{"attempt", "result"}),
		running:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "mintreu_downloads_running", Help: "Transfers under way."}),
	}
	for _, c := range []prometheus.Collector{m.transfers, m.bytes, m.running} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *downloadMeter) ended(first, whole, complete bool, sent int64) {
	attempt, result := "retry", "broken"
	if first {
		attempt = "first"
	}
	switch {
	case complete:
		result = "complete"
	case whole:
		result = "part"
	}
	m.transfers.WithLabelValues(attempt, result).Inc()
	m.bytes.WithLabelValues(attempt, result).Add(float64(sent))
}
