package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/service/e2e/browsertest"
)

// TestUploadPage: a release's file is uploaded on its page: with JavaScript its progress is shown in the bar and in words, without it the form
// alone does the same; the page that follows says that the file is stored, and what is stored is the file, byte for byte. A name that
// cannot be is refused with a word, and over a line that breaks the page says so and takes the file the next time.
func TestUploadPage(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	chromium := browsertest.Start(t)
	for name, look := range map[string]browsertest.Look{"with": {}, "without": {NoScript: true, Narrow: true}} {
		content := bytes.Repeat([]byte(name+" JavaScript "), 60_000)
		path := filepath.Join(t.TempDir(), "quill-"+name+".zip")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		at := s.url + "/admin/releases/" + s.ids["draft-release"]
		p := chromium.Private(t, look)
		p.SetCookie(t, s.url, http.Cookie{Name: "mintreu-session", Value: s.tokens[owner], Path: "/", HttpOnly: true})
		p.Visit(t, at)
		p.Attach(t, `main [name="file"]`, path)
		if !look.NoScript {
			p.Line(t, 1e6, false)
			p.Run(t, `new Promise((done) => { // what the page shows on the way is kept for the page that follows
				const seen = [], bar = document.querySelector("progress");
				new MutationObserver(() => {
					if (!bar.hidden) seen.push(bar.value + "/" + bar.max + " " + document.querySelector("[data-progress]").textContent);
					sessionStorage.setItem("seen", seen.join("|"));
				}).observe(bar.closest("form"), {subtree: true, childList: true, attributes: true});
				done("");
			})`)
		}
		p.Submit(t, submit)
		if said := p.Text(t, "main"); !strings.Contains(said, "The file is stored") || !strings.Contains(said, filepath.Base(path)) {
			t.Errorf("%s JavaScript the page after the upload says %q", name, said)
		}
		p.Quiet(t, pageLimit)
		if !look.NoScript {
			s.progressed(t, strings.Split(p.Run(t, `Promise.resolve(sessionStorage.getItem("seen"))`), "|"), len(content))
		}
		var release struct {
			Files []struct {
				Name, SHA256 string
				Size         int
			}
		}
		s.must(t, http.MethodGet, "/v1/releases/"+s.ids["draft-release"], nil, &release)
		stored := false
		for _, f := range release.Files {
			stored = stored || f.Name == filepath.Base(path) && f.Size == len(content) && f.SHA256 == fmt.Sprintf("%x", sha256.Sum256(content))
		}
		if !stored {
			t.Errorf("%s JavaScript the release has %+v", name, release.Files)
		}
		if look.NoScript {
			continue
		}
		odd := filepath.Join(t.TempDir(), "quill ;.zip")
		if err := os.WriteFile(odd, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		p.Attach(t, `main [name="file"]`, odd)
		p.Submit(t, submit)
		if said := p.Text(t, "main .note"); !strings.Contains(said, "Name must be") {
			t.Errorf("a file whose name cannot be: the page says %q", said)
		}
		p.Attach(t, `main [name="file"]`, path)
		p.Line(t, 0, true)
		p.Click(t, submit)
		p.Wait(t, `[data-progress]:not(:empty)`)
		if said := p.Text(t, "[data-progress]"); !strings.Contains(said, "The connection broke") {
			t.Errorf("without a line the page says %q", said)
		}
		p.Line(t, 0, false)
		p.Submit(t, submit)
		if said := p.Text(t, "main"); !strings.Contains(said, "The file is stored") {
			t.Errorf("once more, the page says %q", said)
		}
	}
}

// progressed fails unless what was shown while a file was sent grows up to the whole, in the bar and in words.
func (s *stage) progressed(t *testing.T, seen []string, size int) {
	t.Helper()
	between, last := false, 0.0
	for _, one := range seen {
		numbers, words, _ := strings.Cut(one, " ")
		value, whole, _ := strings.Cut(numbers, "/")
		n, err := strconv.ParseFloat(value, 64)
		max, err2 := strconv.ParseFloat(whole, 64)
		if err != nil || err2 != nil || n < last {
			t.Errorf("the progress went from %v to %q: %q", last, one, seen)
		}
		last = n
		between = between || n > 0 && n < max && max > float64(size) && words == fmt.Sprintf("%d %% sent", int(100*n/max))
	}
	if !between || !strings.HasSuffix(seen[len(seen)-1], "Sent; it is being stored.") {
		t.Errorf("while the file was sent the page showed %q", seen)
	}
}
