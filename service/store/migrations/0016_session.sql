-- +goose Up

-- A session is one sign-in on one browser. It is held by short passes and prolonged by renewals, each of which works once. The sessions
-- of before, an hour long at most, go on as sessions without a renewal.
CREATE TABLE session_was AS SELECT id, customer_id, head, hash, source, signed_in_at, expires_at, revoked_at FROM session;
DROP TABLE session;

-- source is a digest of where the person signed in from, empty if not known; browser a few words. idle_at is when the session ends unless
-- it is renewed, ends_at when it ends in any case. opened_by is the person of the staff who looks at the account through it. turn counts renewals.
CREATE TABLE session (
    id           text COLLATE "C" NOT NULL PRIMARY KEY,
    customer_id  text COLLATE "C" NOT NULL REFERENCES customer (id),
    source       bytea NOT NULL,
    browser      text NOT NULL,
    remembered   boolean NOT NULL,
    opened_by    text COLLATE "C" NOT NULL,
    turn         bigint NOT NULL CHECK (turn >= 0),
    signed_in_at timestamptz NOT NULL,
    seen_at      timestamptz NOT NULL,
    idle_at      timestamptz NOT NULL,
    ends_at      timestamptz NOT NULL,
    revoked_at   timestamptz,
    CHECK (idle_at <= ends_at)
);

CREATE INDEX session_customer ON session (customer_id, idle_at);
CREATE INDEX session_idle ON session (idle_at);

-- What is sent as bearer, by the SHA-256 of its text. fresh_at is when the password was entered for it.
CREATE TABLE session_pass (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    session_id text COLLATE "C" NOT NULL REFERENCES session (id),
    head       bytea NOT NULL UNIQUE,
    hash       bytea NOT NULL,
    fresh_at   timestamptz,
    expires_at timestamptz NOT NULL
);

CREATE INDEX session_pass_session ON session_pass (session_id);
CREATE INDEX session_pass_expires ON session_pass (expires_at);

-- What a pass is got for once the one before is over. A spent renewal is kept as long as its session, so that a second use is seen.
CREATE TABLE session_renewal (
    session_id text COLLATE "C" NOT NULL REFERENCES session (id),
    turn       bigint NOT NULL,
    head       bytea NOT NULL UNIQUE,
    hash       bytea NOT NULL,
    spent_at   timestamptz,
    PRIMARY KEY (session_id, turn)
);

INSERT INTO session (id, customer_id, source, browser, remembered, opened_by, turn, signed_in_at, seen_at, idle_at, ends_at, revoked_at)
    SELECT id, customer_id, source, '', false, '', 0, signed_in_at, signed_in_at, expires_at, expires_at, revoked_at FROM session_was;
INSERT INTO session_pass (id, session_id, head, hash, fresh_at, expires_at)
    SELECT 'pas_' || id, id, head, hash, signed_in_at, expires_at FROM session_was;
DROP TABLE session_was;

-- +goose Down
CREATE TABLE session_was AS SELECT p.id, s.customer_id, p.head, p.hash, s.source, s.signed_in_at, p.expires_at, s.revoked_at
    FROM session_pass p JOIN session s ON s.id = p.session_id WHERE s.opened_by = '';
DROP TABLE session_renewal;
DROP TABLE session_pass;
DROP TABLE session;

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

INSERT INTO session SELECT * FROM session_was;
DROP TABLE session_was;
