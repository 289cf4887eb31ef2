package kittest

import (
	"fmt"
	"strings"
	"unicode/utf16"
)

// Body is one hostile request body.
type Body struct {
	Name string
	Text string
}

// Hostile lists bodies that no operation may accept, whatever its members, and that none may answer with 5xx: broken JSON,
// JSON that decoders disagree about, and JSON made to cost.
func Hostile() []Body {
	out := []Body{
		{"empty array", `[]`}, {"array of object", `[{}]`}, {"string", `"a"`}, {"number", `1`}, {"true", `true`}, {"null", `null`},
		{"space only", " \n\t"}, {"open", `{`}, {"open member", `{"a`}, {"open value", `{"a":`}, {"no value", `{"a":}`}, {"no colon", `{"a" 1}`},
		{"comma first", `{,"a":1}`}, {"comma last", `{"a":1,}`}, {"two commas", `{"a":1,,"b":2}`}, {"no comma", `{"a":1 "b":2}`},
		{"single quotes", `{'a':1}`}, {"bare name", `{a:1}`}, {"comment", `{/* */}`}, {"line comment", "{}//"}, {"hash comment", "{}#"},
		{"wrong close", `{]`}, {"array wrong close", `{"a":[1}`}, {"extra close", `{}}`}, {"trailing object", `{}{}`}, {"trailing text", `{}x`}, {"trailing nul", "{}\x00"},
		{"duplicate", `{"a":1,"a":2}`}, {"escaped duplicate", `{"a":1,"\u0061":2}`}, {"case twin", `{"a":1,"A":2}`}, {"empty names", `{"":1,"":2}`}, {"empty name", `{"":1}`},
		{"proto", `{"__proto__":{"admin":true}}`}, {"unknown", `{"no-operation-has-this-member":1}`},
		{"NaN", `{"a":NaN}`}, {"Infinity", `{"a":Infinity}`}, {"-Infinity", `{"a":-Infinity}`}, {"undefined", `{"a":undefined}`}, {"True", `{"a":True}`}, {"nul", `{"a":nul}`},
		{"leading zero", `{"a":01}`}, {"plus", `{"a":+1}`}, {"dot", `{"a":.5}`}, {"dot last", `{"a":1.}`}, {"exponent", `{"a":1e}`}, {"hex", `{"a":0x1}`}, {"minus", `{"a":-}`}, {"1e400", `{"a":1e400}`},
		{"long number", `{"a":` + strings.Repeat("9", 100_000) + `}`}, {"long fraction", `{"a":0.` + strings.Repeat("1", 100_000) + `}`},
		{"BOM", "\xef\xbb\xbf{}"}, {"BOM inside", "{\xef\xbb\xbf}"}, {"UTF-16 BE", wide("\ufeff{}", true)}, {"UTF-16 LE", wide("\ufeff{}", false)}, {"UTF-32", "\x00\x00\x00{\x00\x00\x00}"},
		{"invalid UTF-8", "{\"a\":\"\xff\"}"}, {"overlong", "{\"a\":\"\xc0\xaf\"}"}, {"surrogate in UTF-8", "{\"a\":\"\xed\xa0\x80\"}"}, {"truncated UTF-8", "{\"a\":\"\xe2\x82\"}"}, {"beyond Unicode", "{\"a\":\"\xf5\x80\x80\x80\"}"},
		{"lone surrogate", `{"a":"\ud800"}`}, {"low first", `{"a":"\udc00\ud800"}`}, {"half pair", `{"a":"\ud800\u0041"}`}, {"lone surrogate name", `{"\ud800":1}`},
		{"bad escape", `{"a":"\x41"}`}, {"short escape", `{"a":"\u00"}`}, {"raw newline", "{\"a\":\"\n\"}"}, {"raw tab", "{\"a\":\"\t\"}"}, {"raw nul", "{\"a\":\"\x00\"}"}, {"escaped nul", `{"a":"\u0000"}`}, {"vertical tab", "{\v}"}, {"no-break space", "{\u00a0}"}, {"form feed", "\f{}"},
		{"form", "a=1&b=2"}, {"XML", `<?xml version="1.0"?><a/>`}, {"gzip", "\x1f\x8b\x08\x00\x00\x00\x00\x00"}, {"YAML", "a: 1\n"}, {"two lines", "{}\n{}\n"},
	}
	for _, n := range []int{33, 1000, 10_000, 100_000} {
		out = append(out,
			Body{fmt.Sprintf("%d arrays", n), `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`},
			Body{fmt.Sprintf("%d objects", n), strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n)},
			Body{fmt.Sprintf("%d open arrays", n), strings.Repeat("[", n)},
			Body{fmt.Sprintf("%d open objects", n), strings.Repeat(`{"a":`, n)})
	}
	var keys, same strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&keys, `"k%d":1,`, i)
		same.WriteString(`"k":1,`)
	}
	return append(out,
		Body{"100k members", "{" + keys.String() + `"z":1}`}, Body{"100k same members", "{" + same.String() + `"k":1}`},
		Body{"100k members below", `{"a":{` + keys.String() + `"z":1}}`},
		Body{"long name", `{"` + strings.Repeat("n", 100_000) + `":1}`}, Body{"1 MiB and a byte", `{"a":"` + strings.Repeat("a", 1<<20) + `"}`})
}

// wide encodes s in UTF-16.
func wide(s string, big bool) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		if big {
			b.Write([]byte{byte(u >> 8), byte(u)})
			continue
		}
		b.Write([]byte{byte(u), byte(u >> 8)})
	}
	return b.String()
}

// Injections lists strings for every string parameter and member: SQL, shell, template, header and markup injection, and
// Unicode that has broken things before. An operation may take or refuse them; it must not answer 5xx, and what it stores must
// come back as it was.
func Injections() []string {
	return []string{
		`'`, `"`, `''`, `\`, `\'`, "`", `;`, `--`, `/*`, `')`, `";--`, `' OR '1'='1`, `' OR 1=1--`, `" OR ""="`, `admin'--`, `1; DROP TABLE license`, `'; DROP TABLE license; --`,
		`1 UNION SELECT NULL,NULL,NULL`, `' UNION SELECT sql FROM sqlite_master--`, `' UNION SELECT usename FROM pg_user--`, `1' AND SLEEP(5)--`, `'; SELECT pg_sleep(10)--`, `1 AND 1=(SELECT COUNT(*) FROM pg_tables)`,
		`' || (SELECT version()) || '`, `%27%20OR%201=1`, `1) OR (1=1`, `x' AND 1=CAST((SELECT version()) AS int)--`, `$1`, `$$`, `$tag$x$tag$`, `?1`, `:name`, `@x`, `E'\\x'`, `\x27`, `%`, `_`, `%%`, `a%'--`, `[a-z]`, `0x27`, `CHR(39)`,
		`{"$ne":1}`, `{"$gt":""}`, `[$ne]=1`, `{{.}}`, `{{7*7}}`, `${7*7}`, `#{7*7}`, `<%= 7*7 %>`, `%s%s%s%n`, `%d%x%p`, `{0}`, "$(id)", "`id`", `| id`, `& ping -c1 127.0.0.1 &`, `../../../../etc/passwd`, `..%2f..%2f`, `/dev/null`, `file:///etc/passwd`, `C:\Windows\win.ini`,
		"a\r\nSet-Cookie: x=1", "a\r\nBcc: x@example.com", "a\nlevel=ERROR msg=forged", "\x1b[31mred\x1b[0m", "a\tb", "\u0008", "\u007f",
		`<script>alert(1)</script>`, `<img src=x onerror=alert(1)>`, `javascript:alert(1)`, `"><svg onload=alert(1)>`, `]]>`, `<!--`, `&lt;`, `=1+1`, `@SUM(1)`, `+1`, `-1`,
		"\u202e\u0041", "\ufeff", "\ufffe", "\uffff", "\U0001F468\u200d\U0001F469\u200d\U0001F467", "\u0065\u0301", "\u1e9e", "\u0130", "\uff07", "\u2028", "\u00ad", "ﷺ", strings.Repeat("\u0301", 50), "İ", "ſ", "K",
		"null", "undefined", "NaN", "true", "0", "-0", "1e309", "9223372036854775808", "", " ", strings.Repeat("a", 5000), strings.Repeat("😀", 1000),
	}
}
