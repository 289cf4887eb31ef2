-- +goose Up

-- What is counted: a name, how its numbers become one, and which events feed it.
CREATE TABLE usage_meter (
    id           text COLLATE "C" NOT NULL PRIMARY KEY,
    product_id   text COLLATE "C" NOT NULL,
    code         text COLLATE "C" NOT NULL CHECK (code <> ''),
    name         text NOT NULL,
    kind         text COLLATE "C" NOT NULL CHECK (kind IN ('count', 'sum', 'max', 'unique', 'last')),
    unit         text NOT NULL,
    event        text NOT NULL,
    value_member text NOT NULL,
    group_member text NOT NULL,
    version      bigint NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    UNIQUE (product_id, code)
);

-- Sums by span: quarters of an hour, and the same by day and by calendar month in UTC. One row's neighbours are its own series, so that
-- a year of it lies in one piece. last_* is the newest event of meters of kind last.
CREATE TABLE usage_total_new (
    carrier    text COLLATE "C" NOT NULL,
    meter      text COLLATE "C" NOT NULL CHECK (meter <> ''),
    span       text COLLATE "C" NOT NULL CHECK (span IN ('quarter', 'day', 'month')),
    subject    text COLLATE "C" NOT NULL,
    grp        text COLLATE "C" NOT NULL,
    starts_at  timestamptz NOT NULL,
    events     bigint NOT NULL CHECK (events >= 0),
    total      bigint NOT NULL,
    peak       bigint NOT NULL,
    late       bigint NOT NULL CHECK (late >= 0),
    last_at    timestamptz,
    last_id    text COLLATE "C" NOT NULL DEFAULT '',
    last_value bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (carrier, meter, span, subject, grp, starts_at)
);
INSERT INTO usage_total_new (carrier, meter, span, subject, grp, starts_at, events, total, peak, late)
    SELECT carrier, meter, span, subject, grp, starts_at, events, total, peak, late FROM usage_total;
DROP TABLE usage_total;
ALTER TABLE usage_total_new RENAME TO usage_total;
CREATE INDEX usage_total_time ON usage_total (carrier, meter, span, starts_at);
CREATE INDEX usage_source_product ON usage_source (product_id, env, carrier);

-- The same with all subjects together: scope is a carrier, or one of a product's shards. Group '*' is all groups.
CREATE TABLE usage_rollup (
    scope      text COLLATE "C" NOT NULL,
    meter      text COLLATE "C" NOT NULL,
    span       text COLLATE "C" NOT NULL CHECK (span IN ('quarter', 'day', 'month')),
    grp        text COLLATE "C" NOT NULL,
    starts_at  timestamptz NOT NULL,
    events     bigint NOT NULL CHECK (events >= 0),
    total      bigint NOT NULL,
    peak       bigint NOT NULL,
    late       bigint NOT NULL CHECK (late >= 0),
    last_at    timestamptz,
    last_id    text COLLATE "C" NOT NULL DEFAULT '',
    last_value bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (scope, meter, span, grp, starts_at)
);

-- The different values of meters of kind unique, by the same spans and scopes; subject and group '*' are all.
CREATE TABLE usage_member (
    scope     text COLLATE "C" NOT NULL,
    meter     text COLLATE "C" NOT NULL,
    span      text COLLATE "C" NOT NULL CHECK (span IN ('quarter', 'day', 'month')),
    subject   text COLLATE "C" NOT NULL,
    grp       text COLLATE "C" NOT NULL,
    starts_at timestamptz NOT NULL,
    member    bytea NOT NULL,
    PRIMARY KEY (scope, meter, span, subject, grp, starts_at, member)
);

-- Events that were counted: 16 bytes of the digest of carrier, source and id.
CREATE TABLE usage_event (
    digest bytea NOT NULL PRIMARY KEY
);

-- What was counted when, by source: the account of a carrier and meter. day is when it was counted, month when it was used. Source ''
-- is what was counted before accounts were kept.
CREATE TABLE usage_line (
    carrier   text COLLATE "C" NOT NULL,
    meter     text COLLATE "C" NOT NULL,
    day       timestamptz NOT NULL,
    source    text COLLATE "C" NOT NULL,
    month     timestamptz NOT NULL,
    first_seq bigint NOT NULL,
    last_seq  bigint NOT NULL,
    batches   bigint NOT NULL,
    events    bigint NOT NULL,
    total     bigint NOT NULL,
    late      bigint NOT NULL,
    PRIMARY KEY (carrier, meter, day, source, month)
);
INSERT INTO usage_line (carrier, meter, day, source, month, first_seq, last_seq, batches, events, total, late)
    SELECT carrier, meter, starts_at, '', starts_at, 0, 0, 0, SUM(events), SUM(total), SUM(late) FROM usage_total WHERE span = 'month' GROUP BY carrier, meter, starts_at;

-- Negative batches: what staff took back, and why. starts_at is the quarter of an hour that it is taken from.
CREATE TABLE usage_correction (
    id        text COLLATE "C" NOT NULL PRIMARY KEY,
    carrier   text COLLATE "C" NOT NULL,
    meter     text COLLATE "C" NOT NULL,
    subject   text COLLATE "C" NOT NULL,
    grp       text COLLATE "C" NOT NULL,
    starts_at timestamptz NOT NULL,
    events    bigint NOT NULL CHECK (events <= 0),
    total     bigint NOT NULL CHECK (total <= 0),
    reason    text NOT NULL CHECK (reason <> ''),
    actor     text COLLATE "C" NOT NULL,
    at        timestamptz NOT NULL
);
CREATE INDEX usage_correction_account ON usage_correction (carrier, meter, at);

-- +goose Down
DROP TABLE usage_correction;
DROP TABLE usage_line;
DROP TABLE usage_event;
DROP TABLE usage_member;
DROP TABLE usage_rollup;
CREATE TABLE usage_total_old (
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
INSERT INTO usage_total_old (carrier, span, starts_at, meter, subject, grp, events, total, peak, late)
    SELECT carrier, span, starts_at, meter, subject, grp, events, total, peak, late FROM usage_total WHERE span <> 'day';
DROP TABLE usage_total;
DROP INDEX usage_source_product;
ALTER TABLE usage_total_old RENAME TO usage_total;
DROP TABLE usage_meter;
