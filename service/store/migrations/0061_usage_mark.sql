-- +goose Up

-- How far a source has come: the one row by which its batches are told apart, whatever the number of events. It is apart from who the source
-- is, which never changes, so that what each batch rewrites is small and few indexes know of it. There is none before the first batch. last_hash
-- is 8 bytes of the last batch's digest, empty for a source of single events. events and total are the sums of all batches.
CREATE TABLE usage_mark (
    last_seq  bigint NOT NULL CHECK (last_seq >= 0),
    last_at   timestamptz NOT NULL,
    events    bigint NOT NULL CHECK (events >= 0),
    total     bigint NOT NULL,
    source    text COLLATE "C" NOT NULL PRIMARY KEY REFERENCES usage_source (id),
    last_hash text COLLATE "C" NOT NULL
);
INSERT INTO usage_mark (last_seq, last_at, events, total, source, last_hash)
    SELECT last_seq, last_at, events, total, id, last_hash FROM usage_source WHERE last_at IS NOT NULL;
CREATE INDEX usage_mark_last ON usage_mark (last_at, source);
DROP INDEX usage_source_last;
ALTER TABLE usage_source DROP COLUMN last_seq;
ALTER TABLE usage_source DROP COLUMN last_hash;
ALTER TABLE usage_source DROP COLUMN last_at;
ALTER TABLE usage_source DROP COLUMN events;
ALTER TABLE usage_source DROP COLUMN total;

-- +goose Down
ALTER TABLE usage_source ADD COLUMN last_seq bigint NOT NULL DEFAULT 0 CHECK (last_seq >= 0);
ALTER TABLE usage_source ADD COLUMN last_hash text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE usage_source ADD COLUMN last_at timestamptz;
ALTER TABLE usage_source ADD COLUMN events bigint NOT NULL DEFAULT 0 CHECK (events >= 0);
ALTER TABLE usage_source ADD COLUMN total bigint NOT NULL DEFAULT 0;
UPDATE usage_source SET last_seq = (SELECT m.last_seq FROM usage_mark m WHERE m.source = usage_source.id), last_hash = (SELECT m.last_hash FROM usage_mark m WHERE m.source = usage_source.id),
    last_at = (SELECT m.last_at FROM usage_mark m WHERE m.source = usage_source.id), events = (SELECT m.events FROM usage_mark m WHERE m.source = usage_source.id),
    total = (SELECT m.total FROM usage_mark m WHERE m.source = usage_source.id)
    WHERE EXISTS (SELECT 1 FROM usage_mark m WHERE m.source = usage_source.id);
CREATE INDEX usage_source_last ON usage_source (last_at, id);
DROP TABLE usage_mark;
