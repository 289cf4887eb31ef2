package e2e_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mintreu/mintreu/api"
	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/kit"
	"github.com/mintreu/mintreu/service/kit/kittest"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// golden compares text with a file of testdata, or writes it with -update.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) == text {
		return
	}
	had, has := strings.Split(string(want), "\n"), strings.Split(text, "\n")
	for _, line := range had {
		if !slices.Contains(has, line) {
			t.Errorf("%s: no more so: %s", path, line)
		}
	}
	for _, line := range has {
		if !slices.Contains(had, line) {
			t.Errorf("%s: new: %s", path, line)
		}
	}
	t.Errorf("%s differs; look at each line above, then run the test with -update", path)
}

// as is the Authorization header of a caller of the role matrix.
func (s *surface) as(c kit.Caller) string {
	switch c.Actor.Kind {
	case licensing.Anonymous:
		return ""
	case licensing.Customer:
		return map[string]string{"customer": s.A.Session, "customer:other": s.B.Session, "customer:stale": s.Stale, "customer:member": s.Member, "customer:org-admin": s.OrgAdmin}[c.Name]
	case licensing.Staff:
		return s.Staff[c.Actor.Role]
	case licensing.Machine:
		return s.Machine[c.Scope]
	case licensing.APIKey:
		if c.Actor.Has("usage:write") {
			return s.Reporter
		}
		return "Bearer " + s.A.APIKey
	case licensing.Holder:
		return "License " + s.A.Key
	case licensing.Device:
		return "Lease " + s.A.Lease
	case licensing.CLI:
		return cli
	}
	return s.Dead["session:"+c.Name]
}

// routesSignOutLast is every operation, signing out at the end, since a session is good for no other afterwards.
func (s *surface) routesSignOutLast() []kit.Route {
	last := func(r kit.Route) int {
		if r.Spec().Name == "session.end-current" {
			return 1
		}
		return 0
	}
	return slices.SortedStableFunc(slices.Values(s.routes), func(a, b kit.Route) int { return cmp.Compare(last(a), last(b)) })
}

// TestR01_EveryRouteByEveryCaller: with real credentials, every operation lets in exactly whom its route names, on both engines, and that is
// what testdata/roles.txt says, so that no change of access goes unseen.
func TestR01_EveryRouteByEveryCaller(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		in := map[string][]string{}
		for _, cell := range kit.Matrix(s.routesSignOutLast()) {
			name := cell.Caller.Name
			if cell.Caller.Scope != "" {
				name += "(" + cell.Caller.Scope + ")"
			}
			a := s.try(cell.Spec, s.as(cell.Caller))
			refused := a.Code == http.StatusUnauthorized || a.Code == http.StatusForbidden
			switch {
			case cell.Refusal != 0 && a.Code != cell.Refusal:
				t.Errorf("%s by %s answered %d, must be refused with %d: %.300s", cell.Spec.Name, name, a.Code, cell.Refusal, a.Body)
			case cell.Refusal == 0 && refused:
				t.Errorf("%s by %s answered %d, must be let in: %.300s", cell.Spec.Name, name, a.Code, a.Body)
			}
			at := fmt.Sprintf("%-22s %-6s %s", cell.Spec.Name, cell.Spec.Method, cell.Spec.Path)
			if in[at] == nil {
				in[at] = []string{}
			}
			if !refused {
				in[at] = append(in[at], name)
			}
		}
		lines := []string{"# Who may call what: every operation of the API and the callers that it lets in. Everybody else is refused.",
			"# Written by: go test ./service/e2e -run TestR01_EveryRoute -update"}
		for at, callers := range in {
			slices.Sort(callers)
			lines = append(lines, at+"\n    "+strings.Join(callers, " "))
		}
		slices.Sort(lines)
		golden(t, "roles.txt", strings.Join(lines, "\n")+"\n")
	})
}

// try calls an operation on ids of nothing with an empty object, so that whoever is let in changes nothing.
func (s *surface) try(spec kit.Spec, as string) answer {
	r := kittest.Request(spec)
	q := request{Method: spec.Method, Path: r.URL.Path, As: as}
	if r.Header.Get("Content-Type") != "" {
		q.Body = "{}"
	}
	return s.send(q)
}

// TestR01_DeadCredentialsOpenNothing: expired and revoked sessions, machine tokens and API keys are answered 401 by every operation, those
// that are open to everybody included, with one and the same body.
func TestR01_DeadCredentialsOpenNothing(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		for _, route := range s.routes {
			texts := map[string]string{}
			for name, as := range s.Dead {
				a := s.try(route.Spec(), as)
				if a.Code != http.StatusUnauthorized {
					t.Errorf("%s by %s answered %d: %.300s", route.Spec().Name, name, a.Code, a.Body)
				}
				texts[a.text()+a.Header().Get("WWW-Authenticate")] = name
			}
			if len(texts) != 1 {
				t.Errorf("%s tells dead credentials apart: %v", route.Spec().Name, texts)
			}
		}
	})
}

// TestR01_MatrixHasEveryRoute: whatever the API document describes is an operation of the matrix, and the other way round.
func TestR01_MatrixHasEveryRoute(t *testing.T) {
	t.Parallel()
	s := onSurface(t)
	var doc struct {
		Paths map[string]map[string]struct{ OperationID string }
	}
	if err := json.Unmarshal(api.OpenAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	described, tried := map[string]bool{}, map[string]bool{}
	for path, item := range doc.Paths {
		for method, op := range item {
			described[strings.ToUpper(method)+" "+path+" "+op.OperationID] = true
		}
	}
	for _, cell := range kit.Matrix(s.routes) {
		tried[cell.Spec.Method+" "+cell.Spec.Path+" "+cell.Spec.Name] = true
	}
	for at := range described {
		if !tried[at] {
			t.Errorf("%s is described and not in the matrix", at)
		}
	}
	for at := range tried {
		if !described[at] {
			t.Errorf("%s is in the matrix and not described", at)
		}
	}
	if len(tried) < 70 {
		t.Errorf("the matrix has %d operations only", len(tried))
	}
}

// TestR08_LastOwnerStays: the last owner can neither give the role away nor have it taken by the operator at the machine.
func TestR08_LastOwnerStays(t *testing.T) {
	t.Parallel()
	eachSurface(t, func(t *testing.T, s *surface) {
		for _, as := range []string{s.Staff[licensing.RoleOwner], cli} {
			for _, role := range []string{"", "admin", "auditor"} {
				a := s.send(request{Method: "PUT", Path: "/v1/staff/" + s.StaffID[licensing.RoleOwner] + "/role", As: as, Body: object{"role": role}})
				if a.Code != http.StatusConflict || a.code() != "last-owner" {
					t.Errorf("owner to %q by %.10s: %d %s", role, as, a.Code, a.Body)
				}
			}
		}
		var me struct{ Role string }
		s.must(request{Method: "GET", Path: "/v1/me", As: s.Staff[licensing.RoleOwner]}, &me)
		if me.Role != "owner" {
			t.Errorf("the last owner is %q", me.Role)
		}
	})
}
