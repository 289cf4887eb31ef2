package doc_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/mintreu/mintreu/sdk/doc"
)

func Example() {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) // the vendor's, of course a random one
	signer, err := doc.NewSigner(private)
	if err != nil {
		panic(err)
	}
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	token, err := signer.Sign(&doc.License{
		Issuer: "https://licenses.example.com", Audience: "editor", ID: "lic_1", TokenID: "tok_1",
		IssuedAt: now.Unix(), NotBefore: now.Unix(), Env: doc.EnvLive, Type: doc.Perpetual, Plan: "pro", Customer: "cus_1",
		Seats: doc.Seats{N: 1, By: doc.ByDevice}, Ent: map[string]doc.Value{"projects": doc.Int(25)},
		Pol: doc.Policy{Expired: doc.ExpiredRestrict, Activation: doc.ActivationNone, Then: doc.ThenStop, Status: doc.StatusOff},
	})
	if err != nil {
		panic(err)
	}

	keys, err := doc.Pin(private.Public().(ed25519.PublicKey))
	if err != nil {
		panic(err)
	}
	v := doc.Verifier{Keys: keys, Issuer: "https://licenses.example.com", Audience: "editor", Now: func() time.Time { return now }}
	license, err := v.License(token)
	fmt.Println(license.Plan, license.Ent["projects"], err)
	_, err = v.License(token[:len(token)-1])
	fmt.Println(err, errors.Is(err, doc.ErrSignature))
	// Output:
	// pro 25 <nil>
	// document signature is wrong true
}
