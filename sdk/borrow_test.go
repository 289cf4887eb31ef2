package sdk_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mintreu/mintreu/sdk"
	"github.com/mintreu/mintreu/sdk/eval"
	"github.com/mintreu/mintreu/sdk/sdktest"
)

// A product borrows its floating seat to a date: until then it works without the server and without a warning, at the date it stops;
// giving it back early makes the lease one like any other, and a seat that does not float is an error that says so.
func TestBorrowAndReturn(t *testing.T) {
	t.Parallel()
	s := sdktest.NewServer()
	t.Cleanup(s.Close)
	pol := sdktest.Policy()
	pol.Recheck, pol.Fresh, pol.Stale, pol.Grace = 600, 3600, sdktest.Day, 13*sdktest.Day
	client := func(spec sdktest.Spec) *sdk.Client {
		t.Helper()
		spec.Product, spec.Policy = "editor", &pol
		c, err := sdk.New(s.Config("editor"), s.Options()...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if d, err := c.Borrow(t.Context(), s.Clock.Now().Add(time.Hour)); err != nil || d.Code != eval.ActivationRequired {
			t.Errorf("without a seat: %+v, %v", d, err)
		}
		if d, err := c.Activate(t.Context(), s.Issue(spec)); err != nil || !d.Allowed {
			t.Fatal(d, err)
		}
		return c
	}
	c := client(sdktest.Spec{Floating: true})
	until := s.Clock.Now().Add(5 * 24 * time.Hour)
	if d, err := c.Borrow(t.Context(), until); err != nil || d.Code != eval.Valid || !c.Lease().Borrowed || c.Lease().Expires != until.Unix() {
		t.Fatalf("%+v, %+v, %v", d, c.Lease(), err)
	}
	s.Fail(sdktest.Down)
	s.Clock.Advance(5*24*time.Hour - time.Second)
	if d, err := c.Check(t.Context()); err != nil || d.Code != eval.Valid {
		t.Errorf("the second before: %+v, %v", d, err)
	}
	s.Clock.Advance(time.Second)
	if d, err := c.Check(t.Context()); err != nil || d.Allowed {
		t.Errorf("at the date: %+v, %v", d, err)
	}
	if _, err := c.EndBorrow(t.Context()); err == nil {
		t.Error("given back to nobody")
	}
	s.Fail(sdktest.None)
	if d, err := c.EndBorrow(t.Context()); err != nil || !d.Allowed || c.Lease().Borrowed {
		t.Errorf("given back: %+v, %v", d, err)
	}
	var p *sdk.Problem
	if _, err := client(sdktest.Spec{}).Borrow(t.Context(), until.Add(time.Hour)); !errors.As(err, &p) || p.Code != sdk.CodeNotFloating {
		t.Errorf("a seat that does not float: %v", err)
	}
}
