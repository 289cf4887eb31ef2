-- +goose Up

-- The newest version that the policy of a license covers, where its terms hold another that was said of the license alone: so that it stays when the
-- license goes over to other terms.
ALTER TABLE license ADD COLUMN policy_version text;

-- +goose Down
ALTER TABLE license DROP COLUMN policy_version;
