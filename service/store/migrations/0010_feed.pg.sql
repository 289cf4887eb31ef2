-- +goose Up

-- The change feed. Numbers are taken before their transaction commits, so a reader must look back.
CREATE TABLE change (
    seq  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    id   text COLLATE "C" NOT NULL,
    at   timestamptz NOT NULL
);
CREATE INDEX change_at ON change (at);

-- +goose StatementBegin
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'immutable: rows of % are never changed', TG_TABLE_NAME;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_seq_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seq FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_hash_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_hash FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_checkpoint_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoint FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- +goose Down
DROP TRIGGER audit_checkpoint_immutable ON audit_checkpoint;
DROP TRIGGER audit_hash_immutable ON audit_hash;
DROP TRIGGER audit_seq_immutable ON audit_seq;
DROP TRIGGER audit_immutable ON audit;
DROP FUNCTION refuse_change();
DROP TABLE change;
