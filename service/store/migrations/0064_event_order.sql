-- +goose Up

-- What the payment provider told of an order is found by it, as when its buyer wants to be forgotten.
CREATE INDEX payment_event_order ON payment_event (order_id, id);

-- +goose Down
DROP INDEX payment_event_order;
