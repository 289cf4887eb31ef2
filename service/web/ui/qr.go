package ui

import (
	"strconv"
	"strings"

	"rsc.io/qr"
)

// quiet is the white margin of a QR code, in its dots.
const quiet = 4

// qrPath draws a text as a QR code: the path of its dark dots, and how many dots wide it is with its margin; 0 when it is too long.
func qrPath(text string) (path string, size int) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", 0
	}
	var b strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if n := strconv.Itoa(x - from); x > from {
				b.WriteString("M" + strconv.Itoa(from+quiet) + " " + strconv.Itoa(y+quiet) + "h" + n + "v1h-" + n + "z")
			}
		}
	}
	return b.String(), code.Size + 2*quiet
}

// FitsQR reports whether a text fits into a QR code.
func FitsQR(text string) bool {
	_, size := qrPath(text)
	return size > 0
}

// qrGround is the white square behind it, which it needs on a dark page as well.
func qrGround(size int) string {
	n := strconv.Itoa(size)
	return "M0 0h" + n + "v" + n + "h-" + n + "z"
}

func qrBox(size int) string { n := strconv.Itoa(size); return "0 0 " + n + " " + n }
