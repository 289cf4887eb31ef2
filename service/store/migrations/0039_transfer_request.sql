-- +goose Up

-- The wish of an owner to give a license away. The link that is mailed is kept by the SHA-256 of its token; the address is forgotten once
-- the request is over. A license has one open request at most.
CREATE TABLE transfer_request (
    id          text COLLATE "C" NOT NULL PRIMARY KEY,
    license_id  text COLLATE "C" NOT NULL REFERENCES license (id),
    from_owner  text COLLATE "C" NOT NULL CHECK (from_owner <> ''),
    asked_by    text COLLATE "C" NOT NULL,
    email       text COLLATE "C" NOT NULL,
    hash        bytea NOT NULL UNIQUE,
    to_owner    text COLLATE "C" NOT NULL DEFAULT '',
    accepted_by text COLLATE "C" NOT NULL DEFAULT '',
    state       text COLLATE "C" NOT NULL CHECK (state IN ('offered', 'accepted', 'done', 'cancelled', 'declined', 'lapsed')),
    reason      text NOT NULL DEFAULT '',
    decided_by  text COLLATE "C" NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    accepted_at timestamptz,
    ended_at    timestamptz,
    CHECK (state NOT IN ('accepted', 'done') OR to_owner <> ''),
    CHECK (to_owner <> from_owner),
    CHECK ((ended_at IS NULL) = (state IN ('offered', 'accepted')))
);
CREATE UNIQUE INDEX transfer_request_open ON transfer_request (license_id) WHERE state IN ('offered', 'accepted');
CREATE INDEX transfer_request_license ON transfer_request (license_id, id);
CREATE INDEX transfer_request_from ON transfer_request (from_owner, id);
CREATE INDEX transfer_request_to ON transfer_request (to_owner, id);
CREATE INDEX transfer_request_state ON transfer_request (state, id);
CREATE INDEX transfer_request_expires ON transfer_request (expires_at) WHERE state IN ('offered', 'accepted');
CREATE INDEX transfer_request_asked ON transfer_request (asked_by);
CREATE INDEX transfer_request_accepted ON transfer_request (accepted_by);
CREATE INDEX transfer_request_email ON transfer_request (email);

-- +goose Down
DROP TABLE transfer_request;
