package order

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
)

// The page's measures in millimetres: A4 with margins, and where the columns end.
const (
	left, right, top  = 20.0, 190.0, 22.0
	quantityX, unitX  = 118.0, 152.0
	rowHeight, bottom = 8.0, 270.0
)

// PDF renders the receipt on A4 pages. The same receipt gives the same bytes. Names in scripts that the embedded font does not
// cover (it has Latin, Greek and Cyrillic) show as boxes; the page has them all.
func (r Receipt) PDF() ([]byte, error) {
	p := sheet{fpdf.New("P", "mm", "A4", "")}
	date, err := time.Parse("2 January 2006", r.Date)
	if err != nil {
		return nil, err
	}
	p.SetCreationDate(date)
	p.SetModificationDate(date)
	p.SetCatalogSort(true)
	p.SetTitle(r.Title+" "+r.Number, true)
	p.SetAuthor(r.Seller.Name, true)
	p.SetProducer("Mintreu", true)
	p.SetLang("en")
	p.SetAutoPageBreak(false, 0)
	p.AddUTF8FontFromBytes("go", "", goregular.TTF)
	p.AddUTF8FontFromBytes("go", "B", gobold.TTF)
	p.AddPage()
	y := p.head(r)
	y = p.table(r, y)
	p.sums(r, y)
	var b bytes.Buffer
	if err := p.Output(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// sheet draws with the receipt's measures.
type sheet struct{ *fpdf.Fpdf }

func (p sheet) font(style string, size float64, grey int) {
	p.SetFont("go", style, size)
	p.SetTextColor(grey, grey, grey)
}

// at writes text starting at x, ending writes it ending at x.
func (p sheet) at(x, y float64, text string)     { p.Text(x, y, text) }
func (p sheet) ending(x, y float64, text string) { p.Text(x-p.GetStringWidth(text), y, text) }

func (p sheet) head(r Receipt) float64 {
	y := top
	if r.Test {
		p.SetFillColor(254, 243, 199)
		p.Rect(left, y-6, right-left, 9, "F")
		p.font("B", 10, 90)
		p.at(left+3, y, "Test order: no real money was paid.")
		y += 14
	}
	p.font("B", 22, 17)
	p.at(left, y+2, r.Title)
	p.font("", 11, 90)
	p.at(left, y+9, r.Number)
	p.font("B", 11, 17)
	p.ending(right, y, r.Seller.Name)
	p.font("", 9.5, 70)
	sy := y
	for _, line := range append(append([]string{}, r.Seller.Address...), prefixed("VAT id ", r.Seller.VATID), r.Seller.Email) {
		if line != "" {
			sy += 5
			p.ending(right, sy, line)
		}
	}
	y = max(y+24, sy+12)
	for _, row := range [][2]string{{"Date", r.Date}, {"Corrects receipt", r.Corrects}, {"Order", r.Order}, {"Sold to", r.Buyer}, {"Country", r.Country}, {"Buyer's VAT id", r.BuyerVAT}} {
		if row[1] == "" {
			continue
		}
		p.font("", 10, 90)
		p.at(left, y, row[0])
		p.font("", 10, 17)
		for _, line := range p.wrap(row[1], right-left-34) {
			p.at(left+34, y, line)
			y += 6
		}
	}
	return y + 8
}

func (p sheet) columns(y float64) float64 {
	p.font("B", 9, 90)
	p.at(left, y, "Item")
	p.ending(quantityX, y, "Quantity")
	p.ending(unitX, y, "Unit price")
	p.ending(right, y, "Amount")
	p.SetDrawColor(120, 120, 120)
	p.SetLineWidth(0.3)
	p.Line(left, y+3, right, y+3)
	return y + rowHeight + 1
}

func (p sheet) table(r Receipt, y float64) float64 {
	y = p.columns(y)
	for _, l := range r.Lines {
		p.font("", 10, 17)
		name := p.wrap(l.Name, quantityX-left-18)
		if y+5*float64(len(name)) > bottom {
			p.AddPage()
			y = p.columns(top)
			p.font("", 10, 17)
		}
		p.ending(quantityX, y, strconv.FormatInt(l.Quantity, 10))
		p.ending(unitX, y, l.Unit)
		p.ending(right, y, l.Total)
		for i, line := range name {
			p.at(left, y+5*float64(i), line)
		}
		y += 5 * float64(len(name)-1)
		p.SetDrawColor(229, 231, 235)
		p.SetLineWidth(0.2)
		p.Line(left, y+3, right, y+3)
		y += rowHeight
	}
	return y
}

func (p sheet) sums(r Receipt, y float64) {
	if y > bottom-40 {
		p.AddPage()
		y = top
	}
	y += 2
	for _, row := range [][2]string{{"Subtotal", r.Subtotal}, {"Discount", r.Discount}, {r.TaxLabel, r.Tax}} {
		if row[0] == "" || row[1] == "" {
			continue
		}
		p.font("", 10, 70)
		p.ending(unitX, y, row[0])
		p.font("", 10, 17)
		p.ending(right, y, row[1])
		y += 6.5
	}
	p.SetDrawColor(17, 17, 17)
	p.SetLineWidth(0.5)
	p.Line(unitX+4, y-2.5, right, y-2.5)
	y += 4
	p.font("B", 12, 17)
	p.ending(unitX, y, r.TotalLabel)
	p.ending(right, y, r.Total)
	p.font("", 9.5, 90)
	for i, line := range p.SplitText(r.Note, right-left) {
		p.at(left, y+16+5*float64(i), line)
	}
}

// wrap breaks text into lines that fit a width, between words where it can and within a long word where it must.
func (p sheet) wrap(text string, width float64) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		for try := strings.TrimSpace(line + " " + word); ; try = word {
			if p.GetStringWidth(try) <= width {
				line = try
				break
			}
			if line != "" {
				lines, line = append(lines, line), ""
				continue
			}
			fit := p.fitting(word, width)
			lines, word = append(lines, word[:fit]), word[fit:]
		}
	}
	return append(lines, line)
}

// fitting is how many bytes of a word fit a width, at least one character.
func (p sheet) fitting(word string, width float64) int {
	fit := 0
	for i := range word {
		if i > 0 && p.GetStringWidth(word[:i]) > width {
			break
		}
		fit = i
	}
	if fit == 0 {
		for i := range word {
			if i > 0 {
				return i
			}
		}
		return len(word)
	}
	return fit
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}
