-- +goose Up

-- Mail about a license and its order stands in the license's history.
CREATE INDEX notice_subject ON notice (subject, id);

-- +goose Down
DROP INDEX notice_subject;
