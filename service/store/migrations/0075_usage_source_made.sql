-- +goose Up

-- When a holder made its sources, so that it makes no end of them, and which were made long ago, so that those which never counted are forgotten.
CREATE INDEX usage_source_made ON usage_source (holder, created_at);
CREATE INDEX usage_source_age ON usage_source (created_at);

-- +goose Down
DROP INDEX usage_source_made;
DROP INDEX usage_source_age;
