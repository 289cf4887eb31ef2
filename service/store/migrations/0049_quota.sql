-- +goose Up

-- What each process has admitted of a quota's period; a quota's use is the sum. seq grows with each write of a process.
CREATE TABLE quota_spent (
    counter text COLLATE "C" NOT NULL,
    process text COLLATE "C" NOT NULL,
    used    bigint NOT NULL,
    seq     bigint NOT NULL,
    until   timestamptz NOT NULL,
    PRIMARY KEY (counter, process)
);
CREATE INDEX quota_spent_until ON quota_spent (until);

-- +goose Down
DROP TABLE quota_spent;
