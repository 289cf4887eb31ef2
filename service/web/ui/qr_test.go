package ui

import (
	"regexp"
	"strconv"
	"testing"

	"rsc.io/qr"
)

// The path covers exactly the dark dots of the code; a text that does not fit is none.
func TestQRPath(t *testing.T) {
	t.Parallel()
	const uri = "otpauth://totp/Shop:ada@example.com?secret=JBSWY3DPEHPK3PXP&issuer=Shop"
	path, size := qrPath(uri)
	code, err := qr.Encode(uri, qr.M)
	if err != nil || size != code.Size+2*quiet {
		t.Fatal(size, err)
	}
	dark := map[[2]int]bool{}
	for _, m := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-\d+z`).FindAllStringSubmatch(path, -1) {
		x, _ := strconv.Atoi(m[1])
		y, _ := strconv.Atoi(m[2])
		n, _ := strconv.Atoi(m[3])
		for i := range n {
			dark[[2]int{x + i - quiet, y - quiet}] = true
		}
	}
	for y := range code.Size {
		for x := range code.Size {
			if dark[[2]int{x, y}] != code.Black(x, y) {
				t.Fatalf("the dot at %d, %d", x, y)
			}
		}
	}
	if _, size := qrPath(string(make([]byte, 5000))); size != 0 {
		t.Error("a text that is too long")
	}
}
