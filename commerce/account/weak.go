package account

import (
	"strings"
	"unicode"
)

// weak reports whether a password is of a kind that attackers try first: few characters again and again, a block repeated, digits
// alone, walks over the keyboard or the alphabet, and common words with or without digits, signs and look-alikes around and in them.
// Rules rather than a list, since a list of breached passwords names one spelling of each.
func weak(password string) bool {
	lower := strings.ToLower(password)
	bare := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune("-_.,/", r) {
			return -1
		}
		return r
	}, lower)
	if few(bare) || repeats(bare) || digits(bare) {
		return true
	}
	trimmed := strings.TrimRightFunc(bare, func(r rune) bool { return !unicode.IsLetter(r) })
	core := strings.TrimLeftFunc(trimmed, func(r rune) bool { return !unicode.IsLetter(r) })
	for _, text := range []string{bare, trimmed, core} {
		if len(text) >= 3 && (walks(text) || repeats(text)) {
			return true
		}
		for _, plain := range []string{text, lookAlikes("1i", text), lookAlikes("1l", text)} {
			if wordy(plain) {
				return true
			}
		}
	}
	return core == "" // digits and signs alone
}

// few reports whether a text is made of four characters or fewer.
func few(text string) bool {
	seen := map[rune]bool{}
	for _, r := range text {
		seen[r] = true
	}
	return len(seen) <= 4
}

// repeats reports whether a text is one block of at most eight bytes again and again, the last time perhaps in part.
func repeats(text string) bool {
	for block := 1; block <= 8 && 2*block <= len(text); block++ {
		if text[block:] == text[:len(text)-block] {
			return true
		}
	}
	return false
}

// digits reports whether a text is a number as long as a date, a phone or a card has.
func digits(text string) bool {
	return len(text) <= 19 && strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

// The keyboards and alphabets that people walk along, a row each.
var rows = []string{"`1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./"}

// walks reports whether a text is made of runs, three or more characters long, each next to the one before on the keyboard, in the
// alphabet or among the digits.
func walks(text string) bool {
	run := 1
	for i := 1; i < len(text); i++ {
		if next(text[i-1], text[i]) {
			run++
			continue
		}
		if run < 3 {
			return false
		}
		run = 1
	}
	return run >= 3
}

func next(a, b byte) bool {
	if d := int(b) - int(a); d >= -1 && d <= 1 && (alphanumeric(a) && alphanumeric(b)) {
		return true
	}
	ra, ca := place(a)
	rb, cb := place(b)
	if ra < 0 || rb < 0 {
		return false
	}
	down, along := rb-ra, cb-ca
	// Rows are shifted: a key's lower neighbours are the one straight below and the one left of it.
	return down == 0 && along >= -1 && along <= 1 || down == 1 && (along == 0 || along == -1) || down == -1 && (along == 0 || along == 1)
}

func alphanumeric(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' }

// place is where a key lies; the digits' row starts one key further left.
func place(c byte) (row, column int) {
	for r, keys := range rows {
		if i := strings.IndexByte(keys, c); i >= 0 {
			if r == 0 {
				i--
			}
			return r, i
		}
	}
	return -1, -1
}

// lookAlikes writes letters for the signs that are used in their place; one says what 1 stands for.
func lookAlikes(one, text string) string {
	return strings.NewReplacer("0", "o", "3", "e", "4", "a", "@", "a", "5", "s", "$", "s", "7", "t", "+", "t", "8", "b", "9", "g", "6", "g", "!", "i", "|", "l",
		one[:1], one[1:]).Replace(text)
}

// commonWords are what the passwords of breaches are made of.
var commonWords = strings.Fields(`
password passwort passw0rd passwd pass word secret geheim private letmein welcome willkommen hello hallo login logon signin admin administrator root user guest
test testing tester demo default change changeme changeit please access master system server database computer internet network windows linux google facebook
microsoft apple samsung android monkey dragon shadow sunshine princess prinzessin superman batman spiderman starwars pokemon naruto football fussball
baseball basketball hockey soccer chelsea liverpool arsenal barcelona realmadrid juventus cowboys yankees lakers iloveyou loveyou love you ilove forever babygirl lovely
sweet heart angel flower butterfly rainbow chocolate cookie cheese pepper ginger banana summer sommer winter spring autumn herbst monday friday sunday january april june july
august september october november december qwerty qwertz azerty asdf zxcv abc abcd michael daniel jennifer jessica ashley charlie thomas jordan hunter george andrew robert
matthew joshua nicole hannah sophie anna maria killer trustno freedom whatever matrix ninja mustang ferrari porsche mercedes corvette harley purple orange yellow black
white silver golden diamond tigger tiger lion eagle falcon phoenix fuckyou fuck asshole biteme money dollar family mother father unknown nothing blink superuser
`)

// wordy reports whether a text is nothing but one to three common words in a row, with digits and signs between them at most.
func wordy(text string) bool {
	letters := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return -1
	}, text)
	return letters != "" && len(letters) <= 40 && built(letters, 3)
}

// built reports whether a text can be put together from at most so many common words.
func built(text string, words int) bool {
	if text == "" {
		return true
	}
	if words == 0 {
		return false
	}
	for _, w := range commonWords {
		if strings.HasPrefix(text, w) && built(text[len(w):], words-1) {
			return true
		}
	}
	return false
}
