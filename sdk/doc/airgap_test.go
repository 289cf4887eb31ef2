package doc_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/sdk/doc"
)

func offlineRequest() doc.OfflineRequest {
	return doc.OfflineRequest{Key: doc.KeyDigest("editor", "MINT-1"), Product: "editor", Device: map[string]string{"machine": "m1", "disk": "d1"},
		User: doc.UserDigest("editor", "ada"), Nonce: strings.Repeat("0a", 16), At: t0, SDK: "mintreu-sdk-go/0.1.0"}
}

func offlineTexts(t testing.TB) (request, back, leaseText string) {
	t.Helper()
	request, err := doc.EncodeOfflineRequest(offlineRequest())
	if err != nil {
		t.Fatal(err)
	}
	l := lease()
	l.Nonce = strings.Repeat("0a", 16)
	leaseText = sign(t, key(1), l)
	if back, err = doc.NewOfflineReturn(l, leaseText); err != nil {
		t.Fatal(err)
	}
	return request, back, leaseText
}

// Requests and returns are read as they were written, through mail that wraps lines, and cut at no length, nor with any byte changed, is one
// taken for another: a request that is read otherwise asks something else, a return that is changed proves nothing.
func TestAirGapTexts(t *testing.T) {
	t.Parallel()
	request, back, leaseText := offlineTexts(t)
	wrapped := " " + request[:40] + "\r\n" + request[40:] + "\n"
	q, err := doc.DecodeOfflineRequest(wrapped)
	if err != nil || q.Nonce != offlineRequest().Nonce || q.Device["disk"] != "d1" || q.User == "" {
		t.Fatal(q, err)
	}
	r, err := doc.DecodeOfflineReturn(back)
	if err != nil || !r.Proves(leaseText) || r.Proves(leaseText+"A") {
		t.Fatal(r, err)
	}
	for i := range request {
		if _, err := doc.DecodeOfflineRequest(request[:i]); err == nil {
			t.Errorf("request cut at %d accepted", i)
		}
	}
	for i := range back {
		if _, err := doc.DecodeOfflineReturn(back[:i]); err == nil {
			t.Errorf("return cut at %d accepted", i)
		}
		for bit := range 8 {
			b := []byte(back)
			b[i] ^= 1 << bit
			if r, err := doc.DecodeOfflineReturn(string(b)); err == nil && r.Proves(leaseText) && string(b) != back {
				t.Errorf("return with bit %d of byte %d flipped proves", bit, i)
			}
		}
	}
	for _, c := range []struct {
		text string
		want error
	}{{strings.Repeat("A", 5000), doc.ErrTooLong}, {"MREQ1." + strings.Repeat("A", 2100), doc.ErrTooLong}, {back, doc.ErrMalformed}, {"", doc.ErrMalformed}, {request + "=", doc.ErrMalformed},
		{"MREQ2." + request[6:], doc.ErrMalformed}, {"MREQ1." + b64.EncodeToString([]byte(`{"key":"k","key":"k"}`)), doc.ErrPayload}, {"MREQ1." + b64.EncodeToString([]byte(`{}`)), doc.ErrPayload},
		{"MREQ1." + b64.EncodeToString([]byte(`{"key":"k","product":"p","dev":{},"nonce":"short","at":1,"sdk":"x"}`)), doc.ErrPayload},
		{"MREQ1." + b64.EncodeToString([]byte(`{"key":"k","product":"p","dev":[],"nonce":"0123456789abcdef","at":1}`)), doc.ErrPayload}} {
		if _, err := doc.DecodeOfflineRequest(c.text); !errors.Is(err, c.want) {
			t.Errorf("%.40s: %v, want %v", c.text, err, c.want)
		}
	}
	if _, err := doc.EncodeOfflineRequest(doc.OfflineRequest{Product: "editor"}); err == nil {
		t.Error("a request of nothing was written")
	}
	if doc.KeyDigest("editor", "mint-1") == doc.KeyDigest("player", "mint-1") {
		t.Error("the digest of a key is the same in another product")
	}
}
