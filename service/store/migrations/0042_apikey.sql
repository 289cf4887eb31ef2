-- +goose Up

-- member is whose key it is in an organisation; parent_id is the key bought that lets its owner have this one; held_at is since when
-- the shop has stopped it, which its owner cannot undo; on_leak is what becomes of it when its text is found in public.
ALTER TABLE api_key ADD COLUMN member text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE api_key ADD COLUMN parent_id text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE api_key ADD COLUMN metadata text NOT NULL DEFAULT '{}';
ALTER TABLE api_key ADD COLUMN on_leak text COLLATE "C" NOT NULL DEFAULT 'revoke';
ALTER TABLE api_key ADD COLUMN held_at timestamptz;
ALTER TABLE api_key ADD COLUMN leaked_at timestamptz;
CREATE INDEX api_key_parent ON api_key (parent_id) WHERE parent_id <> '';

-- When a key was last good for a use, to the minute. Apart from the key, whose row is wide and seldom changes.
CREATE TABLE api_key_use (
    key_id text COLLATE "C" NOT NULL PRIMARY KEY REFERENCES api_key (id),
    at     timestamptz NOT NULL
);

-- What is left of a key's credits. At refill_at, the start of each period, the balance is raised to refill.
CREATE TABLE api_credit (
    key_id     text COLLATE "C" NOT NULL PRIMARY KEY REFERENCES api_key (id),
    balance    bigint NOT NULL CHECK (balance >= 0),
    refill     bigint NOT NULL CHECK (refill >= 0),
    every      text COLLATE "C" NOT NULL CHECK (every IN ('', 'day', 'week', 'month')),
    refill_at  timestamptz
);

-- What keys of a plan are like, and how many an owner of the plan may make besides the one bought.
CREATE TABLE api_key_template (
    plan_id    text COLLATE "C" NOT NULL PRIMARY KEY REFERENCES plan (id),
    scopes     text NOT NULL,
    limits     text NOT NULL,
    credits    text NOT NULL,
    days       bigint NOT NULL CHECK (days >= 0),
    most       bigint NOT NULL CHECK (most >= 0),
    on_leak    text COLLATE "C" NOT NULL,
    updated_at timestamptz NOT NULL
);

-- +goose Down
DROP TABLE api_key_template;
DROP TABLE api_credit;
DROP TABLE api_key_use;
DROP INDEX api_key_parent;
ALTER TABLE api_key DROP COLUMN leaked_at;
ALTER TABLE api_key DROP COLUMN held_at;
ALTER TABLE api_key DROP COLUMN on_leak;
ALTER TABLE api_key DROP COLUMN metadata;
ALTER TABLE api_key DROP COLUMN parent_id;
ALTER TABLE api_key DROP COLUMN member;
