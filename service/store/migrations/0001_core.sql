-- +goose Up

-- Small values of the installation by name: keys (sealed), the issuer's checkpoint key, the master key's proof.
CREATE TABLE setting (
    name       text COLLATE "C" NOT NULL PRIMARY KEY,
    value      bytea NOT NULL,
    updated_at timestamptz NOT NULL
);

-- What an Idempotency-Key led to. The key of the table is the guarantee that an operation happens once.
CREATE TABLE idempotency (
    actor        text COLLATE "C" NOT NULL,
    operation    text COLLATE "C" NOT NULL,
    idem_key     text COLLATE "C" NOT NULL,
    hash         bytea NOT NULL,
    result_id    text COLLATE "C" NOT NULL CHECK (result_id <> ''),
    secret       bytea,
    secret_until timestamptz,
    at           timestamptz NOT NULL,
    PRIMARY KEY (actor, operation, idem_key)
);
CREATE INDEX idempotency_at ON idempotency (at);
CREATE INDEX idempotency_secret ON idempotency (secret_until) WHERE secret IS NOT NULL;

-- The audit trail. Rows are never changed; leaf is the hash of the row. Its number in the log is in audit_seq.
CREATE TABLE audit (
    id        text COLLATE "C" NOT NULL PRIMARY KEY,
    at        timestamptz NOT NULL,
    actor     text NOT NULL,
    request   text NOT NULL,
    operation text NOT NULL,
    action    text NOT NULL CHECK (action <> ''),
    target    text NOT NULL,
    product   text NOT NULL,
    reason    text NOT NULL,
    detail    text NOT NULL,
    leaf      bytea NOT NULL
);
CREATE INDEX audit_target ON audit (target, id);

-- Rows that wait for a number; the sequencer takes them away.
CREATE TABLE audit_pending (
    audit_id text COLLATE "C" NOT NULL PRIMARY KEY REFERENCES audit (id)
);

-- The number of each audit row, from 0, without gaps.
CREATE TABLE audit_seq (
    num      bigint NOT NULL PRIMARY KEY CHECK (num >= 0),
    audit_id text COLLATE "C" NOT NULL UNIQUE REFERENCES audit (id)
);

-- The stored hashes of the tree over the numbered rows, by their index (golang.org/x/mod/sumdb/tlog).
CREATE TABLE audit_hash (
    idx  bigint NOT NULL PRIMARY KEY CHECK (idx >= 0),
    hash bytea NOT NULL
);

-- How many rows are numbered. Its row lock lets one process number at a time.
CREATE TABLE audit_head (
    one  bigint NOT NULL PRIMARY KEY CHECK (one = 1),
    size bigint NOT NULL CHECK (size >= 0)
);
INSERT INTO audit_head (one, size) VALUES (1, 0);

-- Signed tree heads.
CREATE TABLE audit_checkpoint (
    size bigint NOT NULL PRIMARY KEY CHECK (size > 0),
    note text NOT NULL,
    at   timestamptz NOT NULL
);

-- A switch that was ever flipped. product '' is for all products. until is when a switch that is off comes on by itself.
CREATE TABLE kill_switch (
    name    text COLLATE "C" NOT NULL,
    product text COLLATE "C" NOT NULL,
    is_off  boolean NOT NULL,
    reason  text NOT NULL CHECK (reason <> ''),
    actor   text NOT NULL,
    at      timestamptz NOT NULL,
    until   timestamptz,
    version bigint NOT NULL CHECK (version > 0),
    PRIMARY KEY (name, product)
);

-- +goose Down
DROP TABLE kill_switch;
DROP TABLE audit_checkpoint;
DROP TABLE audit_head;
DROP TABLE audit_hash;
DROP TABLE audit_seq;
DROP TABLE audit_pending;
DROP TABLE audit;
DROP TABLE idempotency;
DROP TABLE setting;
