package support_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"go/parser"
	"go/token"
	"hash/crc32"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/store/storetest"
)

const (
	png = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01"
	gif = "GIF89a\x01\x00\x01\x00\x00\x00\x00;"
	pdf = "%PDF-1.7\n1 0 obj\n"
	zip = "PK\x03\x04\x14\x00\x00\x00"
	gz  = "\x1f\x8b\x08\x00\x00"
	// eicar is cut in two, so that no scanner takes this file for the test virus.
	eicar = `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-` + `ANTIVIRUS-TEST-FILE!$H+H*`
)

// What is sent is refused, or kept under the type that its bytes show and a name that ends accordingly; whatever it is, it comes back as it was,
// to be saved and never shown, by a browser that may neither guess, run, frame nor keep it. No name leads anywhere.
func TestX06_HostileAttachments(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t))
	th := d.open("ada", object{})
	big := func(n int) string { return string(bytes.Repeat([]byte("0123456789abcde\n"), n/16+1)[:n]) }
	for _, c := range []struct{ name, content, want, kept string }{
		{"shot.png", png, "image/png", "shot.png"}, {"photo.JPEG", "\xff\xd8\xff\xe0JFIF", "image/jpeg", "photo.JPEG"}, {"a.gif", gif, "image/gif", "a.gif"},
		{"a.webp", "RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp", "a.webp"}, {"a.pdf", pdf, "application/pdf", "a.pdf"}, {"logs.zip", zip, "application/zip", "logs.zip"},
		{"report.docx", zip, "application/zip", "report.docx"}, {"a.tgz", gz, "application/gzip", "a.tgz"}, {"app.log", "2026 \x1b[31mred\x1b[0m ünïcode\r\n", "text/plain", "app.log"},
		{"notes", "plain", "text/plain", "notes"}, {"core.dump", "\x00\x01\x02", "application/octet-stream", "core.dump"},
		// Not what they say they are.
		{"shot.png", "just text", "text/plain", "shot.png.txt"}, {"shot.png", "\x00\x01", "application/octet-stream", "shot.png.bin"}, {"invoice.txt", pdf, "application/pdf", "invoice.txt.pdf"}, {"a.gif", png, "image/png", "a.gif.png"},
		{"evil.exe.png", png, "image/png", "evil.exe.png"},
		// Two kinds at once.
		{"a.gif", "GIF89a/*\x00\x00;*/=1;alert(1)//", "application/octet-stream", "a.gif.bin"}, {"a.gif", "GIF89a=1;alert(1)", "application/octet-stream", "a.gif.bin"},
		{"a.png", png + strings.Repeat("x", 5000) + "<ScRiPt>alert(1)</script>", "application/octet-stream", "a.png.bin"}, {"a.jpg", "\xff\xd8\xff\xe0" + pdf, "application/octet-stream", "a.jpg.bin"},
		{"a.pdf", pdf + "<?php system('id');", "application/octet-stream", "a.pdf.bin"}, {"a.log", "GET /?q=<script>alert(1)</script>", "application/octet-stream", "a.log"},
		// Programs, pages, and what desktops run.
		{"a.svg", "<svg onload=alert(1)>", "", ""}, {"a.png", "<svg onload=alert(1)>", "", ""}, {"a.txt", "\xef\xbb\xbf \n\t<!DOCTYPE html>", "", ""}, {"a.txt", "<?xml version='1.0'?><x/>", "", ""},
		{"a.txt", "\xff\xfe<\x00h\x00", "", ""}, {"a.bin", "MZ\x90\x00", "", ""}, {"a", "\x7fELF\x02", "", ""}, {"a.txt", "#!/bin/sh\nrm -rf ~", "", ""}, {"a.dat", "\xca\xfe\xba\xbe", "", ""}, {"a.doc", "\xd0\xcf\x11\xe0\xa1", "", ""},
		{"a.html", "text", "", ""}, {"invoice.pdf.exe", pdf, "", ""}, {"photo.png.HTML", png, "", ""}, {"a.pdf.js ", "text", "", ""}, {"a.lnk.", "text", "", ""}, {"x.png\u202egpj.scr", png, "", ""},
		{"eicar.txt", eicar, "", ""}, {"eicar.zip", zip + strings.Repeat("\x00", 40_000) + eicar, "", ""},
		// Names.
		{"../../../etc/passwd", "text", "text/plain", "passwd"}, {`..\..\windows\win.ini`, "text", "text/plain", "win.ini"}, {"/abs/a.txt", "text", "text/plain", "a.txt"}, {"..", "text", "text/plain", "file"}, {"", "text", "text/plain", "file"},
		{".htaccess", "text", "text/plain", "htaccess"}, {"a\r\nSet-Cookie: x=1.txt", "text", "text/plain", "a Set-Cookie_ x=1.txt"}, {`a";evil="b.txt`, "text", "text/plain", "a_;evil=_b.txt"}, {"日本 語.txt", "text", "text/plain", "日本 語.txt"},
		{strings.Repeat("n", 300) + ".txt", "text", "text/plain", strings.Repeat("n", 100) + ".txt"}, {"a\u202etxt.png", png, "image/png", "a txt.png"},
		// Sizes.
		{"empty.txt", "", "-empty", ""}, {"most.txt", big(10 << 20), "text/plain", "most.txt"}, {"over.txt", big(10<<20 + 1), "-large", ""},
	} {
		a := d.upload(th.ID, "ada", "", c.name, c.content)
		at := fmt.Sprintf("%.40q with %.20q", c.name, c.content)
		switch {
		case c.want == "":
			if a.StatusCode != http.StatusUnsupportedMediaType || a.code() != "attachment-refused" {
				t.Errorf("%s: %d %s, want it refused", at, a.StatusCode, a.body)
			}
			continue
		case c.want == "-empty" && a.code() == "attachment-empty", c.want == "-large" && a.StatusCode == http.StatusRequestEntityTooLarge:
			continue
		case a.StatusCode != http.StatusCreated:
			t.Errorf("%s: %d %s", at, a.StatusCode, a.body)
			continue
		}
		d.fetched(th.ID, at, a, c.content, c.want, c.kept)
		d.Clock.Advance(2 * time.Minute) // attempts are counted
	}
	if stored, rows := int64(len(d.blobs())), d.count(`SELECT count(*) FROM ticket_attachment`); stored != rows || d.count(`SELECT count(*) FROM ticket_attachment WHERE message_id IS NULL`) != 0 {
		t.Errorf("%d files in the store, %d rows: something is left of what was refused", stored, rows)
	}
}

// fetched attaches an uploaded file and looks at how it comes back.
func (d *desk) fetched(ticket, at string, a answer, content, mediaType, name string) {
	d.t.Helper()
	id, _, _ := strings.Cut(strings.TrimPrefix(a.body, `{"id":"`), `"`)
	var th support.Thread
	d.ok("POST", "/v1/tickets/"+ticket+"/replies", "ada", object{"body": "see the file", "attachments": []string{id}}, &th)
	files := th.Messages[len(th.Messages)-1].Files
	if len(files) != 1 || files[0].Type != mediaType || files[0].Name != name {
		d.t.Errorf("%s: kept as %+v, want %q %s", at, files, name, mediaType)
	}
	got := d.do("GET", "/v1/ticket-attachments/"+id, "ada", nil)
	if got.StatusCode != 200 || got.body != content {
		d.t.Errorf("%s: %d, %d bytes came back", at, got.StatusCode, len(got.body))
	}
	h := got.Header
	if kind := strings.TrimSuffix(h.Get("Content-Type"), "; charset=utf-8"); kind != mediaType || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment; ") ||
		h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox; default-src 'none'") ||
		!strings.HasPrefix(h.Get("Cache-Control"), "private, no-store") || h.Get("Referrer-Policy") != "no-referrer" || h.Get("Set-Cookie") != "" {
		d.t.Errorf("%s: headers %v", at, h)
	}
}

// A picture whose header claims 50,000 by 50,000 pixels, and an archive that claims terabytes, are taken and given back as bytes; nothing in the
// package can decode a picture or open an archive.
func TestX07_NothingIsDecoded(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t))
	th := d.open("ada", object{})
	head := []byte("IHDR\x00\x00\xc3\x50\x00\x00\xc3\x50\x08\x06\x00\x00\x00")
	bomb := "\x89PNG\r\n\x1a\n\x00\x00\x00\r" + string(binary.BigEndian.AppendUint32(head, crc32.ChecksumIEEE(head)))
	archive := zip + strings.Repeat("\xff", 100)
	for name, content := range map[string]string{"bomb.png": bomb, "bomb.zip": archive} {
		f := d.uploaded(th.ID, "ada", "", name, content)
		d.ok("POST", "/v1/tickets/"+th.ID+"/replies", "ada", object{"body": "see", "attachments": []string{f.ID}}, nil)
		if a := d.do("GET", "/v1/ticket-attachments/"+f.ID, "sue", nil); a.body != content {
			t.Errorf("%s came back as %d bytes", name, len(a.body))
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			for _, bad := range []string{"image", "archive/", "compress/", "encoding/xml", "html/template"} {
				if strings.HasPrefix(strings.Trim(imp.Path.Value, `"`), bad) {
					t.Errorf("%s imports %s", path, imp.Path.Value)
				}
			}
		}
	}
}

// A file belongs to one message of its uploader: it is attached once, by whoever sent it, to the ticket it was sent for; ten a message. One that
// no message takes is gone after a day, from the table and from the store; one that was taken stays.
func TestAttachmentsAreTakenOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, e storetest.Env) {
		d := newDesk(t, e)
		one, two := d.open("ada", object{}), d.open("ada", object{})
		f := d.uploaded(one.ID, "ada", "", "a.txt", plain)
		s := d.uploaded(one.ID, "sue", "", "s.txt", plain)
		orphan := d.uploaded(one.ID, "ada", "", "b.txt", plain)
		reply := func(ticket, as string, ids ...string) answer {
			return d.do("POST", "/v1/tickets/"+ticket+"/replies", as, object{"body": "see", "attachments": ids})
		}
		for name, a := range map[string]answer{"of staff": reply(one.ID, "ada", s.ID), "of another ticket": reply(two.ID, "ada", f.ID), "unknown": reply(one.ID, "ada", "att_none"), "twice": reply(one.ID, "ada", f.ID, f.ID)} {
			if a.StatusCode != 400 || a.code() != "attachment-unknown" {
				t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
			}
		}
		if n := len(d.staff(one.ID).Messages) + len(d.staff(two.ID).Messages); n != 2 {
			t.Errorf("a refused reply left a message: %d", n)
		}
		if a := d.do("GET", "/v1/ticket-attachments/"+f.ID, "ada", nil); a.StatusCode != 404 {
			t.Errorf("before it is attached: %d", a.StatusCode)
		}
		if a := reply(one.ID, "ada", f.ID); a.StatusCode != 200 {
			t.Errorf("attach: %d %s", a.StatusCode, a.body)
		}
		if a := reply(one.ID, "ada", f.ID); a.code() != "attachment-unknown" {
			t.Errorf("attach again: %d", a.StatusCode)
		}
		// For a ticket that is about to be opened, as the form of a page does it.
		ada := licensing.Actor{Kind: licensing.Customer, ID: "cus_ada", Owner: "cus_ada"}
		ctx := licensing.WithCall(t.Context(), &licensing.Call{Operation: "ticket.attach", Mutating: true, Actor: ada})
		early, err := d.service.Attach(ctx, support.Upload{Name: "early.txt", Content: strings.NewReader(plain)})
		if err != nil {
			t.Fatal(err)
		}
		if a := d.do("POST", "/v1/tickets", "bob", object{"subject": "s", "body": "b", "attachments": []string{early.ID}}); a.code() != "attachment-unknown" {
			t.Errorf("another's: %d", a.StatusCode)
		}
		three := d.open("ada", object{"attachments": []string{early.ID}})
		if len(three.Messages[0].Files) != 1 {
			t.Errorf("%+v", three.Messages[0])
		}
		before := len(d.blobs())
		d.Clock.Advance(24 * time.Hour)
		if err := d.service.Sweep(t.Context()); err != nil || len(d.blobs()) != before {
			t.Errorf("swept too early: %v", err)
		}
		d.Clock.Advance(time.Second)
		if err := d.service.Sweep(t.Context()); err != nil || len(d.blobs()) != 2 {
			t.Errorf("%v, %d files", err, len(d.blobs()))
		}
		if a := reply(one.ID, "ada", orphan.ID); a.code() != "attachment-unknown" {
			t.Errorf("swept: %d", a.StatusCode)
		}
	})
}

// broken is content that stops.
type broken struct{ sent bool }

func (b *broken) Read(p []byte) (int, error) {
	if b.sent {
		return 0, io.ErrUnexpectedEOF
	}
	b.sent = true
	return copy(p, plain), nil
}

// Of an upload that stops, or that is larger than it said, nothing is left; a text that is cut between the bytes of a character is still text.
func TestUploadsThatStop(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.SQLite(t))
	th := d.open("ada", object{})
	ctx := func() context.Context {
		return licensing.WithCall(t.Context(), &licensing.Call{Operation: "ticket.attach", Mutating: true, Actor: licensing.Actor{Kind: licensing.Customer, ID: "cus_ada", Owner: "cus_ada"}})
	}
	if _, err := d.service.Attach(ctx(), support.Upload{Ticket: th.ID, Name: "a.txt", Content: &broken{}}); err == nil {
		t.Error("half a file was taken")
	}
	endless := io.MultiReader(strings.NewReader(strings.Repeat("x", support.MaxFile)), strings.NewReader("xx"))
	if _, err := d.service.Attach(ctx(), support.Upload{Ticket: th.ID, Name: "a.txt", Content: endless}); licensing.KindOf(err) != licensing.TooLarge {
		t.Errorf("too large: %v", err)
	}
	if len(d.blobs()) != 0 || d.count(`SELECT count(*) FROM ticket_attachment`) != 0 {
		t.Errorf("left %v", d.blobs())
	}
	text := strings.Repeat("äöü日🙂", 3)
	for i := range len(text) {
		f, err := d.service.Attach(ctx(), support.Upload{Ticket: th.ID, Name: "a.txt", Content: io.MultiReader(strings.NewReader(text[:i]), strings.NewReader(text[i:]))})
		if err != nil || f.Type != "text/plain" {
			t.Fatalf("cut at %d: %+v, %v", i, f, err)
		}
		d.Clock.Advance(2 * time.Minute)
	}
}
