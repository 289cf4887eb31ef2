package store

import (
	"context"
	"errors"

	"github.com/mintreu/mintreu/licensing"
	"github.com/mintreu/mintreu/licensing/activation"
	"github.com/mintreu/mintreu/service/db"
)

// answers implements [activation.Answers].
type answers struct{ *Store }

var _ activation.Answers = (*answers)(nil)

// OfflineAnswers returns the store of what machines without a network were answered.
func (s *Store) OfflineAnswers() activation.Answers { return &answers{s} }

const answerColumns = `SELECT license_id, nonce, activation_id, seq, lease_sealed, answered_at FROM offline_answer `

func (s *answers) one(ctx context.Context, where string, args ...any) (a activation.Answer, err error) {
	err = s.db.QueryRow(ctx, answerColumns+where, args...).Scan(&a.LicenseID, &a.Nonce, &a.ActivationID, &a.Seq, &a.LeaseSealed, &a.At)
	if errors.Is(err, db.ErrNoRows) {
		err = licensing.ErrNotFound
	}
	return a, err
}

// AnswerTo implements [activation.Answers].
func (s *answers) AnswerTo(ctx context.Context, licenseID, nonce string) (activation.Answer, error) {
	return s.one(ctx, `WHERE license_id = $1 AND nonce = $2`, licenseID, nonce)
}

// LastAnswer implements [activation.Answers].
func (s *answers) LastAnswer(ctx context.Context, activationID string) (activation.Answer, error) {
	return s.one(ctx, `WHERE activation_id = $1 ORDER BY seq DESC LIMIT 1`, activationID)
}

// KeepAnswer implements [activation.Answers].
func (s *answers) KeepAnswer(ctx context.Context, a activation.Answer) error {
	_, err := s.db.Exec(ctx, `INSERT INTO offline_answer (license_id, nonce, activation_id, seq, lease_sealed, answered_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (license_id, nonce) DO UPDATE SET seq = excluded.seq, lease_sealed = excluded.lease_sealed, answered_at = excluded.answered_at
		WHERE offline_answer.seq < excluded.seq`, a.LicenseID, a.Nonce, a.ActivationID, a.Seq, a.LeaseSealed, a.At)
	return err
}
