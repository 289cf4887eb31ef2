package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/licensing/license"
	"github.com/mintreu/mintreu/service/db"
)

// trialHad is a condition that another license's trial of a product was on a device: by the key of its fingerprint, or by as many of its
// parts as the license demands. Its parameters begin behind n: product, license, subject and the parts.
func trialHad(n int) string {
	at := func(i int) string { return fmt.Sprintf("$%d", n+i) }
	parts := make([]string, license.MaxParts)
	for i := range parts {
		parts[i] = at(4 + i)
	}
	return `(EXISTS (SELECT 1 FROM trial t WHERE t.product_id = ` + at(1) + ` AND t.kind = 'device' AND t.subject = ` + at(3) + ` AND t.license_id <> ` + at(2) + `)
		OR EXISTS (SELECT 1 FROM activation_part p WHERE p.part IN (` + strings.Join(parts, ", ") + `) AND p.license_id <> ` + at(2) + `
			AND EXISTS (SELECT 1 FROM trial t WHERE t.license_id = p.license_id AND t.kind = 'device' AND t.product_id = ` + at(1) + `)
			GROUP BY p.activation_id HAVING count(*) >= (SELECT device_match FROM license WHERE id = ` + at(2) + `)))`
}

func trialArgs(product string, device activation.Seek) []any {
	args := []any{product, device.License, device.Subject}
	return append(args, seekArgs(device)[2:10]...)
}

// onceOnTrial adds to the statement that takes a seat that the device had no other trial.
func onceOnTrial(take db.Statement, t activation.Take) db.Statement {
	return db.Statement{SQL: take.SQL + ` AND NOT ` + trialHad(len(take.Args)), Args: append(take.Args, trialArgs(t.Trial, t.TrialDevice)...)}
}

// TrialHad implements [activation.Store].
func (s *activations) TrialHad(ctx context.Context, product string, device activation.Seek) (bool, error) {
	var n int64
	err := s.db.QueryRow(ctx, `SELECT count(*) FROM license WHERE id = $2 AND `+trialHad(0), trialArgs(product, device)...).Scan(&n)
	return n > 0, err
}
