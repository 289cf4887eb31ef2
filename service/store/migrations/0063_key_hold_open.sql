-- +goose Up

-- What a key has reserved and nobody settled yet. A reservation leaves it when it is settled.
CREATE INDEX api_key_hold_key ON api_key_hold (key_id, id) WHERE settled_at IS NULL;

-- +goose Down
DROP INDEX api_key_hold_key;
