package doc

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// File is a license file: what a product needs to run without ever having been
// online. Its parts are documents with signatures of their own, so the file
// itself needs none.
type File struct {
	Version    int    `json:"v"` // 1
	License    string `json:"license"`
	Keyset     string `json:"keyset"`
	Lease      string `json:"lease,omitempty"`
	StatusList string `json:"status_list,omitempty"`
}

const (
	fileBegin = "-----BEGIN MINTREU LICENSE-----"
	fileEnd   = "-----END MINTREU LICENSE-----"
	fileWidth = 64
)

var fileMembers = []string{"v", "license", "keyset", "lease", "status_list"}

// EncodeFile returns the armoured text of f with Version set to 1.
func EncodeFile(f File) (string, error) {
	f.Version = 1
	raw, err := json.Marshal(f)
	if err != nil {
		return "", err
	}
	if f.License == "" || f.Keyset == "" {
		return "", fmt.Errorf("%w: license file without a license or a keyset", ErrPayload)
	}
	text := base64.StdEncoding.EncodeToString(raw)
	var b strings.Builder
	b.WriteString(fileBegin + "\n")
	for len(text) > 0 {
		n := min(fileWidth, len(text))
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	b.WriteString(fileEnd + "\n")
	if b.Len() > MaxFile {
		return "", ErrTooLong
	}
	return b.String(), nil
}

// DecodeFile reads the armoured text of a license file. It takes line ends of
// any system and space around the armour, for files travel by mail, and all the
// parts of FileParts instead. The documents inside are still to be verified.
func DecodeFile(text string) (File, error) {
	if len(text) > MaxFile {
		return File{}, ErrTooLong
	}
	if text = strings.TrimSpace(text); strings.HasPrefix(text, partPrefix) {
		return joinParts(text)
	}
	body, ok := strings.CutPrefix(text, fileBegin)
	if ok {
		body, ok = strings.CutSuffix(body, fileEnd)
	}
	if !ok {
		return File{}, fmt.Errorf("%w: no license file armour", ErrMalformed)
	}
	body = strings.NewReplacer("\r", "", "\n", "", " ", "", "\t", "").Replace(body)
	raw, err := base64.StdEncoding.Strict().DecodeString(body)
	if err != nil {
		return File{}, fmt.Errorf("%w: license file is not base64", ErrMalformed)
	}
	return parseFile(string(raw))
}

func parseFile(raw string) (File, error) {
	var f File
	var p scanner
	p.text(raw)
	var o object
	p.open(&o)
	for p.next(&o) {
		switch o.name {
		case "v":
			f.Version = int(p.integer())
		case "license":
			f.License = p.str()
		case "keyset":
			f.Keyset = p.str()
		case "lease":
			f.Lease = p.str()
		case "status_list":
			f.StatusList = p.str()
		default:
			p.skipUnknown(&o, fileMembers)
		}
	}
	p.end()
	p.need("license missing", f.License != "")
	p.need("keyset missing", f.Keyset != "")
	if p.fault != "" {
		return File{}, fmt.Errorf("%w: license file: %s", ErrPayload, p.fault)
	}
	if f.Version != 1 {
		return File{}, fmt.Errorf("%w: license file version %d", ErrUnsupported, f.Version)
	}
	return f, nil
}
