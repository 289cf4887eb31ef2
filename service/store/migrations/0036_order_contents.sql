-- +goose Up

-- What an order is of, for lists of orders: a line of text for each of its lines, the quantity, a space and what it was called when it was
-- ordered. It says nothing that the snapshot does not say; empty means to read that.
ALTER TABLE orders ADD COLUMN contents text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE orders DROP COLUMN contents;
