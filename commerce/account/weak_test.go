package account

import "testing"

// TestU09_WeakPasswords: passwords of the kinds that breaches are full of are refused in whatever spelling, those of unrelated words or of
// chance are taken.
func TestU09_WeakPasswords(t *testing.T) {
	t.Parallel()
	for _, p := range []string{
		// walks over the keyboard, the alphabet and the digits
		"qwertyuiop", "qwertyuiop1", "QWERTYUIOP!", "asdfghjkl1", "asdfghjkl123", "1q2w3e4r5t", "q1w2e3r4t5y6", "1qaz2wsx3edc", "zaq12wsxcde3", "qazwsxedcrfv",
		"poiuytrewq", "zxcvbnm,./", "abcdefghij", "abcd1234567", "1234567890", "0987654321", "9876543210", "abc123def456", "abcdefg1234567",
		// the same again and again
		"zzzzzzzzzzzz", "1111111111", "abcabcabcabc", "1212121212", "xyzxyzxyzxy", "aaaaabbbbb", "1122334455", "passpasspass", "ha ha ha ha ha", "q7Zq7Zq7Zq7Z",
		// common words with digits, years, signs and look-alikes
		"password12", "Password123", "passw0rd123", "P@ssw0rd2024", "pa$$word99!", "welcome123", "Welcome2025!", "letmein1234", "l3tm31n999", "administrator", "Adm1n12345",
		"iloveyou12", "1l0vey0u22", "changeme123", "Summer2024!", "winter-2023", "football123", "f00tball99", "superman123", "princess1999", "monkeydragon", "hello hello1",
		"qwerty12345", "trustno1trustno1", "12345password", "!!welcome!!", "sunshine_07", "m1cha3l1985", "starwars1977", "secret.secret",
		// digits alone: dates, phones, cards
		"2024-12-31", "31.12.1999", "+4930123456", "4242424242424242",
	} {
		if !weak(p) {
			t.Errorf("%q was taken", p)
		}
	}
	for _, p := range []string{
		"correct horse battery", "another good password", "a long enough password 7", "correct horse battery 42", "brisk-otter-lamp", "vK9#tq2!Lm", "xkcd936staple",
		"the rain in spain 4", "Tr0ub4dor&3zebra", "grün ist der wald", "f4Gp0q-92hdkw", "ohne fleiß kein preis", "mnemonic fjord", "kitten42walrus",
	} {
		if weak(p) {
			t.Errorf("%q was refused", p)
		}
	}
}
