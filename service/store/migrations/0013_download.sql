-- +goose Up

-- One version of a product. Its files change while it is a draft only; manifest is the signed release+jwt from then on.
CREATE TABLE download_release (
    id           text COLLATE "C" NOT NULL PRIMARY KEY,
    product_id   text COLLATE "C" NOT NULL CHECK (product_id <> ''),
    product_slug text COLLATE "C" NOT NULL CHECK (product_slug <> ''),
    version      text COLLATE "C" NOT NULL CHECK (version <> ''),
    channel      text COLLATE "C" NOT NULL CHECK (channel <> ''),
    access       text COLLATE "C" NOT NULL CHECK (access IN ('license', 'free')),
    notes        text NOT NULL,
    from_min     text COLLATE "C" NOT NULL,
    from_max     text COLLATE "C" NOT NULL,
    uses_max     bigint NOT NULL CHECK (uses_max >= 0),
    same_address boolean NOT NULL,
    state        text COLLATE "C" NOT NULL CHECK (state IN ('draft', 'published', 'withdrawn')),
    released_at  timestamptz,
    manifest     text NOT NULL,
    reason       text NOT NULL,
    row_version  bigint NOT NULL CHECK (row_version > 0),
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    UNIQUE (product_id, version),
    CHECK (state = 'draft' OR (released_at IS NOT NULL AND manifest <> ''))
);
CREATE INDEX download_release_product ON download_release (product_id, id);
CREATE INDEX download_release_free ON download_release (access, state, id);

CREATE TABLE download_file (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    release_id text COLLATE "C" NOT NULL REFERENCES download_release (id),
    name       text COLLATE "C" NOT NULL CHECK (name <> ''),
    platform   text COLLATE "C" NOT NULL CHECK (platform <> ''),
    size       bigint NOT NULL CHECK (size > 0),
    sha256     bytea NOT NULL,
    blob       text COLLATE "C" NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    UNIQUE (release_id, name)
);

-- The SHA-256 of each block of a file, one after the other; apart, since it is wide and read only when bytes are served.
CREATE TABLE download_block (
    file_id text COLLATE "C" NOT NULL PRIMARY KEY REFERENCES download_file (id),
    digests bytea NOT NULL
);

-- How many uses of a file a grant has spent or reserved.
CREATE TABLE download_use (
    grant_id text COLLATE "C" NOT NULL,
    owner    text COLLATE "C" NOT NULL,
    file_id  text COLLATE "C" NOT NULL REFERENCES download_file (id),
    used     bigint NOT NULL CHECK (used >= 0),
    PRIMARY KEY (file_id, grant_id, owner)
);

-- One permission to fetch one file, and its transfer. counted says that it holds or spent a use.
CREATE TABLE download_link (
    id          text COLLATE "C" NOT NULL PRIMARY KEY,
    file_id     text COLLATE "C" NOT NULL REFERENCES download_file (id),
    release_id  text COLLATE "C" NOT NULL REFERENCES download_release (id),
    product_id  text COLLATE "C" NOT NULL,
    grant_id    text COLLATE "C" NOT NULL CHECK (grant_id <> ''),
    owner       text COLLATE "C" NOT NULL CHECK (owner <> ''),
    address     bytea,
    state       text COLLATE "C" NOT NULL CHECK (state IN ('open', 'reserved', 'confirmed', 'released')),
    counted     boolean NOT NULL,
    granted     bigint NOT NULL CHECK (granted >= 0),
    sent        bigint NOT NULL CHECK (sent >= 0),
    requests    bigint NOT NULL CHECK (requests >= 0),
    expires_at  timestamptz NOT NULL,
    created_at  timestamptz NOT NULL,
    begun_at    timestamptz,
    progress_at timestamptz,
    CHECK (state = 'open' OR begun_at IS NOT NULL),
    CHECK (NOT counted OR state IN ('reserved', 'confirmed'))
);
CREATE INDEX download_link_use ON download_link (file_id, grant_id, state);
CREATE INDEX download_link_reserved ON download_link (progress_at) WHERE state = 'reserved';
CREATE INDEX download_link_expires ON download_link (expires_at);

-- +goose Down
DROP TABLE download_link;
DROP TABLE download_use;
DROP TABLE download_block;
DROP TABLE download_file;
DROP TABLE download_release;
