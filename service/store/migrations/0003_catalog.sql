-- +goose Up
CREATE TABLE product (
    id          text COLLATE "C" PRIMARY KEY,
    slug        text COLLATE "C" NOT NULL UNIQUE,
    name        text NOT NULL,
    description text NOT NULL,
    purpose     text COLLATE "C" NOT NULL CHECK (purpose IN ('revenue', 'retention', 'distribution')),
    key_prefix  text COLLATE "C" NOT NULL,
    state       text COLLATE "C" NOT NULL CHECK (state IN ('draft', 'active', 'sunset', 'retired')),
    version     bigint NOT NULL CHECK (version > 0),
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);

CREATE INDEX product_state ON product (state, slug);

CREATE TABLE plan (
    id          text COLLATE "C" PRIMARY KEY,
    product_id  text COLLATE "C" NOT NULL REFERENCES product (id),
    code        text COLLATE "C" NOT NULL,
    name        text NOT NULL,
    description text NOT NULL,
    type        text COLLATE "C" NOT NULL CHECK (type IN ('perpetual', 'timed', 'subscription', 'trial')),
    state       text COLLATE "C" NOT NULL CHECK (state IN ('draft', 'active', 'archived')),
    grants      text NOT NULL,
    version     bigint NOT NULL CHECK (version > 0),
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    UNIQUE (product_id, code)
);

-- A price is never edited: a change is the next version. Only its state moves, proposed to approved or rejected, and a price may be
-- archived, which ends the sale of the plan in that currency. The first version needs no second person; a later one does.
CREATE TABLE price (
    id              text COLLATE "C" PRIMARY KEY,
    plan_id         text COLLATE "C" NOT NULL REFERENCES plan (id),
    currency        text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    version         bigint NOT NULL CHECK (version > 0),
    amount          bigint NOT NULL CHECK (amount >= 0),
    billing         text COLLATE "C" NOT NULL CHECK (billing IN ('one_time', 'month', 'year')),
    effective_from  timestamptz NOT NULL,
    state           text COLLATE "C" NOT NULL CHECK (state IN ('proposed', 'approved', 'rejected')),
    proposed_by     text COLLATE "C" NOT NULL,
    proposed_at     timestamptz NOT NULL,
    decided_by      text COLLATE "C" NOT NULL,
    decided_at      timestamptz,
    single_operator boolean NOT NULL,
    archived_at     timestamptz,
    UNIQUE (plan_id, currency, billing, version),
    CHECK (state = 'proposed' OR decided_at IS NOT NULL),
    CONSTRAINT price_second_person CHECK (state <> 'approved' OR version = 1 OR (decided_by <> '' AND (decided_by <> proposed_by OR single_operator)))
);

CREATE INDEX price_current ON price (plan_id, currency, effective_from);

-- +goose Down
DROP TABLE price;
DROP TABLE plan;
DROP TABLE product;
