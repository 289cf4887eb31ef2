-- +goose Up

-- What a renewal added, in seconds, to the end of the license and to that of its updates, what those ends were before, and since when it
-- is taken back because its payment was, NULL while it counts.
ALTER TABLE license_renewal ADD COLUMN added bigint NOT NULL DEFAULT 0;
ALTER TABLE license_renewal ADD COLUMN added_updates bigint NOT NULL DEFAULT 0;
ALTER TABLE license_renewal ADD COLUMN was_ends_at timestamptz;
ALTER TABLE license_renewal ADD COLUMN was_updates_until timestamptz;
ALTER TABLE license_renewal ADD COLUMN undone_at timestamptz;

-- A license that a line of an order renewed, once. source is that of the renewal.
CREATE TABLE order_renewal (
    source     text COLLATE "C" NOT NULL PRIMARY KEY,
    order_id   text COLLATE "C" NOT NULL REFERENCES orders (id),
    line_id    text COLLATE "C" NOT NULL UNIQUE REFERENCES order_line (id),
    license_id text COLLATE "C" NOT NULL REFERENCES license (id),
    state      text COLLATE "C" NOT NULL CHECK (state IN ('active', 'suspended', 'revoked')),
    hint       text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX order_renewal_order ON order_renewal (order_id);
CREATE INDEX order_renewal_license ON order_renewal (license_id, order_id);

-- +goose Down
DROP TABLE order_renewal;
ALTER TABLE license_renewal DROP COLUMN undone_at;
ALTER TABLE license_renewal DROP COLUMN was_updates_until;
ALTER TABLE license_renewal DROP COLUMN was_ends_at;
ALTER TABLE license_renewal DROP COLUMN added_updates;
ALTER TABLE license_renewal DROP COLUMN added;
