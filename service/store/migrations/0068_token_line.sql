-- +goose Up

-- The first of the tokens of a license between which it stayed in the same hands, empty for the first itself. A token that has ended speaks for
-- what took its place only within the same hands; one that ended before this was kept is the first and last of its own.
ALTER TABLE license_token ADD COLUMN first_jti text COLLATE "C" NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE license_token DROP COLUMN first_jti;
