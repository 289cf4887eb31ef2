-- +goose Up

-- What is done to many licenses in one piece of work: issued, imported, changed. input is what to do, sealed, since it may hold license keys;
-- it goes once the run is done. position is how many rows of the input have been dealt with: a batch commits together with it, so
-- that no row is done twice.
CREATE TABLE bulk_run (
    id            text COLLATE "C" NOT NULL PRIMARY KEY,
    kind          text COLLATE "C" NOT NULL CHECK (kind IN ('issue', 'import', 'suspend', 'reinstate', 'revoke', 'extend', 'entitle')),
    state         text COLLATE "C" NOT NULL CHECK (state IN ('running', 'done', 'cancelled')),
    product_id    text COLLATE "C" NOT NULL,
    policy_id     text COLLATE "C" NOT NULL,
    env           text COLLATE "C" NOT NULL,
    actor         text COLLATE "C" NOT NULL,
    reason        text NOT NULL,
    input         bytea,
    total         bigint NOT NULL CHECK (total > 0),
    position      bigint NOT NULL CHECK (position >= 0 AND position <= total),
    done          bigint NOT NULL CHECK (done >= 0),
    unchanged     bigint NOT NULL CHECK (unchanged >= 0),
    failed        bigint NOT NULL CHECK (failed >= 0),
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    keys_taken_at timestamptz,
    CHECK (done + unchanged + failed = position)
);
CREATE INDEX bulk_run_running ON bulk_run (updated_at) WHERE state = 'running';

-- What became of each row. A license that was issued or changed has its outcome here; failures say why.
CREATE TABLE bulk_row (
    run_id     text COLLATE "C" NOT NULL REFERENCES bulk_run (id),
    num        bigint NOT NULL CHECK (num > 0),
    outcome    text COLLATE "C" NOT NULL CHECK (outcome IN ('done', 'unchanged', 'failed')),
    license_id text COLLATE "C" NOT NULL,
    reference  text NOT NULL,
    problem    text NOT NULL,
    PRIMARY KEY (run_id, num)
);
CREATE INDEX bulk_row_outcome ON bulk_row (run_id, outcome, num);

-- +goose Down
DROP TABLE bulk_row;
DROP TABLE bulk_run;
