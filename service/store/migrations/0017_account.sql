-- +goose Up

-- A wish for another address, confirmed at both before it comes true. A new password in between voids it.
CREATE TABLE email_change (
    id          text COLLATE "C" NOT NULL PRIMARY KEY,
    customer_id text COLLATE "C" NOT NULL REFERENCES customer (id),
    email       text COLLATE "C" NOT NULL CHECK (email <> ''),
    old_hash    bytea NOT NULL UNIQUE,
    new_hash    bytea NOT NULL UNIQUE,
    old_at      timestamptz,
    new_at      timestamptz,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    done_at     timestamptz,
    voided_at   timestamptz
);

CREATE INDEX email_change_customer ON email_change (customer_id);
CREATE INDEX email_change_expires ON email_change (expires_at);

-- A person's one-time codes: the secret is sealed, last_step is the last time step whose code was used. confirmed_at is when the first
-- code was entered; until then sign-in asks for none.
CREATE TABLE totp (
    customer_id  text COLLATE "C" NOT NULL PRIMARY KEY REFERENCES customer (id),
    secret       bytea NOT NULL,
    last_step    bigint NOT NULL,
    created_at   timestamptz NOT NULL,
    confirmed_at timestamptz
);

-- Codes for whoever lost the device, by their digest, each good once.
CREATE TABLE recovery_code (
    customer_id text COLLATE "C" NOT NULL REFERENCES totp (customer_id),
    hash        bytea NOT NULL,
    used_at     timestamptz,
    PRIMARY KEY (customer_id, hash)
);

-- A sign-in whose password was right and whose code is awaited.
CREATE TABLE sign_in_challenge (
    id          text COLLATE "C" NOT NULL PRIMARY KEY,
    customer_id text COLLATE "C" NOT NULL REFERENCES customer (id),
    hash        bytea NOT NULL UNIQUE,
    remembered  boolean NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz
);

CREATE INDEX sign_in_challenge_customer ON sign_in_challenge (customer_id);
CREATE INDEX sign_in_challenge_expires ON sign_in_challenge (expires_at);

ALTER TABLE customer ADD COLUMN totp_at timestamptz;

-- +goose Down
ALTER TABLE customer DROP COLUMN totp_at;
DROP TABLE sign_in_challenge;
DROP TABLE recovery_code;
DROP TABLE totp;
DROP TABLE email_change;
