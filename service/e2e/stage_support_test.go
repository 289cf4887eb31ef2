package e2e_test

import (
	"encoding/json"
	"net/http"
	"testing"
)

// plantSupport writes an answer of the FAQ and a canned reply, and has the customer open a ticket that the owner answers.
func (s *stage) plantSupport(t testing.TB) {
	t.Helper()
	s.made(t, "article", "/v1/faq-articles", object{"slug": "move-to-another-device", "title": "How do I move to another device?", "category": "Licenses", "published": true,
		"body": "Release the old device in your account, then enter the key on the new one.\n\n1. Open *Licenses*.\n2. Choose the device.\n\n```\nquill --version\n```"})
	s.ids["article-slug"] = "move-to-another-device"
	s.made(t, "canned", "/v1/canned-replies", object{"name": "Where the key is", "body": "Hello {name}, your key is in the mail that followed your payment."})
	as := http.Header{"Authorization": {"Bearer " + s.tokens[customer]}}
	status, text, err := fetch(t.Context(), http.MethodPost, s.url+"/v1/tickets", as, object{"subject": "The export stops half way", "body": "It stops at page 12.\n\nWhat do I do?", "order": s.ids["order"]})
	var out struct{ ID string }
	if err == nil {
		err = json.Unmarshal([]byte(text), &out)
	}
	if err != nil || status != http.StatusCreated {
		t.Fatalf("the ticket answered %d %s (%v)", status, text, err)
	}
	s.ids["ticket"] = out.ID
	s.must(t, http.MethodPost, "/v1/tickets/"+out.ID+"/notes", object{"body": "Known since 1.1."}, nil)
	var thread struct{ Version int64 }
	s.must(t, http.MethodGet, "/v1/tickets/"+out.ID, nil, &thread)
	s.must(t, http.MethodPost, "/v1/tickets/"+out.ID+"/answers", object{"body": "Version 1.2.0 mends it. It is among your downloads.", "version": thread.Version}, nil)
}
