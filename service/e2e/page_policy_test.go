package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// policyFaults is what an evaluator of content security policies has against one: whatever lets a script in that is not a file of the
// site, and whatever a page would be without.
func policyFaults(headers []string) (faults []string) {
	if len(headers) != 1 {
		return []string{fmt.Sprintf("is there %d times", len(headers))}
	}
	policy := map[string][]string{}
	for directive := range strings.SplitSeq(headers[0], ";") {
		words := strings.Fields(directive)
		if len(words) == 0 {
			continue
		}
		if _, twice := policy[words[0]]; twice {
			faults = append(faults, words[0]+" is there twice, of which browsers take the first")
		}
		policy[words[0]] = words[1:]
	}
	only := func(name string, allowed ...string) {
		values, there := policy[name]
		if !there {
			if values, there = policy["default-src"]; !there || !strings.HasSuffix(name, "-src") {
				faults = append(faults, "has no "+name)
				return
			}
		}
		for _, v := range values {
			if !slices.Contains(allowed, v) {
				faults = append(faults, fmt.Sprintf("lets %s be %s", name, v))
			}
		}
	}
	only("default-src", "'none'", "'self'")
	only("script-src", "'none'", "'self'")
	only("object-src", "'none'")
	only("base-uri", "'none'")
	only("frame-ancestors", "'none'")
	only("frame-src", "'none'", "'self'")
	only("connect-src", "'none'", "'self'")
	only("style-src", "'none'", "'self'")
	only("img-src", "'none'", "'self'", "data:")
	only("font-src", "'none'", "'self'")
	only("form-action", "'none'", "'self'", "https://checkout.stripe.com")
	only("require-trusted-types-for", "'script'")
	only("trusted-types", "'none'")
	if len(policy["require-trusted-types-for"]) == 0 {
		faults = append(faults, "does not require trusted types")
	}
	for name, values := range policy {
		for _, v := range values {
			if strings.Contains(v, "unsafe") || strings.Contains(v, "*") || v == "http:" || v == "https:" || strings.HasPrefix(v, "'strict-dynamic") || v == "blob:" || name == "script-src" && v == "data:" {
				faults = append(faults, fmt.Sprintf("has %s in %s", v, name))
			}
		}
	}
	return faults
}

// TestX05_PolicyEvaluated: the evaluator finds nothing in a strict policy and something in each of those that are known to be weak; that
// every page has a strict one is TestPages_Served.
func TestX05_PolicyEvaluated(t *testing.T) {
	t.Parallel()
	const strict = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'; form-action 'self'"
	if faults := policyFaults([]string{strict}); len(faults) > 0 {
		t.Errorf("a strict policy: %q", faults)
	}
	for name, weak := range map[string][]string{
		"none at all":         nil,
		"two":                 {strict, strict},
		"inline scripts":      {strings.Replace(strict, "script-src 'self'", "script-src 'self' 'unsafe-inline'", 1)},
		"eval":                {strings.Replace(strict, "script-src 'self'", "script-src 'self' 'unsafe-eval'", 1)},
		"wildcard":            {strings.Replace(strict, "script-src 'self'", "script-src *", 1)},
		"any https":           {strings.Replace(strict, "script-src 'self'", "script-src https:", 1)},
		"data scripts":        {strings.Replace(strict, "script-src 'self'", "script-src data:", 1)},
		"another host":        {strings.Replace(strict, "script-src 'self'", "script-src 'self' https://cdn.example", 1)},
		"inline styles":       {strings.Replace(strict, "style-src 'self'", "style-src 'unsafe-inline'", 1)},
		"a base":              {strings.Replace(strict, "base-uri 'none'; ", "", 1)},
		"frames":              {strings.Replace(strict, "frame-ancestors 'none'; ", "", 1)},
		"frames of its own":   {strings.Replace(strict, "frame-ancestors 'none'", "frame-ancestors 'self'", 1)},
		"forms to anybody":    {strings.Replace(strict, "; form-action 'self'", "", 1)},
		"objects":             {strings.Replace(strict, "default-src 'none'", "default-src 'self'", 1)},
		"text as scripts":     {strings.Replace(strict, "require-trusted-types-for 'script'; ", "", 1)},
		"types of one's own":  {strings.Replace(strict, "trusted-types 'none'", "trusted-types default", 1)},
		"a directive, twice":  {"script-src *; " + strict},
		"pictures of anybody": {strings.Replace(strict, "img-src 'self' data:", "img-src https:", 1)},
	} {
		if len(policyFaults(weak)) == 0 {
			t.Errorf("nothing is found wrong with a policy with %s: %q", name, weak)
		}
	}
}
