-- +goose Up

-- At which parts of a quota its owner is told, in percent, where that is not what everybody has.
CREATE TABLE usage_threshold (
    license_id text COLLATE "C" NOT NULL REFERENCES license (id),
    meter      text COLLATE "C" NOT NULL,
    percents   text NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (license_id, meter)
);

-- What was told: a part of a quota in a period once, whatever is counted later. A term's period begins with the year 2020.
CREATE TABLE usage_crossing (
    license_id text COLLATE "C" NOT NULL REFERENCES license (id),
    meter      text COLLATE "C" NOT NULL,
    starts     timestamptz NOT NULL,
    percent    bigint NOT NULL CHECK (percent > 0),
    used       bigint NOT NULL,
    quota      bigint NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (license_id, meter, starts, percent)
);

CREATE INDEX usage_source_last ON usage_source (last_at, id);

-- Up to when usage was looked through.
CREATE TABLE usage_watch (
    one bigint NOT NULL PRIMARY KEY CHECK (one = 1),
    at  timestamptz NOT NULL
);

-- +goose Down
DROP TABLE usage_watch;
DROP INDEX usage_source_last;
DROP TABLE usage_crossing;
DROP TABLE usage_threshold;
