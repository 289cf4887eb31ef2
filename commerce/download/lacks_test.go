package download

import (
	"testing"
	"time"
)

// What keeps a license from giving a release is named; of several licenses the one that comes nearest says it.
func TestLacks(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	r := Release{ID: "rel_1", ProductID: "prod_1", Version: "2.0", Access: Licensed, ReleasedAt: now.Add(-day)}
	updates := Grant{License: "lic_u", ProductID: "prod_1", Active: true, UpdatesUntil: now.Add(-2 * day)}
	old := Grant{License: "lic_v", ProductID: "prod_1", Active: true, MaxVersion: "1.9"}
	over := Grant{License: "lic_e", ProductID: "prod_1", Active: true, ValidUntil: now.Add(-2 * day), Expired: "restrict"}
	other := Grant{License: "lic_o", ProductID: "prod_2", Active: true}
	for _, c := range []struct {
		grants         []Grant
		license, lacks string
		to             time.Time
	}{
		{nil, "", lacksLicense, time.Time{}}, {[]Grant{other}, "", lacksLicense, time.Time{}}, {[]Grant{other, over}, "lic_e", lacksTerm, over.ValidUntil},
		{[]Grant{old, over}, "lic_v", lacksVersion, time.Time{}}, {[]Grant{over, updates, old}, "lic_u", lacksUpdates, updates.UpdatesUntil},
	} {
		it := r.lacking(c.grants, now)
		if it.License != c.license || it.Lacks != c.lacks || len(it.Files) != 0 || (it.CoveredTo == nil) != c.to.IsZero() || it.CoveredTo != nil && !it.CoveredTo.Equal(c.to) {
			t.Errorf("%+v: %+v", c, it)
		}
	}
}
