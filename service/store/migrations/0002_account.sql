-- +goose Up

-- A person: a customer, and staff when role is set. The address is in its normal form. password is an argon2id hash, empty until
-- the address is confirmed.
CREATE TABLE customer (
    id           text COLLATE "C" NOT NULL PRIMARY KEY,
    email        text COLLATE "C" NOT NULL UNIQUE CHECK (email <> ''),
    name         text NOT NULL,
    role         text COLLATE "C" NOT NULL CHECK (role IN ('', 'owner', 'admin', 'finance', 'support', 'catalogue', 'auditor')),
    password     text COLLATE "C" NOT NULL,
    confirmed_at timestamptz,
    disabled_at  timestamptz,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    CHECK (password = '' OR confirmed_at IS NOT NULL)
);

CREATE INDEX customer_role ON customer (role, id) WHERE role <> '';

-- A mailed permission to set a password, by the SHA-256 of its text.
CREATE TABLE account_token (
    id          text COLLATE "C" NOT NULL PRIMARY KEY,
    customer_id text COLLATE "C" NOT NULL REFERENCES customer (id),
    hash        bytea NOT NULL UNIQUE,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz
);

CREATE INDEX account_token_customer ON account_token (customer_id);
CREATE INDEX account_token_expires ON account_token (expires_at);

-- A session, by the SHA-256 of its text. source is a digest of where the person signed in from, empty if not known.
CREATE TABLE session (
    id           text COLLATE "C" NOT NULL PRIMARY KEY,
    customer_id  text COLLATE "C" NOT NULL REFERENCES customer (id),
    head         bytea NOT NULL UNIQUE,
    hash         bytea NOT NULL,
    source       bytea NOT NULL,
    signed_in_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz
);

CREATE INDEX session_customer ON session (customer_id, expires_at);
CREATE INDEX session_expires ON session (expires_at);

-- A machine token; product_id and env are empty when it reaches all.
CREATE TABLE machine_token (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    name       text NOT NULL,
    scopes     text NOT NULL,
    product_id text COLLATE "C" NOT NULL,
    env        text COLLATE "C" NOT NULL CHECK (env IN ('', 'live', 'test')),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz
);

-- A secret of a machine token. The two slots are why no token ever has more than two live ones.
CREATE TABLE machine_secret (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    machine_id text COLLATE "C" NOT NULL REFERENCES machine_token (id),
    slot       bigint CHECK (slot IN (0, 1)),
    hint       text COLLATE "C" NOT NULL,
    head       bytea NOT NULL UNIQUE,
    hash       bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    UNIQUE (machine_id, slot)
);

CREATE UNIQUE INDEX machine_secret_current ON machine_secret (machine_id) WHERE expires_at IS NULL;

-- +goose Down
DROP TABLE machine_secret;
DROP TABLE machine_token;
DROP TABLE session;
DROP TABLE account_token;
DROP TABLE customer;
