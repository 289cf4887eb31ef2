-- +goose Up

-- A group of customers that owns things together.
CREATE TABLE organisation (
    id            text COLLATE "C" NOT NULL PRIMARY KEY,
    name          text NOT NULL CHECK (name <> ''),
    billing_email text COLLATE "C" NOT NULL,
    country       text COLLATE "C" NOT NULL,
    vat_id        text COLLATE "C" NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL
);

CREATE TABLE organisation_member (
    id              text COLLATE "C" NOT NULL PRIMARY KEY,
    organisation_id text COLLATE "C" NOT NULL REFERENCES organisation (id),
    customer_id     text COLLATE "C" NOT NULL REFERENCES customer (id),
    role            text COLLATE "C" NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    joined_at       timestamptz NOT NULL,
    UNIQUE (organisation_id, customer_id)
);

CREATE INDEX organisation_member_customer ON organisation_member (customer_id, organisation_id);

-- A mailed permission to join, by the SHA-256 of its text: for one address, once, until it expires. It has ended_at once it was
-- accepted, withdrawn or replaced by a newer one.
CREATE TABLE organisation_invite (
    id              text COLLATE "C" NOT NULL PRIMARY KEY,
    organisation_id text COLLATE "C" NOT NULL REFERENCES organisation (id),
    email           text COLLATE "C" NOT NULL CHECK (email <> ''),
    role            text COLLATE "C" NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    hash            bytea NOT NULL UNIQUE,
    invited_by      text COLLATE "C" NOT NULL REFERENCES customer (id),
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    ended_at        timestamptz
);

CREATE UNIQUE INDEX organisation_invite_open ON organisation_invite (organisation_id, email) WHERE ended_at IS NULL;
CREATE INDEX organisation_invite_organisation ON organisation_invite (organisation_id);
CREATE INDEX organisation_invite_email ON organisation_invite (email);
CREATE INDEX organisation_invite_by ON organisation_invite (invited_by);
CREATE INDEX organisation_invite_expires ON organisation_invite (expires_at);

-- The organisation that a person acts for in a session, empty for himself. It counts only as long as he is a member.
ALTER TABLE session ADD COLUMN organisation_id text COLLATE "C" NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE session DROP COLUMN organisation_id;
DROP TABLE organisation_invite;
DROP TABLE organisation_member;
DROP TABLE organisation;
