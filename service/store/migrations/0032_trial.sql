-- +goose Up

-- Who had a trial of a product: a customer, an organisation, or a device by the key of its fingerprint. The primary key is what makes it
-- one for each.
CREATE TABLE trial (
    product_id text COLLATE "C" NOT NULL,
    kind       text COLLATE "C" NOT NULL CHECK (kind IN ('customer', 'device')),
    subject    text COLLATE "C" NOT NULL CHECK (subject <> ''),
    license_id text COLLATE "C" NOT NULL REFERENCES license (id),
    at         timestamptz NOT NULL,
    PRIMARY KEY (product_id, kind, subject)
);
CREATE INDEX trial_license ON trial (license_id);

-- A device whose fingerprint changed a little is found by the components that still agree, in whichever license.
CREATE INDEX activation_part_any ON activation_part (part);

-- +goose Down
DROP INDEX activation_part_any;
DROP TABLE trial;
