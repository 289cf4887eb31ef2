package keyring_test

import (
	"crypto/ed25519"
	"slices"
	"testing"
	"time"

	"github.com/mintreu/mintreu/licensing/keyring"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/service/store/storetest"
)

// published is the keyset in force, as a product reads it.
func published(t *testing.T, e storetest.Env, k *keyring.Service) *doc.Keyset {
	t.Helper()
	pins := must(doc.PinRoots(must(doc.ParsePublicKey(must(k.Roots(t.Context()))(t)[0]))(t)))(t)
	return must((&doc.Verifier{Keys: pins, Now: e.Clock.Now}).Keyset(must(k.Keyset(t.Context()))(t), 1))(t)
}

// names reports whether a keyset names a key.
func names(set *doc.Keyset, kid string) bool {
	return slices.ContainsFunc(set.Keys, func(k doc.JWK) bool { return k.KID == kid })
}

// Rotation never gets stuck: a keyset names sixty keys, and one more takes the place of a key that was revoked, however young, or else of the one
// retired longest ago, whose documents are then signed again. A key that left can still be revoked, and the same goes for an offline root, which is
// told what is dropped.
func TestK04_RotationNeverGetsStuck(t *testing.T) {
	t.Parallel()
	e := storetest.SQLite(t)
	k, ctx := whole(t, e), staff(t.Context())
	rotate := func() string {
		t.Helper()
		e.Clock.Advance(25 * time.Hour)
		return must(k.Rotate(ctx, keyring.RotateRequest{Reason: "drill"}))(t).Retired
	}
	var retired []string
	for len(published(t, e, k).Keys) < 60 {
		retired = append(retired, rotate())
	}
	stolen := retired[40]
	must(k.Compromise(ctx, keyring.CompromiseRequest{KID: stolen, Reason: "drill"}))(t)
	if set := published(t, e, k); len(set.Keys) != 60 || !names(set, stolen) {
		t.Errorf("a keyset of %d keys, the revoked one among them: %t", len(set.Keys), names(set, stolen))
	}
	rotate()
	set := published(t, e, k)
	if len(set.Keys) != 60 || names(set, stolen) || !names(set, retired[0]) {
		t.Errorf("a keyset of %d keys; the revoked one among them: %t, the oldest: %t", len(set.Keys), names(set, stolen), names(set, retired[0]))
	}
	rotate()
	rotate()
	if set = published(t, e, k); len(set.Keys) != 60 || names(set, retired[0]) || names(set, retired[1]) || !names(set, retired[2]) {
		t.Errorf("a keyset of %d keys, in which the two oldest have no place any more, and the next has", len(set.Keys))
	}
	work := map[string]bool{}
	for _, w := range must(k.Resignings(t.Context(), keyring.ResigningsRequest{}))(t).Items {
		work[w.KID] = w.FinishedAt == nil
	}
	if len(work) != 3 || !work[stolen] || !work[retired[0]] || !work[retired[1]] {
		t.Errorf("signed again is %v, want what the revoked key and the two oldest signed", work)
	}
	w := must(k.Compromise(ctx, keyring.CompromiseRequest{KID: retired[0], Reason: "drill"}))(t)
	if list := must(k.Resignings(t.Context(), keyring.ResigningsRequest{}))(t).Items; len(list) != 3 || list[0].ID != w.ID || list[0].Total != -1 {
		t.Errorf("after the revocation of a key that left: %+v", list)
	}

	root := offline(t, k)
	e.Clock.Advance(25 * time.Hour)
	next := must(k.Rotate(ctx, keyring.RotateRequest{Reason: "drill"}))(t) // needs no root, and changes no keyset
	asked := must(k.Request(ctx, keyring.AskRequest{Reason: "keys"}))(t)
	c := must(keyring.OpenRequest([]byte(asked.File), root.Public().(ed25519.PublicKey), e.Clock.Now()))(t)
	if !slices.Equal(c.Dropped, []string{retired[2]}) || len(c.Added) != 1 {
		t.Errorf("the root is told of %d new keys and that %v are dropped, want %s", len(c.Added), c.Dropped, retired[2])
	}
	must(k.Import(ctx, keyring.ImportRequest{Keyset: must(c.Sign(root))(t)}))(t)
	if set = published(t, e, k); len(set.Keys) != 60 || names(set, retired[2]) || !names(set, next.Retired) || len(must(k.Resignings(t.Context(), keyring.ResigningsRequest{}))(t).Items) != 4 {
		t.Errorf("the imported keyset has %d keys", len(set.Keys))
	}
	states(t, newRingStarted(t, e))
}
