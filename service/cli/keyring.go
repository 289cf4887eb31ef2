package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/mintreu/mintreu/service/app"
)

type keyringCommand struct {
	List       keyringList       `cmd:"" help:"Show signing keys."`
	Roots      keyringRoots      `cmd:"" help:"Print the root public keys to pin in your product."`
	Rotate     keyringRotate     `cmd:"" help:"Let the next standby key sign from now on; the old one goes on verifying."`
	Compromise keyringCompromise `cmd:"" help:"Revoke a signing key that somebody else may have, and sign every license anew."`
	Status     keyringStatus     `cmd:"" help:"Show whether the root is here, how many keys stand by, and what is being signed again."`
	Root       rootCommand       `cmd:"" help:"The root: move it offline, let it sign keysets there, add one, replace it."`
}

type keyringList struct{ output }

// keys reads the keyring; raw is the whole answer.
func (o *operator) keys(ctx context.Context) (keys []map[string]any, raw json.RawMessage, err error) {
	if err := o.call(ctx, http.MethodGet, "/v1/signing-keys", nil, &raw); err != nil {
		return nil, nil, err
	}
	var list struct {
		Keys []map[string]any `json:"keys"`
	}
	return list.Keys, raw, json.Unmarshal(raw, &list)
}

// Run shows the signing keys.
func (c *keyringList) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		keys, raw, err := o.keys(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return c.value(s.out, raw)
		}
		return c.list(s.out, keys, "There are no keys.", "kid", "role", "state", "online", "not_before", "retired_at", "revoked_at")
	})
}

type keyringRoots struct{ output }

// Run prints a root a line.
func (c *keyringRoots) Run(ctx context.Context, cfg app.Config, s streams) error {
	return with(ctx, cfg, func(o *operator) error {
		keys, _, err := o.keys(ctx)
		if err != nil {
			return err
		}
		roots := []string{}
		for _, state := range []string{"active", "standby"} {
			for _, k := range keys {
				if k["role"] == "root" && k["state"] == state {
					roots = append(roots, cell(k["public"]))
				}
			}
		}
		if c.JSON {
			return c.value(s.out, roots)
		}
		for _, r := range roots {
			if _, err := fmt.Fprintln(s.out, r); err != nil {
				return err
			}
		}
		return nil
	})
}

type keyringRotate struct {
	output
	consent
	Reason string `required:"" help:"Why, for the audit trail." placeholder:"TEXT"`
}

// Run rotates.
func (c *keyringRotate) Run(ctx context.Context, cfg app.Config, s streams) error {
	if err := c.ask(ctx, s, "Let the next key sign from now on? The old one never signs again; what it signed stays good."); err != nil {
		return err
	}
	in := map[string]any{"reason": c.Reason}
	return c.change(ctx, cfg, s, call{http.MethodPost, "/v1/signing-keys/rotate", in}, func(a map[string]any) string {
		return fmt.Sprintf("%s signs from now on.\n%s is retired; licenses it signed go on verifying.", cell(a["active"]), cell(a["retired"]))
	})
}
