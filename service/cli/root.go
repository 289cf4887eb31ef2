package cli

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/app"
)

// rootCommand is about the root. new and sign need no installation: they run where the root is.
type rootCommand struct {
	Export       rootExport  `cmd:"" help:"Move the root offline: encrypt it into a file, read the file back, then delete the sealed copy."`
	Request      rootRequest `cmd:"" help:"Write a request for the next keyset, to be signed where the root is."`
	Sign         rootSign    `cmd:"" help:"Where the root is: read a request, show it, and sign the keyset. Needs no installation."`
	ImportKeyset rootImport  `cmd:"" help:"Import the keyset that the root signed."`
	New          rootNew     `cmd:"" help:"Make a root on another machine, into an encrypted file. Needs no installation."`
	Add          rootAdd     `cmd:"" help:"Let products trust a further root, whose private part is elsewhere."`
	Rotate       rootRotate  `cmd:"" help:"Replace the root: the present one signs for the last time."`
}

// secretFile is where a passphrase is read from.
type secretFile struct {
	PassphraseFile string `help:"File whose first line is the passphrase, 12 bytes or more; - is standard input, and then --yes is needed." default:"-" placeholder:"FILE"`
}

func (f secretFile) read(s streams) (string, error) {
	p, err := readLine(s.in, f.PassphraseFile)
	if err == nil && p == "" {
		err = errors.New("the passphrase is empty: write it on the first line")
	}
	return p, err
}

type rootExport struct {
	output
	consent
	secretFile
	To     string `required:"" help:"File to make; it must not exist." placeholder:"FILE" type:"path"`
	Reason string `required:"" help:"Why, for the audit trail." placeholder:"TEXT"`
	Export string `help:"Id of the export, to go on with one that another owner has approved." placeholder:"ID"`
}

// Run moves the root offline.
func (c *rootExport) Run(ctx context.Context, cfg app.Config, s streams) error {
	passphrase, err := c.read(s)
	if err != nil {
		return err
	}
	if err := c.ask(ctx, s, "Move the root offline? Afterwards this installation cannot revoke a key or make new ones without "+c.To+" and its passphrase.\nPlanned rotation works on with the keys that stand by."); err != nil {
		return err
	}
	return with(ctx, cfg, func(o *operator) error {
		e, err := c.approved(ctx, o)
		if err != nil {
			return err
		}
		if e.State == string(keyring.Proposed) {
			_, err := fmt.Fprintf(s.out, "Export %s is proposed. Another owner approves it in the console, under Signing keys; then:\n  mintreu keyring root export --export %s …\n", e.ID, e.ID)
			return err
		}
		var taken keyring.RootTaken
		if err := o.call(ctx, http.MethodPost, "/v1/root-exports/"+e.ID+"/take", map[string]any{"passphrase": passphrase}, &taken); err != nil {
			return err
		}
		if err := writeNew(c.To, taken.File); err != nil {
			return err
		}
		back, err := os.ReadFile(c.To)
		if err != nil {
			return fmt.Errorf("%w\nthe root is still in the installation", err)
		}
		if err := o.call(ctx, http.MethodPost, "/v1/root-exports/"+e.ID+"/confirm", map[string]any{"file": string(back), "passphrase": passphrase}, &e); err != nil {
			return fmt.Errorf("%w\nthe root is still in the installation", err)
		}
		if c.JSON {
			return c.value(s.out, e)
		}
		_, err = fmt.Fprintf(s.out, "Root offline. It is in %s, which was read back, and nowhere else.\nCopy the file to two media that are kept apart and never online, keep the passphrase elsewhere, then delete it here.\nBackups made until now still hold the root, sealed under the master key.\n", c.To)
		return err
	})
}

// approved finds the export to go on with, one that the machine proposed and did not end, or proposes one.
func (c *rootExport) approved(ctx context.Context, o *operator) (keyring.ExportView, error) {
	var list keyring.ExportList
	if err := o.call(ctx, http.MethodGet, "/v1/root-exports", nil, &list); err != nil {
		return keyring.ExportView{}, err
	}
	for _, e := range list.Items {
		ours := strings.HasPrefix(e.ProposedBy, "cli:") && e.DoneAt == nil && e.State != string(keyring.Withdrawn) && e.ExpiresAt.After(time.Now())
		if e.ID == c.Export || c.Export == "" && ours {
			return e, nil
		}
	}
	if c.Export != "" {
		return keyring.ExportView{}, fmt.Errorf("there is no export %s", c.Export)
	}
	var e keyring.ExportView
	err := o.call(ctx, http.MethodPost, "/v1/root-exports", map[string]any{"reason": c.Reason}, &e)
	return e, err
}

// writeNew writes a file for its owner alone that must not exist, so that it outlasts a loss of power.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

type rootRequest struct {
	output
	To       string `required:"" help:"File to make; it must not exist." placeholder:"FILE" type:"path"`
	Revoke   string `help:"Revoke this signing key, by thumbprint: somebody else may have it." placeholder:"KID"`
	AddRoot  string `help:"Let products trust this root too." placeholder:"KEY"`
	NextRoot string `help:"Let this root, which stands by, take the place of the present one, by thumbprint." placeholder:"KID"`
	Reason   string `required:"" help:"Why, for the audit trail." placeholder:"TEXT"`
}

// Run writes the request.
func (c *rootRequest) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		var a keyring.Asked
		in := map[string]any{"revoke": c.Revoke, "add_root": c.AddRoot, "next_root": c.NextRoot, "reason": c.Reason}
		if err := o.call(ctx, http.MethodPost, "/v1/keyset-requests", in, &a); err != nil {
			return err
		}
		if err := writeNew(c.To, a.File); err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, a)
		}
		_, err := fmt.Fprintf(s.out, "Request %s for keyset %d is in %s. It holds public keys only.\nCarry it to where the root is, sign it there, and bring the keyset back:\n  mintreu keyring root sign %s --root ROOTFILE --passphrase-file FILE --to keyset.jwt\n  mintreu keyring root import-keyset keyset.jwt\n", a.ID, a.Keyset, c.To, filepath.Base(c.To))
		return err
	})
}

type rootSign struct {
	output
	consent
	secretFile
	Request string `arg:"" help:"File with the request."`
	Root    string `required:"" help:"File with the encrypted root." placeholder:"FILE" type:"path"`
	To      string `required:"" help:"File to make with the signed keyset; it must not exist." placeholder:"FILE" type:"path"`
}

// signed is what a ceremony says of itself.
type signed struct {
	Keyset  int64    `json:"keyset"`
	Issuer  string   `json:"issuer"`
	Root    string   `json:"root"`
	Checked bool     `json:"checked"`
	Active  string   `json:"active"`
	Standby []string `json:"standby"`
	Added   []string `json:"added"`
	Revoked []string `json:"revoked"`
	Dropped []string `json:"dropped,omitempty"`
	Roots   []string `json:"roots,omitempty"`
	File    string   `json:"file"`
}

// Run signs a keyset. It opens no database and no connection.
func (c *rootSign) Run(ctx context.Context, s streams) error {
	text, err := readAll(s.in, c.Request, maxInspect)
	if err != nil {
		return err
	}
	passphrase, err := c.read(s)
	if err != nil {
		return err
	}
	file, err := os.ReadFile(c.Root)
	if err != nil {
		return err
	}
	root, err := keyring.OpenRoot(file, passphrase)
	if err != nil {
		return err
	}
	public := root.Public().(ed25519.PublicKey)
	r, err := keyring.OpenRequest([]byte(text), public, time.Now())
	if err != nil {
		return err
	}
	out := signed{Keyset: r.Num, Issuer: r.Issuer, Root: doc.FormatPublicKey(public), Checked: r.Checked, Active: r.Active, Standby: r.Standby, Added: r.Added, Revoked: r.Revoked, Dropped: r.Dropped, Roots: r.Roots, File: c.To}
	_, _ = fmt.Fprint(s.err, out.words(r.Reason))
	if err := c.ask(ctx, s, "Sign it? Products will trust these keys."); err != nil {
		return err
	}
	keyset, err := r.Sign(root)
	if err != nil {
		return err
	}
	if err := writeNew(c.To, keyset+"\n"); err != nil {
		return err
	}
	if c.JSON {
		return c.value(s.out, out)
	}
	_, err = fmt.Fprintf(s.out, "Keyset %d is signed, in %s. Import it at the installation: mintreu keyring root import-keyset %s\n", r.Num, c.To, filepath.Base(c.To))
	return err
}

// words is what the holder of the root reads before signing.
func (r *signed) words(reason string) string {
	var b strings.Builder
	row := func(name, text string) { fmt.Fprintf(&b, "  %-9s %s\n", name, printable(text, false)) }
	fmt.Fprintf(&b, "Keyset %d of %s\n", r.Keyset, printable(r.Issuer, false))
	row("because", reason)
	row("signs now", r.Active)
	for _, k := range r.Standby {
		row("stands by", k)
	}
	for _, k := range r.Added {
		row("new", k)
	}
	for _, k := range r.Revoked {
		row("REVOKED", k)
	}
	for _, k := range r.Dropped {
		row("dropped", k)
	}
	for _, k := range r.Roots {
		row("ROOT", k)
	}
	if len(r.Roots) > 0 {
		b.WriteString("Products will trust the roots above and no other.\n")
	}
	if len(r.Dropped) > 0 {
		b.WriteString("It is full, so it names the oldest keys, retired or revoked, no more.\n")
	}
	if r.Checked {
		b.WriteString("It follows the keyset before, which this root signed: no key that may sign is dropped, no revocation taken back.\n")
	} else {
		b.WriteString("The keyset before was signed by another root, so what is new in this one cannot be told from here.\n")
	}
	b.WriteString("Compare the new keys with \"mintreu keyring root request\" at the installation before you sign.\n")
	return b.String()
}

type rootImport struct {
	output
	File string `arg:"" help:"File with the signed keyset; - reads standard input."`
}

// Run imports a keyset.
func (c *rootImport) Run(ctx context.Context, cfg app.Config, s streams) error {
	text, err := readAll(s.in, c.File, maxInspect)
	if err != nil {
		return err
	}
	return with(ctx, cfg, func(o *operator) error {
		var raw json.RawMessage
		if err := o.call(ctx, http.MethodPost, "/v1/keysets", map[string]any{"keyset": strings.TrimSpace(text)}, &raw); err != nil {
			return err
		}
		var in keyring.Imported
		if err := json.Unmarshal(raw, &in); err != nil {
			return err
		}
		if in.Resigning != nil {
			if _, err := o.follow(ctx, s, in.Resigning.ID); err != nil {
				return err
			}
		}
		if c.JSON {
			return c.value(s.out, raw)
		}
		_, err := fmt.Fprintf(s.out, "Keyset %d is published. %s signs, %d keys stand by.\n", in.Keyset, in.Active, in.Standby)
		return err
	})
}

type rootNew struct {
	output
	secretFile
	To     string `required:"" help:"File to make; it must not exist." placeholder:"FILE" type:"path"`
	Issuer string `name:"for" help:"Issuer of the installation it is for, noted in the file." placeholder:"URL"`
}

// Run makes a root.
func (c *rootNew) Run(s streams) error {
	passphrase, err := c.read(s)
	if err != nil {
		return err
	}
	file, public, err := keyring.NewRoot(c.Issuer, passphrase)
	if err != nil {
		return err
	}
	if err := writeNew(c.To, file); err != nil {
		return err
	}
	raw, err := doc.ParsePublicKey(public)
	if err != nil {
		return err
	}
	if c.JSON {
		return c.value(s.out, map[string]any{"root": public, "kid": doc.Thumbprint(raw), "file": c.To})
	}
	_, err = fmt.Fprintf(s.out, "The root is in %s. Its public key:\n%s\nThumbprint: %s\n", c.To, public, doc.Thumbprint(raw))
	return err
}

type rootAdd struct {
	output
	consent
	Root   string `arg:"" help:"Its public key, as \"mintreu keyring root new\" prints it."`
	Reason string `required:"" help:"Why, for the audit trail." placeholder:"TEXT"`
}

// Run adds a root.
func (c *rootAdd) Run(ctx context.Context, cfg app.Config, s streams) error {
	if err := c.ask(ctx, s, "Let products trust this root? Whoever has its private part can make them trust any signing key."); err != nil {
		return err
	}
	return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/roots", map[string]any{"root": c.Root, "reason": c.Reason}}, rootsNow)
}

type rootRotate struct {
	output
	consent
	Next   string `help:"Thumbprint of the root that stands by and takes the place; a new one, made here, unless said." placeholder:"KID"`
	Reason string `required:"" help:"Why, for the audit trail." placeholder:"TEXT"`
}

// Run replaces the root.
func (c *rootRotate) Run(ctx context.Context, cfg app.Config, s streams) error {
	if err := c.ask(ctx, s, "Replace the root? The present one is deleted here. Products that reach the service follow by themselves;\nthose that never do need a new release that pins the new root."); err != nil {
		return err
	}
	return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/roots/rotate", map[string]any{"next": c.Next, "reason": c.Reason}}, rootsNow)
}

func rootsNow(a map[string]any) string {
	if a["proposal"] != nil {
		return "It is proposed. Another owner has to approve it on the console's page of signing keys, within a week; nothing has changed before."
	}
	return fmt.Sprintf("Keyset %s tells products of it. Pin in new releases:\n%s", cell(a["keyset"]), strings.ReplaceAll(cell(a["roots"]), ",", "\n"))
}
