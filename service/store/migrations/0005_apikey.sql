-- +goose Up

-- An API key. Its secrets are apart, so that two can overlap; scopes, allow_from and limits are JSON.
CREATE TABLE api_key (
    id          text COLLATE "C" NOT NULL PRIMARY KEY,
    source_kind text COLLATE "C" NOT NULL CHECK (source_kind IN ('order_unit', 'grant', 'import', 'trial', 'staff')),
    source_id   text COLLATE "C" NOT NULL CHECK (source_id <> ''),
    owner       text COLLATE "C" NOT NULL CHECK (owner <> ''),
    product_id  text COLLATE "C" NOT NULL CHECK (product_id <> ''),
    plan_id     text COLLATE "C" NOT NULL,
    plan_code   text COLLATE "C" NOT NULL,
    env         text COLLATE "C" NOT NULL CHECK (env IN ('live', 'test')),
    name        text NOT NULL,
    scopes      text NOT NULL,
    allow_from  text NOT NULL,
    limits      text NOT NULL,
    expires_at  timestamptz,
    disabled_at timestamptz,
    revoked_at  timestamptz,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    UNIQUE (source_kind, source_id)
);

CREATE INDEX api_key_owner ON api_key (owner, id);

-- A secret of a key: SHA-256 of its text, found by the first 16 bytes. The two slots are why no key ever has more than two
-- live secrets: a dead one leaves its slot (NULL) and stays as history. expires_at NULL is the current one.
CREATE TABLE api_secret (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    key_id     text COLLATE "C" NOT NULL REFERENCES api_key (id),
    slot       bigint CHECK (slot IN (0, 1)),
    hint       text COLLATE "C" NOT NULL,
    head       bytea NOT NULL UNIQUE,
    hash       bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    UNIQUE (key_id, slot)
);

CREATE UNIQUE INDEX api_secret_current ON api_secret (key_id) WHERE expires_at IS NULL;

-- +goose Down
DROP TABLE api_secret;
DROP TABLE api_key;
