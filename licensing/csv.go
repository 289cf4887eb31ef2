package licensing

import (
	"strconv"
	"strings"
)

// Inert makes the cells of a row of a CSV file such that a spreadsheet takes no text for a formula: an apostrophe is put before what looks
// like one. Numbers stay as they are. It changes the row and returns it.
func Inert(row []string) []string {
	for i, text := range row {
		if text == "" || !strings.ContainsRune("=+-@\t\r", rune(text[0])) {
			continue
		}
		if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			row[i] = "'" + text
		}
	}
	return row
}
