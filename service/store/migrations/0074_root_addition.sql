-- +goose Up

-- The public key of a root that is to be trusted beside the one that is here, where that is what was proposed, and not that the root leaves.
ALTER TABLE root_export ADD COLUMN adds text COLLATE "C" NOT NULL DEFAULT '';

-- +goose Down
DELETE FROM root_export WHERE adds <> '';
ALTER TABLE root_export DROP COLUMN adds;
