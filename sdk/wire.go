package sdk

import (
	"fmt"
	"math"
	"time"

	"github.com/mintreu/mintreu/sdk/eval"
)

// The addresses of the endpoints that products call, below the base URL.
//
//	POST   /v1/activations                 Authorization: License <key or token>
//	POST   /v1/activations/{id}/heartbeat  Authorization: Lease <lease token>
//	POST   /v1/activations/{id}/borrow     Authorization: Lease <lease token>
//	POST   /v1/activations/{id}/return     Authorization: Lease <lease token>
//	DELETE /v1/activations/{id}            Authorization: Lease <lease token>
//	POST   /v1/licenses/validate           Authorization: License <key or token>
//	GET    /v1/licenses/token              Authorization: License <key or token>
//	GET    /v1/keyset                      the current keyset+jwt, as text
//	GET    /v1/status/{n}                  the statuslist+jwt of that number, as text
const (
	PathActivations = "/v1/activations"
	PathHeartbeat   = "/heartbeat" // below an activation
	PathBorrow      = "/borrow"    // below an activation
	PathReturn      = "/return"    // below an activation
	PathValidate    = "/v1/licenses/validate"
	PathToken       = "/v1/licenses/token"
	PathKeyset      = "/v1/keyset"
	PathRoots       = "/v1/keyset/roots" // keysets that replaced the roots, one a line
	PathStatus      = "/v1/status/"
)

// Schemes of the Authorization header of these endpoints.
const (
	SchemeLicense = "License"
	SchemeLease   = "Lease"
)

// ActivateRequest asks for a seat for a device or a user. Asking again for the
// same device or user answers with the same activation and takes no second seat.
type ActivateRequest struct {
	Product string            `json:"product" doc:"Slug of the product that asks." example:"editor"`
	Env     string            `json:"env,omitempty" doc:"Environment, live if absent." enum:"live,test"`
	Device  map[string]string `json:"device" doc:"Digest of each component of the device's fingerprint."`
	User    string            `json:"user,omitempty" doc:"Digest of the user, for licenses whose seats are taken by users."`
	Name    string            `json:"name,omitempty" doc:"Name of the device, shown to the customer." example:"Ada's laptop"`
	Version string            `json:"version,omitempty" doc:"Version of the product." example:"2.1.0"`
	Nonce   string            `json:"nonce,omitempty" doc:"Text that the lease then carries."`
}

// ActivateResponse is a seat taken.
type ActivateResponse struct {
	Activation string         `json:"activation" doc:"Id of the activation." example:"act_0192f0c1a2b37c44"`
	License    string         `json:"license" doc:"The license as a license+jwt."`
	Lease      string         `json:"lease" doc:"The proof of the seat as a lease+jwt."`
	Decision   *eval.Decision `json:"decision,omitempty" doc:"What the server thinks of the license now."`
}

// HeartbeatRequest says that an activation is alive. It succeeds as long as the
// activation holds its seat, however late it comes.
type HeartbeatRequest struct {
	ID      string            `json:"-" path:"id" doc:"Id of the activation."`
	Seq     int64             `json:"seq" doc:"Highest seq of a lease that the product has."`
	Device  map[string]string `json:"device,omitempty" doc:"Digest of each component of the device's fingerprint."`
	User    string            `json:"user,omitempty" doc:"Digest of the user."`
	Version string            `json:"version,omitempty" doc:"Version of the product." example:"2.1.0"`
	Token   string            `json:"token,omitempty" doc:"The jti of the license token that the product has; none if it has no good one."`
}

// NoToken is HeartbeatRequest.Token of a product whose license token is no good,
// for example because its signing key was revoked. It always gets a new one.
const NoToken = "none"

// HeartbeatResponse renews a lease.
type HeartbeatResponse struct {
	Lease    string         `json:"lease" doc:"The next lease+jwt; its seq is one higher."`
	License  string         `json:"license,omitempty" doc:"The license+jwt, when its jti is not the one that the product has."`
	Decision *eval.Decision `json:"decision,omitempty" doc:"What the server thinks of the license now."`
}

// BorrowRequest keeps a floating seat for a device that goes away, until a
// date at which it is free again without the device's doing. The answer is a
// HeartbeatResponse; its lease says borrowed.
type BorrowRequest struct {
	ID    string `json:"-" path:"id" doc:"Id of the activation."`
	Until int64  `json:"until" doc:"When the seat is free again, in seconds since 1970; no later than the device may run offline." example:"1785500000"`
}

// ReturnRequest ends a borrowing early: the device goes on with a lease like
// any other. To give the seat back as well, deactivate.
type ReturnRequest struct {
	ID string `json:"-" path:"id" doc:"Id of the activation."`
}

// DeactivateRequest gives a seat back.
type DeactivateRequest struct {
	ID string `json:"-" path:"id" doc:"Id of the activation."`
}

// DeactivateResponse is a seat given back.
type DeactivateResponse struct {
	Activation string `json:"activation" doc:"Id of the activation."`
	ReleasedAt int64  `json:"released_at" doc:"When the seat became free, in seconds since 1970."`
}

// ValidateRequest asks the server for its decision. It changes nothing.
type ValidateRequest struct {
	Product     string            `json:"product" doc:"Slug of the product that asks." example:"editor"`
	Env         string            `json:"env,omitempty" doc:"Environment, live if absent." enum:"live,test"`
	Version     string            `json:"version,omitempty" doc:"Version of the product." example:"2.1.0"`
	User        string            `json:"user,omitempty" doc:"Digest of the user."`
	Device      map[string]string `json:"device,omitempty" doc:"Digest of each component of the device's fingerprint."`
	Entitlement string            `json:"entitlement,omitempty" doc:"Code of a feature that is wanted." example:"export"`
	N           int64             `json:"n,omitempty" doc:"How much of a numeric feature is wanted."`
}

// ValidateResponse is the server's decision.
type ValidateResponse struct {
	Decision eval.Decision `json:"decision" doc:"The decision."`
}

// Evaluation returns the request in the form that eval.Evaluate takes.
func (r *ValidateRequest) Evaluation() eval.Request {
	return eval.Request{Product: r.Product, Env: r.Env, Version: r.Version, User: r.User, Device: r.Device,
		Entitlement: r.Entitlement, N: r.N}
}

// TokenResponse is the current token of a license, answered to its key, its token, or one that a renewal or another change has put out of use.
type TokenResponse struct {
	License string `json:"license" doc:"The license as a license+jwt."`
}

// Problem is an answer that is not a success, in the form of RFC 9457. As an
// error it means that the server understood and refused.
type Problem struct {
	Type   string         `json:"type,omitempty" doc:"Address of a page about this kind of problem."`
	Title  string         `json:"title" doc:"The kind of problem, for people."`
	Status int            `json:"status" doc:"The HTTP status." example:"409"`
	Detail string         `json:"detail,omitempty" doc:"What is wrong here, for people."`
	Code   string         `json:"code" doc:"Stable, machine-readable name of the problem." example:"seats-exhausted"`
	ID     string         `json:"request_id,omitempty" doc:"Id of the request; quote it to support."`
	Retry  int            `json:"retry_after,omitempty" doc:"Seconds after which trying again makes sense."`
	Fields []ProblemField `json:"errors,omitempty" doc:"What is wrong with the request, member by member."`
}

// ProblemField is one thing wrong with a request.
type ProblemField struct {
	Name   string `json:"name" doc:"JSON pointer or name of a parameter."`
	Detail string `json:"detail" doc:"What is wrong and what would be right."`
}

// Codes of a Problem that products act upon.
const (
	CodeUnauthorized       = "unauthorized"            // not a good key, token or lease
	CodeNotFound           = "not-found"               // no such license, or not a good key
	CodeSeatsExhausted     = "seats-exhausted"         // every seat is taken
	CodeActivationReleased = "activation-released"     // the seat was given back or taken away
	CodeLicenseRevoked     = "license-revoked"         // final
	CodeLicenseSuspended   = "license-suspended"       // until reinstated
	CodeLicenseExpired     = "license-expired"         // its term is over
	CodeDeviceMismatch     = "device-mismatch"         // the lease is of another device
	CodeTrialUsed          = "trial-used"              // this device had its trial
	CodeProductMismatch    = "product-mismatch"        // the license is for another product
	CodeEnvironment        = "environment-mismatch"    // a test license in live use, or the reverse
	CodeVersionNotCovered  = "version-not-covered"     // the license ends before this version
	CodeUserRequired       = "user-required"           // its seats are taken by users
	CodeRequestOld         = "offline-request-old"     // the request of a machine without a network is over 30 days old
	CodeNotFloating        = "not-floating"            // its seats cannot be borrowed
	CodeTooMany            = "too-many-requests"       // slow down
	CodeUnavailable        = "temporarily-unavailable" // switched off for now
)

// Error returns the problem's code and text.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return fmt.Sprintf("%s (%d): %s", p.Code, p.Status, p.Detail)
	}
	return fmt.Sprintf("%s (%d): %s", p.Code, p.Status, p.Title)
}

// RetryAfter returns how long to wait before trying again, 0 if unknown.
func (p *Problem) RetryAfter() time.Duration {
	return time.Duration(min(max(int64(p.Retry), 0), math.MaxInt64/int64(time.Second))) * time.Second
}

// pause is how long, in seconds, a client waits for that: an hour at most, whatever was said.
func (p *Problem) pause() int64 { return min(max(int64(p.Retry), 0), lastRetry) }

// Is makes errors.Is compare the code with that of another Problem.
func (p *Problem) Is(target error) bool {
	t, ok := target.(*Problem)
	return ok && t.Code == p.Code
}
