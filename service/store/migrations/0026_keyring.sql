-- +goose Up

-- Keysets that replace the roots which products pin, so that one that was away for long can follow them.
ALTER TABLE keyset ADD COLUMN replaces_roots boolean NOT NULL DEFAULT false;

-- What a root is asked to sign while it is offline. claims is the keyset as it is to be, made the keys that it adds, their private
-- parts sealed. A request is open until its keyset is imported or the keys change otherwise.
CREATE TABLE keyset_request (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    num        bigint NOT NULL CHECK (num > 0),
    claims     text NOT NULL,
    change     text NOT NULL,
    reason     text NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    done_at    timestamptz
);

-- The removal of a root from the installation, which two people decide: one asks, the other approves, the first takes the encrypted
-- file and shows it again before the sealed copy is deleted.
CREATE TABLE root_export (
    id          text COLLATE "C" NOT NULL PRIMARY KEY,
    kid         text COLLATE "C" NOT NULL,
    state       text COLLATE "C" NOT NULL CHECK (state IN ('proposed', 'approved', 'taken', 'done', 'withdrawn')),
    reason      text NOT NULL,
    alone       boolean NOT NULL,
    proposed_by text COLLATE "C" NOT NULL,
    proposed_at timestamptz NOT NULL,
    approved_by text COLLATE "C" NOT NULL,
    approved_at timestamptz,
    taken_at    timestamptz,
    done_at     timestamptz,
    expires_at  timestamptz NOT NULL
);
CREATE UNIQUE INDEX root_export_open ON root_export (kid) WHERE state IN ('proposed', 'approved', 'taken');

-- What follows a revoked key: every document that it signed and that is still good is signed again, once. done, failed and after tell
-- how far it is; worker holds it until held_until. pass counts the walks through all documents.
CREATE TABLE resigning (
    id          text COLLATE "C" NOT NULL PRIMARY KEY,
    kid         text COLLATE "C" NOT NULL UNIQUE,
    keyset      bigint NOT NULL,
    reason      text NOT NULL,
    total       bigint NOT NULL CHECK (total >= -1),
    done        bigint NOT NULL CHECK (done >= 0),
    failed      bigint NOT NULL CHECK (failed >= 0),
    part        bigint NOT NULL,
    after       text COLLATE "C" NOT NULL,
    pass        bigint NOT NULL,
    pass_at     timestamptz,
    worker      text COLLATE "C" NOT NULL,
    held_until  timestamptz,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE INDEX resigning_open ON resigning (started_at) WHERE finished_at IS NULL;

-- Digests of the texts that a token had under keys before the present one, newest first, so that a text which was truly ours still
-- tells whose license it is when its key is not trusted any more.
ALTER TABLE license_token ADD COLUMN prior text COLLATE "C" NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE license_token DROP COLUMN prior;
DROP TABLE resigning;
DROP TABLE root_export;
DROP TABLE keyset_request;
ALTER TABLE keyset DROP COLUMN replaces_roots;
