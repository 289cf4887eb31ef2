-- +goose Up

-- What the last refill added to the credits of a key, and of which refill that was; and the last refill when something was reserved: what comes back
-- after another one comes back as if only what was used had been spent before it.
ALTER TABLE api_credit ADD COLUMN raised bigint NOT NULL DEFAULT 0;
ALTER TABLE api_credit ADD COLUMN raised_at timestamptz;
ALTER TABLE api_key_hold ADD COLUMN raised_at timestamptz;

-- +goose Down
ALTER TABLE api_key_hold DROP COLUMN raised_at;
ALTER TABLE api_credit DROP COLUMN raised_at;
ALTER TABLE api_credit DROP COLUMN raised;
