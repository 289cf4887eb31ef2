-- +goose Up

-- counts_as is, of a key that its owner made in the place of one that is over, the first key of that place: credits and the counters of its own
-- limits go on where they stood.
ALTER TABLE api_key ADD COLUMN counts_as text COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX api_key_place ON api_key (counts_as) WHERE counts_as <> '';

-- +goose Down
DROP INDEX api_key_place;
ALTER TABLE api_key DROP COLUMN counts_as;
