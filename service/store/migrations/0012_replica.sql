-- +goose Up
CREATE TABLE replica (
    id      text COLLATE "C" PRIMARY KEY,
    seen_at timestamptz NOT NULL
);

-- +goose Down
DROP TABLE replica;
