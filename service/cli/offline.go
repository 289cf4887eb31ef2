package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"rsc.io/qr"

	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/app"
)

// written is where a license file goes.
type written struct {
	To string `help:"File to make; it must not exist. Default: standard output." placeholder:"FILE" type:"path"`
	QR bool   `name:"qr" help:"Draw it as QR codes for a product's camera, in as many parts as it takes."`
}

func (w written) file(s streams, text string) error {
	if w.QR {
		parts, err := doc.FileParts(text, qrMost)
		if err != nil {
			return err
		}
		for i, part := range parts {
			if _, err := fmt.Fprintf(s.out, "%d of %d\n", i+1, len(parts)); err != nil {
				return err
			}
			if err := drawQR(s.out, part); err != nil {
				return err
			}
		}
		if w.To == "" {
			return nil
		}
	}
	if w.To == "" {
		_, err := fmt.Fprint(s.out, text)
		return err
	}
	f, err := os.OpenFile(w.To, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// qrMost is how much a QR code holds that a telephone reads from a screen.
const qrMost = 700

// drawQR draws a text as a QR code, two dots high in each character, dark on light whatever the terminal's colours.
func drawQR(w io.Writer, text string) error {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return err
	}
	const quiet = 2
	var b strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		b.WriteString("\x1b[30;107m")
		for x := -quiet; x < code.Size+quiet; x++ {
			switch upper, lower := code.Black(x, y), code.Black(x, y+1); {
			case upper && lower:
				b.WriteRune('█')
			case upper:
				b.WriteRune('▀')
			case lower:
				b.WriteRune('▄')
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteString("\x1b[0m\n")
	}
	_, err = io.WriteString(w, b.String())
	return err
}

type licenseFile struct {
	written
	ID string `arg:"" help:"Id of the license."`
}

// Run writes a license file.
func (c *licenseFile) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		var out struct {
			File string `json:"file"`
		}
		if err := o.call(ctx, http.MethodGet, "/v1/licenses/"+url.PathEscape(c.ID)+"/file", nil, &out); err != nil {
			return err
		}
		return c.file(s, out.File)
	})
}

// carried is a text that a person brought from a machine without a network.
type carried struct {
	ID   string `arg:"" help:"Id of the license."`
	Text string `arg:"" optional:"" default:"-" help:"What the product on the machine shows, or a file with it; - reads standard input."`
}

// read returns the text, wherever it is.
func (c carried) read(s streams, prefix string) (string, error) {
	if strings.HasPrefix(c.Text, prefix) {
		return c.Text, nil
	}
	in := s.in
	if c.Text != "-" {
		f, err := os.Open(c.Text)
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, 2*doc.MaxActivationRequest))
	return strings.TrimSpace(string(text)), err
}

// licenseQR draws what a person carries from a machine without a network.
type licenseQR struct {
	Text string `arg:"" optional:"" default:"-" help:"Text that begins with MREQ1. or MREL1., or a file with it; - reads standard input."`
}

// Run draws a request or a return. It needs no service and no network.
func (c *licenseQR) Run(s streams) error {
	text := c.Text
	if !carries(text) {
		var err error
		if text, err = (carried{Text: c.Text}).read(s, "MREQ1."); err != nil {
			return err
		}
	}
	if !carries(text) {
		return errors.New("this is no text of a machine without a network: it begins with neither MREQ1. nor MREL1.; for a license file, use \"mintreu license file --qr\"")
	}
	return drawQR(s.out, text)
}

// carries reports whether a text is one that machines without a network show.
func carries(text string) bool {
	return strings.HasPrefix(text, "MREQ1.") || strings.HasPrefix(text, "MREL1.")
}

type licenseAnswer struct {
	written
	carried
	Name string `help:"Name of the machine in the list of devices." placeholder:"TEXT"`
}

// Run answers the request of a machine without a network.
func (c *licenseAnswer) Run(ctx context.Context, cfg app.Config, s streams) error {
	text, err := c.read(s, "MREQ1.")
	if err != nil {
		return err
	}
	return with(ctx, cfg, func(o *operator) error {
		var out struct {
			File string `json:"file"`
		}
		in := map[string]any{"request": text}
		if c.Name != "" {
			in["name"] = c.Name
		}
		if err := o.call(ctx, http.MethodPost, "/v1/licenses/"+url.PathEscape(c.ID)+"/offline-answer", in, &out); err != nil {
			return err
		}
		return c.file(s, out.File)
	})
}

type licenseReturn struct {
	output
	carried
}

// Run takes the return of a machine without a network.
func (c *licenseReturn) Run(ctx context.Context, cfg app.Config, s streams) error {
	text, err := c.read(s, "MREL1.")
	if err != nil {
		return err
	}
	in := map[string]any{"return": text}
	return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/licenses/" + url.PathEscape(c.ID) + "/offline-return", in}, func(a map[string]any) string {
		return fmt.Sprintf("The seat of %s is %s.", cell(a["id"]), cell(a["state"]))
	})
}
