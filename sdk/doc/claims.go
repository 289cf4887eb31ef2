package doc

// License is the payload of a license+jwt: everything a product needs to know
// about a license, frozen when the token was signed.
type License struct {
	Issuer       string           `json:"iss"`
	Audience     string           `json:"aud"` // the product's slug
	ID           string           `json:"sub"` // lic_…
	TokenID      string           `json:"jti"` // tok_…; the identity of this token
	IssuedAt     int64            `json:"iat"`
	NotBefore    int64            `json:"nbf"`
	Expires      int64            `json:"exp,omitempty"` // hard end; 0: none
	Env          string           `json:"env"`
	Type         string           `json:"type"` // perpetual, timed, subscription, trial
	Plan         string           `json:"plan"`
	Customer     string           `json:"cus"`
	Organisation string           `json:"org,omitempty"`
	Licensee     string           `json:"licensee,omitempty"`
	ValidUntil   int64            `json:"valid_until,omitempty"` // commercial end; 0: none
	UpdatesUntil int64            `json:"updates_until,omitempty"`
	MaxVersion   string           `json:"max_version,omitempty"`
	Seats        Seats            `json:"seats"`
	Ent          map[string]Value `json:"ent"`
	EntUntil     map[string]int64 `json:"ent_until,omitempty"`
	Pol          Policy           `json:"pol"`
	Status       StatusClaim      `json:"status,omitzero"`
	Must         []string         `json:"must,omitempty"`
}

// Types of a license.
const (
	Perpetual    = "perpetual"
	Timed        = "timed"
	Subscription = "subscription"
	Trial        = "trial"
)

// Seats says how many activations a license has room for and what takes one.
type Seats struct {
	N        int64  `json:"n"`
	By       string `json:"by"` // ByDevice or ByUser
	Floating bool   `json:"floating"`
}

// What takes a seat.
const (
	ByDevice = "device"
	ByUser   = "user"
)

// Policy is the part of a license's policy that a product must know to decide
// without the server. Durations are seconds.
type Policy struct {
	Expired      string   `json:"expired"`      // what happens at valid_until
	ExpiryGrace  int64    `json:"expiry_grace"` // after valid_until
	Activation   string   `json:"activation"`   // ActivationNone or ActivationRequired
	Match        int64    `json:"match"`        // device components that must agree
	Recheck      int64    `json:"recheck"`      // contact is due so long after the last
	Fresh        int64    `json:"fresh"`        // from the last contact
	Stale        int64    `json:"stale"`        // after fresh, with a warning
	Grace        int64    `json:"grace"`        // after stale, the last allowance
	Then         string   `json:"then"`         // what happens after grace
	Keep         []string `json:"keep,omitempty"`
	Status       string   `json:"status"` // use of the status list
	StatusMaxAge int64    `json:"status_max_age"`
}

// OfflineMax is the longest a product may run after its last contact, in seconds.
func (p *Policy) OfflineMax() int64 { return p.Fresh + p.Stale + p.Grace }

// Values of Policy.Expired.
const (
	ExpiredRestrict = "restrict" // the license ends
	ExpiredRevoke   = "revoke"   // the license ends for good
	ExpiredMaintain = "maintain" // what was bought keeps working
	ExpiredAllow    = "allow"    // the end is only noted
)

// Values of Policy.Activation.
const (
	ActivationNone     = "none"
	ActivationRequired = "required"
)

// Values of Policy.Then.
const (
	ThenStop     = "stop"
	ThenDegrade  = "degrade" // Policy.Keep lists the entitlements that stay
	ThenAdvisory = "advisory"
)

// Values of Policy.Status.
const (
	StatusOff     = "off"
	StatusWarn    = "warn"
	StatusRequire = "require"
)

// StatusClaim points to a token's place in a status list, in the form of the
// IETF Token Status List.
type StatusClaim struct {
	List StatusRef `json:"status_list"`
}

// StatusRef is an index within the list at a URI.
type StatusRef struct {
	Index int64  `json:"idx"`
	URI   string `json:"uri"`
}

// Lease is the payload of a lease+jwt: proof that one activation held its seat
// at IssuedAt, the last contact, from which all offline lengths count.
type Lease struct {
	Issuer     string            `json:"iss"`
	Audience   string            `json:"aud"`
	License    string            `json:"sub"` // lic_…
	TokenID    string            `json:"jti"`
	IssuedAt   int64             `json:"iat"`
	Expires    int64             `json:"exp,omitempty"` // 0 only with Policy.Then advisory
	Env        string            `json:"env"`
	Activation string            `json:"act"` // act_…
	Token      string            `json:"tok"` // jti of the license it rests on
	Seq        int64             `json:"seq"` // grows by one with each lease of the activation
	Device     map[string]string `json:"dev"` // component to digest, see DeviceDigest
	Match      int64             `json:"match"`
	RecheckAt  int64             `json:"recheck_at"`
	FreshUntil int64             `json:"fresh_until"`
	Ent        map[string]Value  `json:"ent"`
	EntUntil   map[string]int64  `json:"ent_until,omitempty"`
	User       string            `json:"usr,omitempty"`
	Borrowed   bool              `json:"borrowed,omitempty"`
	Nonce      string            `json:"nonce,omitempty"`
	Must       []string          `json:"must,omitempty"`
}

// Keyset is the payload of a keyset+jwt: the signing keys of an installation,
// signed by one of its roots. Num only grows.
type Keyset struct {
	Issuer   string `json:"iss"`
	IssuedAt int64  `json:"iat"`
	Num      int64  `json:"num"`
	Keys     []JWK  `json:"keys"`
	Roots    []JWK  `json:"roots,omitempty"` // replace the pinned roots when present
}

// StatusList is the payload of a statuslist+jwt. Read its bits with Bits.
type StatusList struct {
	Issuer   string         `json:"iss"`
	URI      string         `json:"sub"`
	IssuedAt int64          `json:"iat"`
	Expires  int64          `json:"exp"`
	TTL      int64          `json:"ttl"`
	List     StatusListBits `json:"status_list"`
}

// StatusListBits is the compressed list inside a StatusList.
type StatusListBits struct {
	Bits int64  `json:"bits"` // always 2
	List string `json:"lst"`  // zlib, base64url
}

// Release is the payload of a release+jwt: one published version of a product.
type Release struct {
	Issuer   string        `json:"iss"`
	Audience string        `json:"aud"`
	Version  string        `json:"version"`
	IssuedAt int64         `json:"iat"`
	Files    []ReleaseFile `json:"files"`
}

// ReleaseFile is one file of a release.
type ReleaseFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // lower-case hex
	URL    string `json:"url,omitempty"`
}

// Receipt is the payload of a usage-receipt+jwt: proof that a batch of usage
// was counted.
type Receipt struct {
	Issuer   string `json:"iss"`
	Source   string `json:"sub"` // src_…
	Seq      int64  `json:"seq"`
	SHA      string `json:"sha"` // SHA-256 of the batch, lower-case hex
	IssuedAt int64  `json:"iat"`
}
