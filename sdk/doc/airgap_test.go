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

// A license file cut into parts that fit QR codes is read from them in any order, and from nothing less than all of them.
func TestFileParts(t *testing.T) {
	t.Parallel()
	in := doc.File{License: sign(t, key(1), license()), Keyset: sign(t, key(9), oneKey(t)), Lease: sign(t, key(1), lease())}
	text, err := doc.EncodeFile(in)
	if err != nil {
		t.Fatal(err)
	}
	in.Version = 1
	parts, err := doc.FileParts(text, 600)
	if err != nil || len(parts) < 4 {
		t.Fatal(len(parts), err)
	}
	backwards := ""
	for i, p := range parts {
		if len(p) > 600 {
			t.Errorf("part %d has %d characters", i+1, len(p))
		}
		backwards = p + "\n" + p + " " + backwards
	}
	if out, err := doc.DecodeFile(backwards); err != nil || out != in {
		t.Errorf("read from all parts: %v", err)
	}
	for i := range parts {
		some := strings.Join(parts[:i], " ") + " " + strings.Join(parts[i+1:], " ")
		if _, err := doc.DecodeFile(some); !errors.Is(err, doc.ErrMalformed) {
			t.Errorf("without part %d: %v", i+1, err)
		}
	}
	in.Lease = ""
	shorter, _ := doc.EncodeFile(in)
	other, _ := doc.FileParts(shorter, 600)
	for _, bad := range []string{parts[0] + " " + other[0], parts[0] + parts[1], strings.Replace(parts[0], "MFIL1.1.", "MFIL1.01.", 1), "MFIL1.0.1.AA", "MFIL1.1.65.AA", "MFIL1.1.1.", "MFIL1.1.1.AA=", "MFIL1."} {
		if _, err := doc.DecodeFile(bad); err == nil {
			t.Errorf("%.30s… accepted", bad)
		}
	}
	if _, err := doc.FileParts("x", 600); err == nil {
		t.Error("parts of nothing")
	}
}
