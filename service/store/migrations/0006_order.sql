-- +goose Up
-- An order keeps what was sold as it was sold: snapshot is the frozen basket and never changes. version counts its transitions;
-- every one is a conditional update on it, so that of many callers exactly one makes a transition. secret_hash finds the order for who
-- has its access code; access is that code, sealed, for the link in its mail.
CREATE TABLE orders (
    id           text COLLATE "C" PRIMARY KEY,
    owner        text COLLATE "C" NOT NULL,
    email        text NOT NULL,
    env          text COLLATE "C" NOT NULL CHECK (env IN ('live', 'test')),
    state        text COLLATE "C" NOT NULL CHECK (state IN ('pending', 'awaiting_funds', 'paid', 'fulfilled', 'refunded', 'closed', 'parked')),
    reason       text NOT NULL,
    currency     text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    subtotal     bigint NOT NULL CHECK (subtotal >= 0),
    discount     bigint NOT NULL CHECK (discount >= 0 AND discount <= subtotal),
    tax          bigint NOT NULL CHECK (tax >= 0),
    total        bigint NOT NULL CHECK (total >= 0),
    captured     bigint NOT NULL CHECK (captured = 0 OR captured = total),
    refunded     bigint NOT NULL CHECK (refunded >= 0),
    disputed     bigint NOT NULL CHECK (disputed >= 0),
    snapshot     text NOT NULL,
    secret_hash  bytea NOT NULL,
    access       bytea NOT NULL,
    version      bigint NOT NULL CHECK (version > 0),
    session      text COLLATE "C" NOT NULL,
    intent       text COLLATE "C" NOT NULL,
    charge       text COLLATE "C" NOT NULL,
    receipt      text COLLATE "C" NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    checked_at   timestamptz NOT NULL,
    paid_at      timestamptz,
    fulfilled_at timestamptz,
    CONSTRAINT orders_refunded_within_captured CHECK (refunded + disputed <= captured),
    CONSTRAINT orders_fulfilled_is_paid CHECK (state NOT IN ('paid', 'fulfilled', 'refunded') OR paid_at IS NOT NULL)
);

CREATE INDEX orders_owner ON orders (owner, id);
CREATE INDEX orders_email ON orders (email, id);
CREATE INDEX orders_state ON orders (state, checked_at);
CREATE INDEX orders_session ON orders (session);
CREATE INDEX orders_intent ON orders (intent);
CREATE INDEX orders_charge ON orders (charge);

CREATE TABLE order_line (
    id         text COLLATE "C" PRIMARY KEY,
    order_id   text COLLATE "C" NOT NULL REFERENCES orders (id),
    n          bigint NOT NULL CHECK (n > 0),
    product_id text COLLATE "C" NOT NULL,
    plan_id    text COLLATE "C" NOT NULL,
    price_id   text COLLATE "C" NOT NULL,
    quantity   bigint NOT NULL CHECK (quantity > 0),
    unit       bigint NOT NULL CHECK (unit >= 0),
    UNIQUE (order_id, n)
);

CREATE INDEX order_line_product ON order_line (product_id, order_id);

-- A unit of a line that is paid for gives each grant of its frozen plan once. source is "<line>/<unit>/<grant>", and the same text
-- is the unique source of the license or key itself. sealed holds a secret that its buyer has not fetched yet.
CREATE TABLE order_grant (
    source     text COLLATE "C" PRIMARY KEY,
    order_id   text COLLATE "C" NOT NULL REFERENCES orders (id),
    line_id    text COLLATE "C" NOT NULL REFERENCES order_line (id),
    kind       text COLLATE "C" NOT NULL CHECK (kind IN ('license', 'apikey')),
    object_id  text COLLATE "C" NOT NULL UNIQUE,
    state      text COLLATE "C" NOT NULL CHECK (state IN ('active', 'suspended', 'revoked')),
    sealed     bytea,
    hint       text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE INDEX order_grant_order ON order_grant (order_id);

-- One attempt to open a payment page: written before the provider is called, confirmed after.
CREATE TABLE checkout_session (
    order_id   text COLLATE "C" NOT NULL REFERENCES orders (id),
    epoch      bigint NOT NULL CHECK (epoch > 0),
    state      text COLLATE "C" NOT NULL CHECK (state IN ('opening', 'open', 'closed')),
    session    text COLLATE "C" UNIQUE,
    url        text NOT NULL,
    success    text NOT NULL,
    cancel     text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (order_id, epoch)
);

-- A signed-in customer has at most one open payment page for a plan.
CREATE TABLE checkout_slot (
    owner    text COLLATE "C" NOT NULL,
    plan_id  text COLLATE "C" NOT NULL,
    order_id text COLLATE "C" NOT NULL REFERENCES orders (id),
    PRIMARY KEY (owner, plan_id)
);

CREATE INDEX checkout_slot_order ON checkout_slot (order_id);

CREATE TABLE order_event (
    id       text COLLATE "C" PRIMARY KEY,
    order_id text COLLATE "C" NOT NULL REFERENCES orders (id),
    at       timestamptz NOT NULL,
    kind     text COLLATE "C" NOT NULL,
    actor    text NOT NULL,
    detail   text NOT NULL
);

CREATE INDEX order_event_order ON order_event (order_id, id);

-- Double entry: a posting is a set of legs with one source whose amounts sum to zero in each currency. Debits are positive.
CREATE TABLE ledger_entry (
    source   text COLLATE "C" NOT NULL,
    leg      bigint NOT NULL CHECK (leg > 0),
    order_id text COLLATE "C" NOT NULL REFERENCES orders (id),
    account  text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    amount   bigint NOT NULL CHECK (amount <> 0),
    at       timestamptz NOT NULL,
    PRIMARY KEY (source, leg)
);

CREATE INDEX ledger_entry_order ON ledger_entry (order_id);
CREATE INDEX ledger_entry_account ON ledger_entry (account, currency, at);

-- Receipts of a series (a year, with T before it for the test environment) are numbered 1, 2, 3 … without a gap: the counter moves in
-- the transaction that writes the receipt.
CREATE TABLE receipt_counter (
    series text COLLATE "C" PRIMARY KEY,
    last   bigint NOT NULL CHECK (last > 0)
);

CREATE TABLE receipt (
    number   text COLLATE "C" PRIMARY KEY,
    series   text COLLATE "C" NOT NULL,
    seq      bigint NOT NULL CHECK (seq > 0),
    order_id text COLLATE "C" NOT NULL UNIQUE REFERENCES orders (id),
    at       timestamptz NOT NULL,
    UNIQUE (series, seq)
);

-- +goose Down
DROP TABLE receipt;
DROP TABLE receipt_counter;
DROP TABLE ledger_entry;
DROP TABLE order_event;
DROP TABLE checkout_slot;
DROP TABLE checkout_session;
DROP TABLE order_grant;
DROP TABLE order_line;
DROP TABLE orders;
