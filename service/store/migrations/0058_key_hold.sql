-- +goose Up

-- What keys have spent in advance for work whose cost is known only afterwards. units is JSON of what was spent of limits; refill_at is when
-- the credits were to be refilled next. settled_at is when the rest came back; settled rows are kept a while for those who ask again.
CREATE TABLE api_key_hold (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    key_id     text COLLATE "C" NOT NULL REFERENCES api_key (id),
    cost       bigint NOT NULL CHECK (cost > 0),
    used       bigint NOT NULL CHECK (used >= 0 AND used <= cost),
    credits    boolean NOT NULL,
    refill_at  timestamptz,
    units      text NOT NULL,
    asked_at   timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    settled_at timestamptz
);
CREATE INDEX api_key_hold_open ON api_key_hold (ends_at) WHERE settled_at IS NULL;
CREATE INDEX api_key_hold_settled ON api_key_hold (settled_at) WHERE settled_at IS NOT NULL;

-- +goose Down
DROP TABLE api_key_hold;
