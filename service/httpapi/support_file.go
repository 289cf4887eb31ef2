package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/mintreu/mintreu/commerce/support"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
)

// Support is what [SupportRaws] need beside the Service.
type Support struct {
	Service *support.Service
	// Stack authenticates the callers.
	Stack kit.Stack
	// Patience is how long a client may take to send or take a part; thirty seconds unless said.
	Patience time.Duration
}

// SupportRaws are the handlers that move the bytes of attachments:
//
//	POST /v1/tickets/{id}/attachments?name=&access=   the raw bytes
//	GET  /v1/ticket-attachments/{id}?access=
func SupportRaws(s Support) []Raw {
	if s.Patience <= 0 {
		s.Patience = patience
	}
	return []Raw{
		{"ticket.attach", "POST /v1/tickets/{id}/attachments", http.HandlerFunc(s.attach)},
		{"ticket.attachment", "GET /v1/ticket-attachments/{id}", http.HandlerFunc(s.fetch)},
	}
}

// as finds out who calls and puts it into the call.
func (s Support) as(r *http.Request, mutating bool) error {
	actor, err := s.Stack.Actor(r)
	if err != nil {
		return err
	}
	call := licensing.CallFrom(r.Context())
	call.Actor, call.Mutating = actor, mutating
	return nil
}

func (s Support) attach(w http.ResponseWriter, r *http.Request) {
	f, err := s.receive(w, r)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.Patience)) // the server's own ran out while the file came
	if err != nil {
		kind := licensing.KindOf(err)
		if kind == licensing.TooLarge { // most clients listen only once they have sent what they have
			_, _ = io.CopyN(io.Discard, &patientBody{r.Body, http.NewResponseController(w), s.Patience}, support.MaxFile)
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.Patience))
		}
		if kind == licensing.Timeout || kind == licensing.TooLarge {
			w.Header().Set("Connection", "close")
		}
		kit.WriteError(w, r, err)
		return
	}
	body, _ := json.Marshal(f) // strings and numbers alone cannot fail
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(body)
}

func (s Support) receive(w http.ResponseWriter, r *http.Request) (support.FileView, error) {
	if err := s.as(r, true); err != nil {
		return support.FileView{}, err
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return support.FileView{}, licensing.Fail(licensing.Unsupported, "upload-encoded", "Send the file as it is, without a content encoding.")
	}
	if r.ContentLength > support.MaxFile {
		return support.FileView{}, support.ErrTooLarge
	}
	q := r.URL.Query()
	body := &patientBody{r.Body, http.NewResponseController(w), s.Patience}
	f, err := s.Service.Attach(r.Context(), support.Upload{Ticket: r.PathValue("id"), Access: q.Get("access"), Name: q.Get("name"), Content: body})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = licensing.Fail(licensing.Timeout, "upload-too-slow", "The file did not arrive in time.").Because(err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = licensing.Fail(licensing.Invalid, "upload-incomplete", "The file did not arrive whole.").Because(err)
	}
	return f, err
}

func (s Support) fetch(w http.ResponseWriter, r *http.Request) {
	artifactHeaders(w.Header())
	err := s.as(r, false)
	var c support.Content
	if err == nil {
		c, err = s.Service.Open(r.Context(), support.OpenRequest{ID: r.PathValue("id"), Access: r.URL.Query().Get("access")})
	}
	if err != nil {
		kit.WriteError(w, r, err)
		return
	}
	WriteAttachment(w, r, c, s.Patience)
}

// Send answers with an attachment for the actor of r's context: for pages, which know their visitor by a cookie.
func (s Support) Send(w http.ResponseWriter, r *http.Request, o support.OpenRequest) error {
	c, err := s.Service.Open(r.Context(), o)
	if err != nil {
		return err
	}
	artifactHeaders(w.Header())
	WriteAttachment(w, r, c, patience)
	return nil
}

// WriteAttachment sends an attachment to be saved, never to be shown, and closes it. Each part has its own time, so that a slow reader is let go.
func WriteAttachment(w http.ResponseWriter, r *http.Request, c support.Content, patience time.Duration) {
	defer func() { _ = c.Close() }()
	h := w.Header()
	artifactHeaders(h)
	h.Set("Content-Type", c.Type)
	if c.Type == "text/plain" {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	h.Set("Content-Disposition", disposition(c.Name))
	h.Set("Content-Length", strconv.FormatInt(c.Size, 10))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	control := http.NewResponseController(w)
	for left := c.Size; left > 0; {
		_ = control.SetWriteDeadline(time.Now().Add(patience)) // the connection's, so wall time; a test's recorder has none
		n, err := io.CopyN(w, c, min(left, slice))
		if left -= n; err != nil {
			panic(http.ErrAbortHandler) // what was sent is not whole, and the client must see that
		}
	}
}
