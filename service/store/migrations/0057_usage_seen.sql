-- +goose Up

-- What was used of a quota in a period when it was last looked at, for the present period and those shortly before: what came in late is the
-- difference. period is the name of the quota's period.
CREATE TABLE usage_seen (
    license_id text COLLATE "C" NOT NULL REFERENCES license (id),
    meter      text COLLATE "C" NOT NULL,
    period     text COLLATE "C" NOT NULL,
    starts     timestamptz NOT NULL,
    used       bigint NOT NULL,
    PRIMARY KEY (license_id, meter, period, starts)
);

-- +goose Down
DROP TABLE usage_seen;
