package doc

import "strings"

// Newer reports whether version a is later than version b. Their numbers are compared one by one, missing ones being zero; of
// two with the same numbers, one with a pre-release suffix ("-rc1") is earlier than one without, and suffixes compare by their
// dot-separated parts, numbers as numbers. Build suffixes ("+5") do not matter. What is not a version is newer than nothing.
func Newer(a, b string) bool {
	x, xPre := releaseParts(a)
	y, yPre := releaseParts(b)
	if !numeric(x) || !numeric(y) {
		return false
	}
	for x != "" || y != "" {
		var m, n string
		m, x, _ = strings.Cut(x, ".")
		n, y, _ = strings.Cut(y, ".")
		if c := compare(m, n); c != 0 {
			return c > 0
		}
	}
	switch {
	case xPre == yPre:
		return false
	case xPre == "" || yPre == "":
		return xPre == ""
	}
	return later(xPre, yPre)
}

// releaseParts splits a version into its numbers and its pre-release suffix.
func releaseParts(v string) (numbers, pre string) {
	v, _, _ = strings.Cut(strings.TrimPrefix(v, "v"), "+")
	numbers, pre, _ = strings.Cut(v, "-")
	return numbers, pre
}

// later compares pre-release suffixes: number below word, few parts below many.
func later(a, b string) bool {
	for a != "" && b != "" {
		var m, n string
		m, a, _ = strings.Cut(a, ".")
		n, b, _ = strings.Cut(b, ".")
		mNumber, nNumber := numeric(m), numeric(n)
		switch {
		case m == n:
		case mNumber && nNumber:
			if c := compare(m, n); c != 0 {
				return c > 0
			}
		case mNumber != nNumber:
			return nNumber
		default:
			return m > n
		}
	}
	return a != ""
}

// numeric reports whether s is digits in groups separated by single dots.
func numeric(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || strings.Trim(part, "0123456789") != "" {
			return false
		}
	}
	return true
}

// compare compares two texts of digits of any length; "" is zero.
func compare(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}
