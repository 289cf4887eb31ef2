-- +goose Up

-- Money that arrived for an order and is not what was ordered, in its own currency, and what of it went back. It pays for nothing: captured does
-- not count it.
ALTER TABLE orders ADD COLUMN stray bigint NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN stray_back bigint NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN stray_currency text COLLATE "C" NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE orders DROP COLUMN stray_currency;
ALTER TABLE orders DROP COLUMN stray_back;
ALTER TABLE orders DROP COLUMN stray;
