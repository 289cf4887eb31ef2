-- +goose Up

CREATE TABLE canned_reply (
    id          text COLLATE "C" NOT NULL PRIMARY KEY,
    name        text COLLATE "C" NOT NULL UNIQUE CHECK (name <> ''),
    body        text NOT NULL,
    row_version bigint NOT NULL CHECK (row_version > 0),
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);

-- A question with its answer. in_title and in_body are both in lower case, which the search looks through, so that neither engine's idea of
-- case matters.
CREATE TABLE faq (
    id          text COLLATE "C" NOT NULL PRIMARY KEY,
    slug        text COLLATE "C" NOT NULL UNIQUE CHECK (slug <> ''),
    title       text NOT NULL,
    body        text NOT NULL,
    category    text COLLATE "C" NOT NULL,
    position    bigint NOT NULL CHECK (position >= 0),
    published   boolean NOT NULL,
    in_title    text COLLATE "C" NOT NULL,
    in_body     text COLLATE "C" NOT NULL,
    row_version bigint NOT NULL CHECK (row_version > 0),
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);

-- +goose Down
DROP TABLE faq;
DROP TABLE canned_reply;
