-- +goose Up

-- When a person dealt with an order that was parked; null for all others, and again when it is parked anew.
ALTER TABLE orders ADD COLUMN resolved_at timestamptz;

-- +goose Down
ALTER TABLE orders DROP COLUMN resolved_at;
