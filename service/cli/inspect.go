package cli

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/app"
)

// inspectCommand reads a license file or a token and says what it is. It needs no service and no network.
type inspectCommand struct {
	output
	File   string   `arg:"" help:"License file, or a file with a token; - reads standard input."`
	Root   []string `help:"Root public key(s) to verify against, as \"mintreu keyring roots\" prints them." placeholder:"KEY,…"`
	Keyset string   `help:"File with the keyset of a bare token, as GET /v1/keyset answers." placeholder:"FILE"`
}

// maxInspect bounds what is read: the cap of a license file is below it.
const maxInspect = 1 << 20

// document is what inspect says of one token.
type document struct {
	Part     string          `json:"part"`
	Header   json.RawMessage `json:"header"`
	Claims   json.RawMessage `json:"claims"`
	Verified string          `json:"verified"` // "yes", "not checked", or why not
}

// Run prints header and claims of every document in the file and whether it verifies.
func (c *inspectCommand) Run(ctx context.Context, cfg app.Config, s streams) error {
	out, err := c.documents(ctx, cfg, s)
	if err != nil {
		return err
	}
	if err := c.print(s.out, out); err != nil {
		return err
	}
	for _, d := range out {
		if d.Verified != "yes" && d.Verified != "not checked" {
			return errors.New("this is not authentic: at least one document does not verify against the roots")
		}
	}
	if len(c.Root) == 0 && !c.JSON {
		_, err = fmt.Fprintln(s.err, "Nothing was verified: there is no installation in the data directory; give --root.")
	}
	return err
}

// documents reads every document of the file, the license first, and verifies it where there are roots.
func (c *inspectCommand) documents(ctx context.Context, cfg app.Config, s streams) ([]document, error) {
	text, err := readAll(s.in, c.File, maxInspect)
	if err != nil {
		return nil, err
	}
	file := doc.File{License: strings.TrimSpace(text)}
	if strings.Contains(text, "-----BEGIN MINTREU LICENSE-----") || strings.HasPrefix(file.License, "MFIL1.") { // or the parts of one, as QR codes have them
		if file, err = doc.DecodeFile(text); err != nil {
			return nil, err
		}
	} else if strings.Count(file.License, ".") != 2 {
		return nil, errors.New("this is neither a license file (-----BEGIN MINTREU LICENSE-----) nor a token (three parts with dots)")
	}
	if err := c.trust(ctx, cfg, &file); err != nil {
		return nil, err
	}
	verify, err := c.verifier(file)
	if err != nil {
		return nil, err
	}
	var out []document
	for _, part := range []struct{ name, token string }{{"license", file.License}, {"lease", file.Lease}, {"keyset", file.Keyset}, {"status list", file.StatusList}} {
		if part.token == "" {
			continue
		}
		d, err := peek(part.name, part.token)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		d.Verified = verify(part.name, part.token, d.Claims)
		out = append(out, d)
	}
	return out, nil
}

// claims reads the claims into v.
func (d document) claims(v any) error {
	if err := json.Unmarshal(d.Claims, v); err != nil {
		return fmt.Errorf("the claims of the %s cannot be read: %w", d.Part, err)
	}
	return nil
}

// trust finds what to verify against: the roots given, or those of the installation in the data directory; for a bare token also
// the keyset.
func (c *inspectCommand) trust(ctx context.Context, cfg app.Config, f *doc.File) error {
	own := ""
	if len(c.Root) == 0 && app.Exists(cfg) {
		var err error
		if c.Root, own, err = app.Trust(ctx, cfg); err != nil {
			return fmt.Errorf("%s holds no roots to verify against; give --root: %w", cfg.Target(), err)
		}
	}
	if f.Keyset == "" && c.Keyset != "" {
		text, err := readAll(nil, c.Keyset, maxInspect)
		if err != nil {
			return err
		}
		own = strings.TrimSpace(text)
	}
	if f.Keyset == "" {
		f.Keyset = own
	}
	return nil
}

// verifier returns the check of one document: against the roots given, through the keyset in the file.
func (c *inspectCommand) verifier(f doc.File) (func(part, token string, claims json.RawMessage) string, error) {
	if len(c.Root) == 0 {
		return func(string, string, json.RawMessage) string { return "not checked" }, nil
	}
	roots, err := parseRoots(c.Root)
	if err != nil {
		return nil, err
	}
	if f.Keyset == "" {
		return nil, errors.New("a bare token cannot be verified against a root: its keyset is not with it; give --keyset FILE, or inspect the license file")
	}
	rv := doc.Verifier{Keys: roots, Audience: doc.Any, Env: doc.Any}
	keyset, kerr := rv.Keyset(f.Keyset, 0)
	var keys *doc.Keys
	if kerr == nil {
		keys, kerr = keyset.Trust()
	}
	return func(part, token string, claims json.RawMessage) string {
		if kerr != nil {
			return "no: keyset: " + kerr.Error()
		}
		var c struct {
			Aud string `json:"aud"`
			Sub string `json:"sub"`
		}
		_ = json.Unmarshal(claims, &c)
		v := doc.Verifier{Keys: keys, Audience: c.Aud, Env: doc.Any}
		var err error
		switch part {
		case "license":
			_, err = v.License(token)
		case "lease":
			_, err = v.Lease(token)
		case "status list":
			v.Audience = doc.Any
			_, err = v.StatusList(token, c.Sub)
		}
		if err != nil {
			return "no: " + err.Error()
		}
		return "yes"
	}, nil
}

func parseRoots(list []string) (*doc.Keys, error) {
	var keys []doc.Key
	for _, text := range list {
		pub, err := doc.ParsePublicKey(text)
		if err != nil {
			return nil, fmt.Errorf("root %q: %w", text, err)
		}
		pinned, err := doc.PinRoots(pub)
		if err != nil {
			return nil, err
		}
		keys = append(keys, *pinned.Get(doc.Thumbprint(pub)))
	}
	return doc.NewKeys(keys...)
}

// peek decodes header and claims without believing them.
func peek(part, token string) (document, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return document{}, errors.New("not a token of three parts")
	}
	var decoded [2][]byte
	for i := range decoded {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(parts[i]); err != nil || !json.Valid(decoded[i]) {
			return document{}, errors.New("not a token: a part is no base64url JSON")
		}
	}
	return document{Part: part, Header: decoded[0], Claims: decoded[1]}, nil
}

func (c *inspectCommand) print(w io.Writer, docs []document) error {
	if c.JSON {
		return c.value(w, docs)
	}
	for _, d := range docs {
		if _, err := fmt.Fprintf(w, "%s   verified: %s\n", d.Part, d.Verified); err != nil {
			return err
		}
		var claims map[string]any
		if err := json.Unmarshal(d.Claims, &claims); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(w, "  %-14s %s\n", "header", printable(string(d.Header), false))
		for _, name := range sortedKeys(claims) {
			_, _ = fmt.Fprintf(w, "  %-14s %s\n", name, claim(name, claims[name]))
		}
	}
	return nil
}

// claim shows instants as dates beside their seconds.
func claim(name string, v any) string {
	if n, ok := v.(float64); ok {
		switch name {
		case "iat", "nbf", "exp", "valid_until", "updates_until", "recheck_at", "fresh_until":
			return fmt.Sprintf("%.0f  %s", n, time.Unix(int64(n), 0).UTC().Format(time.RFC3339))
		}
	}
	return cell(v)
}
