package support

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mintreu/mintreu/licensing"
)

// Bounds of texts, in characters.
const (
	maxSubject = 200
	maxBody    = 20_000
	maxName    = 100
	// maxMailLine is where long lines are broken in mails.
	maxMailLine = 900
)

// clean is text as it is kept: valid UTF-8, lines ended by a newline alone, without other control characters and without space at its ends.
func clean(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n").Replace(strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s)
	return strings.TrimFunc(s, unicode.IsSpace)
}

// line is text on one line, without control characters, marks of writing direction and runs of space.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.Join(strings.Fields(s), " ")
}

// cutTo is the first n characters of s.
func cutTo(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n])
}

// broken reports characters that nobody types into one line.
func broken(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == 0x2028 || r == 0x2029 || unicode.Is(unicode.Bidi_Control, r)
	})
}

func checkSubject(err *licensing.Error, text string) *licensing.Error {
	if line(text) == "" || utf8.RuneCountInString(text) > maxSubject || broken(text) {
		return err.With("/subject", "must be one line of 1 to %d characters", maxSubject)
	}
	return err
}

func checkBody(err *licensing.Error, text string) *licensing.Error {
	if clean(text) == "" || utf8.RuneCountInString(text) > maxBody {
		return err.With("/body", "must be 1 to %d characters", maxBody)
	}
	return err
}

// checkPerson refuses names that would carry links or markup to others through our mails.
func checkPerson(err *licensing.Error, name string) *licensing.Error {
	if utf8.RuneCountInString(name) > maxName || broken(name) || strings.ContainsAny(name, "<>/@:") {
		return err.With("/name", "must be at most %d characters, none of them < > / @ :", maxName)
	}
	return err
}

func checkFiles(err *licensing.Error, ids []string) *licensing.Error {
	if len(ids) > maxAttached {
		return err.With("/attachments", "a message takes at most %d files", maxAttached)
	}
	return err
}

func failing(err *licensing.Error) error {
	if len(err.Fields) == 0 {
		return nil
	}
	return err
}

// searchable is what staff find a ticket by.
func (t *Ticket) searchable() string {
	return strings.ToLower(t.Number + "\n" + t.Subject + "\n" + t.Email + "\n" + t.Name)
}

// words are the words of a search in lower case, at most eight. White space alone has none and is no search.
func words(q string) []string {
	w := strings.Fields(strings.ToLower(q))
	return w[:min(len(w), 8)]
}

// mailText is a text as the lines of a mail.
func mailText(body string) []string {
	var out []string
	for l := range strings.SplitSeq(body, "\n") {
		l = strings.TrimRightFunc(l, unicode.IsSpace)
		for utf8.RuneCountInString(l) > maxMailLine {
			r := []rune(l)
			at := maxMailLine
			for i := at; i > at/2; i-- {
				if r[i] == ' ' {
					at = i
					break
				}
			}
			out, l = append(out, string(r[:at])), strings.TrimLeft(string(r[at:]), " ")
		}
		out = append(out, l)
	}
	return out
}
