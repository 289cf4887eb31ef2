package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/mintreu/mintreu/licensing/apikey"
	"github.com/mintreu/mintreu/service/app"
)

type apikeyLimits struct {
	output
	ID     string   `arg:"" help:"Id of the key, as \"mintreu apikey list\" shows it."`
	Set    []string `help:"A limit to add or change, as name=units/seconds or name=units/month, such as calls=60/60; repeat for more." placeholder:"LIMIT"`
	Drop   []string `help:"Name of a limit to take away; repeat for more." placeholder:"NAME"`
	Reason string   `help:"Why, for the audit trail; needed for a change." placeholder:"TEXT"`
}

// Run shows the limits of a key, or changes some of them and leaves the others. One that is changed holds for this key alone.
func (c *apikeyLimits) Run(ctx context.Context, cfg app.Config, s streams) error {
	if len(c.Set)+len(c.Drop) > 0 && c.Reason == "" {
		return errors.New("--reason: say why the limits are changed")
	}
	return with(ctx, cfg, func(o *operator) error {
		at := "/v1/keys/" + url.PathEscape(c.ID)
		var key apikey.KeyView
		if err := o.call(ctx, http.MethodGet, at, nil, &key); err != nil {
			return err
		}
		if len(c.Set)+len(c.Drop) > 0 {
			limits, err := c.changed(key.Limits)
			if err != nil {
				return err
			}
			var done apikey.RevokeResponse
			if err := o.call(ctx, http.MethodPost, at+"/limits", map[string]any{"limits": limits, "reason": c.Reason}, &done); err != nil {
				return err
			}
			key = done.Key
		}
		rows := make([]map[string]any, len(key.Limits))
		for i, l := range key.Limits {
			rows[i] = map[string]any{"name": l.Name, "units": l.Count, "in": l.Period(), "per": l.Per, "degraded": l.Degraded}
			if l.Every == "" {
				rows[i]["burst"] = l.Burst
			}
		}
		return c.list(s.out, rows, "The key has no limits.", "name", "units", "in", "burst", "per", "degraded")
	})
}

// keep leaves a limit that is changed what it does not say itself: the zone of a quota, what of a rate can be taken at once, and what holds
// while its counter is away.
func keep(limit map[string]any, was *apikey.Limit) {
	limit["degraded"] = was.Degraded
	_, quota := limit["every"]
	switch {
	case quota && was.Every != "":
		limit["zone"] = was.Zone
	case !quota && was.Every == "" && was.Burst != was.Count:
		limit["burst"] = min(was.Burst, limit["count"].(int64))
	}
}

// changed are the limits that a key is to have.
func (c *apikeyLimits) changed(limits []apikey.Limit) ([]map[string]any, error) {
	named := func(name string) func(apikey.Limit) bool {
		return func(l apikey.Limit) bool { return l.Name == name }
	}
	for _, name := range c.Drop {
		if !slices.ContainsFunc(limits, named(name)) {
			return nil, fmt.Errorf("--drop %s: the key has no such limit", word(name))
		}
		limits = slices.DeleteFunc(limits, named(name))
	}
	out := []map[string]any{}
	for _, text := range c.Set {
		limit, err := parseLimit("--set", text)
		if err != nil {
			return nil, err
		}
		name, _ := limit["name"].(string)
		if i := slices.IndexFunc(limits, named(name)); i >= 0 {
			keep(limit, &limits[i])
		}
		limits = slices.DeleteFunc(limits, named(name))
		out = append(out, limit)
	}
	for _, l := range limits {
		kept := map[string]any{"name": l.Name, "per": l.Per, "count": l.Count, "degraded": l.Degraded}
		if l.Every == "" {
			kept["seconds"], kept["burst"] = l.Seconds, l.Burst
		} else {
			kept["every"], kept["zone"] = l.Every, l.Zone
		}
		out = append(out, kept)
	}
	return out, nil
}
