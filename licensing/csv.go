package licensing

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// formulas are what a spreadsheet takes for the beginning of a formula: the signs, also as wide as an ideograph, which some programs read like
// the narrow ones, and white space that is skipped before one.
const formulas = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"

// Inert makes the cells of a row of a CSV file such that a spreadsheet takes no text for a formula: an apostrophe is put before what looks
// like one. Numbers stay as they are. It changes the row and returns it.
func Inert(row []string) []string {
	for i, text := range row {
		first, _ := utf8.DecodeRuneInString(strings.TrimLeft(text, " \u00a0\u3000\ufeff"))
		if text == "" || first == utf8.RuneError || !strings.ContainsRune(formulas, first) {
			continue
		}
		if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			row[i] = "'" + text
		}
	}
	return row
}
