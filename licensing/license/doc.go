// Package license is the domain of licenses: policies (templates of terms), licenses issued from them with a frozen copy of those terms, the
// license keys and signed license tokens that prove them, the status lists that tell of revocation, and the decision
// whether a license permits something now.
//
// A license is issued in two steps, so that nothing slow happens inside the transaction of a payment: [Service.Draft] makes the
// id, the key and the signed token; [Service.Issue] stores them in the caller's transaction, once for each [Source]. A license is
// never deleted. Its state is active or suspended, in turn, until it is revoked for good; expired is computed.
package license
