package doc_test

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/mintreu/mintreu/sdk/doc"
)

// The Token Status List draft's own vectors of two bits are read as it says. Its large one has eight times the indexes of one of our
// lists: as a whole it is refused, inflated no further than a full list, and each eighth of it is read.
func TestStatusBits_DraftVectors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/statuslist.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			Name, Lst  string
			Bits, Size int64
			Values     map[int64]byte
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, c := range file.Cases {
		raw := inflate(t, c.Lst)
		if int64(len(raw)) != c.Size/4 || len(c.Values) == 0 {
			t.Fatalf("%s: %d bytes for %d statuses", c.Name, len(raw), c.Size)
		}
		_, err := (&doc.StatusList{List: doc.StatusListBits{Bits: c.Bits, List: c.Lst}}).Bits()
		if long := c.Size > doc.StatusListSize; long != errors.Is(err, doc.ErrPayload) || !long && err != nil {
			t.Errorf("%s: as a whole: %v", c.Name, err)
		}
		for first := int64(0); first < c.Size; first += doc.StatusListSize {
			n := min(doc.StatusListSize, c.Size-first)
			bits, err := (&doc.StatusList{List: doc.StatusListBits{Bits: c.Bits, List: deflated(t, raw[first/4:(first+n)/4])}}).Bits()
			if err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			for i := range n {
				if got, want := bits.Get(i), c.Values[first+i]; got != want {
					t.Errorf("%s: status %d is %d, want %d", c.Name, first+i, got, want)
				}
			}
			back := inflate(t, bits.Encode().List)
			if !bytes.Equal(back[:n/4], raw[first/4:(first+n)/4]) {
				t.Errorf("%s: written again, the bits from %d are others", c.Name, first)
			}
		}
	}
}

func inflate(t *testing.T, lst string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(lst)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zlib.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func deflated(t *testing.T, raw []byte) string {
	t.Helper()
	var buf bytes.Buffer
	w := zlib.NewWriter(&buf)
	if _, err := w.Write(raw); err != nil || w.Close() != nil {
		t.Fatal("cannot deflate")
	}
	return base64.RawURLEncoding.EncodeToString(buf.Bytes())
}
