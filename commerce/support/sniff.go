package support

import (
	"bytes"
	"errors"
	"hash"
	"io"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// intake passes an attachment on and looks at its bytes: how it begins, whether all of it is text, and whether it holds what makes a file of two
// kinds at once.
type intake struct {
	from   io.Reader
	digest hash.Hash
	head   []byte // the first kilobyte
	tail   []byte // what a marker across two reads may begin with
	found  map[string]bool
	binary bool // not UTF-8 text, or with control characters
	rest   []byte
	total  int64
	over   bool
	failed error
}

const headSize = 1024

// octets is the type of what is not known to be harmless.
const octets = "application/octet-stream"

var errOver = errors.New("support: the file is too large")

// markers are what is looked for in the whole of a file, in lower case.
var markers = []string{"eicar-standard-antivirus-test-file", "<script", "<svg", "<html", "<!doctype", "<?php", "<iframe", "%pdf-"}

// Read implements [io.Reader].
func (in *intake) Read(p []byte) (int, error) {
	n, err := in.from.Read(p)
	in.total += int64(n)
	if in.total > MaxFile {
		in.over = true
		return 0, errOver
	}
	in.look(p[:n])
	if err != nil && err != io.EOF {
		in.failed = err
	}
	return n, err
}

func (in *intake) look(p []byte) {
	if len(p) == 0 {
		return
	}
	in.digest.Write(p)
	if room := headSize - len(in.head); room > 0 {
		in.head = append(in.head, p[:min(room, len(p))]...)
	}
	in.search(p)
	if !in.binary {
		in.text(p)
	}
}

// search looks for markers in what came, together with the end of what came before.
func (in *intake) search(p []byte) {
	part := bytes.ToLower(append(slices.Clone(in.tail), p...))
	for _, m := range markers {
		if !in.found[m] && bytes.Contains(part, []byte(m)) {
			if in.found == nil {
				in.found = map[string]bool{}
			}
			in.found[m] = true
		}
	}
	in.tail = append(in.tail, p...)
	in.tail = slices.Clone(in.tail[max(0, len(in.tail)-64):])
}

// text notes when what came is no text; a character may be cut by the end of p.
func (in *intake) text(p []byte) {
	p = append(in.rest, p...)
	for len(p) > 0 {
		if p[0] < utf8.RuneSelf {
			if p[0] < ' ' && p[0] != '\n' && p[0] != '\r' && p[0] != '\t' && p[0] != '\f' && p[0] != 0x1b || p[0] == 0x7f {
				in.binary = true
				return
			}
			p = p[1:]
			continue
		}
		r, size := utf8.DecodeRune(p)
		if r == utf8.RuneError && size == 1 {
			if len(p) < utf8.UTFMax && !utf8.FullRune(p) {
				break
			}
			in.binary = true
			return
		}
		p = p[size:]
	}
	in.rest = slices.Clone(p)
}

// programs are how files begin that a machine would run.
var programs = []string{"MZ", "\x7fELF", "#!", "\xca\xfe\xba\xbe", "\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe", "\x00asm", "dex\n", "\xd0\xcf\x11\xe0", "L\x00\x00\x00\x01\x14\x02\x00", "!<arch>"}

// kinds are the types that are given out under their own name, by how they begin.
var kinds = []struct{ magic, mediaType string }{
	{"\x89PNG\r\n\x1a\n", "image/png"}, {"\xff\xd8\xff", "image/jpeg"}, {"GIF87a", "image/gif"}, {"GIF89a", "image/gif"},
	{"%PDF-", "application/pdf"}, {"PK\x03\x04", "application/zip"}, {"PK\x05\x06", "application/zip"}, {"\x1f\x8b\x08", "application/gzip"},
}

// kind is the media type of a file that has been read to its end; false for one that is refused.
func (in *intake) kind() (string, bool) {
	if in.found["eicar-standard-antivirus-test-file"] {
		return "", false
	}
	for _, magic := range programs {
		if bytes.HasPrefix(in.head, []byte(magic)) {
			return "", false
		}
	}
	begin := bytes.TrimLeft(bytes.TrimPrefix(in.head, []byte("\xef\xbb\xbf")), " \t\r\n\f")
	if bytes.HasPrefix(begin, []byte("<")) || in.wide() { // HTML, SVG and every other XML
		return "", false
	}
	if t := in.byMagic(); t != "" {
		if in.twofold(t) {
			return octets, true
		}
		return t, true
	}
	if in.binary || len(in.rest) > 0 || len(in.found) > 0 {
		return octets, true
	}
	return "text/plain", true
}

// wide reports markup in UTF-16.
func (in *intake) wide() bool {
	return bytes.HasPrefix(in.head, []byte("\xff\xfe<\x00")) || bytes.HasPrefix(in.head, []byte("\xfe\xff\x00<"))
}

func (in *intake) byMagic() string {
	for _, k := range kinds {
		if bytes.HasPrefix(in.head, []byte(k.magic)) {
			return k.mediaType
		}
	}
	if len(in.head) >= 12 && string(in.head[:4]) == "RIFF" && string(in.head[8:12]) == "WEBP" {
		return "image/webp"
	}
	return ""
}

// twofold reports a file that may be taken for something else too: a picture with markup or a PDF in it, a GIF whose size is the beginning of a
// comment or an assignment.
func (in *intake) twofold(mediaType string) bool {
	if mediaType == "application/zip" || mediaType == "application/gzip" {
		return false // compressed bytes, which nothing here opens
	}
	for m := range in.found {
		if m != "%pdf-" || mediaType != "application/pdf" {
			return true
		}
	}
	return mediaType == "image/gif" && len(in.head) > 7 && (string(in.head[6:8]) == "/*" || in.head[6] == '=')
}

// refusedEndings are those by which a desktop would run or render a file.
var refusedEndings = strings.Fields(`.ade .adp .apk .app .application .appref-ms .appx .asp .aspx .bat .chm .cmd .com .command .cpl .desktop .dll .dmg .exe .gadget .hta .htm .html .htt
	.inf .ins .iso .isp .jar .jnlp .js .jse .jsp .lib .lnk .mde .mht .mhtml .mjs .msc .msi .msix .msp .mst .php .phtml .pif .ps1 .psm1 .reg .scf .scr .sct .sh .shb .shtml .svg .svgz .swf .sys .url .vb .vbe .vbs
	.vhd .vhdx .vxd .wasm .wsc .wsf .wsh .xht .xhtml .xll .xml .xsl .xslt`)

// refusedName reports a name that ends as one of these, however many endings stand before.
func refusedName(name string) bool {
	return slices.Contains(refusedEndings, strings.ToLower(path.Ext(name)))
}

// endings are those that a type may have; the first is given to a file that has none of them.
var endings = map[string][]string{"image/png": {".png"}, "image/jpeg": {".jpg", ".jpeg"}, "image/gif": {".gif"}, "image/webp": {".webp"}, "application/pdf": {".pdf"},
	"application/gzip": {".gz", ".tgz"}, octets: nil}

// named gives a file the ending of what it is, so that a desktop does not take it for something else. ZIP and text go by many endings, which
// stay, unless they promise a picture or a document.
func named(name, mediaType string) string {
	own := strings.ToLower(path.Ext(name))
	if want, strict := endings[mediaType]; strict && want != nil {
		if !slices.Contains(want, own) {
			return name + want[0]
		}
		return name
	}
	for t, list := range endings {
		if t != mediaType && slices.Contains(list, own) {
			return name + map[string]string{"text/plain": ".txt", "application/zip": ".zip", octets: ".bin"}[mediaType]
		}
	}
	return name
}
