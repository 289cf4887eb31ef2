package doc

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

const (
	partPrefix = "MFIL1."
	maxParts   = 64
)

// FileParts cuts a license file into texts of at most size characters each, such
// as fit into QR codes; size is at least 100. DecodeFile takes them together, in
// any order, with white space between them.
func FileParts(file string, size int) ([]string, error) {
	f, err := DecodeFile(file)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	text := b64.EncodeToString(raw)
	room := max(size, 100) - len(partPrefix) - len("64.64.")
	n := (len(text) + room - 1) / room
	if n > maxParts {
		return nil, fmt.Errorf("%w: %d parts", ErrTooLong, n)
	}
	parts := make([]string, n)
	for i := range parts {
		end := min(room, len(text))
		parts[i] = fmt.Sprintf("%s%d.%d.%s", partPrefix, i+1, n, text[:end])
		text = text[end:]
	}
	return parts, nil
}

// joinParts reads a license file from its parts. A part may come twice.
func joinParts(text string) (File, error) {
	bad := func(why string) (File, error) { return File{}, fmt.Errorf("%w: license file: %s", ErrMalformed, why) }
	var parts []string
	for part := range strings.FieldsSeq(text) {
		field := strings.Split(part, ".")
		if len(field) != 4 || field[0]+"." != partPrefix {
			return bad("not a part of one")
		}
		i, n := partNumber(field[1]), partNumber(field[2])
		if parts == nil {
			parts = make([]string, n)
		}
		switch {
		case n == 0 || i == 0 || i > n || n != len(parts):
			return bad("parts that are not numbered well")
		case parts[i-1] != "" && parts[i-1] != field[3]:
			return bad("parts of two files")
		}
		parts[i-1] = field[3]
	}
	for i, p := range parts {
		if p == "" {
			return bad(fmt.Sprintf("part %d of %d is missing", i+1, len(parts)))
		}
	}
	raw, ok := decode64(strings.Join(parts, ""))
	if !ok {
		return bad("not base64url")
	}
	return parseFile(string(raw))
}

// partNumber reads a number from 1 to maxParts in its one spelling, or gives 0.
func partNumber(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxParts || strconv.Itoa(n) != s {
		return 0
	}
	return n
}
