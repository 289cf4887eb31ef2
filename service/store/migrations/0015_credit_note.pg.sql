-- +goose Up

-- Credit notes are never changed.
CREATE TRIGGER credit_note_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_note FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- +goose Down
DROP TRIGGER credit_note_immutable ON credit_note;
