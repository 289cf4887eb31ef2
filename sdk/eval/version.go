package eval

import "strings"

// Covers reports whether version is within limit. Both are numbers separated by
// dots, with an optional "v" in front; a pre-release or build suffix ("-rc1",
// "+5") of the version does not matter. Only as many numbers as the limit has
// are compared: a limit of "2" covers 2.9.1 and "2.5" covers 2.5.7, but not
// 2.6.0. What is not a version is not covered.
func Covers(limit, version string) bool {
	if i := strings.IndexAny(version, "-+"); i >= 0 {
		version = version[:i]
	}
	limit, version = strings.TrimPrefix(limit, "v"), strings.TrimPrefix(version, "v")
	if !numeric(limit) || !numeric(version) {
		return false
	}
	for limit != "" {
		var l, v string
		l, limit, _ = strings.Cut(limit, ".")
		v, version, _ = strings.Cut(version, ".")
		if c := compare(v, l); c != 0 {
			return c < 0
		}
	}
	return true
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
