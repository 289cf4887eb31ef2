package store

import (
	"context"
	"errors"
	"time"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/service/db"
)

// How long an Idempotency-Key is remembered, and how long a secret shown once can be shown again to a replay of it.
const (
	KeyKept    = 24 * time.Hour
	SecretKept = 10 * time.Minute
)

// errNoResult is a mistake in an operation: a replay could not be answered.
var errNoResult = errors.New("store: the first audit event of an operation with an Idempotency-Key names no target")

// keepKey writes the row of the call's Idempotency-Key in the transaction in ctx. A later transaction of the same call only adds the
// secret, if there is one by then.
func (s *Store) keepKey(ctx context.Context, call *licensing.Call, target string) error {
	k, err := s.keyRow(call, target)
	if err != nil {
		return err
	}
	if call.KeyKept {
		if k.secret == nil {
			return nil
		}
		_, err := s.db.Exec(ctx, `UPDATE idempotency SET secret = $4, secret_until = $5
			WHERE actor = $1 AND operation = $2 AND idem_key = $3`, k.actor, k.operation, k.key, k.secret, k.until)
		return err
	}
	n, err := s.db.Exec(ctx, `INSERT INTO idempotency (actor, operation, idem_key, hash, result_id, secret, secret_until, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (actor, operation, idem_key) DO NOTHING`, k.values()...)
	if err == nil && n == 0 {
		return licensing.ErrIdempotent
	}
	return err
}

// keyRow is a row of the table of Idempotency-Keys.
type keyRow struct {
	actor, operation, key string
	hash                  []byte
	target                string
	secret                []byte
	until                 *time.Time
	at                    time.Time
}

func (k *keyRow) values() []any {
	return []any{k.actor, k.operation, k.key, k.hash, k.target, k.secret, k.until, k.at}
}

// keyRow makes the row of a call's Idempotency-Key, the secret sealed.
func (s *Store) keyRow(call *licensing.Call, target string) (*keyRow, error) {
	if target == "" && !call.KeyKept {
		return nil, errNoResult
	}
	k := &keyRow{actor: call.Actor.String(), operation: call.Operation, key: call.IdempotencyKey, hash: call.RequestHash, target: target, at: s.clock.Now()}
	if call.Secret == "" || s.seal == nil {
		return k, nil
	}
	sealed, err := s.seal.Seal([]byte(call.Secret), secretPlace(k.actor, k.operation, k.key))
	if err != nil {
		return nil, err
	}
	end := k.at.Add(SecretKept)
	k.secret, k.until = sealed, &end
	return k, nil
}

func secretPlace(actor, operation, key string) string {
	return "idempotency/" + actor + "/" + operation + "/" + key + "/secret"
}

// Find reads what an Idempotency-Key of an actor's operation led to: the hash of its request, the id of its result, and the secret it
// showed once, "" when there was none or its ten minutes are over.
func (s *Store) Find(ctx context.Context, actor, operation, key string) (hash []byte, resultID, secret string, found bool, err error) {
	var sealed []byte
	var until *time.Time
	err = s.db.QueryRow(ctx, `SELECT hash, result_id, secret, secret_until FROM idempotency
		WHERE actor = $1 AND operation = $2 AND idem_key = $3`, actor, operation, key).Scan(&hash, &resultID, &sealed, &until)
	if errors.Is(err, db.ErrNoRows) {
		return nil, "", "", false, nil
	}
	if err != nil {
		return nil, "", "", false, err
	}
	if len(sealed) > 0 && until != nil && s.clock.Now().Before(*until) && s.seal != nil {
		open, err := s.seal.Open(sealed, secretPlace(actor, operation, key))
		if err != nil {
			return nil, "", "", false, err
		}
		secret = string(open)
	}
	return hash, resultID, secret, true, nil
}

// PurgeIdempotency forgets secrets after ten minutes and keys after a day. A job runs it every few minutes. It reports how
// many keys were forgotten.
func (s *Store) PurgeIdempotency(ctx context.Context) (int64, error) {
	now := s.clock.Now()
	if _, err := s.db.Exec(ctx, `UPDATE idempotency SET secret = NULL, secret_until = NULL
		WHERE secret IS NOT NULL AND secret_until <= $1`, now); err != nil {
		return 0, err
	}
	return s.db.Exec(ctx, `DELETE FROM idempotency WHERE at < $1`, now.Add(-KeyKept))
}
