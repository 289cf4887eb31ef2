package kit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"reflect"
	"strings"

	"github.com/mintreu/mintreu/licensing"
)

// Pages. A Service reads and writes plain cursors (the last row's id, say) in licensing.Page and licensing.List. What callers
// see is that text under an HMAC of operation and caller, so that a cursor cannot be made up, changed, or carried to another
// operation or another caller.

const (
	defaultLimit = 20
	maxLimit     = 100
	macLength    = 16
)

var (
	errCursor = licensing.Fail(licensing.Invalid, "invalid-cursor", "This cursor was not issued for this list. Start at the first page.").With("cursor", "must be the next cursor of the page before")
	errLimit  = licensing.Fail(licensing.Invalid, "invalid-request", "The page size is not right.").With("limit", "must be a whole number from 1 to %d", maxLimit)
	cursors   = base64.RawURLEncoding.Strict()
)

func (b *bound) cursorMAC(call *licensing.Call, public bool, raw string) []byte {
	mac := hmac.New(sha256.New, b.stack.CursorKey)
	who := "" // a public list is the same for everybody
	if !public {
		who = call.Actor.String()
	}
	mac.Write([]byte(call.Operation + "\x00" + who + "\x00" + raw))
	return mac.Sum(nil)[:macLength]
}

// openPage checks the page a caller asked for and replaces its cursor by the plain one.
func (b *bound) openPage(call *licensing.Call, public bool, page *licensing.Page) error {
	if page.Limit < 0 || page.Limit > maxLimit {
		return errLimit
	}
	if page.Limit == 0 {
		page.Limit = defaultLimit
	}
	if page.Cursor == "" {
		return nil
	}
	sealed, err := cursors.DecodeString(page.Cursor)
	if err != nil || len(sealed) <= macLength {
		return errCursor
	}
	raw := string(sealed[macLength:])
	if !hmac.Equal(sealed[:macLength], b.cursorMAC(call, public, raw)) {
		return errCursor
	}
	page.Cursor = raw
	return nil
}

// sealNext replaces the plain cursor of the next page in resp, the addressable response, by the one callers see.
func (b *bound) sealNext(call *licensing.Call, public bool, next reflect.Value) {
	if raw := next.String(); raw != "" {
		next.SetString(cursors.EncodeToString(append(b.cursorMAC(call, public, raw), raw...)))
	}
}

// nextIndex finds the field Next of a licensing.List that t is or embeds; nil when there is none.
func nextIndex(t reflect.Type) []int {
	if t.Kind() != reflect.Struct {
		return nil
	}
	if t.PkgPath() == listsOf && strings.HasPrefix(t.Name(), "List[") {
		f, _ := t.FieldByName("Next")
		return f.Index
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.Anonymous {
			if at := nextIndex(f.Type); at != nil {
				return append([]int{i}, at...)
			}
		}
	}
	return nil
}
