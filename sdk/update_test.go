package sdk_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/doc"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

func versioned(t *testing.T, s *sdktest.Server, version string, options ...sdk.Option) *sdk.Client {
	t.Helper()
	cfg := s.Config("editor")
	cfg.Version = version
	c, err := sdk.New(cfg, append(s.Options(), options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// A newer release is told, with whether the license covers it; an older one, one of another product and a forged one are not, and
// what was downloaded is checked to the byte.
func TestUpdate(t *testing.T) {
	t.Parallel()
	s := server(t)
	ctx := context.Background()
	content := "the program"
	sum := sha256.Sum256([]byte(content))
	file := doc.ReleaseFile{Name: "setup.bin", Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
	c := versioned(t, s, "1.2.0")
	if u, err := c.Update(ctx, ""); u != nil || err != nil {
		t.Fatalf("nothing is published: %+v, %v", u, err)
	}
	s.Publish("editor", "stable", "1.3.0", file)
	s.Publish("player", "stable", "9.0.0", file)
	s.Publish("editor", "beta", "2.0.0-rc1", file)
	u, err := c.Update(ctx, "")
	if err != nil || u == nil || u.Version != "1.3.0" || u.Covered {
		t.Fatalf("%+v, %v", u, err)
	}
	if b, err := c.Update(ctx, "beta"); err != nil || b == nil || b.Version != "2.0.0-rc1" {
		t.Fatalf("%+v, %v", b, err)
	}
	key := s.Issue(sdktest.Spec{Product: "editor", MaxVersion: "1"})
	s.Change(key, func(l *doc.License) { l.UpdatesUntil = s.Clock.Now().Add(time.Hour).Unix() })
	activate(t, c, key)
	if u, err = c.Update(ctx, ""); err != nil || !u.Covered {
		t.Fatalf("covered: %+v, %v", u, err)
	}
	if b, err := c.Update(ctx, "beta"); err != nil || b.Covered {
		t.Fatalf("beyond max_version: %+v, %v", b, err)
	}
	s.Clock.Advance(2 * time.Hour)
	s.Publish("editor", "stable", "1.4.0", file)
	if u, err := c.Update(ctx, ""); err != nil || u.Version != "1.4.0" || u.Covered || u.Within == nil || u.Within.Version != "1.3.0" || !u.Within.Covered || len(u.Within.Files) != 1 {
		t.Fatalf("after updates_until: %+v, %v", u, err)
	}
	for name, bad := range map[string]string{"longer": content + "!", "shorter": content[:5], "changed": strings.ToUpper(content), "empty": ""} {
		if err := u.VerifyFile("setup.bin", strings.NewReader(bad)); !errors.Is(err, sdk.ErrFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := u.VerifyFile("other.bin", strings.NewReader(content)); !errors.Is(err, sdk.ErrFile) {
		t.Errorf("a file that is not in the release: %v", err)
	}
	if err := u.VerifyFile("setup.bin", strings.NewReader(content)); err != nil {
		t.Error(err)
	}
	if u, err := versioned(t, s, "1.4.0").Update(ctx, ""); u != nil || err != nil {
		t.Fatalf("the same version: %+v, %v", u, err)
	}
	for _, fault := range []sdktest.Fault{sdktest.Forged, sdktest.Garbage, sdktest.Down, sdktest.TornReply} {
		s.Fail(fault)
		if u, err := c.Update(ctx, ""); u != nil || err == nil {
			t.Errorf("fault %d: %+v, %v", fault, u, err)
		}
	}
	if _, err := client(t, s).Update(ctx, ""); err == nil {
		t.Error("a product without a version was told of an update")
	}
}

// A license that is over covers what came out in its term where it goes on with that, and nothing where it does not; the newest release that a
// license covers is told beside a newer one that it does not cover, and never one that is no newer than the product.
func TestUpdate_CoveredByTerm(t *testing.T) {
	t.Parallel()
	file := doc.ReleaseFile{Name: "setup.bin", Size: 1, SHA256: strings.Repeat("0", 64)}
	for expired, want := range map[string]string{doc.ExpiredMaintain: "2.0.0 within 1.3.0", doc.ExpiredRestrict: "2.0.0", doc.ExpiredAllow: "2.0.0 covered"} {
		s := server(t)
		key := s.Issue(sdktest.Spec{Product: "editor"})
		s.Change(key, func(l *doc.License) {
			l.Type, l.Pol.Expired, l.ValidUntil = doc.Timed, expired, s.Clock.Now().Add(24*time.Hour).Unix()
			if expired == doc.ExpiredRestrict {
				l.Expires = l.ValidUntil + l.Pol.ExpiryGrace
			}
		})
		c := versioned(t, s, "1.2.0")
		activate(t, c, key)
		for _, version := range []string{"1.2.0", "1.3.0"} {
			s.Publish("editor", "stable", version, file)
		}
		if u, err := c.Update(context.Background(), ""); err != nil || u == nil || u.Version != "1.3.0" || !u.Covered || u.Within != nil {
			t.Fatalf("%s, in its term: %+v, %v", expired, u, err)
		}
		s.Clock.Advance(40 * 24 * time.Hour)
		s.Publish("editor", "stable", "2.0.0", file)
		u, err := c.Update(context.Background(), "")
		if err != nil || u == nil {
			t.Fatalf("%s, after it: %+v, %v", expired, u, err)
		}
		got := u.Version
		if u.Covered {
			got += " covered"
		}
		if u.Within != nil {
			got += " within " + u.Within.Version
		}
		if got != want {
			t.Errorf("%s: %s, want %s", expired, got, want)
		}
	}
}
