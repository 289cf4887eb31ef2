package httpapi_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// A link with any byte changed, left out, added or respelled, or with parameters, opens nothing and spends nothing.
func TestD01_ChangedLinksOpenNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShelf(t, e, perpetual())
		f := s.release(`{"version":"1.0","uses_max":1}`, noise(100))
		page := s.link("Bearer ada", f.ID)
		for _, path := range []string{page, s.press(page)} {
			cut := strings.LastIndexByte(path, '/') + 1
			front, token := path[:cut], path[cut:]
			var forged []string
			for i := range token {
				for _, c := range []byte{'A', '_', token[i] ^ 1, token[i] ^ 32} {
					if c != token[i] && strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~", c) >= 0 {
						forged = append(forged, front+token[:i]+string(c)+token[i+1:])
					}
				}
			}
			forged = append(forged, path+"A", path+"=", path[:len(path)-1], front+token+token, path+"?", path+"?x=1", path+"?token="+token, path+"?exp=9999999999", front+"%"+fmt.Sprintf("%02X", token[0])+token[1:])
			for _, at := range forged {
				if at == path+"?" {
					continue // no parameter at all
				}
				if a := s.do("GET", at, ""); a.StatusCode != http.StatusForbidden {
					t.Errorf("%s: %d", strings.Replace(at, token, "…", 1), a.StatusCode)
				}
			}
		}
		if s.moved() != 0 {
			t.Error("a forged link moved bytes")
		}
	})
}

// A link ends at its second; an edited end, near or far, is no link.
func TestD02_LinksEnd(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShelf(t, e, perpetual())
		f := s.release(`{"version":"1.0"}`, noise(100))
		page := s.link("Bearer ada", f.ID)
		file := s.press(page)
		s.Clock.Advance(10*time.Minute - time.Second)
		if a := s.do("GET", page, ""); a.StatusCode != 200 {
			t.Errorf("a second before: %d", a.StatusCode)
		}
		s.Clock.Advance(time.Second)
		for _, path := range []string{page, file} {
			if a := s.do("GET", path, ""); a.StatusCode != http.StatusGone {
				t.Errorf("at its end: %d", a.StatusCode)
			}
			cut := strings.LastIndexByte(path, '/') + 1
			raw, err := base64.RawURLEncoding.DecodeString(path[cut:])
			if err != nil {
				t.Fatal(err)
			}
			for _, exp := range []uint64{1e18, uint64(s.Clock.Now().Unix()) + 60, 1<<64 - 1, 0} { //nolint:gosec // after 1970
				for i := range 8 {
					raw[1+i] = byte(exp >> (56 - 8*i))
				}
				if a := s.do("GET", path[:cut]+base64.RawURLEncoding.EncodeToString(raw), ""); a.StatusCode != http.StatusForbidden {
					t.Errorf("exp %d: %d", exp, a.StatusCode)
				}
			}
		}
		if s.moved() != 0 {
			t.Error("an ended link moved bytes")
		}
	})
}

// A page's token moves no bytes and a transfer's shows no page; parts of two links make none; a license that has gone to somebody else
// takes its links with it; and no other method does anything.
func TestD03_LinksAreBound(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShelf(t, e, perpetual())
		a, b := s.release(`{"version":"1.0"}`, noise(100)), s.release(`{"version":"1.1"}`, noise(200))
		page, other := s.link("Bearer ada", a.ID), s.link("Bearer ada", b.ID)
		file := s.press(page)
		token := func(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
		raw := func(path string) []byte {
			out, _ := base64.RawURLEncoding.DecodeString(token(path))
			return out
		}
		mixed := slices.Concat(raw(page)[:33], raw(other)[33:])
		for _, path := range []string{"/download/file/" + token(page), "/download/" + token(file), "/download/" + base64.RawURLEncoding.EncodeToString(mixed)} {
			for _, method := range []string{"GET", "POST"} {
				if r := s.do(method, path, ""); r.StatusCode != http.StatusForbidden {
					t.Errorf("%s %s: %d", method, path, r.StatusCode)
				}
			}
		}
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
			if r := s.do(method, file, ""); r.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %d", method, r.StatusCode)
			}
		}
		if _, err := e.DB.Exec(t.Context(), `UPDATE license SET owner = 'cus_bob' WHERE id = $1`, s.lic); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{page, file} {
			if r := s.do("GET", path, ""); r.StatusCode != http.StatusForbidden {
				t.Errorf("after the license moved: %d", r.StatusCode)
			}
		}
		if s.moved() != 0 {
			t.Error("bytes moved")
		}
	})
}

// No name reaches outside the release, neither stored nor asked for.
func TestD04_FileNames(t *testing.T) {
	t.Parallel()
	s := newShelf(t, storetest.SQLite(t), perpetual())
	var rel struct{ ID string }
	s.ok("POST", "/v1/products/"+s.product+"/releases", "Bearer admin", `{"version":"1.0"}`, &rel)
	for _, name := range []string{"..%2fx", "%252e%252e", "..%5Cx", "a%00b", "%2Fetc%2Fpasswd", "%E2%88%95etc", "%EF%BC%8E%EF%BC%8E", ".hidden", "a%0d%0ab", "a%22b", "x.", "a%20"} {
		if a := s.do("PUT", "/v1/releases/"+rel.ID+"/files/"+name, "content", "Authorization: Bearer admin"); a.StatusCode < 400 || a.StatusCode > 404 {
			t.Errorf("upload as %s: %d %s", name, a.StatusCode, a.body)
		}
		for _, front := range []string{"/download/", "/download/file/"} {
			if a := s.do("GET", front+name, ""); a.StatusCode != 403 && a.StatusCode != 404 {
				t.Errorf("%s%s: %d", front, name, a.StatusCode)
			}
		}
	}
	if left := s.blobs(); len(left) != 0 {
		t.Errorf("stored %v", left)
	}
}

// Every answer with an artifact is an attachment that is not sniffed, runs nothing, sends no referrer and is not kept.
func TestD06_ArtifactsAreInert(t *testing.T) {
	t.Parallel()
	s := newShelf(t, storetest.SQLite(t), perpetual())
	f := s.release(`{"version":"1.0"}`, []byte("<script>alert(1)</script>"))
	page := s.link("Bearer ada", f.ID)
	at := s.press(page)
	for _, a := range []answer{s.do("GET", at, ""), s.do("HEAD", at, ""), s.do("GET", at, "", "Range: bytes=1-3"), s.do("GET", at, "", `If-None-Match: "`+f.SHA256+`"`)} {
		h := a.Header
		if !strings.HasPrefix(h.Get("Content-Disposition"), `attachment; filename="setup.bin"`) || h.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(h.Get("Content-Security-Policy"), "sandbox;") ||
			h.Get("Referrer-Policy") != "no-referrer" || !strings.Contains(h.Get("Cache-Control"), "no-store") || a.StatusCode != 304 && h.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("%d %v", a.StatusCode, h)
		}
	}
	p := s.do("GET", page, "")
	if h := p.Header; h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Robots-Tag") != "noindex" || !strings.Contains(h.Get("Cache-Control"), "no-store") || !strings.Contains(string(p.body), f.SHA256) {
		t.Errorf("page: %v %s", h, p.body)
	}
}

// A link bound to an address works there alone; elsewhere it is refused and the attempt is in the audit trail.
func TestD09_BoundAddress(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShelf(t, e, perpetual())
		f := s.release(`{"version":"1.0","same_address":true}`, noise(100))
		page := s.link("Bearer ada", f.ID)
		at := s.press(page)
		if a := s.do("GET", at, ""); a.StatusCode != 200 {
			t.Fatalf("at home: %d %s", a.StatusCode, a.body)
		}
		if _, err := e.DB.Exec(t.Context(), `UPDATE download_link SET address = $1`, noise(16)); err != nil { // as if it had been asked for elsewhere
			t.Fatal(err)
		}
		for i, path := range []string{page, at} {
			if a := s.do("GET", path, ""); a.StatusCode != 403 || s.audited("download.refuse") != int64(i+1) {
				t.Errorf("elsewhere: %d, %d rows", a.StatusCode, s.audited("download.refuse"))
			}
		}
		for range 30 {
			if a := s.do("GET", at, ""); a.StatusCode != 403 {
				t.Errorf("elsewhere, again: %d", a.StatusCode)
			}
		}
		if n := s.audited("download.refuse"); n != 10 {
			t.Errorf("tried over and over: %d rows", n)
		}
	})
}

// C16, D10: a license that is suspended or revoked, a release that is withdrawn and a switch that is pressed stop a transfer at its next
// request, and a switch says when to try again.
func TestC16_D10_NextRequestIsRefused(t *testing.T) {
	t.Parallel()
	stops := map[string]func(s *shelf, release string) error{
		"suspended": func(s *shelf, _ string) error {
			_, err := s.licenses.Suspend(licensing.AsSystem(s.t.Context(), "t"), license.StateRequest{ID: s.lic, Reason: "dispute"})
			return err
		},
		"revoked": func(s *shelf, _ string) error {
			_, err := s.licenses.Revoke(licensing.AsSystem(s.t.Context(), "t"), license.StateRequest{ID: s.lic, Reason: "refund"})
			return err
		},
		"withdrawn": func(s *shelf, release string) error {
			s.ok("POST", "/v1/releases/"+release+"/withdraw", "Bearer admin", `{"reason":"broken"}`, nil)
			return nil
		},
		"switch": func(s *shelf, _ string) error { s.off.product.Store(s.product, true); return nil },
	}
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShelf(t, e, perpetual())
		version := 0
		for name, stop := range stops {
			version++
			s.lic = s.issue("cus_ada", perpetual())
			f := s.release(fmt.Sprintf(`{"version":"1.%d","uses_max":5}`, version), noise(1000))
			page := s.linkBy(f.ID, s.lic)
			at := s.press(page)
			if a := s.do("GET", at, "", "Range: bytes=0-499"); a.StatusCode != 206 {
				t.Fatalf("%s: before: %d %s", name, a.StatusCode, a.body)
			}
			var release string
			if err := e.DB.QueryRow(t.Context(), `SELECT release_id FROM download_file WHERE id = $1`, f.ID).Scan(&release); err != nil {
				t.Fatal(err)
			}
			if err := stop(s, release); err != nil {
				t.Fatal(err)
			}
			want := 403
			if name == "switch" {
				want = 503
			}
			for _, path := range []string{at, page} {
				a := s.do("GET", path, "", "Range: bytes=500-999")
				if a.StatusCode != want || want == 503 && a.Header.Get("Retry-After") != "60" {
					t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
				}
			}
			s.off.product.Clear()
		}
	})
}

// linkBy makes a link by one license.
func (s *shelf) linkBy(file, lic string) string {
	s.t.Helper()
	var l struct{ URL string }
	s.ok("POST", "/v1/downloads/"+file+"/links", "License "+lic, "{}", &l)
	return l.URL
}

// No token of a link gets into the log, the audit trail or a referrer.
func TestD11_TokensStayInTheLink(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShelf(t, e, perpetual())
		f := s.release(`{"version":"1.0"}`, noise(100))
		page := s.link("Bearer ada", f.ID)
		at := s.press(page)
		for _, path := range []string{page, at, page + "x", at + "?a=b", "/download/file/" + page[len("/download/"):]} {
			for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST"} {
				if a := s.do(method, path, ""); a.Header.Get("Referrer-Policy") != "no-referrer" {
					t.Errorf("%s: %q", method, a.Header.Get("Referrer-Policy"))
				}
			}
		}
		rows, err := e.DB.Query(t.Context(), `SELECT actor || request || operation || action || target || detail FROM audit`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		told := s.Log.String()
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			told += line
		}
		for _, path := range []string{page, at} {
			token := path[strings.LastIndexByte(path, '/')+1:]
			if strings.Contains(told, token) || strings.Contains(told, token[len(token)-40:]) {
				t.Error("a token was written down")
			}
		}
		if s.audited("download.link") != 1 || s.audited("download.begin") != 1 {
			t.Errorf("%d links, %d beginnings in the trail", s.audited("download.link"), s.audited("download.begin"))
		}
	})
}

// Readers that take nothing are let go after their patience, while others get their file; what they had reserved is not confirmed.
func TestD12_SlowReadersAreLetGo(t *testing.T) {
	t.Parallel()
	s := newShelf(t, storetest.SQLite(t), perpetual())
	f := s.release(`{"version":"1.0"}`, noise(4<<20))
	var conns []net.Conn
	for range 20 {
		at := s.press(s.link("Bearer ada", f.ID))
		var d net.Dialer
		c, err := d.DialContext(t.Context(), "tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.(*net.TCPConn).SetReadBuffer(4096)
		if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", at); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReaderSize(c, 16).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
			t.Fatalf("%q %v", line, err)
		}
		conns = append(conns, c)
	}
	start := time.Now()
	if a := s.do("GET", s.press(s.link("Bearer ada", f.ID)), ""); a.StatusCode != 200 || len(a.body) != 4<<20 || time.Since(start) > 5*time.Second {
		t.Errorf("beside them: %d, %d bytes in %v", a.StatusCode, len(a.body), time.Since(start))
	}
	s.eventually("they are let go", func() bool { return s.metric("mintreu_downloads_running") == 0 })
	var confirmed int64
	if err := s.DB.QueryRow(context.WithoutCancel(t.Context()), `SELECT count(*) FROM download_link WHERE state = 'confirmed'`).Scan(&confirmed); err != nil || confirmed != 1 {
		t.Errorf("%d of %d transfers are confirmed, %v", confirmed, len(conns)+1, err)
	}
	if s.metric("mintreu_download_requests_total") != 21 {
		t.Errorf("%v requests counted", s.metric("mintreu_download_requests_total"))
	}
}

// metric is the sum of a metric over its labels.
func (s *shelf) metric(name string) (sum float64) {
	s.t.Helper()
	families, err := s.Registry.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// HEAD, OPTIONS, conditions and impossible ranges are let in by the same rules as GET and spend no use; neither does the page, whoever
// opens it how often.
func TestD14_OnlyBytesSpend(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShelf(t, e, perpetual())
		f := s.release(`{"version":"1.0","uses_max":1}`, noise(100))
		page := s.link("Bearer ada", f.ID)
		at := s.press(page)
		ask := []struct {
			method, header string
			status         int
		}{{"HEAD", "", 200}, {"HEAD", "Range: bytes=0-9", 206}, {"OPTIONS", "", 204}, {"GET", `If-None-Match: "` + f.SHA256 + `"`, 304}, {"GET", "If-None-Match: *", 304},
			{"GET", `If-Match: "other"`, 412}, {"GET", "Range: bytes=100-", 416}, {"GET", "Range: bytes=-0", 416}}
		for _, a := range ask {
			if got := s.do(a.method, at, "", a.header); got.StatusCode != a.status || len(got.body) != 0 {
				t.Errorf("%s %s: %d with %d bytes, want %d", a.method, a.header, got.StatusCode, len(got.body), a.status)
			}
		}
		for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "GET", "POST"} {
			if got := s.do(method, page, ""); got.StatusCode > 399 {
				t.Errorf("%s of the page: %d", method, got.StatusCode)
			}
		}
		if s.used(f.ID) != 0 || s.moved() != 0 {
			t.Errorf("%d uses, %d transfers", s.used(f.ID), s.moved())
		}
		if got := s.do("GET", at, "", `If-Range: "other"`, "Range: bytes=0-9"); got.StatusCode != 200 || len(got.body) != 100 || s.used(f.ID) != 1 {
			t.Errorf("a range of other content: %d with %d bytes, %d uses", got.StatusCode, len(got.body), s.used(f.ID))
		}
		if _, err := s.licenses.Revoke(licensing.AsSystem(t.Context(), "t"), license.StateRequest{ID: s.lic, Reason: "refund"}); err != nil {
			t.Fatal(err)
		}
		for _, a := range ask {
			if got := s.do(a.method, at, "", a.header); got.StatusCode != 403 {
				t.Errorf("revoked: %s %s: %d", a.method, a.header, got.StatusCode)
			}
		}
	})
}
