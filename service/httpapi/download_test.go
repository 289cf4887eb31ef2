package httpapi_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/download"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/blob/blobtest"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// A customer sees what the license covers, opens the page, presses the button and gets the bytes that were uploaded, whole and in
// ranges; their SHA-256 is the published one and the one in the manifest that the installation's key signed. A file whose bytes on disk
// changed is refused before its first byte when the first part asked for is hit, and cut off before the first wrong byte otherwise.
func TestD13_ServedIsPublished(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShelf(t, e, perpetual())
		content := noise(3*download.BlockSize + 12345)
		sum, _ := digestOf(content)
		f := s.release(`{"version":"1.2.0","uses_max":2}`, content)
		var list licensing.List[download.Item]
		s.ok("GET", "/v1/downloads?platform=linux-amd64&from=1.0.0", "Bearer ada", "", &list)
		if len(list.Items) != 1 || list.Items[0].Files[0].SHA256 != sum || list.Items[0].License != s.lic {
			t.Fatalf("Ada sees %+v", list)
		}
		s.manifest(t, list.Items[0].Manifest, f)
		at := s.press(s.link("Bearer ada", f.ID))
		if a := s.do("GET", at, ""); a.StatusCode != 200 || a.err != nil || !bytes.Equal(a.body, content) || a.Header.Get("ETag") != `"`+sum+`"` {
			t.Fatalf("GET: %d, %d bytes, %v", a.StatusCode, len(a.body), a.err)
		}
		for spec, want := range map[string][]byte{"bytes=0-0": content[:1], "bytes=262143-262145": content[262143:262146], "bytes=790000-": content[790000:], "bytes=-7": content[len(content)-7:]} {
			if a := s.do("GET", at, "", "Range: "+spec); a.StatusCode != 206 || !bytes.Equal(a.body, want) {
				t.Errorf("%s: %d, %d bytes", spec, a.StatusCode, len(a.body))
			}
		}
		path := s.blobs()[0]
		flipped := bytes.Clone(content)
		flipped[2*download.BlockSize+5] ^= 1
		if err := os.WriteFile(path, flipped, 0o600); err != nil {
			t.Fatal(err)
		}
		used := s.used(f.ID)
		next := s.press(s.link("Bearer ada", f.ID))
		if a := s.do("GET", next, "", "Range: bytes=600000-600001"); a.StatusCode != 503 || a.code() != "download-damaged" || s.used(f.ID) != used {
			t.Errorf("a damaged block: %d %s, %d uses", a.StatusCode, a.body, s.used(f.ID)-used)
		}
		if a := s.do("GET", next, ""); a.err == nil || len(a.body) > 2*download.BlockSize || !bytes.HasPrefix(content, a.body) {
			t.Errorf("a damaged file: %v after %d bytes", a.err, len(a.body))
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.alerts) != 2 || s.alerts[0] != "download-damaged" {
			t.Errorf("alerts: %v", s.alerts)
		}
	})
}

// Files in a bucket are served as those in a directory are: whole, in ranges, and only while they are what was uploaded.
func TestD13_FromABucket(t *testing.T) {
	t.Parallel()
	files := blobtest.OpenS3(t, "shop")
	s := newShelfOn(t, storetest.SQLite(t), perpetual(), files, "")
	content := noise(3<<20 + 5)
	f := s.release(`{"version":"1.0"}`, content)
	at := s.press(s.link("Bearer ada", f.ID))
	if a := s.do("GET", at, ""); a.StatusCode != 200 || a.err != nil || !bytes.Equal(a.body, content) {
		t.Errorf("whole: %d, %d bytes, %v", a.StatusCode, len(a.body), a.err)
	}
	if a := s.do("GET", at, "", "Range: bytes=3000000-"); a.StatusCode != 206 || !bytes.Equal(a.body, content[3000000:]) {
		t.Errorf("a range: %d, %d bytes", a.StatusCode, len(a.body))
	}
	var name string
	if err := s.DB.QueryRow(t.Context(), `SELECT blob FROM download_file`).Scan(&name); err != nil {
		t.Fatal(err)
	}
	content[0] ^= 1
	if err := files.Put(t.Context(), name, content); err != nil {
		t.Fatal(err)
	}
	if a := s.do("GET", at, ""); a.StatusCode != 503 || a.code() != "download-damaged" {
		t.Errorf("changed in the bucket: %d %s", a.StatusCode, a.body)
	}
	if err := files.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if a := s.do("GET", at, ""); a.StatusCode != 503 || a.code() != "download-damaged" {
		t.Errorf("gone from the bucket: %d %s", a.StatusCode, a.body)
	}
}

// manifest verifies the signed manifest with the keys that the installation publishes.
func (s *shelf) manifest(t *testing.T, text string, f download.FileView) {
	t.Helper()
	set, err := s.keys.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pubs, err := keyring.ParseJWKS(set)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := doc.Pin(pubs...)
	if err != nil {
		t.Fatal(err)
	}
	rel, err := (&doc.Verifier{Keys: trust, Issuer: "https://shop.example.com", Audience: "editor", Env: doc.Any, Now: s.Clock.Now}).Release(text)
	if err != nil || len(rel.Files) != 1 || rel.Files[0].SHA256 != f.SHA256 || rel.Files[0].Size != f.Size || rel.Files[0].Name != f.Name {
		t.Errorf("manifest %+v, %v; the file is %+v", rel, err, f)
	}
}

// Of fifty links used at once against a limit of three uses, three move bytes; ranges and a resumed transfer of one link count
// once, and the link cannot be used to fetch the file over and over.
func TestD08_LimitIsExact(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShelf(t, e, perpetual())
		content := noise(40_000)
		f := s.release(`{"version":"1.0","uses_max":3}`, content)
		var paths [50]string
		for i := range paths {
			paths[i] = s.press(s.link("Bearer ada", f.ID))
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		got := map[string]int{}
		for _, path := range paths {
			wg.Go(func() {
				a := s.do("GET", path, "")
				mu.Lock()
				defer mu.Unlock()
				if a.StatusCode == 200 && bytes.Equal(a.body, content) {
					got[path]++
				} else if a.StatusCode != 403 || a.code() != "download-used-up" {
					t.Errorf("%d %s", a.StatusCode, a.body)
				}
			})
		}
		wg.Wait()
		if len(got) != 3 || s.used(f.ID) != 3 {
			t.Errorf("%d of 50 got the file, %d uses", len(got), s.used(f.ID))
		}
		for path := range got {
			for from := 0; from < 40_000; from += 10_000 {
				if a := s.do("GET", path, "", fmt.Sprintf("Range: bytes=%d-%d", from, from+9_999)); a.StatusCode != 206 || !bytes.Equal(a.body, content[from:from+10_000]) {
					t.Errorf("resume from %d: %d", from, a.StatusCode)
				}
			}
			if a := s.do("GET", path, ""); a.StatusCode != 200 {
				t.Errorf("third time: %d", a.StatusCode)
			}
			if a := s.do("GET", path, ""); a.StatusCode != 410 || a.code() != "download-over" {
				t.Errorf("fourth time: %d %s", a.StatusCode, a.body)
			}
		}
		if n := s.used(f.ID); n != 3 {
			t.Errorf("resuming made it %d uses", n)
		}
	})
}

// Whoever fetches all but the last byte, and gives that up for an hour, gets its use back as often as a file can be asked for again, and not as
// often as he likes, by the sweeper and by the next link alike; transfers that broke off early, however many, spend nothing.
func TestD08_AllButTheLastByte(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShelf(t, e, perpetual())
		for version, sweep := range []bool{true, false} {
			f := s.release(fmt.Sprintf(`{"version":"1.%d","uses_max":1}`, version), noise(5000))
			fetch := func(spec string) answer {
				a := s.do("GET", s.press(s.link("Bearer ada", f.ID)), "", "Range: bytes="+spec)
				s.eventually("the end of the transfer is written", func() bool {
					var n int64
					return s.DB.QueryRow(t.Context(), `SELECT count(*) FROM download_link WHERE state = 'reserved' AND sent = 0`).Scan(&n) == nil && n == 0
				})
				s.Clock.Advance(61 * time.Minute)
				if sweep {
					if err := s.service.Sweep(licensing.AsSystem(t.Context(), "download.sweep")); err != nil {
						t.Fatal(err)
					}
				}
				return a
			}
			for range 20 {
				if a := fetch("0-9"); a.StatusCode != 206 {
					t.Fatalf("broken off early: %d %s", a.StatusCode, a.body)
				}
			}
			got := 0
			for range 10 {
				if a := fetch("0-4998"); a.StatusCode == 206 {
					got++
				} else if a.code() != "download-used-up" {
					t.Fatalf("%d %s", a.StatusCode, a.body)
				}
			}
			if got != 3 || s.used(f.ID) != 1 {
				t.Errorf("sweeping %v: all but the last byte came %d times, %d uses", sweep, got, s.used(f.ID))
			}
		}
	})
}

// A use that was reserved is kept while its transfer can be resumed, also after the link's end; an hour without progress gives it
// back, by the sweeper and by the next who wants it, and the old link is over.
func TestReservationEndsWithoutProgress(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShelf(t, e, perpetual())
		content := noise(5000)
		f := s.release(`{"version":"1.0","uses_max":1}`, content)
		first := s.press(s.link("Bearer ada", f.ID))
		part := func(path, spec string) answer { return s.do("GET", path, "", "Range: bytes="+spec) }
		if a := part(first, "0-99"); a.StatusCode != 206 {
			t.Fatal(a.StatusCode)
		}
		s.Clock.Advance(40 * time.Minute)
		if a := part(first, "100-199"); a.StatusCode != 206 || !bytes.Equal(a.body, content[100:200]) {
			t.Errorf("resume after the link's end: %d %s", a.StatusCode, a.body)
		}
		second := s.press(s.link("Bearer ada", f.ID))
		if a := part(second, "0-99"); a.code() != "download-used-up" {
			t.Errorf("while the first goes on: %d %s", a.StatusCode, a.body)
		}
		s.Clock.Advance(61 * time.Minute)
		third := s.press(s.link("Bearer ada", f.ID))
		if a := part(third, "0-99"); a.StatusCode != 206 || s.used(f.ID) != 1 {
			t.Errorf("after an hour: %d %s, %d uses", a.StatusCode, a.body, s.used(f.ID))
		}
		if a := part(first, "200-299"); a.StatusCode != 410 {
			t.Errorf("the first link: %d", a.StatusCode)
		}
		s.Clock.Advance(61 * time.Minute)
		if err := s.service.Sweep(licensing.AsSystem(t.Context(), "download.sweep")); err != nil || s.used(f.ID) != 0 {
			t.Errorf("after the sweep: %d uses, %v", s.used(f.ID), err)
		}
		fourth := s.press(s.link("Bearer ada", f.ID))
		if a := part(fourth, "4000-"); a.StatusCode != 206 {
			t.Errorf("fourth: %d", a.StatusCode)
		}
		s.eventually("the last byte confirms", func() bool {
			var n int64
			return s.DB.QueryRow(t.Context(), `SELECT count(*) FROM download_link WHERE state = 'confirmed' AND counted`).Scan(&n) == nil && n == 1
		})
		s.Clock.Advance(61 * time.Minute)
		if err := s.service.Sweep(licensing.AsSystem(t.Context(), "download.sweep")); err != nil || s.used(f.ID) != 1 {
			t.Errorf("a confirmed use after the sweep: %d, %v", s.used(f.ID), err)
		}
	})
}

// What a license gives follows its owner, state, updates_until and max_version; free releases need only a sign-in. Nobody sees, or
// gets a link to, what is not his: it is as if it did not exist.
func TestR04_DownloadsFollowTheLicense(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		terms := perpetual()
		terms.UpdatesFor, terms.MaxVersion = 10*license.Day, "2"
		s := newShelf(t, e, terms)
		one := s.release(`{"version":"1.0"}`, noise(10))
		free := s.release(`{"version":"0.9","access":"free"}`, noise(11))
		three := s.release(`{"version":"3.0"}`, noise(12))
		s.Clock.Advance(11 * 24 * time.Hour)
		late := s.release(`{"version":"1.5"}`, noise(13))
		see := func(as string) string {
			var list licensing.List[download.Item]
			s.ok("GET", "/v1/downloads", as, "", &list)
			var out []string
			for _, it := range list.Items {
				out = append(out, it.Version)
			}
			return strings.Join(out, " ")
		}
		for as, want := range map[string]string{"Bearer ada": "0.9 1.0", "Bearer bob": "0.9", "License " + s.lic: "0.9 1.0"} {
			if got := see(as); got != want {
				t.Errorf("%s sees %q, want %q", as, got, want)
			}
		}
		ask := func(as, file, body string) string {
			a := s.do("POST", "/v1/downloads/"+file+"/links", body, "Authorization: "+as)
			return fmt.Sprintln(a.StatusCode, a.code())
		}
		for _, c := range []struct{ as, file, body, want string }{
			{"Bearer ada", one.ID, "{}", "201 "}, {"Bearer ada", free.ID, "{}", "201 "}, {"Bearer bob", free.ID, "{}", "201 "},
			{"Bearer ada", three.ID, "{}", "403 download-not-covered"}, {"Bearer ada", late.ID, "{}", "403 download-not-covered"},
			{"Bearer bob", one.ID, "{}", "404 not-found"}, {"Bearer bob", "file_00000000000070008000000000000000", "{}", "404 not-found"},
			{"Bearer bob", one.ID, `{"license":"` + s.lic + `"}`, "404 not-found"}, {"Bearer support", one.ID, "{}", "400 link-invalid"},
			{"Bearer support", one.ID, `{"license":"` + s.lic + `"}`, "201 "}, {"License " + s.lic, one.ID, "{}", "201 "},
			{"Bearer ada", one.ID, `{"minutes":4}`, "400 link-invalid"}, {"Bearer ada", one.ID, `{"minutes":16}`, "400 link-invalid"},
			{"Bearer ci", one.ID, "{}", "403 forbidden"},
		} {
			if got := ask(c.as, c.file, c.body); strings.TrimSpace(got) != strings.TrimSpace(c.want) {
				t.Errorf("%s asks for %s with %s: %s, want %s", c.as, c.file, c.body, got, c.want)
			}
		}
	})
}

// An upload is streamed and becomes part of a draft only when it is whole and has the digest that was announced; whoever may not
// upload is refused, and nothing is left in the store of what was refused or replaced.
func TestUploadIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		s := newShelf(t, e, perpetual())
		var rel download.View
		s.ok("POST", "/v1/products/"+s.product+"/releases", "Bearer ci", `{"version":"1.0"}`, &rel)
		at := "/v1/releases/" + rel.ID + "/files/"
		content := string(noise(300_000))
		_, good := digestOf([]byte(content))
		_, bad := digestOf([]byte("other"))
		for _, c := range []struct {
			as, name, want string
			body           string
			headers        []string
		}{
			{"", "a.bin", "401 unauthorized", content, nil}, {"Bearer ada", "a.bin", "403 forbidden", content, nil}, {"Bearer support", "a.bin", "403 forbidden", content, nil},
			{"Bearer read-ci", "a.bin", "403 forbidden", content, nil}, {"Bearer other-ci", "a.bin", "404 not-found", content, nil}, {"Bearer nobody", "a.bin", "401 unauthorized", content, nil},
			{"Bearer ci", "a.bin", "400 upload-invalid", "", nil}, {"Bearer ci", "a.bin", "400 upload-digest", content, []string{bad}},
			{"Bearer ci", "a.bin", "413 upload-too-large", string(noise(4<<20 + 1)), nil}, {"Bearer ci", "a.bin", "415 upload-encoded", content, []string{"Content-Encoding: gzip"}},
			{"Bearer ci", "a.bin?platform=Linux!", "400 upload-invalid", content, nil}, {"Bearer ci", "a.bin", "400 upload-invalid", content, []string{"Repr-Digest: md5=:x:"}},
		} {
			h := c.headers
			if c.as != "" {
				h = append(h, "Authorization: "+c.as)
			}
			if a := s.do("PUT", at+c.name, c.body, h...); fmt.Sprint(a.StatusCode, " ", a.code()) != c.want {
				t.Errorf("%s %s %v: %d %s, want %s", c.as, c.name, c.headers, a.StatusCode, a.body, c.want)
			}
		}
		if left := s.blobs(); len(left) != 0 || s.audited("release.upload") != 0 {
			t.Errorf("refused uploads left %v", left)
		}
		for range 2 {
			if a := s.do("PUT", at+"a.bin", content, good, "Authorization: Bearer ci"); a.StatusCode != 201 {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		}
		if left := s.blobs(); len(left) != 1 || s.audited("release.upload") != 2 {
			t.Errorf("a replaced file left %v", left)
		}
		s.shortUpload(t, at+"b.bin")
		s.ok("POST", "/v1/releases/"+rel.ID+"/publish", "Bearer ci", "{}", nil)
		if a := s.do("PUT", at+"a.bin", content, "Authorization: Bearer ci"); a.StatusCode != 409 || len(s.blobs()) != 1 {
			t.Errorf("into a published release: %d", a.StatusCode)
		}
	})
}

// shortUpload announces more than it sends: its progress shows while it goes on, and it leaves nothing when it stops. One that is let go before
// anybody looked, as on a busy machine, is begun again.
func (s *shelf) shortUpload(t *testing.T, path string) {
	t.Helper()
	id := strings.Split(path, "/")[3]
	s.eventually("progress is shown", func() bool {
		r, w := io.Pipe()
		q, err := http.NewRequestWithContext(t.Context(), "PUT", s.URL+path, r)
		if err != nil {
			t.Fatal(err)
		}
		q.ContentLength = 100_000
		q.Header.Set("Authorization", "Bearer ci")
		done := make(chan struct{})
		go func() {
			defer close(done)
			if res, err := s.client().Do(q); err == nil {
				_ = res.Body.Close()
			}
			_ = r.CloseWithError(io.ErrClosedPipe)
		}()
		defer func() {
			_ = w.CloseWithError(io.ErrClosedPipe)
			<-done
		}()
		if _, err := w.Write(noise(70_000)); err != nil {
			return false
		}
		for {
			var v download.View
			s.ok("GET", "/v1/releases/"+id, "Bearer admin", "", &v)
			if len(v.Uploads) == 1 && v.Uploads[0].Size == 100_000 && v.Uploads[0].Received > 0 {
				return true
			}
			select {
			case <-done:
				return false
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	s.eventually("nothing is left", func() bool { return len(s.blobs()) == 1 })
}
