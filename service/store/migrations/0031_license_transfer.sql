-- +goose Up

-- A license that changed hands. The row is written with the change; how many there were lately is what a policy limits.
CREATE TABLE license_transfer (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    license_id text COLLATE "C" NOT NULL REFERENCES license (id),
    from_owner text COLLATE "C" NOT NULL,
    to_owner   text COLLATE "C" NOT NULL,
    seats      bigint NOT NULL,
    at         timestamptz NOT NULL
);
CREATE INDEX license_transfer_license ON license_transfer (license_id, at);

-- +goose Down
DROP TABLE license_transfer;
