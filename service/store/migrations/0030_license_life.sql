-- +goose Up

-- ent_until are ends of single entitlements that stand in for those of the terms, by code, in seconds since 1970, 0 for none;
-- term_added are seconds by which a term that has not begun was renewed; lapses_at is when a job revokes or suspends the license
-- because its end has come, NULL when its terms say otherwise.
ALTER TABLE license ADD COLUMN ent_until text NOT NULL DEFAULT '{}';
ALTER TABLE license ADD COLUMN term_added bigint NOT NULL DEFAULT 0;
ALTER TABLE license ADD COLUMN lapses_at timestamptz;

-- The job looks at the terms once more before it acts, so an instant that is too early is only put right.
UPDATE license SET lapses_at = valid_until
WHERE state = 'active' AND (terms LIKE '%"expired":"revoke"%' OR terms LIKE '%"type":"subscription"%');

CREATE INDEX license_lapses ON license (lapses_at) WHERE state = 'active';

-- A renewal, once for what paid for it or asked for it. ends_at is the end that it gave, updates_until that of the updates.
CREATE TABLE license_renewal (
    id            text COLLATE "C" NOT NULL PRIMARY KEY,
    license_id    text COLLATE "C" NOT NULL REFERENCES license (id),
    source_kind   text COLLATE "C" NOT NULL CHECK (source_kind <> ''),
    source_id     text COLLATE "C" NOT NULL CHECK (source_id <> ''),
    ends_at       timestamptz,
    updates_until timestamptz,
    at            timestamptz NOT NULL,
    UNIQUE (source_kind, source_id)
);
CREATE INDEX license_renewal_license ON license_renewal (license_id, id);

-- Until when a floating seat is borrowed.
ALTER TABLE activation ADD COLUMN borrowed_until timestamptz;

-- +goose Down
ALTER TABLE activation DROP COLUMN borrowed_until;
DROP TABLE license_renewal;
DROP INDEX license_lapses;
ALTER TABLE license DROP COLUMN lapses_at;
ALTER TABLE license DROP COLUMN term_added;
ALTER TABLE license DROP COLUMN ent_until;
