-- +goose Up

-- The tokens of a status list that are invalid, so that a list costs what is invalid in it and not how many licenses there are.
CREATE INDEX license_token_ended ON license_token (list, idx) WHERE NOT current;

-- +goose Down
DROP INDEX license_token_ended;
