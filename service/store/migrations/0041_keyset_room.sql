-- +goose Up
-- When keysets had no room for a retired or revoked key any more, so that they name it no longer.
ALTER TABLE signing_key ADD COLUMN dropped_at timestamptz;

-- +goose Down
ALTER TABLE signing_key DROP COLUMN dropped_at;
