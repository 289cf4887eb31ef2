-- +goose Up

-- Where the shop's own systems hear of what happens. What failed lately stands beside it, and who works for it until when; nudged grows when
-- somebody came in vain meanwhile.
CREATE TABLE webhook_endpoint (
    id            text COLLATE "C" NOT NULL PRIMARY KEY,
    url           text NOT NULL,
    description   text NOT NULL,
    env           text COLLATE "C" NOT NULL CHECK (env IN ('live', 'test')),
    types         text NOT NULL,
    row_version   bigint NOT NULL CHECK (row_version > 0),
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    disabled_at   timestamptz,
    disabled_why  text COLLATE "C" NOT NULL CHECK (disabled_why IN ('', 'staff', 'failing', 'gone')),
    removed_at    timestamptz,
    failures      bigint NOT NULL CHECK (failures >= 0),
    failing_since timestamptz,
    open_until    timestamptz,
    slow          boolean NOT NULL,
    held_by       text COLLATE "C" NOT NULL,
    held_until    timestamptz,
    nudged        bigint NOT NULL
);

-- The two slots are why no endpoint has more than two good secrets; a dead one leaves its slot.
CREATE TABLE webhook_secret (
    id          text COLLATE "C" NOT NULL PRIMARY KEY,
    endpoint_id text COLLATE "C" NOT NULL REFERENCES webhook_endpoint (id),
    slot        bigint CHECK (slot IN (0, 1)),
    sealed      bytea NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz,
    UNIQUE (endpoint_id, slot)
);

CREATE TABLE webhook_event (
    id   text COLLATE "C" NOT NULL PRIMARY KEY,
    type text COLLATE "C" NOT NULL,
    env  text COLLATE "C" NOT NULL,
    body text NOT NULL,
    at   timestamptz NOT NULL
);
CREATE INDEX webhook_event_at ON webhook_event (at);

CREATE TABLE webhook_delivery (
    id          text COLLATE "C" NOT NULL PRIMARY KEY,
    endpoint_id text COLLATE "C" NOT NULL REFERENCES webhook_endpoint (id),
    event_id    text COLLATE "C" NOT NULL REFERENCES webhook_event (id),
    state       text COLLATE "C" NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts    bigint NOT NULL CHECK (attempts >= 0),
    tries       bigint NOT NULL CHECK (tries >= 0),
    next_at     timestamptz NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    UNIQUE (event_id, endpoint_id)
);
CREATE INDEX webhook_delivery_due ON webhook_delivery (endpoint_id, next_at) WHERE state = 'pending';
CREATE INDEX webhook_delivery_endpoint ON webhook_delivery (endpoint_id, id);
CREATE INDEX webhook_delivery_state ON webhook_delivery (state, id);

CREATE TABLE webhook_attempt (
    delivery_id text COLLATE "C" NOT NULL REFERENCES webhook_delivery (id),
    n           bigint NOT NULL CHECK (n > 0),
    at          timestamptz NOT NULL,
    took_ms     bigint NOT NULL CHECK (took_ms >= 0),
    status      bigint NOT NULL,
    excerpt     text NOT NULL,
    error       text NOT NULL,
    PRIMARY KEY (delivery_id, n)
);

-- The number of the next row of the audit trail to be told of. What was numbered before there were endpoints is told nobody.
CREATE TABLE webhook_position (
    one bigint NOT NULL PRIMARY KEY CHECK (one = 1),
    num bigint NOT NULL CHECK (num >= 0)
);
INSERT INTO webhook_position (one, num) SELECT one, size FROM audit_head;

-- +goose Down
DROP TABLE webhook_position;
DROP TABLE webhook_attempt;
DROP TABLE webhook_delivery;
DROP TABLE webhook_event;
DROP TABLE webhook_secret;
DROP TABLE webhook_endpoint;
