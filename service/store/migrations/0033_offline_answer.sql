-- +goose Up

-- What machines without a network were answered: one row a request. The lease is sealed; its text keys the MAC of the machine's return.
CREATE TABLE offline_answer (
    license_id    text COLLATE "C" NOT NULL REFERENCES license (id),
    nonce         text COLLATE "C" NOT NULL CHECK (nonce <> ''),
    activation_id text COLLATE "C" NOT NULL REFERENCES activation (id),
    seq           bigint NOT NULL,
    lease_sealed  bytea NOT NULL,
    answered_at   timestamptz NOT NULL,
    PRIMARY KEY (license_id, nonce)
);

CREATE INDEX offline_answer_activation ON offline_answer (activation_id, seq);

-- +goose Down
DROP TABLE offline_answer;
