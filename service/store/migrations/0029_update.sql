-- +goose Up

-- Products ask for the newest release by their slug.
CREATE INDEX download_release_update ON download_release (product_slug, channel, state, released_at);

-- +goose Down
DROP INDEX download_release_update;
