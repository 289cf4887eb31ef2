-- +goose Up
-- Credit notes of a series (C and a year, CT for the test environment) are numbered 1, 2, 3 … without a gap, as receipts are. An order
-- has one for each change in what was refunded of it, named by the version of the order that made it; a refund that failed takes back
-- what was credited, by a note over a negative amount.
CREATE TABLE credit_note_counter (
    series text COLLATE "C" PRIMARY KEY,
    last   bigint NOT NULL CHECK (last > 0)
);

CREATE TABLE credit_note (
    number          text COLLATE "C" PRIMARY KEY,
    series          text COLLATE "C" NOT NULL,
    seq             bigint NOT NULL CHECK (seq > 0),
    order_id        text COLLATE "C" NOT NULL REFERENCES orders (id),
    version         bigint NOT NULL CHECK (version > 0),
    receipt         text COLLATE "C" NOT NULL REFERENCES receipt (number),
    refunded_before bigint NOT NULL CHECK (refunded_before >= 0),
    refunded_after  bigint NOT NULL CHECK (refunded_after >= 0 AND refunded_after <> refunded_before),
    tax             bigint NOT NULL,
    at              timestamptz NOT NULL,
    UNIQUE (series, seq),
    UNIQUE (order_id, version)
);

CREATE INDEX credit_note_receipt ON credit_note (receipt);

-- Refunds that the ledger knows from before get their notes now, in the order in which they came. A posting of a refund is named
-- "order/<order>/refund/<version>"; instants are UTC, so their text begins with the year.
INSERT INTO credit_note (number, series, seq, order_id, version, receipt, refunded_before, refunded_after, tax, at)
SELECT series || '-' || CASE WHEN seq < 1000000 THEN substr(CAST(1000000 + seq AS text), 2) ELSE CAST(seq AS text) END,
    series, seq, order_id, version, receipt, refunded_after - amount, refunded_after, tax, at
FROM (SELECT r.*, row_number() OVER (PARTITION BY series ORDER BY at, order_id, version) AS seq,
        SUM(amount) OVER (PARTITION BY order_id ORDER BY version ROWS UNBOUNDED PRECEDING) AS refunded_after
    FROM (SELECT CASE WHEN o.env = 'live' THEN 'C' ELSE 'CT' END || substr(CAST(e.at AS text), 1, 4) AS series, e.order_id,
            CAST(substr(e.source, length('order/' || e.order_id || '/refund/') + 1) AS bigint) AS version, o.receipt, e.at,
            CAST(SUM(CASE WHEN e.account = 'cash:stripe' THEN -e.amount ELSE 0 END) AS bigint) AS amount,
            CAST(SUM(CASE WHEN e.account LIKE 'tax:%' THEN e.amount ELSE 0 END) AS bigint) AS tax
        FROM ledger_entry e JOIN orders o ON o.id = e.order_id WHERE e.source LIKE 'order/%/refund/%'
        GROUP BY o.env, o.receipt, e.order_id, e.source, e.at) AS r) AS n;

INSERT INTO credit_note_counter (series, last) SELECT series, MAX(seq) FROM credit_note GROUP BY series;

-- +goose Down
DROP TABLE credit_note;
DROP TABLE credit_note_counter;
