-- +goose Up

-- Key pairs. sealed is the private seed under the master key; NULL once a root has been moved offline.
CREATE TABLE signing_key (
    kid          text COLLATE "C" NOT NULL PRIMARY KEY,
    role         text COLLATE "C" NOT NULL CHECK (role IN ('root', 'signing')),
    state        text COLLATE "C" NOT NULL CHECK (state IN ('active', 'standby', 'retired', 'revoked')),
    public_key   bytea NOT NULL,
    sealed       bytea,
    not_before   timestamptz NOT NULL,
    position     bigint NOT NULL,
    created_at   timestamptz NOT NULL,
    activated_at timestamptz,
    retired_at   timestamptz,
    revoked_at   timestamptz,
    UNIQUE (role, position)
);

-- One root and one signing key are active, whatever crashes or races.
CREATE UNIQUE INDEX signing_key_active ON signing_key (role) WHERE state = 'active';

-- Every keyset ever signed. num only grows; two processes that sign the same num cannot both commit.
CREATE TABLE keyset (
    num   bigint NOT NULL PRIMARY KEY CHECK (num > 0),
    kid   text COLLATE "C" NOT NULL,
    token text NOT NULL,
    at    timestamptz NOT NULL
);

CREATE TABLE policy (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    product_id text COLLATE "C" NOT NULL,
    code       text COLLATE "C" NOT NULL CHECK (code <> ''),
    name       text NOT NULL,
    terms      text NOT NULL,
    version    bigint NOT NULL CHECK (version > 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (product_id, code)
);

-- A license. terms is the policy as it stood at issue; the columns beside it are what overrides may change.
-- seats_max is what may be held at once, overage included, -1 for any number; seats_used is moved only by the statements
-- that take and free seats; seats_kept is what a lowering of seats_max left in place.
CREATE TABLE license (
    id            text COLLATE "C" NOT NULL PRIMARY KEY,
    source_kind   text COLLATE "C" NOT NULL CHECK (source_kind IN ('order_unit', 'grant', 'import', 'trial')),
    source_id     text COLLATE "C" NOT NULL CHECK (source_id <> ''),
    product_id    text COLLATE "C" NOT NULL CHECK (product_id <> ''),
    product_slug  text COLLATE "C" NOT NULL CHECK (product_slug <> ''),
    plan_id       text COLLATE "C" NOT NULL,
    plan_code     text COLLATE "C" NOT NULL,
    policy_id     text COLLATE "C" NOT NULL,
    owner         text COLLATE "C" NOT NULL CHECK (owner <> ''),
    env           text COLLATE "C" NOT NULL CHECK (env IN ('live', 'test')),
    licensee      text NOT NULL,
    state         text COLLATE "C" NOT NULL CHECK (state IN ('active', 'suspended', 'revoked')),
    state_reason  text NOT NULL,
    terms         text NOT NULL,
    entitlements  text NOT NULL,
    valid_until   timestamptz,
    updates_until timestamptz,
    started_at    timestamptz,
    seats         bigint NOT NULL CHECK (seats >= 0),
    seats_max     bigint NOT NULL CHECK (seats_max >= -1),
    seats_used    bigint NOT NULL CHECK (seats_used >= 0),
    seats_kept    bigint NOT NULL CHECK (seats_kept >= 0),
    device_match  bigint NOT NULL CHECK (device_match >= 1),
    seat_taken_by text COLLATE "C" NOT NULL,
    key_prefix    text COLLATE "C" NOT NULL,
    key_lookup    bytea NOT NULL,
    key_sealed    bytea NOT NULL,
    key_hint      text COLLATE "C" NOT NULL,
    token_jti     text COLLATE "C" NOT NULL,
    version       bigint NOT NULL CHECK (version > 0),
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    revoked_at    timestamptz,
    UNIQUE (source_kind, source_id)
);
CREATE UNIQUE INDEX license_key_lookup ON license (key_lookup);
CREATE INDEX license_owner ON license (owner, id);
CREATE INDEX license_product ON license (product_id, id);

-- The status lists that have been opened; an index in one belongs to a token.
CREATE TABLE status_list (
    num       bigint NOT NULL PRIMARY KEY CHECK (num > 0),
    opened_at timestamptz NOT NULL
);

-- Every license token minted under its own jti. Re-signing keeps the row; re-issue makes a new one and ends the old.
CREATE TABLE license_token (
    jti        text COLLATE "C" NOT NULL PRIMARY KEY,
    license_id text COLLATE "C" NOT NULL REFERENCES license (id),
    list       bigint NOT NULL CHECK (list > 0),
    idx        bigint NOT NULL CHECK (idx >= 0 AND idx < 131072),
    current    boolean NOT NULL,
    kid        text COLLATE "C" NOT NULL,
    token      text NOT NULL,
    created_at timestamptz NOT NULL,
    signed_at  timestamptz NOT NULL,
    ended_at   timestamptz,
    UNIQUE (list, idx)
);
CREATE UNIQUE INDEX license_token_current ON license_token (license_id) WHERE current;
CREATE INDEX license_token_license ON license_token (license_id);

-- A license on one device or for one user. While held it has a seat. subject names the device or user; a subject holds one
-- seat of a license at most.
CREATE TABLE activation (
    id           text COLLATE "C" NOT NULL PRIMARY KEY,
    license_id   text COLLATE "C" NOT NULL REFERENCES license (id),
    subject      text COLLATE "C" NOT NULL,
    state        text COLLATE "C" NOT NULL CHECK (state IN ('held', 'released', 'replaced', 'dead', 'revoked')),
    name         text NOT NULL,
    dev          text NOT NULL,
    usr          text NOT NULL,
    seq          bigint NOT NULL CHECK (seq > 0),
    seq_seen     bigint NOT NULL CHECK (seq_seen >= 0),
    activated_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    lease_until  timestamptz,
    dies_at      timestamptz,
    forked_at    timestamptz,
    released_at  timestamptz,
    released_by  text COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX activation_held ON activation (license_id, subject) WHERE state = 'held';
CREATE INDEX activation_license ON activation (license_id, id);
CREATE INDEX activation_dies ON activation (dies_at) WHERE state = 'held';

-- The components of an activation's device, so that "enough of them agree" is one indexed look-up.
CREATE TABLE activation_part (
    activation_id text COLLATE "C" NOT NULL REFERENCES activation (id),
    license_id    text COLLATE "C" NOT NULL,
    part          text COLLATE "C" NOT NULL,
    PRIMARY KEY (activation_id, part)
);
CREATE INDEX activation_part_part ON activation_part (license_id, part);

-- +goose Down
DROP TABLE activation_part;
DROP TABLE activation;
DROP TABLE license_token;
DROP TABLE status_list;
DROP TABLE license;
DROP TABLE policy;
DROP TABLE keyset;
DROP TABLE signing_key;
DELETE FROM setting WHERE name = 'issuer';
