package activation

import (
	"context"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/eval"
)

// Answer is what the request of a machine without a network was answered.
type Answer struct {
	LicenseID    string
	Nonce        string // of the request
	ActivationID string
	Seq          int64  // of the lease
	LeaseSealed  []byte // the lease's text, which keys the MAC of the machine's return
	At           time.Time
}

// movedOn reports whether the seat is not the machine's by this answer any more. That of a user goes on whatever other devices of the user do.
func (h *Answer) movedOn(a *Activation) bool {
	return a.State != Held || a.Seq != h.Seq && !a.byUser()
}

// Answers keeps what machines without a network were answered. Not found is [licensing.ErrNotFound].
type Answers interface {
	// AnswerTo loads the answer to a request on a license.
	AnswerTo(ctx context.Context, licenseID, nonce string) (Answer, error)
	// LastAnswer loads the newest answer with a lease of an activation.
	LastAnswer(ctx context.Context, activationID string) (Answer, error)
	// KeepAnswer stores an answer; of two to one request the one with the higher seq stays.
	KeepAnswer(ctx context.Context, a Answer) error
}

// What the person who carries the texts is told.
var (
	ErrRequest      = licensing.Fail(licensing.Invalid, "offline-request", "This is not the request of a product. Copy all of it; it begins with MREQ1.")
	ErrRequestOld   = licensing.Fail(licensing.Conflict, sdk.CodeRequestOld, "The request is more than 30 days old. Make a new one on the machine.")
	ErrRequestClock = licensing.Fail(licensing.Conflict, "offline-request-clock", "The request was made in the future: the machine's clock is wrong. Set it and make a new request.")
	ErrRequestKey   = licensing.Fail(licensing.Conflict, "offline-request-license", "The request was made with the key of another license. Answer it on that license's page.")
	ErrRequestUsed  = licensing.Fail(licensing.Conflict, "offline-request-used", "The request was answered before and its machine has moved on. Make a new one on the machine.")
	ErrAnswerOld    = licensing.Fail(licensing.Conflict, "offline-answer-old", "The license was changed since the file was made, or the file's time is over, so no product takes it any more. Make a new request on the machine.")
	ErrReturn       = licensing.Fail(licensing.Invalid, "offline-return", "This does not give back a machine of this license. Copy all of it; it begins with MREL1.")
	ErrReturnOld    = licensing.Fail(licensing.Conflict, "offline-return-old", "The machine took its seat again after this was made, so it gives nothing back.")
)

// clockAhead is how far the clock of a machine without a network may be ahead.
const clockAhead = 24 * time.Hour

// AnswerRequest carries the request of a machine without a network.
type AnswerRequest struct {
	ID      string `path:"id" doc:"The license."`
	Request string `json:"request" doc:"What the product on the machine shows; it begins with MREQ1." example:"MREQ1.eyJrZXkiOiJ…"`
	Name    string `json:"name,omitempty" doc:"Name of the machine, shown in the list of devices." example:"Press in hall 3"`
}

// AnswerResponse is a license file for one machine.
type AnswerResponse struct {
	License    string        `json:"license" doc:"The license."`
	Activation string        `json:"activation" doc:"The activation of the machine."`
	Name       string        `json:"name" doc:"Name for the file." example:"editor-7k3zq.license"`
	File       string        `json:"file" doc:"The license file, with a lease for this machine, to be installed there."`
	Until      *time.Time    `json:"offline_until,omitempty" doc:"Until when the machine may run on it; absent when its lease has no end."`
	Decision   eval.Decision `json:"decision" doc:"What the product on the machine decides now."`
}

// Answer answers the request of a machine without a network with a license file whose lease is for that machine and carries the request's nonce.
// The machine takes a seat as by [Service.Activate], exactly one however often it asks, and the same request has the same answer until the license or its lease
// changes.
func (s *Service) Answer(ctx context.Context, r AnswerRequest) (AnswerResponse, error) {
	if _, err := s.Licenses.Get(ctx, license.GetRequest{ID: r.ID}); err != nil {
		return AnswerResponse{}, err
	}
	q, err := doc.DecodeOfflineRequest(r.Request)
	if err != nil {
		return AnswerResponse{}, ErrRequest.Because(err)
	}
	form := sdk.ActivateRequest{Product: q.Product, Device: q.Device, User: q.User, Name: r.Name, Nonce: q.Nonce}
	if err := checkForm(&form); err != nil {
		return AnswerResponse{}, err
	}
	parts := partsOf(q.Device)
	seek := Seek{License: r.ID, Subject: deviceKey(parts), Parts: parts}
	if q.User != "" {
		seek.User = userKey(q.User)
	}
	l, _, err := s.Store.Find(ctx, seek)
	if err != nil {
		return AnswerResponse{}, err
	}
	if err := s.answerable(&l, &q); err != nil {
		return AnswerResponse{}, err
	}
	if out, done, err := s.answered(ctx, &l, q.Nonce); err != nil || done {
		return out, err
	}
	form.Env, form.Version = string(l.Env), l.Terms.MaxVersion // a request names no version: the product looks at its own, on the machine
	for i := range attempts {
		out, done, err := s.attempt(ctx, seek, &form, i == 0)
		if err != nil {
			return AnswerResponse{}, err
		}
		if done {
			return s.keepAnswer(ctx, &l, q.Nonce, out)
		}
	}
	return AnswerResponse{}, errBusy
}

// answerable refuses a request that is too old, of another license or product, or for a license that is not active.
func (s *Service) answerable(l *license.License, q *doc.OfflineRequest) error {
	now := s.Clock.Now()
	switch has, err := s.Licenses.HasKey(l, q.Key); {
	case err != nil:
		return err
	case !has, q.Product != l.ProductSlug:
		return ErrRequestKey
	case now.Unix() >= q.At+doc.OfflineRequestLife:
		return ErrRequestOld
	case time.Unix(q.At, 0).After(now.Add(clockAhead)):
		return ErrRequestClock
	case l.State == license.Suspended:
		return ErrSuspended
	case l.State != license.Active:
		return ErrRevoked
	}
	return nil
}

// answered answers a request that was answered before with the same lease, as long as that is the newest of an activation that holds its
// seat. done is false when there is none, or it no longer fits the license.
func (s *Service) answered(ctx context.Context, l *license.License, nonce string) (out AnswerResponse, done bool, err error) {
	had, err := s.Answers.AnswerTo(ctx, l.ID, nonce)
	if notFound(err) {
		return out, false, nil
	}
	if err != nil {
		return out, false, err
	}
	a, _, err := s.Store.Activation(ctx, had.ActivationID)
	if err != nil {
		return out, false, err
	}
	if had.movedOn(&a) {
		return out, false, ErrRequestUsed
	}
	text, lease, err := s.openAnswer(ctx, &had)
	if err != nil || !s.fits(l, lease) {
		return out, false, err
	}
	out, err = s.fileFor(ctx, l, text, lease)
	return out, true, err
}

// keepAnswer stores the lease that a request was answered with, and makes the file of it.
func (s *Service) keepAnswer(ctx context.Context, l *license.License, nonce string, given sdk.ActivateResponse) (AnswerResponse, error) {
	lease, err := s.Verifier.VerifyLease(ctx, given.Lease)
	if err != nil {
		return AnswerResponse{}, err
	}
	sealed, err := s.Seal.Seal([]byte(given.Lease), answerPlace(l.ID, nonce))
	if err != nil {
		return AnswerResponse{}, err
	}
	err = s.Tx.InTx(ctx, func(ctx context.Context) error {
		err := s.Answers.KeepAnswer(ctx, Answer{LicenseID: l.ID, Nonce: nonce, ActivationID: lease.Activation, Seq: lease.Seq, LeaseSealed: sealed, At: s.Clock.Now()})
		return errOr(err, s.Audit.Record(ctx, licensing.Event{Action: "activation.answer", Target: lease.Activation, Product: l.ProductID,
			Detail: map[string]any{"license": l.ID, "seq": lease.Seq}}))
	})
	if err != nil {
		return AnswerResponse{}, err
	}
	_, now, err := s.Store.Activation(ctx, lease.Activation) // its term may have begun with this
	if err != nil {
		return AnswerResponse{}, err
	}
	return s.fileFor(ctx, &now, given.Lease, lease)
}

func answerPlace(licenseID, nonce string) string {
	return "offline_answer/" + licenseID + "/" + nonce + "/lease"
}

func (s *Service) openAnswer(ctx context.Context, a *Answer) (string, *doc.Lease, error) {
	text, err := s.Seal.Open(a.LeaseSealed, answerPlace(a.LicenseID, a.Nonce))
	if err != nil {
		return "", nil, err
	}
	lease, err := s.Verifier.VerifyLease(ctx, string(text))
	return string(text), lease, err
}

// fileFor is the file with a lease.
func (s *Service) fileFor(ctx context.Context, l *license.License, text string, lease *doc.Lease) (AnswerResponse, error) {
	file, err := s.Licenses.FileText(ctx, l, text)
	if err != nil {
		return AnswerResponse{}, err
	}
	out := AnswerResponse{License: l.ID, Activation: lease.Activation, Name: license.FileName(l), File: file}
	if lease.Expires != 0 {
		until := time.Unix(lease.Expires, 0).UTC()
		out.Until = &until
	}
	out.Decision = s.decide(l, lease, eval.Request{Product: l.ProductSlug, Env: string(l.Env), User: lease.User, Device: lease.Device, Version: l.Terms.MaxVersion}, s.Clock.Now())
	return out, nil
}

// AnswerAgain answers a replay of Answer with the newest file of the activation that it was for.
func (s *Service) AnswerAgain(ctx context.Context, id, _ string) (AnswerResponse, error) {
	return s.AnswerFile(ctx, GetRequest{ID: id})
}

// AnswerFile returns the license file that a machine without a network was answered last, as long as it holds its seat and the file is good: a
// lease rests on the license as it was, so that a renewal or any other change takes a new request.
func (s *Service) AnswerFile(ctx context.Context, r GetRequest) (AnswerResponse, error) {
	a, l, err := s.load(ctx, licensing.ActorFrom(ctx), r.ID)
	if err != nil {
		return AnswerResponse{}, err
	}
	had, err := s.Answers.LastAnswer(ctx, a.ID)
	if err != nil {
		return AnswerResponse{}, err
	}
	if had.movedOn(&a) {
		return AnswerResponse{}, ErrRequestUsed
	}
	text, lease, err := s.openAnswer(ctx, &had)
	switch {
	case err != nil:
		return AnswerResponse{}, err
	case l.State == license.Suspended:
		return AnswerResponse{}, ErrSuspended
	case !s.fits(&l, lease):
		return AnswerResponse{}, ErrAnswerOld
	}
	return s.fileFor(ctx, &l, text, lease)
}

// fits reports whether a product takes a lease beside the license as it is now.
func (s *Service) fits(l *license.License, lease *doc.Lease) bool {
	return lease.Token == l.Token.JTI && (lease.Expires == 0 || lease.Expires > s.Clock.Now().Unix())
}

// ReturnRequest carries what a machine without a network printed when it forgot its license.
type ReturnRequest struct {
	ID     string `path:"id" doc:"The license."`
	Return string `json:"return" doc:"What the product on the machine printed; it begins with MREL1." example:"MREL1.eyJhY3QiOiJ…"`
}

// Return frees the seat of a machine without a network before its lease ends. Its text is proved by a MAC that only somebody with the lease can make. One
// taken before is answered again and changes nothing, also after the machine took its seat anew.
func (s *Service) Return(ctx context.Context, r ReturnRequest) (View, error) {
	if _, err := s.Licenses.Get(ctx, license.GetRequest{ID: r.ID}); err != nil {
		return View{}, err
	}
	q, err := doc.DecodeOfflineReturn(r.Return)
	if err != nil {
		return View{}, ErrReturn.Because(err)
	}
	had, err := s.Answers.AnswerTo(ctx, r.ID, q.Nonce)
	if notFound(err) || err == nil && (had.ActivationID != q.Activation || had.Seq != q.Seq) {
		return View{}, ErrReturn
	}
	if err != nil {
		return View{}, err
	}
	text, err := s.Seal.Open(had.LeaseSealed, answerPlace(had.LicenseID, had.Nonce))
	if err != nil {
		return View{}, err
	}
	if !q.Proves(string(text)) {
		return View{}, ErrReturn
	}
	a, l, err := s.Store.Activation(ctx, had.ActivationID)
	if err != nil {
		return View{}, err
	}
	if a.State == Held && a.Seq != had.Seq {
		return View{}, ErrReturnOld
	}
	a, err = s.release(ctx, a, l, licensing.ActorFrom(ctx).String(), "given back by hand")
	return a.view(), err
}
