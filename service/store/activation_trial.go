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
// parts as the license demands, be it the one of an activation or, where users took the seats, one that a user had. Its parameters begin behind
// n: product, license, subject and the parts.
func trialHad(n int) string {
	at := func(i int) string { return fmt.Sprintf("$%d", n+i) }
	parts, like := make([]string, license.MaxParts), make([]string, license.MaxParts)
	for i := range parts {
		parts[i] = at(4 + i)
		like[i] = `t.subject >= CAST(` + parts[i] + ` AS text) || '@' AND t.subject < CAST(` + parts[i] + ` AS text) || 'A'` // no digest has an @
	}
	return `(EXISTS (SELECT 1 FROM trial t WHERE t.product_id = ` + at(1) + ` AND t.kind = 'device' AND t.subject = ` + at(3) + ` AND t.license_id <> ` + at(2) + `)
		OR EXISTS (SELECT 1 FROM activation_part p WHERE p.part IN (` + strings.Join(parts, ", ") + `) AND p.license_id <> ` + at(2) + `
			AND EXISTS (SELECT 1 FROM trial t WHERE t.license_id = p.license_id AND t.kind = 'device' AND t.product_id = ` + at(1) + `)
			GROUP BY p.activation_id HAVING count(*) >= (SELECT device_match FROM license WHERE id = ` + at(2) + `))
		OR EXISTS (SELECT 1 FROM trial t WHERE t.product_id = ` + at(1) + ` AND t.kind = 'device' AND t.license_id <> ` + at(2) + ` AND (` + strings.Join(like, " OR ") + `)
			GROUP BY substr(t.subject, length(t.subject) - 35) HAVING count(*) >= (SELECT device_match FROM license WHERE id = ` + at(2) + `)))`
}

// keepTrial notes that this attempt's device had a trial. Of one where users take the seats the parts are noted as well, each before the key of the
// device, which has 36 characters: no activation has them.
func keepTrial(t activation.Take) []db.Statement {
	subjects := trialSubjects(t.Try.Device, len(t.Parts) == 0)
	batch := make([]db.Statement, len(subjects))
	for i, subject := range subjects {
		batch[i] = db.Statement{SQL: `INSERT INTO trial (product_id, kind, subject, license_id, at)
			SELECT l.product_id, 'device', $3, l.id, COALESCE($4, l.created_at) FROM license l WHERE l.id = $1 AND l.seat_taken_by = $2
			ON CONFLICT (product_id, kind, subject) DO NOTHING`, Args: []any{t.License, t.ID, subject, t.At}}
	}
	return batch
}

// trialSubjects are what a device is noted by: the key of its fingerprint and, where no activation has them, its parts.
func trialSubjects(device activation.Seek, parts bool) []string {
	subjects := []string{device.Subject}
	if parts {
		for _, part := range device.Parts {
			subjects = append(subjects, part+"@"+device.Subject)
		}
	}
	return subjects
}

func trialArgs(t activation.Try) []any {
	args := []any{t.Product, t.Device.License, t.Device.Subject}
	return append(args, seekArgs(t.Device)[2:10]...)
}

// onceOnTrial adds to the statement that takes a seat that the device had no other trial.
func onceOnTrial(take db.Statement, t activation.Take) db.Statement {
	return db.Statement{SQL: take.SQL + ` AND NOT ` + trialHad(len(take.Args)), Args: append(take.Args, trialArgs(t.Try)...)}
}

// TrialHad implements [activation.Store]. Trials of one product are noted in turn, as they take seats.
func (s *activations) TrialHad(ctx context.Context, t activation.Try) (bool, error) {
	if !t.Keep.IsZero() {
		batch := []db.Statement{{SQL: lockProduct, Args: []any{t.Product}}}
		for _, subject := range trialSubjects(t.Device, true) { // only users' seats serve devices that take none
			batch = append(batch, db.Statement{SQL: `INSERT INTO trial (product_id, kind, subject, license_id, at)
				SELECT l.product_id, 'device', $12, l.id, COALESCE($13, l.created_at) FROM license l WHERE l.id = $2 AND NOT ` + trialHad(0) + `
				ON CONFLICT (product_id, kind, subject) DO NOTHING`, Args: append(trialArgs(t), subject, t.Keep)})
		}
		if _, err := s.db.Batch(ctx, batch); err != nil {
			return false, err
		}
	}
	var n int64
	err := s.db.QueryRow(ctx, `SELECT count(*) FROM license WHERE id = $2 AND `+trialHad(0), trialArgs(t)...).Scan(&n)
	return n > 0, err
}
