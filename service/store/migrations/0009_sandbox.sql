-- +goose Up

-- Objects of the payment sandbox: JSON, and what they are found by.
CREATE TABLE sandbox_object (
    kind text COLLATE "C" NOT NULL,
    id   text COLLATE "C" NOT NULL,
    ref  text COLLATE "C" NOT NULL,
    rev  bigint NOT NULL CHECK (rev > 0),
    at   timestamptz NOT NULL,
    due  timestamptz,
    data text NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE INDEX sandbox_object_age ON sandbox_object (kind, at, id);
CREATE INDEX sandbox_object_ref ON sandbox_object (kind, ref, at, id);
CREATE INDEX sandbox_object_due ON sandbox_object (due) WHERE due IS NOT NULL;

-- +goose Down
DROP TABLE sandbox_object;
