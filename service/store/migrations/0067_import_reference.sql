-- +goose Up

-- The references of files that are written for an import are those of one product and environment, so that the numbers 1, 2, 3 of two products
-- are not taken for the same licenses.
UPDATE license SET source_id = 'mintreu/' || product_id || '/' || env || '/' || substr(source_id, 9)
WHERE source_kind = 'import' AND source_id LIKE 'mintreu/%' AND source_id NOT LIKE 'mintreu/' || product_id || '/' || env || '/%';

-- +goose Down
-- Of several licenses with one reference the first has it again; the others keep the longer one, which is unique too.
UPDATE license SET source_id = 'mintreu/' || substr(source_id, length(product_id) + length(env) + 11)
WHERE source_kind = 'import' AND source_id LIKE 'mintreu/' || product_id || '/' || env || '/%' AND NOT EXISTS (
    SELECT 1 FROM license o WHERE o.source_kind = 'import' AND o.id < license.id AND o.source_id IN (
        'mintreu/' || o.product_id || '/' || o.env || '/' || substr(license.source_id, length(license.product_id) + length(license.env) + 11),
        'mintreu/' || substr(license.source_id, length(license.product_id) + length(license.env) + 11)));
