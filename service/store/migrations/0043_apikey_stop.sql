-- +goose Up

-- Since when a dispute of the payment stops a key, apart from held_at, by which staff stop it, and disabled_at, by which its owner does.
-- A key that was made by the plan of another stops with that one without a mark of its own.
ALTER TABLE api_key ADD COLUMN disputed_at timestamptz;
UPDATE api_key SET disputed_at = held_at, held_at = NULL
    WHERE held_at IS NOT NULL AND id IN (SELECT g.object_id FROM order_grant g WHERE g.state = 'suspended');
UPDATE api_key SET held_at = NULL
    WHERE held_at IS NOT NULL AND parent_id <> '' AND parent_id IN (SELECT p.id FROM api_key p WHERE p.held_at IS NOT NULL OR p.disputed_at IS NOT NULL);

-- +goose Down
UPDATE api_key SET held_at = disputed_at WHERE held_at IS NULL AND disputed_at IS NOT NULL;
-- A key stopped with the one bought had its own mark before.
UPDATE api_key SET held_at = (SELECT p.held_at FROM api_key p WHERE p.id = api_key.parent_id)
    WHERE held_at IS NULL AND parent_id <> '' AND parent_id IN (SELECT p.id FROM api_key p WHERE p.held_at IS NOT NULL);
ALTER TABLE api_key DROP COLUMN disputed_at;
