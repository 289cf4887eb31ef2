-- +goose Up

-- Who sends batches of usage, and how far it has come. carrier is what the usage counts for (the license), holder the credential that
-- alone advances the source. events and total are the sums of all its batches.
CREATE TABLE usage_source (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    holder     text COLLATE "C" NOT NULL CHECK (holder <> ''),
    nonce      text COLLATE "C" NOT NULL CHECK (nonce <> ''),
    carrier    text COLLATE "C" NOT NULL CHECK (carrier <> ''),
    product_id text COLLATE "C" NOT NULL,
    env        text COLLATE "C" NOT NULL CHECK (env IN ('live', 'test')),
    last_seq   bigint NOT NULL CHECK (last_seq >= 0),
    last_hash  text COLLATE "C" NOT NULL,
    last_at    timestamptz,
    events     bigint NOT NULL CHECK (events >= 0),
    total      bigint NOT NULL,
    forked_at  timestamptz,
    created_at timestamptz NOT NULL,
    UNIQUE (holder, nonce)
);
CREATE INDEX usage_source_carrier ON usage_source (carrier);

-- Batches that a source was ahead of this installation, which was restored from an older backup.
CREATE TABLE usage_gap (
    source_id text COLLATE "C" NOT NULL REFERENCES usage_source (id),
    from_seq  bigint NOT NULL,
    to_seq    bigint NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (source_id, from_seq),
    CHECK (from_seq <= to_seq)
);

-- What was counted, by span: quarters of an hour, and the same once more by calendar month in UTC.
CREATE TABLE usage_total (
    carrier   text COLLATE "C" NOT NULL,
    span      text COLLATE "C" NOT NULL CHECK (span <> ''),
    starts_at timestamptz NOT NULL,
    meter     text COLLATE "C" NOT NULL CHECK (meter <> ''),
    subject   text COLLATE "C" NOT NULL,
    grp       text COLLATE "C" NOT NULL,
    events    bigint NOT NULL CHECK (events >= 0),
    total     bigint NOT NULL,
    peak      bigint NOT NULL,
    late      bigint NOT NULL CHECK (late >= 0),
    PRIMARY KEY (carrier, span, starts_at, meter, subject, grp)
);

-- +goose Down
DROP TABLE usage_total;
DROP TABLE usage_gap;
DROP TABLE usage_source;
