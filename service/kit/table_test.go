package kit_test

import (
	"io"
	"testing"
)

// Who accepts text/csv and no JSON gets the table of a response that has one; everybody else, and every failure, gets JSON.
func TestTable_WhoAcceptsIt(t *testing.T) {
	h := newHouse(t)
	for accept, table := range map[string]bool{
		"text/csv": true, "text/csv; charset=utf-8, text/plain;q=0.1": true, "TEXT/CSV": true,
		"": false, "*/*": false, "application/json, text/csv": false, "text/csv, */*;q=0.1": false, "text/*": false, "text/html": false, ";;": false,
	} {
		res := h.send("GET", "/v1/widgets/wid_1", "", "Authorization", "Bearer customer", "Accept", accept)
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		media := res.Header.Get("Content-Type")
		switch {
		case res.StatusCode != 200:
			t.Errorf("%q: status %d: %s", accept, res.StatusCode, body)
		case table && (media != "text/csv; charset=utf-8" || string(body) != "id,name\nwid_1,one\n"):
			t.Errorf("%q: %s as %s", accept, body, media)
		case !table && (media != "application/json" || body[0] != '{'):
			t.Errorf("%q: %s as %s", accept, body, media)
		}
	}
	problem(t, h.send("GET", "/v1/widgets/none", "", "Authorization", "Bearer customer", "Accept", "text/csv"), 404, "not-found")
}
