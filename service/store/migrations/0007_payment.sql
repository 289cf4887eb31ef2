-- +goose Up

-- The inbox of the payment provider's events: one row an event, however often it is delivered. state is the truth, the job
-- that works on it only a nudge. body is the delivery as it came.
CREATE TABLE payment_event (
    id          text COLLATE "C" NOT NULL PRIMARY KEY CHECK (id <> ''),
    type        text COLLATE "C" NOT NULL,
    api_version text COLLATE "C" NOT NULL,
    live        boolean NOT NULL,
    account     text COLLATE "C" NOT NULL,
    object      text COLLATE "C" NOT NULL,
    object_kind text COLLATE "C" NOT NULL,
    order_id    text COLLATE "C" NOT NULL,
    body        text NOT NULL,
    origin      text COLLATE "C" NOT NULL CHECK (origin IN ('delivery', 'sweep')),
    state       text COLLATE "C" NOT NULL CHECK (state IN ('pending', 'done', 'ignored', 'parked')),
    reason      text NOT NULL,
    attempts    bigint NOT NULL CHECK (attempts >= 0),
    created_at  timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    next_try    timestamptz NOT NULL,
    settled_at  timestamptz,
    CHECK ((settled_at IS NULL) = (state = 'pending'))
);

CREATE INDEX payment_event_due ON payment_event (next_try) WHERE state = 'pending';
CREATE INDEX payment_event_state ON payment_event (state, received_at, id);
CREATE INDEX payment_event_age ON payment_event (received_at, id);

-- How far the walk along the provider's list of events has come.
CREATE TABLE payment_cursor (
    one bigint NOT NULL PRIMARY KEY CHECK (one = 1),
    at  timestamptz NOT NULL
);

-- +goose Down
DROP TABLE payment_cursor;
DROP TABLE payment_event;
