-- +goose Up

-- An owner's API keys that were bought, and those made by their plans, are one family. Its row is locked while one of them is made by a plan, and
-- while a key that was bought is sold, stopped, let go on or ended, so that each of these finds what the others left.
CREATE TABLE api_key_family (
    owner text COLLATE "C" NOT NULL PRIMARY KEY
);

-- +goose Down
DROP TABLE api_key_family;
