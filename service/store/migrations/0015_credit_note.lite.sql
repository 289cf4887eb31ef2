-- +goose Up

-- Credit notes are never changed.
-- +goose StatementBegin
CREATE TRIGGER credit_note_no_update BEFORE UPDATE ON credit_note BEGIN
    SELECT RAISE(ABORT, 'immutable: rows of credit_note are never changed');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER credit_note_no_delete BEFORE DELETE ON credit_note BEGIN
    SELECT RAISE(ABORT, 'immutable: rows of credit_note are never changed');
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER credit_note_no_delete;
DROP TRIGGER credit_note_no_update;
