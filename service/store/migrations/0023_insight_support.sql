-- +goose Up

-- Tickets of late are counted for the overview.
CREATE INDEX ticket_created ON ticket (created_at);

-- +goose Down
DROP INDEX ticket_created;
