-- +goose Up

-- A run is about licenses or about API keys; a row names the license or the key.
ALTER TABLE bulk_run ADD COLUMN about text COLLATE "C" NOT NULL DEFAULT 'license';
ALTER TABLE bulk_row ADD COLUMN key_id text COLLATE "C" NOT NULL DEFAULT '';

-- By what many keys are found at once.
CREATE INDEX api_key_product ON api_key (product_id, id);
CREATE INDEX api_key_plan ON api_key (plan_code, id);
CREATE INDEX api_key_member ON api_key (member, id) WHERE member <> '';
CREATE INDEX api_key_name ON api_key (name, id) WHERE name <> '';

-- +goose Down
DROP INDEX api_key_name;
DROP INDEX api_key_member;
DROP INDEX api_key_plan;
DROP INDEX api_key_product;
DELETE FROM bulk_row WHERE run_id IN (SELECT id FROM bulk_run WHERE about <> 'license');
DELETE FROM bulk_run WHERE about <> 'license';
ALTER TABLE bulk_row DROP COLUMN key_id;
ALTER TABLE bulk_run DROP COLUMN about;
