// Package audit keeps the trail of every change: who did what to which object, when, why, in which request.
//
// A row is written inside the transaction of the change ([Recorder]) and is never changed afterwards; triggers of both
// engines refuse it. It carries the hash of its content and no number. One process at a time numbers the rows without
// gaps and hangs their hashes into a Merkle tree ([Sequencer]), of which it publishes signed heads. [Verify] computes all of
// it anew and names the row that was altered, taken away or moved. Rows that were numbered after a head was copied to
// somewhere else (the blob store, a mail, another company) cannot be changed without disagreeing with that copy.
//
// A row that is removed before it was numbered, within about a second, leaves no trace.
package audit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/mintreu/mintreu/licensing"
)

// Row is one row of the trail.
type Row struct {
	ID        string
	At        time.Time
	Actor     string
	Request   string
	Operation string
	Action    string
	Target    string
	Product   string
	Reason    string
	// Detail is JSON text, "{}" when there is none.
	Detail string
	// Leaf is the hash of everything above.
	Leaf tlog.Hash
}

// maxDetail and maxText bound a row, in bytes.
const (
	maxDetail = 16 << 10
	maxText   = 4 << 10
)

// Writer writes a row in the transaction in ctx, and fails when there is none. The store implements it.
type Writer interface {
	InsertAudit(ctx context.Context, r Row) error
	// InsertAudits writes many. In a transaction for several calls, calls says whose each row is.
	InsertAudits(ctx context.Context, rows []Row, calls []*licensing.Call) error
}

// Deps are what a [Recorder] needs.
type Deps struct {
	Store Writer
	Clock licensing.Clock
	IDs   licensing.IDs
}

// Recorder writes the trail. It is safe for concurrent use.
type Recorder struct{ Deps }

var _ licensing.Auditor = (*Recorder)(nil)

// New makes a Recorder.
func New(d Deps) *Recorder { return &Recorder{d} }

// Record implements [licensing.Auditor].
func (a *Recorder) Record(ctx context.Context, e licensing.Event) error {
	r, err := Compose(ctx, a.Clock, a.IDs, e)
	if err != nil {
		return err
	}
	return a.Store.InsertAudit(ctx, r)
}

// RecordMany records many events at the price of a few statements.
func (a *Recorder) RecordMany(ctx context.Context, events []licensing.Event) error {
	rows := make([]Row, len(events))
	for i, e := range events {
		var err error
		if rows[i], err = Compose(ctx, a.Clock, a.IDs, e); err != nil {
			return err
		}
	}
	return a.Store.InsertAudits(ctx, rows, nil)
}

// RecordFor records an event of each of several calls, in a transaction for all of them.
func (a *Recorder) RecordFor(ctx context.Context, calls []*licensing.Call, events []licensing.Event) error {
	rows := make([]Row, len(events))
	for i, e := range events {
		var err error
		if rows[i], err = Compose(licensing.WithCall(ctx, calls[i]), a.Clock, a.IDs, e); err != nil {
			return err
		}
	}
	return a.Store.InsertAudits(ctx, rows, calls)
}

// Compose makes the row of an event of the call in ctx. Text from outside is kept on one line: control characters, line separators
// and marks that reverse the direction of writing are escaped as \uXXXX, and overlong text is cut. Stores use it that write the
// row in the same statements as the change, where nothing but those statements can tell whether there is one.
func Compose(ctx context.Context, clock licensing.Clock, ids licensing.IDs, e licensing.Event) (Row, error) {
	if e.Action == "" {
		return Row{}, errors.New("audit: an event without an action")
	}
	detail, err := detailText(e.Detail)
	if err != nil {
		return Row{}, err
	}
	call := licensing.CallFrom(ctx)
	r := Row{
		ID: ids.New("aud"), At: clock.Now(), Actor: text(call.Actor.String()), Request: text(call.RequestID), Operation: text(call.Operation),
		Action: text(e.Action), Target: text(e.Target), Product: text(e.Product), Reason: text(e.Reason), Detail: detail,
	}
	r.Leaf = r.Hash()
	return r, nil
}

// timeFormat is fixed, so that a row hashes the same whichever engine returned it.
const timeFormat = "2006-01-02T15:04:05.000000Z"

// Hash computes the leaf hash of the row's content (RFC 6962): the members in order, each preceded by its length.
func (r Row) Hash() tlog.Hash {
	var b strings.Builder
	b.WriteString("mintreu/audit/1\n")
	for _, s := range []string{r.ID, r.At.UTC().Format(timeFormat), r.Actor, r.Request, r.Operation, r.Action, r.Target, r.Product, r.Reason, r.Detail} {
		b.WriteString(strconv.Itoa(len(s)))
		b.WriteByte(':')
		b.WriteString(s)
		b.WriteByte('\n')
	}
	return tlog.RecordHash([]byte(b.String()))
}

// detailText is v as JSON with sorted members and nothing in it that a terminal or a log would act upon.
func detailText(v any) (string, error) {
	if v == nil {
		return "{}", nil
	}
	out, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return "", fmt.Errorf("audit: detail: %w", err)
	}
	if len(out) > maxDetail {
		return "", fmt.Errorf("audit: detail has %d bytes, at most %d", len(out), maxDetail)
	}
	return escape(string(out)), nil // what is escaped occurs in JSON inside strings only, where \uXXXX means the same
}

// text makes s safe to print on one line.
func text(s string) string {
	s = escape(strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= maxText {
		return s
	}
	cut := maxText
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

func escape(s string) string {
	if strings.IndexFunc(s, unsafe) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unsafe(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// unsafe reports control characters, line and paragraph separators, and marks of writing direction.
func unsafe(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r <= 0x9f, r == 0x2028, r == 0x2029, r == 0xfeff:
		return true
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x061c:
		return true
	}
	return false
}
