-- +goose Up

-- The name in lower case, by which staff find people.
ALTER TABLE customer ADD COLUMN name_fold text COLLATE "C" NOT NULL DEFAULT '';
UPDATE customer SET name_fold = lower(name);
CREATE INDEX customer_name_fold ON customer (name_fold) WHERE name_fold <> '';
CREATE INDEX download_link_owner ON download_link (owner, id);
CREATE INDEX notice_recipient ON notice (recipient);
CREATE INDEX session_opened_by ON session (opened_by) WHERE opened_by <> '';

-- +goose Down
DROP INDEX session_opened_by;
DROP INDEX notice_recipient;
DROP INDEX download_link_owner;
DROP INDEX customer_name_fold;
ALTER TABLE customer DROP COLUMN name_fold;
